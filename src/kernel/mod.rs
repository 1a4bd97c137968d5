//! Time of a kernel on a GPU, and bytes that a rank must hold.

mod attention;
pub(crate) mod kernel;
mod machine;
mod product;

pub(crate) use kernel::{KernelContext, operator_time};

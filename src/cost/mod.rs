//! Time of a kernel on a GPU, and bytes that a rank must hold.

mod attention;
pub mod kernel;
mod machine;
mod product;

pub use kernel::{KernelContext, KernelTime, operator_time};

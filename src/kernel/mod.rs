//! Time of a kernel on a GPU: products, attention, memory-bound kernels.

mod attention;
mod machine;
mod product;
pub(crate) mod time;

pub(crate) use time::{KernelContext, least_time, operator_time};

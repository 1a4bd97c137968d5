//! Time of a kernel on a GPU: products, attention, memory-bound kernels.

mod attention;
mod cast;
mod context;
mod machine;
mod product;
pub(crate) mod time;

#[cfg(test)]
mod tests;

pub(crate) use context::KernelContext;
pub(crate) use time::{least_time, operator_time};

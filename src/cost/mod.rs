//! Time of a kernel on a GPU, and bytes that a rank must hold.

pub mod kernel;

pub use kernel::{KernelContext, KernelTime, operator_time};

//! The part of a GPU that a kernel runs on.

/// Resources of one kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Dense peak in the kernel's format, FLOP/s.
    pub(super) peak: f64,
    /// SMs of the GPU.
    pub(super) sms: u32,
    /// SMs that are not taken by communication.
    pub(super) free_sms: u32,
    /// Bandwidth that memory streams reach, B/s.
    pub(super) stream: f64,
    /// Fraction of the rates that the software reaches, 0–1.
    pub(super) fraction: f64,
}

//! Passes of a pipeline stage, in the terms that all schedules share.

/// A pass of one microbatch through one chunk of a stage's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pass {
    /// Forward.
    Forward,
    /// Backward, gradients of inputs and weights.
    Backward,
    /// Backward, gradients of inputs only.
    BackwardInput,
    /// Backward, gradients of weights only.
    BackwardWeight,
}

/// One entry of a stage's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The pass.
    pub pass: Pass,
    /// Microbatch, 0-based.
    pub microbatch: u32,
    /// Chunk of the stage's layers, 0-based.
    pub chunk: u32,
}

/// Stages, chunks and microbatches of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PipelineSize {
    /// Stages.
    pub stages: u32,
    /// Chunks of layers per stage.
    pub chunks: u32,
    /// Microbatches per step.
    pub microbatches: u32,
}

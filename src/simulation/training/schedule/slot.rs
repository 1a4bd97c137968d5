//! Passes of a pipeline stage, in the terms that all schedules share.

use std::collections::VecDeque;

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
    /// Whether the pass and the next run interleaved, one computing while the other communicates: both begin when both
    /// can, and end together.
    pub beside_next: bool,
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

impl Slot {
    /// A pass by itself.
    pub(crate) const fn of(pass: Pass, microbatch: u32, chunk: u32) -> Self {
        Self {
            pass,
            microbatch,
            chunk,
            beside_next: false,
        }
    }
}

/// Passes of two chunks of a stage as they are written, each pass of a chunk with its next microbatch.
pub(super) struct Counts<'a> {
    slots: &'a mut Vec<Slot>,
    /// Passes so far by chunk: forward, backward, weight gradients.
    made: [[u32; 3]; 2],
    /// Microbatches and chunks whose weight gradients wait.
    waiting: VecDeque<(u32, u32)>,
}

impl<'a> Counts<'a> {
    pub(super) fn of(slots: &'a mut Vec<Slot>) -> Self {
        Self {
            slots,
            made: [[0; 3]; 2],
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn forward(&self, chunk: u32) -> u32 {
        self.made[chunk as usize][0]
    }

    pub(super) fn weights(&self, chunk: u32) -> u32 {
        self.made[chunk as usize][2]
    }

    /// Writes a pass of a chunk.
    pub(super) fn push(&mut self, pass: Pass, chunk: u32) {
        let [forward, backward, weights] = &mut self.made[chunk as usize];
        let count = match pass {
            Pass::Forward => forward,
            Pass::Backward => {
                *weights += 1;
                backward
            }
            Pass::BackwardInput => {
                self.waiting.push_back((*backward, chunk));
                backward
            }
            Pass::BackwardWeight => weights,
        };
        self.slots.push(Slot::of(pass, *count, chunk));
        *count += 1;
    }

    /// Writes a forward pass of one chunk beside a backward pass of the other.
    pub(super) fn push_pair(&mut self, forward: u32, backward: u32) {
        self.push(Pass::Forward, forward);
        if let Some(slot) = self.slots.last_mut() {
            slot.beside_next = true;
        }
        self.push(Pass::Backward, backward);
    }

    /// Writes the weight gradients that have waited longest; `false` where none wait.
    pub(super) fn push_weight(&mut self) -> bool {
        let Some((microbatch, chunk)) = self.waiting.pop_front() else {
            return false;
        };
        self.made[chunk as usize][2] += 1;
        self.slots
            .push(Slot::of(Pass::BackwardWeight, microbatch, chunk));
        true
    }
}

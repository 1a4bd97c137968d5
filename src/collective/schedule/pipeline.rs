//! Chunks that follow each other through stages of transfers, one stage a round.

use std::ops::Range;

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::rounds::{Rounds, Schedule, Transfer};

/// A collective whose buffer goes through stages in chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collective) struct Pipeline {
    /// Switches that reduce, numbered after the ranks.
    pub(in crate::collective) switches: u32,
    /// Parts of the buffer with paths of their own.
    pub(in crate::collective) lanes: u32,
    /// Chunks of a lane; `None`: as many as are fastest.
    pub(in crate::collective) chunks: Option<u32>,
    /// Passes one after another, each a row of stages whose transfers name lanes.
    pub(in crate::collective) passes: Vec<Rounds>,
}

impl Pipeline {
    /// A pipeline of ranks alone, with as many chunks as are fastest.
    pub(in crate::collective) const fn of_lanes(lanes: u32, passes: Vec<Rounds>) -> Self {
        Self {
            switches: 0,
            lanes,
            chunks: None,
            passes,
        }
    }

    /// The rounds with so many chunks in a lane.
    pub(in crate::collective) fn schedule(
        &self,
        op: CollectiveOp,
        ranks: u32,
        chunks: u32,
    ) -> Schedule {
        let chunks = self.chunks.unwrap_or(chunks);
        let mut rounds = Vec::new();
        for stages in &self.passes {
            for round in 0..rounds_of(stages.len() as u32, chunks) {
                let active = stages_of(round, stages.len() as u32, chunks);
                let transfers = active.flat_map(|stage| {
                    stages[stage as usize].iter().map(move |hop| Transfer {
                        chunk: hop.chunk * chunks + round - stage,
                        ..*hop
                    })
                });
                rounds.push(transfers.collect());
            }
        }
        Schedule {
            op,
            ranks,
            switches: self.switches,
            chunks: self.lanes * chunks,
            rounds,
        }
    }
}

/// Rounds of a pass.
pub(in crate::collective) const fn rounds_of(stages: u32, chunks: u32) -> u32 {
    (stages + chunks).saturating_sub(1)
}

/// Stages that have a chunk in a round.
pub(in crate::collective) fn stages_of(round: u32, stages: u32, chunks: u32) -> Range<u32> {
    (round + 1).saturating_sub(chunks)..(round + 1).min(stages)
}

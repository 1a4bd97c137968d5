//! Chunks that follow each other through stages of transfers, one stage a round.

use std::ops::Range;

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::rounds::{Rounds, Schedule, Transfer};

/// A collective whose buffer passes through stages in chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collective) struct Pipeline {
    /// Number of reducing switches; their vertex numbers follow those of the ranks.
    pub(in crate::collective) switches: u32,
    /// Number of lanes: slices of the buffer, each with its own path.
    pub(in crate::collective) lanes: u32,
    /// Number of chunks per lane; `None` for the fastest number.
    pub(in crate::collective) chunks: Option<u32>,
    /// Consecutive passes, each a sequence of stages whose transfers name lanes.
    pub(in crate::collective) passes: Vec<Rounds>,
}

impl Pipeline {
    /// A pipeline without switches, in the fastest number of chunks.
    pub(in crate::collective) const fn of_lanes(lanes: u32, passes: Vec<Rounds>) -> Self {
        Self {
            switches: 0,
            lanes,
            chunks: None,
            passes,
        }
    }

    /// Expands the pipeline to rounds, with `chunks` chunks per lane unless their number is fixed.
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

/// Number of rounds in which `chunks` chunks pass through `stages` stages.
pub(in crate::collective) const fn rounds_of(stages: u32, chunks: u32) -> u32 {
    (stages + chunks).saturating_sub(1)
}

/// Range of stages that are active in a round.
pub(in crate::collective) fn stages_of(round: u32, stages: u32, chunks: u32) -> Range<u32> {
    (round + 1).saturating_sub(chunks)..(round + 1).min(stages)
}

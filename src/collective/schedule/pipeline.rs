//! Pieces that follow each other through stages of transfers, one stage a round.

use std::ops::Range;

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer};

/// One message of every piece of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collective) struct Hop {
    /// Sender: a rank, or a switch, numbered after the ranks.
    pub(in crate::collective) from: u32,
    /// Receiver.
    pub(in crate::collective) to: u32,
    /// Part of the buffer whose pieces it carries.
    pub(in crate::collective) lane: u32,
    /// Whether pieces are added to what the receiver has, or replace it.
    pub(in crate::collective) adds: bool,
}

/// A collective whose buffer goes through stages in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collective) struct Pipeline {
    /// Switches that reduce, numbered after the ranks.
    pub(in crate::collective) switches: u32,
    /// Parts of the buffer that have ways of their own.
    pub(in crate::collective) lanes: u32,
    /// Pieces of a lane; `None`: as many as are fastest.
    pub(in crate::collective) pieces: Option<u32>,
    /// Passes one after another, each a row of stages.
    pub(in crate::collective) passes: Vec<Vec<Vec<Hop>>>,
}

impl Pipeline {
    /// Its rounds with so many pieces in a lane.
    pub(super) fn schedule(&self, op: CollectiveOp, ranks: u32, pieces: u32) -> Schedule {
        let pieces = self.pieces.unwrap_or(pieces);
        let mut rounds = Vec::new();
        for stages in &self.passes {
            for round in 0..rounds_of(stages.len() as u32, pieces) {
                let under_way = stages_of(round, stages.len() as u32, pieces);
                let transfers = under_way.flat_map(|stage| {
                    stages[stage as usize].iter().map(move |hop| Transfer {
                        from: hop.from,
                        to: hop.to,
                        piece: hop.lane * pieces + round - stage,
                        adds: hop.adds,
                    })
                });
                rounds.push(transfers.collect());
            }
        }
        Schedule {
            op,
            ranks,
            switches: self.switches,
            pieces: self.lanes * pieces,
            rounds,
        }
    }
}

/// Rounds of a pass.
pub(in crate::collective) const fn rounds_of(stages: u32, pieces: u32) -> u32 {
    (stages + pieces).saturating_sub(1)
}

/// Stages that have a piece in a round.
pub(in crate::collective) fn stages_of(round: u32, stages: u32, pieces: u32) -> Range<u32> {
    (round + 1).saturating_sub(pieces)..(round + 1).min(stages)
}

/// The pass that undoes a reduction: every hop backwards, in reverse order, as a copy.
pub(super) fn undone(stages: &[Vec<Hop>]) -> Vec<Vec<Hop>> {
    let back = |hop: &Hop| Hop {
        from: hop.to,
        to: hop.from,
        adds: false,
        ..*hop
    };
    stages
        .iter()
        .rev()
        .map(|stage| stage.iter().map(back).collect())
        .collect()
}

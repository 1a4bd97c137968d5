//! Collectives as rounds of transfers that can be checked.
//!
//! The buffer is cut into pieces. In a round everyone sends what it had when the round began; a
//! transfer either adds what arrives to what is there or replaces it. [`Schedule::verify`] plays
//! the rounds with sets of contributions instead of numbers: at the end every rank must hold what
//! the operation promises, each contribution once.
//!
//! An algorithm is one file here and one line in [`schedule`]; one whose buffer goes through stages in
//! pieces is a line in `pipeline`.

mod direct;
mod double_binary_tree;
mod file;
mod halving_doubling;
mod hierarchical;
mod nvls;
mod pipeline;
mod ring;
mod tree;
mod verify;

pub use file::{ScheduleFileFault, read_schedule};
pub(super) use pipeline::{Hop, Pipeline, rounds_of, stages_of};
pub use verify::ScheduleFault;

use crate::collective::{CollectiveAlgorithm, CollectiveOp, Unsupported};

/// One message of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Sender: a rank, or a switch, numbered after the ranks.
    pub from: u32,
    /// Receiver.
    pub to: u32,
    /// The piece.
    pub piece: u32,
    /// Whether it is added to what the receiver has, or replaces it.
    pub adds: bool,
}

/// A collective as rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What it carries out.
    pub op: CollectiveOp,
    /// Ranks of the group.
    pub ranks: u32,
    /// Switches that reduce, numbered after the ranks.
    pub switches: u32,
    /// Pieces of the buffer, of equal size. All-to-all has one per pair: `sender · ranks + receiver`.
    pub pieces: u32,
    /// The rounds, each a set of transfers at once.
    pub rounds: Vec<Vec<Transfer>>,
}

/// The ranks of a group and how many of them share a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    /// Ranks.
    pub ranks: u32,
    /// Consecutive ranks of one domain.
    pub members: u32,
    /// Pieces that follow each other where an algorithm leaves their number open.
    pub pieces: u32,
    /// Whether the switches between domains can reduce, as well as those inside.
    pub fabric_reduces: bool,
}

impl GroupLayout {
    /// A group with `members` consecutive ranks in each domain, four pieces, and a plain fabric.
    pub const fn new(ranks: u32, members: u32) -> Self {
        Self {
            ranks,
            members,
            pieces: 4,
            fabric_reduces: false,
        }
    }
}

/// The schedule of an operation by an algorithm.
///
/// # Errors
/// If the algorithm cannot carry the operation, or not on such a group.
pub fn schedule(
    algorithm: CollectiveAlgorithm,
    op: CollectiveOp,
    group: GroupLayout,
) -> Result<Schedule, Unsupported> {
    if let Some(pipeline) = pipeline(algorithm, op, group) {
        return Ok(pipeline.schedule(op, group.ranks, group.pieces));
    }
    let made = match algorithm {
        CollectiveAlgorithm::Ring => ring::schedule(op, group.ranks),
        CollectiveAlgorithm::HalvingDoubling => halving_doubling::schedule(op, group.ranks),
        CollectiveAlgorithm::Direct => direct::schedule(op, group.ranks),
        CollectiveAlgorithm::Hierarchical => hierarchical::schedule(op, group),
        CollectiveAlgorithm::Tree
        | CollectiveAlgorithm::DoubleBinaryTree
        | CollectiveAlgorithm::Nvls => None,
    };
    made.ok_or_else(|| Unsupported {
        sentence: format!(
            "{algorithm} does not carry {op} over {} ranks with {} in a domain",
            group.ranks, group.members
        ),
    })
}

/// The stages of an operation by an algorithm that hands pieces on; `None` where it does not.
pub(super) fn pipeline(
    algorithm: CollectiveAlgorithm,
    op: CollectiveOp,
    group: GroupLayout,
) -> Option<Pipeline> {
    match algorithm {
        CollectiveAlgorithm::Ring => ring::pipeline(op, group.ranks),
        CollectiveAlgorithm::Tree => tree::pipeline(op, group),
        CollectiveAlgorithm::DoubleBinaryTree => double_binary_tree::pipeline(op, group),
        CollectiveAlgorithm::Direct => direct::pipeline(op, group.ranks),
        CollectiveAlgorithm::Nvls => nvls::pipeline(op, group),
        CollectiveAlgorithm::HalvingDoubling | CollectiveAlgorithm::Hierarchical => None,
    }
}

impl Schedule {
    /// Pieces of an operation among `ranks` ranks when each has one share.
    fn shares(op: CollectiveOp, ranks: u32) -> u32 {
        match op {
            CollectiveOp::AllToAll => ranks * ranks,
            CollectiveOp::AllReduce
            | CollectiveOp::AllGather
            | CollectiveOp::ReduceScatter
            | CollectiveOp::Broadcast
            | CollectiveOp::SendRecv => ranks,
        }
    }

    /// Part of a rank's buffer that one piece is.
    pub fn piece_of_buffer(&self) -> f64 {
        piece_of_buffer(self.op, self.ranks, self.pieces)
    }
}

/// Part of a rank's buffer that one of `pieces` pieces is. Every rank's buffer of a send, and every
/// pair's share of an all-to-all, has pieces of its own.
pub(super) fn piece_of_buffer(op: CollectiveOp, ranks: u32, pieces: u32) -> f64 {
    match op {
        CollectiveOp::AllToAll => 1.0 / f64::from(ranks),
        CollectiveOp::SendRecv => 1.0,
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => 1.0 / f64::from(pieces),
    }
}

/// `rounds` played after `first`, one after the other.
fn then(mut first: Vec<Vec<Transfer>>, rounds: Vec<Vec<Transfer>>) -> Vec<Vec<Transfer>> {
    first.extend(rounds);
    first
}

/// The gathering that undoes a reduction: every transfer backwards, in reverse order, as a copy.
fn undone(rounds: &[Vec<Transfer>]) -> Vec<Vec<Transfer>> {
    let back = |transfer: &Transfer| Transfer {
        from: transfer.to,
        to: transfer.from,
        piece: transfer.piece,
        adds: false,
    };
    rounds
        .iter()
        .rev()
        .map(|round| round.iter().map(back).collect())
        .collect()
}

/// The three operations that a way to scatter sums gives: itself, its undoing, both.
fn reducing(op: CollectiveOp, scatter: Vec<Vec<Transfer>>) -> Option<Vec<Vec<Transfer>>> {
    let gather = undone(&scatter);
    reducing_by(op, scatter, gather)
}

/// The three operations that ways to scatter sums and to gather them give.
fn reducing_by(
    op: CollectiveOp,
    scatter: Vec<Vec<Transfer>>,
    gather: Vec<Vec<Transfer>>,
) -> Option<Vec<Vec<Transfer>>> {
    match op {
        CollectiveOp::ReduceScatter => Some(scatter),
        CollectiveOp::AllGather => Some(gather),
        CollectiveOp::AllReduce => Some(then(scatter, gather)),
        CollectiveOp::AllToAll | CollectiveOp::Broadcast | CollectiveOp::SendRecv => None,
    }
}

#[cfg(test)]
mod tests {
    mod pairs;

    use super::*;

    fn layouts(ranks: u32) -> Vec<GroupLayout> {
        [1, 2, 4, 8, ranks]
            .into_iter()
            .filter(|members| ranks.is_multiple_of(*members))
            .flat_map(|members| {
                [(1, false), (4, false), (3, true)].map(|(pieces, fabric_reduces)| GroupLayout {
                    ranks,
                    members,
                    pieces,
                    fabric_reduces,
                })
            })
            .collect()
    }

    // Primes and odd numbers included; what an algorithm carries, it carries without losing or
    // counting twice.
    #[test]
    fn every_rank_ends_with_every_contribution_once() {
        for &algorithm in CollectiveAlgorithm::ALL {
            for &op in CollectiveOp::ALL {
                for ranks in 2..=64 {
                    for group in layouts(ranks) {
                        let Ok(made) = schedule(algorithm, op, group) else {
                            continue;
                        };
                        if let Err(fault) = made.verify() {
                            panic!("{algorithm} {op} {group:?}: {fault}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_algorithm_carries_an_all_reduce_on_any_number_of_ranks() {
        for &algorithm in CollectiveAlgorithm::ALL {
            for ranks in 2..=64 {
                let group = GroupLayout::new(ranks, ranks);
                assert!(schedule(algorithm, CollectiveOp::AllReduce, group).is_ok());
            }
        }
    }

    // A ring sends n − 1 pieces of n on each rank, each way: 2 (n − 1) / n of the buffer.
    #[test]
    fn a_ring_all_reduce_sends_twice_the_buffer_less_two_shares() {
        for ranks in 2..=64 {
            let group = GroupLayout::new(ranks, 1);
            let made = schedule(CollectiveAlgorithm::Ring, CollectiveOp::AllReduce, group)
                .expect("a ring carries it");
            let sent = made.rounds.iter().flatten().filter(|t| t.from == 0).count() as f64;
            let n = f64::from(ranks);
            assert!((sent * made.piece_of_buffer() - 2.0 * (n - 1.0) / n).abs() < 1e-12);
        }
    }

    // The README's own example of an algorithm, which its tests hold to this file. Every rank sends its
    // share to each of the n − 1 others: as much as a ring does.
    #[test]
    fn the_algorithm_of_the_readme_loses_nothing_and_sends_what_a_ring_does() {
        for op in [
            CollectiveOp::AllReduce,
            CollectiveOp::AllGather,
            CollectiveOp::ReduceScatter,
        ] {
            for ranks in 2..=64 {
                let made = pairs::schedule(op, ranks).expect("it reduces");
                made.verify().expect("it is sound");
                let ring = schedule(CollectiveAlgorithm::Ring, op, GroupLayout::new(ranks, 1));
                let transfers = |it: &Schedule| it.rounds.iter().flatten().count();
                assert_eq!(transfers(&made), transfers(&ring.expect("a ring does")));
            }
        }
        assert_eq!(pairs::schedule(CollectiveOp::Broadcast, 4), None);
    }
}

//! Rounds of transfers, and the operations that a reduce-scatter and its reverse give.

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::messages::{Messages, RoundMessages};
use crate::units::Seconds;

/// One message of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Sender: a rank, or a switch, numbered after the ranks.
    pub from: u32,
    /// Receiver.
    pub to: u32,
    /// The chunk; in the stages of a pipeline the lane whose chunks follow each other.
    pub chunk: u32,
    /// Whether it is added to what the receiver has, or replaces it.
    pub adds: bool,
}

impl Transfer {
    /// A chunk that is added to what the receiver has.
    pub(crate) const fn add(from: u32, to: u32, chunk: u32) -> Self {
        Self {
            from,
            to,
            chunk,
            adds: true,
        }
    }

    /// A chunk that replaces what the receiver has.
    pub(crate) const fn copy(from: u32, to: u32, chunk: u32) -> Self {
        Self {
            adds: false,
            ..Self::add(from, to, chunk)
        }
    }
}

/// Transfers in rounds, those of one round at once.
pub(in crate::collective) type Rounds = Vec<Vec<Transfer>>;

/// A collective as rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Operation that it carries out.
    pub op: CollectiveOp,
    /// Ranks of the group.
    pub ranks: u32,
    /// Switches that reduce, numbered after the ranks.
    pub switches: u32,
    /// Chunks of the buffer, of equal size. All-to-all has one per pair: `sender · ranks + receiver`.
    pub chunks: u32,
    /// Rounds, each a set of transfers at once.
    pub rounds: Vec<Vec<Transfer>>,
}

/// The ranks of a group and how many of them share a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    /// Ranks.
    pub ranks: u32,
    /// Consecutive ranks of one domain.
    pub members: u32,
    /// Chunks that follow each other where an algorithm leaves their number open.
    pub chunks: u32,
    /// Whether the switches between domains can reduce, as well as those inside.
    pub fabric_reduces: bool,
}

impl GroupLayout {
    /// A group with `members` consecutive ranks in each domain, four chunks, and a plain fabric.
    pub(crate) const fn new(ranks: u32, members: u32) -> Self {
        Self {
            ranks,
            members,
            chunks: 4,
            fabric_reduces: false,
        }
    }
}

impl Schedule {
    /// A schedule over ranks alone, with a chunk per share.
    pub(in crate::collective) fn of_shares(op: CollectiveOp, ranks: u32, rounds: Rounds) -> Self {
        Self {
            op,
            ranks,
            switches: 0,
            chunks: Self::shares(op, ranks),
            rounds,
        }
    }

    /// Chunks of an operation among `ranks` ranks when each has one share.
    pub(super) fn shares(op: CollectiveOp, ranks: u32) -> u32 {
        match op {
            CollectiveOp::AllToAll => ranks * ranks,
            CollectiveOp::AllReduce
            | CollectiveOp::AllGather
            | CollectiveOp::ReduceScatter
            | CollectiveOp::Broadcast
            | CollectiveOp::SendRecv => ranks,
        }
    }
}

impl Messages for Schedule {
    fn by_round(&self) -> Box<dyn Iterator<Item = RoundMessages> + '_> {
        Box::new(self.rounds.iter().map(|round| {
            let mut messages = RoundMessages::new();
            for transfer in round {
                *messages.entry((transfer.from, transfer.to)).or_default() += 1.0;
            }
            messages
        }))
    }

    fn chunk_of_buffer(&self) -> f64 {
        chunk_of_buffer(self.op, self.ranks, self.chunks)
    }

    /// A rank hands a chunk on once it has it.
    fn slowest_chain(&self, delay: &mut dyn FnMut(u32, u32) -> Seconds) -> Seconds {
        let chunks = self.chunks as usize;
        let mut ready = vec![Seconds::ZERO; (self.ranks + self.switches) as usize * chunks];
        let mut arrivals: Vec<(usize, Seconds, bool)> = Vec::new();
        for round in &self.rounds {
            arrivals.clear();
            for transfer in round {
                let at = |position: u32| position as usize * chunks + transfer.chunk as usize;
                let arrival = ready[at(transfer.from)] + delay(transfer.from, transfer.to);
                arrivals.push((at(transfer.to), arrival, transfer.adds));
            }
            for &(place, arrival, adds) in &arrivals {
                // A chunk that is replaced need not have been there before.
                ready[place] = if adds {
                    ready[place].max(arrival)
                } else {
                    arrival
                };
            }
        }
        ready.into_iter().fold(Seconds::ZERO, Seconds::max)
    }
}

/// Part of a rank's buffer that one of `chunks` chunks is. Every rank's buffer of a send, and every
/// pair's share of an all-to-all, has chunks of its own.
pub(in crate::collective) fn chunk_of_buffer(op: CollectiveOp, ranks: u32, chunks: u32) -> f64 {
    match op {
        CollectiveOp::AllToAll => 1.0 / f64::from(ranks),
        CollectiveOp::SendRecv => 1.0,
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::Broadcast => 1.0 / f64::from(chunks),
    }
}

/// The gathering that undoes a reduction: every transfer backwards, in reverse order, as a copy.
pub(in crate::collective) fn reversed(rounds: &[Vec<Transfer>]) -> Rounds {
    let back = |sent: &Transfer| Transfer::copy(sent.to, sent.from, sent.chunk);
    let rounds = rounds.iter().rev();
    rounds
        .map(|round| round.iter().map(back).collect())
        .collect()
}

/// Rounds of an operation from those of a reduce-scatter: these, their reverse, or both.
pub(in crate::collective) fn reducing(op: CollectiveOp, scatter: Rounds) -> Option<Rounds> {
    let gather = reversed(&scatter);
    reducing_by(op, scatter, gather)
}

/// Rounds of an operation from those of a reduce-scatter and an all-gather.
pub(in crate::collective) fn reducing_by(
    op: CollectiveOp,
    scatter: Rounds,
    gather: Rounds,
) -> Option<Rounds> {
    match op {
        CollectiveOp::ReduceScatter => Some(scatter),
        CollectiveOp::AllGather => Some(gather),
        CollectiveOp::AllReduce => Some([scatter, gather].concat()),
        CollectiveOp::AllToAll | CollectiveOp::Broadcast | CollectiveOp::SendRecv => None,
    }
}

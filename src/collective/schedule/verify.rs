//! Playing a schedule with sets of contributions.

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::rounds::{Schedule, Transfer};

/// Fault of a schedule, with the round (from 1) and the rank.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("round {round}, rank {rank}: {sentence}")]
pub struct ScheduleFault {
    /// Round, from 1; the last one where something is missing at the end.
    pub round: usize,
    /// Rank that sends or lacks something.
    pub rank: u32,
    /// The fault in words.
    pub sentence: String,
}

impl ScheduleFault {
    pub(super) const fn at(round: usize, rank: u32, sentence: String) -> Self {
        Self {
            round,
            rank,
            sentence,
        }
    }
}

/// Whose contributions are in each chunk of each vertex, as bits.
struct Holdings {
    chunks: usize,
    words: usize,
    bits: Vec<u64>,
}

impl Holdings {
    fn at(&self, vertex: u32, chunk: u32) -> usize {
        (vertex as usize * self.chunks + chunk as usize) * self.words
    }

    fn set(&self, vertex: u32, chunk: u32) -> &[u64] {
        &self.bits[self.at(vertex, chunk)..][..self.words]
    }

    fn contribute(&mut self, vertex: u32, chunk: u32, rank: u32) {
        let at = self.at(vertex, chunk) + rank as usize / 64;
        self.bits[at] |= 1 << (rank % 64);
    }
}

impl Schedule {
    fn holdings(&self) -> Holdings {
        let words = (self.ranks as usize).div_ceil(64);
        let chunks = self.chunks as usize;
        let vertices = (self.ranks + self.switches) as usize;
        let mut holdings = Holdings {
            chunks,
            words,
            bits: vec![0; vertices * chunks * words],
        };
        for rank in 0..self.ranks {
            for chunk in 0..self.chunks {
                if self.starts_with(rank, chunk) {
                    holdings.contribute(rank, chunk, rank);
                }
            }
        }
        holdings
    }

    /// Rank that a chunk belongs to when each rank has its share.
    fn owner(&self, chunk: u32) -> u32 {
        chunk / (self.chunks / self.ranks).max(1)
    }

    fn starts_with(&self, rank: u32, chunk: u32) -> bool {
        match self.op {
            CollectiveOp::AllReduce | CollectiveOp::ReduceScatter => true,
            CollectiveOp::AllGather | CollectiveOp::AllToAll | CollectiveOp::SendRecv => {
                self.owner(chunk) == rank
            }
            CollectiveOp::Broadcast => rank == 0,
        }
    }

    /// Contributions that a rank must hold of a chunk at the end; `None`: it does not matter.
    fn goal(&self, rank: u32, chunk: u32) -> Option<Vec<u32>> {
        match self.op {
            CollectiveOp::AllReduce => Some((0..self.ranks).collect()),
            CollectiveOp::ReduceScatter => {
                (self.owner(chunk) == rank).then(|| (0..self.ranks).collect())
            }
            CollectiveOp::AllGather => Some(vec![self.owner(chunk)]),
            CollectiveOp::AllToAll => (chunk % self.ranks == rank).then(|| vec![self.owner(chunk)]),
            CollectiveOp::Broadcast => Some(vec![0]),
            CollectiveOp::SendRecv => (self.owner(chunk) + 1 == rank).then(|| vec![rank - 1]),
        }
    }

    /// Whether every rank ends with what the operation promises.
    ///
    /// # Errors
    /// If a transfer names a vertex or chunk that is not there, goes to its sender, sends a chunk that
    /// has not arrived (which would wait forever), counts a contribution twice, or if something is
    /// missing at the end.
    pub(crate) fn verify(&self) -> Result<(), ScheduleFault> {
        let mut now = self.holdings();
        for (round, number) in self.rounds.iter().zip(1..) {
            let mut arrivals = Vec::with_capacity(round.len());
            for transfer in round {
                let Transfer { from, chunk, .. } = *transfer;
                if let Some((rank, sentence)) = self.misplaced(transfer) {
                    return Err(ScheduleFault::at(number, rank, sentence));
                }
                let set = now.set(from, chunk);
                if set.iter().all(|word| *word == 0) {
                    let sentence = format!("it sends chunk {chunk}, which it does not have yet");
                    return Err(ScheduleFault::at(number, from, sentence));
                }
                arrivals.push((transfer, set.to_vec()));
            }
            for (transfer, set) in arrivals {
                let at = now.at(transfer.to, transfer.chunk);
                for (there, arrived) in now.bits[at..].iter_mut().zip(set) {
                    if !transfer.adds {
                        *there = arrived;
                    } else if *there & arrived != 0 {
                        let sentence = format!("chunk {} has a contribution twice", transfer.chunk);
                        return Err(ScheduleFault::at(number, transfer.to, sentence));
                    } else {
                        *there |= arrived;
                    }
                }
            }
        }
        self.check_end(&now)
    }

    /// The rank and the fault of a transfer that no earlier round can mend.
    fn misplaced(&self, transfer: &Transfer) -> Option<(u32, String)> {
        let Transfer {
            from, to, chunk, ..
        } = *transfer;
        let vertices = self.ranks + self.switches;
        if let Some(vertex) = [from, to].into_iter().find(|vertex| *vertex >= vertices) {
            let last = vertices - 1;
            let sentence = format!("there is no rank {vertex}; ranks are 0 to {last}");
            return Some((vertex, sentence));
        }
        if chunk >= self.chunks {
            let sentence = format!("there is no chunk {chunk} of {}", self.chunks);
            return Some((from, sentence));
        }
        (from == to).then(|| (from, "it sends to itself".to_owned()))
    }

    fn check_end(&self, now: &Holdings) -> Result<(), ScheduleFault> {
        for rank in 0..self.ranks {
            for chunk in 0..self.chunks {
                let Some(goal) = self.goal(rank, chunk) else {
                    continue;
                };
                let set = now.set(rank, chunk);
                let holds = |other: u32| set[other as usize / 64] >> (other % 64) & 1 == 1;
                let held = set
                    .iter()
                    .map(|word| word.count_ones() as usize)
                    .sum::<usize>();
                let missing = goal.iter().find(|other| !holds(**other));
                if missing.is_none() && held == goal.len() {
                    continue;
                }
                let sentence = missing.map_or_else(
                    || format!("chunk {chunk} ends with contributions that do not belong there"),
                    |other| format!("chunk {chunk} ends without the contribution of rank {other}"),
                );
                return Err(ScheduleFault::at(self.rounds.len(), rank, sentence));
            }
        }
        Ok(())
    }
}

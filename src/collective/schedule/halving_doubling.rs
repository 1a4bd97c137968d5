//! Recursive halving, then recursive doubling.
//!
//! Beyond a power of two, every second rank of the first few lends its buffer to its neighbour
//! before, and gets its share back after. Source: Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer, reducing};

/// The ranks that exchange halves, and who lends to whom.
struct Folding {
    ranks: u32,
    extra: u32,
    power: u32,
}

impl Folding {
    fn new(ranks: u32) -> Self {
        let power = 1 << ranks.ilog2();
        Self {
            ranks,
            extra: ranks - power,
            power,
        }
    }

    /// The rank of the `index`-th participant: 0, 2, 4 … as long as neighbours lend, then all.
    fn rank(&self, index: u32) -> u32 {
        if index < self.extra {
            2 * index
        } else {
            index + self.extra
        }
    }

    /// Pieces of a participant: its own, and its lender's.
    fn pieces(&self, index: u32) -> impl Iterator<Item = u32> {
        let first = self.rank(index);
        let count = if index < self.extra { 2 } else { 1 };
        first..first + count
    }

    /// Every lender gives all its pieces.
    fn fold(&self) -> Vec<Transfer> {
        (0..self.extra)
            .flat_map(|index| (0..self.ranks).map(move |piece| (2 * index, piece)))
            .map(|(rank, piece)| Transfer {
                from: rank + 1,
                to: rank,
                piece,
                adds: true,
            })
            .collect()
    }

    /// One round of halving: pieces of those that differ in bit `distance` go to the partner.
    fn halve(&self, distance: u32) -> Vec<Transfer> {
        let mut round = Vec::new();
        for index in 0..self.power {
            let partner = index ^ distance;
            // Earlier rounds left the pieces of participants that agree in the lower bits.
            for goal in
                (0..self.power).filter(|goal| goal % (2 * distance) == partner % (2 * distance))
            {
                for piece in self.pieces(goal) {
                    round.push(Transfer {
                        from: self.rank(index),
                        to: self.rank(partner),
                        piece,
                        adds: true,
                    });
                }
            }
        }
        round
    }

    /// Lenders get their finished share back.
    fn unfold(&self) -> Vec<Transfer> {
        (0..self.extra)
            .map(|index| Transfer {
                from: 2 * index,
                to: 2 * index + 1,
                piece: 2 * index + 1,
                adds: false,
            })
            .collect()
    }
}

pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    let folding = Folding::new(ranks);
    let mut scatter = Vec::new();
    if folding.extra > 0 {
        scatter.push(folding.fold());
    }
    let mut distance = 1;
    while distance < folding.power {
        scatter.push(folding.halve(distance));
        distance *= 2;
    }
    if folding.extra > 0 && op != CollectiveOp::AllReduce {
        scatter.push(folding.unfold());
    }
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: ranks,
        rounds: reducing(op, scatter)?,
    })
}

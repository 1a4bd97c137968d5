//! Around a ring, share by share.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer, reducing};

/// In round `t` rank `r` hands the partial sum of share `r − 1 − t` on, so that share `r` is
/// complete on rank `r` after `n − 1` rounds.
///
/// Source: Patarasuk & Yuan, JPDC 69(2), 2009.
pub(super) fn scatter(ranks: u32) -> Vec<Vec<Transfer>> {
    (0..ranks - 1)
        .map(|round| {
            (0..ranks)
                .map(|rank| Transfer {
                    from: rank,
                    to: (rank + 1) % ranks,
                    piece: (rank + 2 * ranks - 1 - round) % ranks,
                    adds: true,
                })
                .collect()
        })
        .collect()
}

/// Rank 0's pieces along the ring, one behind the other.
fn chain(ranks: u32) -> Vec<Vec<Transfer>> {
    (0..2 * ranks - 2)
        .map(|round| {
            (0..ranks - 1)
                .filter(|rank| (*rank..rank + ranks).contains(&round))
                .map(|rank| Transfer {
                    from: rank,
                    to: rank + 1,
                    piece: round - rank,
                    adds: false,
                })
                .collect()
        })
        .collect()
}

pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    let rounds = match op {
        CollectiveOp::Broadcast => chain(ranks),
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => reducing(op, scatter(ranks))?,
    };
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: ranks,
        rounds,
    })
}

//! Around a ring, share by share.

use crate::collective::CollectiveOp;
use crate::collective::schedule::pipeline::{Hop, Pipeline};
use crate::collective::schedule::{Schedule, Transfer, reducing_by};

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

/// In round `t` rank `r` hands share `r − t` on, so that every rank has every share after `n − 1`
/// rounds; the ring turns the same way as in [`scatter`].
pub(super) fn gather(ranks: u32) -> Vec<Vec<Transfer>> {
    (0..ranks - 1)
        .map(|round| {
            (0..ranks)
                .map(|rank| Transfer {
                    from: rank,
                    to: (rank + 1) % ranks,
                    piece: (rank + ranks - round) % ranks,
                    adds: false,
                })
                .collect()
        })
        .collect()
}

/// Rank 0's pieces along the ring, one behind the other.
pub(super) fn pipeline(op: CollectiveOp, ranks: u32) -> Option<Pipeline> {
    if op != CollectiveOp::Broadcast {
        return None;
    }
    let stage = |rank| {
        vec![Hop {
            from: rank,
            to: rank + 1,
            lane: 0,
            adds: false,
        }]
    };
    Some(Pipeline {
        switches: 0,
        lanes: 1,
        pieces: None,
        passes: vec![(0..ranks - 1).map(stage).collect()],
    })
}

pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: ranks,
        rounds: reducing_by(op, scatter(ranks), gather(ranks))?,
    })
}

//! Everyone with everyone at once.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer, reducing};

pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    let pairs = || {
        (0..ranks).flat_map(move |from| {
            (0..ranks)
                .filter(move |to| *to != from)
                .map(move |to| (from, to))
        })
    };
    let copy = |from: u32, to: u32, piece: u32| Transfer {
        from,
        to,
        piece,
        adds: false,
    };
    let rounds = match op {
        CollectiveOp::AllReduce | CollectiveOp::AllGather | CollectiveOp::ReduceScatter => {
            let to_owner = pairs().map(|(from, to)| Transfer {
                adds: true,
                ..copy(from, to, to)
            });
            reducing(op, vec![to_owner.collect()])?
        }
        CollectiveOp::AllToAll => {
            let round = pairs().map(|(from, to)| copy(from, to, from * ranks + to));
            vec![round.collect()]
        }
        CollectiveOp::Broadcast => {
            let all = (1..ranks).flat_map(|to| (0..ranks).map(move |piece| (to, piece)));
            vec![all.map(|(to, piece)| copy(0, to, piece)).collect()]
        }
        CollectiveOp::SendRecv => {
            vec![
                (0..ranks - 1)
                    .map(|rank| copy(rank, rank + 1, rank))
                    .collect(),
            ]
        }
    };
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: Schedule::shares(op, ranks),
        rounds,
    })
}

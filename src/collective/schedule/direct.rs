//! Everyone with everyone at once.

use crate::collective::CollectiveOp;
use crate::collective::schedule::pipeline::{Hop, Pipeline};
use crate::collective::schedule::{Schedule, Transfer, reducing};

/// The root to everyone, or every rank to the next, in one round.
pub(super) fn pipeline(op: CollectiveOp, ranks: u32) -> Option<Pipeline> {
    let hop = |from: u32, to: u32, lane: u32| Hop {
        from,
        to,
        lane,
        adds: false,
    };
    let (lanes, hops) = match op {
        CollectiveOp::Broadcast => (1, (1..ranks).map(|to| hop(0, to, 0)).collect()),
        CollectiveOp::SendRecv => {
            let sends = (1..ranks).map(|to| hop(to - 1, to, to - 1));
            (ranks, sends.collect())
        }
        CollectiveOp::AllReduce
        | CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll => return None,
    };
    Some(Pipeline {
        switches: 0,
        lanes,
        pieces: Some(1),
        passes: vec![vec![hops]],
    })
}

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
        CollectiveOp::Broadcast | CollectiveOp::SendRecv => return None,
    };
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: Schedule::shares(op, ranks),
        rounds,
    })
}

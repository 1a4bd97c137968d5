//! Up one binary tree and down again, the buffer in pieces one behind the other. Each domain is a
//! tree of its own below its first rank; these first ranks are a tree between the domains.

use crate::collective::CollectiveOp;
use crate::collective::schedule::GroupLayout;
use crate::collective::schedule::pipeline::{Hop, Pipeline, undone};

/// Stages towards rank 0, as part of the buffer `lane`; the ranks are numbered by `rank`. A vertex
/// of depth `d` sends its first piece when those below it have sent theirs.
pub(super) fn rise(group: GroupLayout, lane: u32, rank: impl Fn(u32) -> u32) -> Vec<Vec<Hop>> {
    let GroupLayout { ranks, members, .. } = group;
    let depth_in = |vertex: u32| (vertex + 1).ilog2();
    let depth = |position: u32| depth_in(position / members) + depth_in(position % members);
    let parent = |position: u32| {
        let (domain, local) = (position / members, position % members);
        if local > 0 {
            domain * members + (local - 1) / 2
        } else {
            (domain - 1) / 2 * members
        }
    };
    let deepest = (0..ranks).map(depth).max().unwrap_or(0);
    let mut stages = vec![Vec::new(); deepest as usize];
    for position in 1..ranks {
        stages[(deepest - depth(position)) as usize].push(Hop {
            from: rank(position),
            to: rank(parent(position)),
            lane,
            adds: true,
        });
    }
    stages
}

pub(super) fn pipeline(op: CollectiveOp, group: GroupLayout) -> Option<Pipeline> {
    let rise = rise(group, 0, |position| position);
    let fall = undone(&rise);
    let passes = match op {
        CollectiveOp::AllReduce => vec![rise, fall],
        CollectiveOp::Broadcast => vec![fall],
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => return None,
    };
    Some(Pipeline {
        switches: 0,
        lanes: 1,
        pieces: None,
        passes,
    })
}

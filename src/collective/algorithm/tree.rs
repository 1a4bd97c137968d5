//! Up one binary tree and down again, the buffer in chunks one behind the other. Each domain is a
//! tree of its own below its first rank; these first ranks are a tree between the domains.

use crate::collective::algorithm::row::{Plan, Row};
use crate::collective::cost::Sent;
use crate::collective::group::Group;
use crate::collective::op::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Pipeline, Rounds, Transfer, reversed};

pub(super) const ROW: Row = Row {
    sent,
    ..Row::priced_by_transfers(plan)
};

/// Stages towards rank 0, as lane `lane`; `rank` numbers the ranks. A vertex of depth `d` sends its
/// first chunk when those below it have sent theirs.
pub(super) fn upward(group: GroupLayout, lane: u32, rank: impl Fn(u32) -> u32) -> Rounds {
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
        let send = Transfer::add(rank(position), rank(parent(position)), lane);
        stages[(deepest - depth(position)) as usize].push(send);
    }
    stages
}

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let up = upward(group, 0, |position| position);
    let down = reversed(&up);
    let passes = match op {
        CollectiveOp::AllReduce => vec![up, down],
        CollectiveOp::Broadcast => vec![down],
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => return None,
    };
    Some(Plan::Stages(Pipeline::of_lanes(1, passes)))
}

/// An all-reduce goes once each way between the domains, over one member of each.
pub(super) fn sent(group: &Group<'_>) -> Sent {
    if group.op != CollectiveOp::AllReduce {
        return group.sent_to_neighbours();
    }
    let domains = group.domains();
    let part = 2.0 * (domains - 1.0) / domains;
    group.sent(group.buffer() * part / group.members())
}

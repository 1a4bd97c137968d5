//! Up one binary tree and down again, the buffer in chunks one behind the other. Each domain is a
//! tree of its own below its first rank; these first ranks are a tree between the domains.

use crate::collective::algorithm::row::{Plan, Row};
use crate::collective::binary_tree;
use crate::collective::cost::Sent;
use crate::collective::group::Group;
use crate::collective::op::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Pipeline, Rounds, Transfer, reversed};

pub(super) const ROW: Row = Row {
    sent,
    ..Row::priced_by_transfers(plan)
};

/// Stages towards the root, as lane `lane`; `rank` numbers the ranks of a domain at a position of the tree. A
/// vertex of depth `d` sends its first chunk when those below it have sent theirs.
pub(super) fn upward(group: GroupLayout, lane: u32, rank: impl Fn(u32, u32) -> u32) -> Rounds {
    let GroupLayout { ranks, members, .. } = group;
    let domains = ranks.div_ceil(members);
    let depth = |position: u32| {
        let inside = (position % members + 1).ilog2();
        binary_tree::depth_of(position / members, domains) + inside
    };
    let above = |position: u32| {
        let (domain, local) = (position / members, position % members);
        if local > 0 {
            rank(domain, (local - 1) / 2)
        } else {
            rank(binary_tree::parent(domain, domains).unwrap_or(0), 0)
        }
    };
    let deepest = (0..ranks).map(depth).max().unwrap_or(0);
    let mut stages = vec![Vec::new(); deepest as usize];
    for position in 1..ranks {
        let from = rank(position / members, position % members);
        let send = Transfer::add(from, above(position), lane);
        stages[(deepest - depth(position)) as usize].push(send);
    }
    stages
}

/// Stages towards the root of the first tree of a group.
pub(super) fn first(group: GroupLayout) -> Rounds {
    upward(group, 0, |domain, local| domain * group.members + local)
}

/// Stages towards the root of the second tree, with the last ranks of the domains between them.
pub(super) fn second(group: GroupLayout) -> Rounds {
    upward(group, 1, |domain, local| second_rank(group, domain, local))
}

/// Rank at a place of the second tree.
pub(super) const fn second_rank(group: GroupLayout, domain: u32, local: u32) -> u32 {
    let domains = group.ranks.div_ceil(group.members);
    binary_tree::second(domain, domains) * group.members + group.members - 1 - local
}

fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let up = first(group);
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

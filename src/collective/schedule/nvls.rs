//! Reduction inside the switches: one of each domain sums what its ranks send. Between domains the
//! fabric's switches sum what the domains send, or a binary tree of the domains' switches does where
//! the fabric cannot. The result goes back the same way while later pieces still rise.

use crate::collective::CollectiveOp;
use crate::collective::schedule::pipeline::{Hop, Pipeline, undone};
use crate::collective::schedule::{GroupLayout, tree};

pub(super) fn pipeline(op: CollectiveOp, group: GroupLayout) -> Option<Pipeline> {
    let GroupLayout {
        ranks,
        members,
        fabric_reduces,
        ..
    } = group;
    if op != CollectiveOp::AllReduce || members < 2 || !ranks.is_multiple_of(members) {
        return None;
    }
    let domains = ranks / members;
    let add = |from: u32, to: u32| Hop {
        from,
        to,
        lane: 0,
        adds: true,
    };
    let fabric = fabric_reduces && domains > 1;
    let mut stages = vec![
        (0..ranks)
            .map(|rank| add(rank, ranks + rank / members))
            .collect(),
    ];
    if fabric {
        let root = ranks + domains;
        stages.push((ranks..root).map(|switch| add(switch, root)).collect());
    } else {
        let heads = GroupLayout {
            ranks: domains,
            members: 1,
            ..group
        };
        stages.extend(tree::rise(heads, 0, |domain| ranks + domain));
    }
    let fall = undone(&stages);
    stages.extend(fall);
    Some(Pipeline {
        switches: domains + u32::from(fabric),
        lanes: 1,
        pieces: None,
        passes: vec![stages],
    })
}

//! Reduction inside the switches: one of each domain sums what its ranks send. Between domains the
//! fabric's switches sum what the domains send, or two binary trees of the domains' switches do where
//! the fabric cannot. The result goes back the same way while later pieces still rise.

use crate::collective::CollectiveOp;
use crate::collective::schedule::pipeline::{Hop, Pipeline, undone};
use crate::collective::schedule::{GroupLayout, double_binary_tree::both, tree};

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
    let fabric = fabric_reduces && domains > 1;
    // Two trees between the domains, as inner vertices of one are leaves of the other.
    let lanes = if fabric || domains == 1 { 1 } else { 2 };
    let inside = (0..lanes).flat_map(|lane| {
        (0..ranks).map(move |rank| Hop {
            from: rank,
            to: ranks + rank / members,
            lane,
            adds: true,
        })
    });
    let mut stages = vec![inside.collect()];
    if fabric {
        let root = ranks + domains;
        let rise = (ranks..root).map(|switch| Hop {
            from: switch,
            to: root,
            lane: 0,
            adds: true,
        });
        stages.push(rise.collect());
    } else {
        let heads = GroupLayout {
            ranks: domains,
            members: 1,
            ..group
        };
        let first = tree::rise(heads, 0, |domain| ranks + domain);
        if lanes == 2 {
            let second = tree::rise(heads, 1, |domain| ranks + domains - 1 - domain);
            stages.extend(both(first, second));
        }
    }
    let fall = undone(&stages);
    stages.extend(fall);
    Some(Pipeline {
        switches: domains + u32::from(fabric),
        lanes,
        pieces: None,
        passes: vec![stages],
    })
}

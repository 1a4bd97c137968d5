//! Reduction inside the switches: one of each domain sums what its ranks send, the switches of
//! the domains sum among themselves over the first, and the result goes back the same way.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Schedule, Transfer, then, undone};

pub(super) fn schedule(op: CollectiveOp, group: GroupLayout) -> Option<Schedule> {
    let GroupLayout { ranks, members } = group;
    if op != CollectiveOp::AllReduce || members == 0 || !ranks.is_multiple_of(members) {
        return None;
    }
    let switches = ranks / members;
    let add = |from: u32, to: u32| Transfer {
        from,
        to,
        piece: 0,
        adds: true,
    };
    let mut rise = vec![
        (0..ranks)
            .map(|rank| add(rank, ranks + rank / members))
            .collect(),
    ];
    if switches > 1 {
        rise.push(
            (1..switches)
                .map(|switch| add(ranks + switch, ranks))
                .collect(),
        );
    }
    let fall = undone(&rise);
    Some(Schedule {
        op,
        ranks,
        switches,
        pieces: 1,
        rounds: then(rise, fall),
    })
}

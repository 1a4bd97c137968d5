//! Two trees, each with half of the buffer: the second counts the ranks backwards, so that inner
//! vertices of one are leaves of the other.
//!
//! Source: Sanders, Speck & Träff, Parallel Computing 35(12), 2009.

use crate::collective::CollectiveOp;
use crate::collective::schedule::pipeline::{Hop, Pipeline, undone};
use crate::collective::schedule::{GroupLayout, tree};

/// Both trees stage by stage.
pub(super) fn both(first: Vec<Vec<Hop>>, second: Vec<Vec<Hop>>) -> Vec<Vec<Hop>> {
    let length = first.len().max(second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    (0..length)
        .map(|_| {
            let mut stage = first.next().unwrap_or_default();
            stage.extend(second.next().unwrap_or_default());
            stage
        })
        .collect()
}

pub(super) fn pipeline(op: CollectiveOp, group: GroupLayout) -> Option<Pipeline> {
    let last = group.ranks - 1;
    let forwards = tree::rise(group, 0, |position| position);
    let backwards = tree::rise(group, 1, |position| last - position);
    let passes = match op {
        CollectiveOp::AllReduce => {
            let rise = both(forwards, backwards);
            let fall = undone(&rise);
            vec![rise, fall]
        }
        CollectiveOp::Broadcast => {
            // The root of the second tree is the last rank: it gets its half first, piece by piece.
            let half = Hop {
                from: 0,
                to: last,
                lane: 1,
                adds: false,
            };
            let mut second = vec![vec![half]];
            second.extend(undone(&backwards));
            vec![both(undone(&forwards), second)]
        }
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => return None,
    };
    Some(Pipeline {
        switches: 0,
        lanes: 2,
        pieces: None,
        passes,
    })
}

//! Two trees, each with half of the buffer: the second counts the ranks backwards, so that inner
//! vertices of one are leaves of the other.
//!
//! Source: Sanders, Speck & Träff, Parallel Computing 35(12), 2009.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer, then, tree, undone};

/// Pieces of each tree.
const PIECES: u32 = 4;

fn both(first: Vec<Vec<Transfer>>, second: Vec<Vec<Transfer>>) -> Vec<Vec<Transfer>> {
    let length = first.len().max(second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    (0..length)
        .map(|_| {
            let mut round = first.next().unwrap_or_default();
            round.extend(second.next().unwrap_or_default());
            round
        })
        .collect()
}

pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    let trees = || {
        let forwards = tree::up(ranks, 0..PIECES, |vertex| vertex);
        let backwards = tree::up(ranks, PIECES..2 * PIECES, |vertex| ranks - 1 - vertex);
        (forwards, backwards)
    };
    let (forwards, backwards) = trees();
    let rounds = match op {
        CollectiveOp::AllReduce => {
            let rise = both(forwards, backwards);
            let fall = undone(&rise);
            then(rise, fall)
        }
        CollectiveOp::Broadcast => {
            // The root of the second tree is the last rank: it gets its half first.
            let half = (PIECES..2 * PIECES)
                .map(|piece| Transfer {
                    from: 0,
                    to: ranks - 1,
                    piece,
                    adds: false,
                })
                .collect();
            then(vec![half], both(undone(&forwards), undone(&backwards)))
        }
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => return None,
    };
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: 2 * PIECES,
        rounds,
    })
}

//! Up one binary tree and down again, the buffer in pieces one behind the other.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer, then, undone};

/// Pieces that follow each other through the tree.
const PIECES: u32 = 4;

/// Pieces towards vertex 0 of a binary heap whose vertex `v` is rank `rank(v)`; a vertex of depth
/// `d` sends its first piece when those below it have sent theirs.
pub(super) fn up(
    ranks: u32,
    pieces: std::ops::Range<u32>,
    rank: impl Fn(u32) -> u32,
) -> Vec<Vec<Transfer>> {
    let deepest = ranks.ilog2();
    let count = pieces.end - pieces.start;
    (0..deepest + count - 1)
        .map(|round| {
            (1..ranks)
                .filter_map(|vertex| {
                    let wait = deepest - (vertex + 1).ilog2();
                    let piece = round.checked_sub(wait).filter(|piece| *piece < count)?;
                    Some(Transfer {
                        from: rank(vertex),
                        to: rank((vertex - 1) / 2),
                        piece: pieces.start + piece,
                        adds: true,
                    })
                })
                .collect()
        })
        .collect()
}

pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    let rise = up(ranks, 0..PIECES, |vertex| vertex);
    let fall = undone(&rise);
    let rounds = match op {
        CollectiveOp::AllReduce => then(rise, fall),
        CollectiveOp::Broadcast => fall,
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::SendRecv => return None,
    };
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: PIECES,
        rounds,
    })
}

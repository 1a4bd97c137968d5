//! Everyone with one partner after the other.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{Schedule, Transfer, reducing};

/// In round `t` rank `r` adds its part of share `r + t` to that of rank `r + t`.
pub(super) fn schedule(op: CollectiveOp, ranks: u32) -> Option<Schedule> {
    let scatter = (1..ranks)
        .map(|distance| {
            (0..ranks)
                .map(|rank| Transfer {
                    from: rank,
                    to: (rank + distance) % ranks,
                    piece: (rank + distance) % ranks,
                    adds: true,
                })
                .collect()
        })
        .collect();
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: ranks,
        rounds: reducing(op, scatter)?,
    })
}

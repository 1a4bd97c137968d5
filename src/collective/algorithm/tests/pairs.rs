//! Everyone with one partner after the other.

use crate::collective::algorithm::row::{Plan, Row};
use crate::collective::op::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Transfer};

pub(super) const ROW: Row = Row::priced_by_transfers(plan);

/// In round `t` rank `r` adds its part of share `r + t` to that of rank `r + t`.
fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let ranks = group.ranks;
    let send = |from, to| Transfer::add(from, to, to);
    let round = |t| {
        (0..ranks)
            .map(|rank| send(rank, (rank + t) % ranks))
            .collect()
    };
    Plan::reducing(op, ranks, (1..ranks).map(round).collect())
}

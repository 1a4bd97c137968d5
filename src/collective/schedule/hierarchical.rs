//! Inside the domains, across them, inside them again: rings over rings.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Schedule, Transfer, reducing, ring};

/// Member `l` of each domain gathers the shares of the members `l` of all domains inside its
/// domain; then the members `l` scatter them among themselves.
pub(super) fn schedule(op: CollectiveOp, group: GroupLayout) -> Option<Schedule> {
    let GroupLayout { ranks, members, .. } = group;
    if members == 0 || !ranks.is_multiple_of(members) {
        return None;
    }
    let domains = ranks / members;
    let inside = ring::scatter(members).into_iter().map(|round| {
        let everywhere = round.into_iter().flat_map(|hop| {
            (0..domains).flat_map(move |domain| {
                (0..domains).map(move |other| Transfer {
                    from: domain * members + hop.from,
                    to: domain * members + hop.to,
                    piece: other * members + hop.piece,
                    adds: true,
                })
            })
        });
        everywhere.collect()
    });
    let across = ring::scatter(domains).into_iter().map(|round| {
        let everyone = round.into_iter().flat_map(|hop| {
            (0..members).map(move |member| Transfer {
                from: hop.from * members + member,
                to: hop.to * members + member,
                piece: hop.piece * members + member,
                adds: true,
            })
        });
        everyone.collect()
    });
    let scatter = inside.chain(across).collect();
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: ranks,
        rounds: reducing(op, scatter)?,
    })
}

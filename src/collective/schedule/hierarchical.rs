//! Inside the domains, across them, inside them again: rings over rings.

use crate::collective::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Schedule, Transfer, reducing_by, ring};

/// Member `l` of each domain gathers the shares of the members `l` of all domains inside its
/// domain; then the members `l` scatter them among themselves.
pub(super) fn schedule(op: CollectiveOp, group: GroupLayout) -> Option<Schedule> {
    let GroupLayout { ranks, members, .. } = group;
    if members == 0 || !ranks.is_multiple_of(members) {
        return None;
    }
    let domains = ranks / members;
    let inside = |rounds: Vec<Vec<Transfer>>| {
        let everywhere = move |hop: Transfer| {
            (0..domains).flat_map(move |domain| {
                (0..domains).map(move |other| Transfer {
                    from: domain * members + hop.from,
                    to: domain * members + hop.to,
                    piece: other * members + hop.piece,
                    ..hop
                })
            })
        };
        let rounds = rounds.into_iter();
        rounds.map(move |round| round.into_iter().flat_map(everywhere).collect())
    };
    let across = |rounds: Vec<Vec<Transfer>>| {
        let everyone = move |hop: Transfer| {
            (0..members).map(move |member| Transfer {
                from: hop.from * members + member,
                to: hop.to * members + member,
                piece: hop.piece * members + member,
                ..hop
            })
        };
        let rounds = rounds.into_iter();
        rounds.map(move |round| round.into_iter().flat_map(everyone).collect())
    };
    let scatter = inside(ring::scatter(members)).chain(across(ring::scatter(domains)));
    let gather = across(ring::gather(domains)).chain(inside(ring::gather(members)));
    Some(Schedule {
        op,
        ranks,
        switches: 0,
        pieces: ranks,
        rounds: reducing_by(op, scatter.collect(), gather.collect())?,
    })
}

//! Inside the domains, across them, inside them again: rings over rings.

use crate::collective::algorithm::ring;
use crate::collective::algorithm::row::{Plan, Row};
use crate::collective::cost::{Cost, Sent};
use crate::collective::group::Group;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::{GroupLayout, Rounds, Transfer, reducing_by};

pub(super) const ROW: Row = Row {
    plan,
    closed_form,
    library: None,
    sent,
    check: |_, _, _| Ok(()),
    everyone_at_once: false,
    needs_even_domains: true,
};

/// Member `l` of each domain gathers the shares of the members `l` of all domains inside its
/// domain; then the members `l` scatter them among themselves.
fn plan(op: CollectiveOp, group: GroupLayout) -> Option<Plan> {
    let GroupLayout { ranks, members, .. } = group;
    if members == 0 || !ranks.is_multiple_of(members) {
        return None;
    }
    let domains = ranks / members;
    let inside = |hop: Transfer| {
        let pairs = (0..domains).flat_map(|domain| (0..domains).map(move |other| (domain, other)));
        let everywhere = pairs.map(|(domain, other)| Transfer {
            from: domain * members + hop.from,
            to: domain * members + hop.to,
            chunk: other * members + hop.chunk,
            ..hop
        });
        everywhere.collect()
    };
    let across = |hop: Transfer| {
        let everyone = (0..members).map(|member| Transfer {
            from: hop.from * members + member,
            to: hop.to * members + member,
            chunk: hop.chunk * members + member,
            ..hop
        });
        everyone.collect()
    };
    let scatter = [
        spread(ring::scatter(members), inside),
        spread(ring::scatter(domains), across),
    ];
    let gather = [
        spread(ring::gather(domains), across),
        spread(ring::gather(members), inside),
    ];
    let rounds = reducing_by(op, scatter.concat(), gather.concat())?;
    Some(Plan::of_shares(op, ranks, rounds))
}

/// Rounds with every transfer of a ring in all its copies.
fn spread(rounds: Rounds, copies: impl Fn(Transfer) -> Vec<Transfer>) -> Rounds {
    let rounds = rounds.into_iter();
    rounds
        .map(|round| round.into_iter().flat_map(&copies).collect())
        .collect()
}

/// A ring inside the domains, then one ring per member between them with what is left.
fn closed_form(group: &Group<'_>, protocol: Protocol) -> Option<Cost> {
    let passes = group.op.passes()?;
    let (m, domains) = (group.members(), group.domains());
    let latency = group.round_latency(protocol);
    let share = group.buffer() / m;
    let inner = Cost::rounds(m - 1.0, latency.inside, share / group.intra);
    let outer = group.between.map_or_else(Cost::default, |between| {
        let nic = between.inter / m;
        Cost::rounds(domains - 1.0, latency.across, share / domains / nic)
    });
    Some(inner.then(outer).times(passes))
}

/// Bytes left after the rounds inside the domains go once round the domains in a pass.
fn sent(group: &Group<'_>) -> Sent {
    let Some(passes) = group.op.passes() else {
        return group.sent_to_neighbours();
    };
    let domains = group.domains();
    let left = group.buffer() * passes / group.members();
    group.sent(left * (domains - 1.0) / domains)
}

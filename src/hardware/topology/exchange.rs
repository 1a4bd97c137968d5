//! An exchange: every member of a group sends equal parts to all others.

/// Flows between all members of a group, each of which sends 1 in all.
pub(super) fn pairs(members: &[u32]) -> impl Iterator<Item = (u32, u32, f64)> {
    let part = 1.0 / (members.len().max(2) - 1) as f64;
    let between = members
        .iter()
        .flat_map(move |from| members.iter().map(move |to| (*from, *to)));
    between
        .filter(|(from, to)| from != to)
        .map(move |(from, to)| (from, to, part))
}

/// What crosses the link between members below it and the others of their group, in the exchange of all.
pub(super) fn crossing(below: usize, members: usize) -> f64 {
    below as f64 * (members - below) as f64 / (members - 1) as f64
}

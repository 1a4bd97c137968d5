//! Sizes of a series worth running.

use serde::Serialize;

use super::curve::Efficiency;
use super::points::SizePoint;

/// Sizes worth choosing; each is an index among the sizes that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SizeChoice {
    /// The fastest size whose efficiency is within the threshold.
    pub fastest_efficient: usize,
    /// The fastest size of all.
    pub fastest: usize,
    /// The cheapest size per sample; `None` without a price.
    pub cheapest: Option<usize>,
}

/// Chooses among the sizes that ran. The smaller size wins a tie.
pub(crate) fn choose(
    ran: &[&SizePoint],
    efficiency: &[Efficiency],
    threshold: f64,
) -> Option<SizeChoice> {
    let rate = |place: &usize| ran[*place].measured.map_or(0.0, |m| m.samples_per_s);
    // The last of equal ones wins a maximum, hence the order.
    let descending = || (0..ran.len()).rev();
    let faster = |a: &usize, b: &usize| rate(a).total_cmp(&rate(b));
    let efficient = |place: &usize| efficiency[*place].of_baseline >= threshold;
    let fastest = descending().max_by(faster)?;
    let fastest_efficient = descending().filter(efficient).max_by(faster)?;
    let cost = |place: usize| {
        let measured = ran[place].measured?;
        let cost = measured.cost_per_step_usd? / measured.samples_per_step();
        Some((cost, place))
    };
    let costs = (0..ran.len()).filter_map(cost);
    let cheapest = costs.min_by(|a, b| a.0.total_cmp(&b.0));
    Some(SizeChoice {
        fastest_efficient,
        fastest,
        cheapest: cheapest.map(|(_, place)| place),
    })
}

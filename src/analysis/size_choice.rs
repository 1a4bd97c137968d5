//! Sizes of a series worth running.

use schemars::JsonSchema;
use serde::Serialize;

use super::curve::Efficiency;
use super::points::SizePoint;

/// One of the sizes of a series.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct SizePlace {
    /// Index among the sizes of the series.
    #[serde(skip)]
    pub place: usize,
    /// Value of the size axis.
    pub size: f64,
    /// Number of its point.
    pub point: u64,
}

impl SizePlace {
    /// The size of a point at an index.
    pub(super) const fn of(place: usize, point: &SizePoint) -> Self {
        Self {
            place,
            size: point.size,
            point: point.point,
        }
    }
}

/// Sizes worth choosing.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct SizeChoice {
    /// The fastest size whose efficiency is within the threshold.
    pub fastest_efficient: SizePlace,
    /// The fastest size of all.
    pub fastest: SizePlace,
    /// The cheapest size per sample; `None` without a price.
    pub cheapest: Option<SizePlace>,
}

/// Chooses among the sizes that ran, whose indices among all sizes are `places`. The smaller size wins a tie.
pub(crate) fn choose(
    ran: &[&SizePoint],
    places: &[usize],
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
    let named = |place: usize| SizePlace::of(places[place], ran[place]);
    Some(SizeChoice {
        fastest_efficient: named(fastest_efficient),
        fastest: named(fastest),
        cheapest: cheapest.map(|(_, place)| named(place)),
    })
}

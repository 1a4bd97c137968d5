//! Which size of a series to run.

use serde::Serialize;

use super::curve::Efficiency;
use super::points::SizePoint;

/// Sizes worth choosing; each is a place among the sizes that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The fastest size whose efficiency is within the threshold.
    pub fastest_efficient: usize,
    /// The fastest size of all.
    pub fastest: usize,
    /// The cheapest size per sample; `None` without a price.
    pub cheapest: Option<usize>,
}

/// Chooses among the sizes that ran. The smaller size wins a tie.
pub fn choose(ran: &[&SizePoint], efficiency: &[Efficiency], threshold: f64) -> Option<Choice> {
    let rate = |place: usize| ran[place].measured.map_or(0.0, |m| m.samples_per_s);
    let fastest_of = |places: &mut dyn Iterator<Item = usize>| {
        places.fold(None, |best: Option<usize>, place| match best {
            Some(best) if rate(best) >= rate(place) => Some(best),
            _ => Some(place),
        })
    };
    let fastest = fastest_of(&mut (0..ran.len()))?;
    let fastest_efficient = fastest_of(
        &mut (0..ran.len()).filter(|place| efficiency[*place].of_baseline >= threshold),
    )?;
    let cost = |place: usize| {
        let measured = ran[place].measured?;
        Some(measured.cost_per_step_usd? / measured.samples_per_step())
    };
    let cheapest = (0..ran.len())
        .filter_map(|place| cost(place).map(|cost| (place, cost)))
        .fold(
            None,
            |best: Option<(usize, f64)>, (place, cost)| match best {
                Some((_, least)) if least <= cost => best,
                _ => Some((place, cost)),
            },
        )
        .map(|(place, _)| place);
    Some(Choice {
        fastest_efficient,
        fastest,
        cheapest,
    })
}

//! GPUs that a price list lacks.

use std::collections::BTreeSet;

use crate::spec::axis::Axis;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::mixed_gpus::type_names;
use crate::spec::names::Names;
use crate::spec::plan::Plan;
use crate::spec::point::GridPoint;
use crate::spec::read::Parts;
use crate::spec::source::Place;

/// Points that are looked at to see whether one rents a GPU by a list.
const LOOKS: u64 = 200_000;

/// Refuses a price list that lacks the price of a GPU which some point rents by it.
pub(super) fn check(parts: &Parts, plan: &Plan, names: &Names, faults: &mut Faults) {
    let gpus: BTreeSet<String> = parts
        .values_of(Axis::Gpu)
        .filter_map(|(_, gpu)| gpu.as_text().map(type_names))
        .flatten()
        .collect();
    let lists = parts.values_of(Axis::Prices);
    for (place, list) in lists.collect::<Vec<_>>() {
        let Some(list) = list.as_text() else { continue };
        let lacking = gpus
            .iter()
            .filter(|gpu| names.catalog.rent(list, gpu).is_none())
            .filter(|gpu| rents(plan, list, gpu));
        let lacking: Vec<&str> = lacking.map(String::as_str).collect();
        if let [first, ..] = lacking[..] {
            faults.push(lacks(place, list, &lacking, first, names));
        }
    }
}

/// Whether a point that `where` keeps rents a GPU by a list, as far as a look at the first points tells.
fn rents(plan: &Plan, list: &str, gpu: &str) -> bool {
    let has_gpu = |point: &GridPoint| {
        let of_point = point.text(Axis::Gpu);
        of_point == Some(gpu)
            || of_point.is_some_and(|text| type_names(text).iter().any(|name| name == gpu))
    };
    plan.kept(0..plan.len().min(LOOKS))
        .any(|point| point.text(Axis::Prices) == Some(list) && has_gpu(&point))
}

fn lacks(place: &Place, list: &str, gpus: &[&str], first: &str, names: &Names) -> Diagnostic {
    let lacking: Vec<String> = gpus.iter().map(|gpu| format!("`{gpu}`")).collect();
    let message = format!("price list `{list}` has no price of {}", lacking.join(", "));
    let has = names.catalog.prices.get(list);
    let has: Vec<&str> = has
        .into_iter()
        .flat_map(|list| list.prices.keys().map(String::as_str))
        .collect();
    Diagnostic::error(place, message)
        .hint(format!("it has: {}", has.join(", ")))
        .hint(format!(
            "give [gpus.\"{first}\"] `price_per_hour`, take another list (`sweep list prices`), or leave such points out with `where`"
        ))
}

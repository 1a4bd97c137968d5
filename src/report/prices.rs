//! The basis of every cost: which list of prices applied, which prices are a spec's own, and which GPUs have none.

use std::collections::BTreeSet;

use itertools::Itertools;

use crate::analysis::{Findings, SeriesFinding};
use crate::catalog::{Catalog, DEFAULT_PRICES, Rent};
use crate::spec::Axis;

/// The prices that applied: `Prices: Verda, on demand, 2026 (`sweep list prices`); the spec's own for h100-sxm; none for
/// mi300x.`; `None` where there is nothing to tell.
pub(crate) fn prices_words(findings: &Findings) -> Option<String> {
    let unpriced = findings.unpriced();
    let none = |end: &str| format!("none for {}{end}", unpriced.join(", "));
    if !findings.costs_money() {
        return (!unpriced.is_empty())
            .then(|| format!("Prices: {}.", none(", so GPU-hours count")));
    }
    let priced = findings.series.iter().filter_map(|series| {
        let rent = rent_per_gpu_hour(series)?;
        let list = series.value(Axis::Prices).map(ToString::to_string);
        let list = list.unwrap_or_else(|| DEFAULT_PRICES.to_owned());
        Some((series.value(Axis::Gpu)?.to_string(), list, rent))
    });
    let (mut lists, mut own) = (BTreeSet::new(), BTreeSet::new());
    for (gpu, list, rent) in priced {
        if is_own(&list, &gpu, rent) {
            own.insert(gpu);
        } else {
            lists.insert(list);
        }
    }
    let named = lists.iter().map(|list| title(list)).join(" and ");
    let named = (!named.is_empty()).then(|| format!("{named} (`sweep list prices`)"));
    let own = own.iter().join(", ");
    let own = (!own.is_empty()).then(|| format!("the spec's own for {own}"));
    let none = (!unpriced.is_empty()).then(|| none(""));
    let words = named.into_iter().chain(own).chain(none).join("; ");
    Some(format!("Prices: {words}."))
}

/// Rent of a GPU for an hour that the rows of a series paid.
fn rent_per_gpu_hour(series: &SeriesFinding) -> Option<f64> {
    series.ran().find_map(|(size, measured)| {
        let hours = measured.step_time_s / 3_600.0;
        Some(measured.cost_per_step_usd? / (f64::from(size.point.gpus) * hours))
    })
}

/// Whether a rent is that of a spec and not that of a list of the program's.
fn is_own(list: &str, gpu: &str, paid: f64) -> bool {
    /// Relative difference of a rent that rounding leaves.
    const SAME: f64 = 1e-6;
    let catalog = Catalog::builtin();
    match catalog.rent(list, gpu) {
        Some(Rent::PerGpu(listed)) => (paid / listed.usd() - 1.0).abs() > SAME,
        // What a GPU costs of a node depends on how many share it, and several types of GPU share a job.
        Some(Rent::PerNode(_)) => false,
        // A GPU of the spec that changes one of the list pays what that one does.
        None => {
            let is_listed = |rent: &Rent| matches!(rent, Rent::PerGpu(listed) if (paid / listed.usd() - 1.0).abs() <= SAME);
            let listed = catalog.prices.get(list).map(|list| &list.prices);
            !gpu.contains('+') && !listed.is_some_and(|prices| prices.values().any(is_listed))
        }
    }
}

/// `Verda, on demand, 2026`.
fn title(list: &str) -> String {
    let Some(list) = Catalog::builtin().prices.get(list) else {
        return list.to_owned();
    };
    let date = list.date.as_ref().map(|date| format!(", {date}"));
    format!("{}{}", list.title, date.unwrap_or_default())
}

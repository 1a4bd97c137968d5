//! The basis of every cost: which list of prices applied, which prices are a spec's own, and which GPUs have none.

use std::collections::BTreeSet;

use itertools::Itertools;

use crate::analysis::{Comparison, Dimension, Findings, Measured};
use crate::catalog::{Catalog, DEFAULT_PRICES, Rent};
use crate::record::Record;
use crate::spec::Axis;

/// The prices that applied: `Prices: Verda, on demand, 2026 (`sweep list prices`); the spec's own for h100-sxm; none for
/// mi300x.`; `None` where there is nothing to tell.
pub(crate) fn prices_words(findings: &Findings) -> Option<String> {
    let rows = findings.series.iter().flat_map(|series| {
        let value = |axis| series.value(axis).map(ToString::to_string);
        let ran = series
            .ran()
            .map(|(size, measured)| (size.point.gpus, measured));
        ran.filter_map(move |(gpus, measured)| Paid::of(&value, gpus, &measured))
    });
    words(rows, findings.costs_money())
}

/// The prices that applied to the rows of a comparison, as [`prices_words`].
pub(crate) fn compared_prices_words(found: &Comparison) -> Option<String> {
    let jobs = found.groups.iter();
    let rows = jobs.flat_map(|job| job.values.iter().map(move |value| (job, value)));
    let rows = rows.filter_map(|(job, compared)| {
        let value = |axis| match &compared.value {
            Some(value) if axis == found.axis => Some(value.to_string()),
            _ => Some(job.dimension(Dimension::Axis(axis))?.to_string()),
        };
        Paid::of(&value, compared.point.gpus, &compared.point.measured?)
    });
    words(rows, found.costs_money())
}

/// The price that applied to a row, as [`prices_words`]; `None` where it cost nothing.
pub(crate) fn prices_words_of(record: &Record) -> Option<String> {
    let cost = record.metrics().and_then(|it| it.cost_per_step_usd)?;
    let hours = record.step()?.step_time().as_secs_f64() / 3_600.0;
    let point = record.point();
    let paid = Paid {
        gpu: point.text(Axis::Gpu)?.to_owned(),
        list: point
            .text(Axis::Prices)
            .unwrap_or(DEFAULT_PRICES)
            .to_owned(),
        usd_per_hour: Some(cost / (record.gpus()? as f64 * hours)),
    };
    words([paid], true)
}

/// The list that holds where a spec names none: `Prices: Verda, on demand, 2026, where a spec names none (`sweep list prices`).`
pub(crate) fn usual_prices_words() -> String {
    let list = title(DEFAULT_PRICES);
    format!("Prices: {list}, where a spec names none (`sweep list prices`).")
}

/// The rent of a GPU that a row paid.
struct Paid {
    gpu: String,
    list: String,
    /// `None` where the GPU has no price.
    usd_per_hour: Option<f64>,
}

impl Paid {
    fn of(value: &impl Fn(Axis) -> Option<String>, gpus: u32, measured: &Measured) -> Option<Self> {
        let gpu_hours = f64::from(gpus) * measured.step_time_s / 3_600.0;
        Some(Self {
            gpu: value(Axis::Gpu)?,
            list: value(Axis::Prices).unwrap_or_else(|| DEFAULT_PRICES.to_owned()),
            usd_per_hour: measured.cost_per_step_usd.map(|cost| cost / gpu_hours),
        })
    }
}

fn words(rows: impl IntoIterator<Item = Paid>, costs_money: bool) -> Option<String> {
    let (mut lists, mut own, mut unpriced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for Paid {
        gpu,
        list,
        usd_per_hour,
    } in rows
    {
        match usd_per_hour {
            None => unpriced.insert(gpu),
            Some(rent) if is_own(&list, &gpu, rent) => own.insert(gpu),
            Some(_) => lists.insert(list),
        };
    }
    let none = (!unpriced.is_empty()).then(|| format!("none for {}", unpriced.iter().join(", ")));
    if !costs_money {
        return none.map(|none| format!("Prices: {none}, so GPU-hours count."));
    }
    let named = lists.iter().map(|list| title(list)).join(" and ");
    let named = (!named.is_empty()).then(|| format!("{named} (`sweep list prices`)"));
    let own = own.iter().join(", ");
    let own = (!own.is_empty()).then(|| format!("the spec's own for {own}"));
    let words = named.into_iter().chain(own).chain(none).join("; ");
    Some(format!("Prices: {words}."))
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

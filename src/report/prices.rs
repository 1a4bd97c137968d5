//! The basis of every cost: which list of prices applied, which prices are a spec's own, and which GPUs have none.

use std::collections::BTreeSet;

use itertools::Itertools;

use crate::analysis::{Comparison, Dimension, Findings, Measured};
use crate::catalog::{Catalog, DEFAULT_PRICES};
use crate::record::Record;
use crate::spec::{Axis, OwnPrices, Spec};

/// The prices that applied: `Prices: Verda, on demand, 2026 (`sweep list prices`); the spec's own for h100-sxm; none for
/// mi300x.`; `None` where there is nothing to tell.
pub(crate) fn prices_words(findings: &Findings) -> Option<String> {
    let rows = findings.series.iter().flat_map(|series| {
        let value = |axis| series.value(axis).map(ToString::to_string);
        let ran = series.ran();
        ran.filter_map(move |(size, measured)| {
            let own = findings.own_prices.get(size.point.source as usize);
            Paid::of(&value, own, &measured)
        })
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
        let own = found.own_prices.get(compared.point.source as usize);
        Paid::of(&value, own, &compared.point.measured?)
    });
    words(rows, found.costs_money())
}

/// The price that applied to a row of a spec, as [`prices_words`]; `None` where it cost nothing.
pub(crate) fn prices_words_of(record: &Record, spec: &Spec) -> Option<String> {
    record.metrics().and_then(|it| it.cost_per_step_usd)?;
    let own = OwnPrices::of(&spec.resolved_text());
    let value = |axis| record.point().text(axis).map(str::to_owned);
    words([Paid::by(&value, &own, true)?], true)
}

/// The list that holds where a spec names none: `Prices: Verda, on demand, 2026, where a spec names none (`sweep list prices`).`
pub(crate) fn usual_prices_words() -> String {
    let list = title(DEFAULT_PRICES);
    format!("Prices: {list}, where a spec names none (`sweep list prices`).")
}

/// What decided the rent that a row paid.
struct Paid {
    gpu: String,
    list: String,
    /// The types of GPU that `gpu` names, and whether the spec gives the rent of each in place of the list's.
    types: Vec<(String, bool)>,
    /// Whether the row has a rent.
    has_price: bool,
}

impl Paid {
    /// Of a row of a file whose spec gives these prices.
    fn of(
        value: &impl Fn(Axis) -> Option<String>,
        own: Option<&OwnPrices>,
        measured: &Measured,
    ) -> Option<Self> {
        let none = OwnPrices::default();
        let has_price = measured.cost_per_step_usd.is_some();
        Self::by(value, own.unwrap_or(&none), has_price)
    }

    fn by(
        value: &impl Fn(Axis) -> Option<String>,
        own: &OwnPrices,
        has_price: bool,
    ) -> Option<Self> {
        let gpu = value(Axis::Gpu)?;
        let list = value(Axis::Prices).unwrap_or_else(|| DEFAULT_PRICES.to_owned());
        Some(Self {
            types: own.of_types(&gpu, &list),
            gpu,
            list,
            has_price,
        })
    }
}

fn words(rows: impl IntoIterator<Item = Paid>, costs_money: bool) -> Option<String> {
    let (mut lists, mut own, mut unpriced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for row in rows {
        if !row.has_price {
            unpriced.insert(row.gpu);
            continue;
        }
        for (gpu, is_own) in row.types {
            if is_own {
                own.insert(gpu);
            } else {
                lists.insert(row.list.clone());
            }
        }
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

/// `Verda, on demand, 2026`.
fn title(list: &str) -> String {
    let Some(list) = Catalog::builtin().prices.get(list) else {
        return list.to_owned();
    };
    let date = list.date.as_ref().map(|date| format!(", {date}"));
    format!("{}{}", list.title, date.unwrap_or_default())
}

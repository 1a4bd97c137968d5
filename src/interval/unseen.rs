//! How far off predictions are of runs that no constant has seen, and whether the intervals say so.

use std::collections::BTreeMap;

use super::errors::{KnownError, Quantity, known};
use super::quantiles::ends;

/// Errors of the measured runs of one family, each predicted without having seen its lineage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnseenErrors {
    pub(crate) quantity: Quantity,
    pub(crate) family: &'static str,
    /// Common origins of their sources.
    pub(crate) lineages: usize,
    /// Predicted/measured − 1 of each run.
    pub(crate) errors: Vec<f64>,
    /// Runs that have an interval, made of the errors of other lineages.
    pub(crate) with_interval: usize,
    /// Those of them that were measured inside it.
    pub(crate) inside: usize,
    /// Median of half the interval's width, as a factor less 1.
    pub(crate) half_width: f64,
}

/// Errors by quantity and family.
pub(crate) fn unseen() -> Vec<UnseenErrors> {
    let mut all = Vec::new();
    for &quantity in Quantity::ALL {
        let errors = known(quantity);
        let mut families: BTreeMap<&'static str, Vec<&KnownError>> = BTreeMap::new();
        for error in errors {
            let family = error.features.family.as_str();
            families.entry(family).or_default().push(error);
        }
        all.extend((families.into_iter()).map(|(family, runs)| of_family(quantity, family, &runs)));
    }
    all
}

fn of_family(quantity: Quantity, family: &'static str, runs: &[&KnownError]) -> UnseenErrors {
    let mut widths = Vec::new();
    let mut inside = 0;
    for run in runs {
        let found = ends(known(quantity), &run.features, Some(&run.lineage));
        if let Some((least, most)) = found {
            inside += usize::from((least..=most).contains(&run.error));
            widths.push((most - least) / 2.0);
        }
    }
    widths.sort_by(f64::total_cmp);
    let mut lineages: Vec<&str> = runs.iter().map(|run| &*run.lineage).collect();
    lineages.sort_unstable();
    lineages.dedup();
    UnseenErrors {
        quantity,
        family,
        lineages: lineages.len(),
        errors: runs.iter().map(|run| libm::expm1(run.error)).collect(),
        with_interval: widths.len(),
        inside,
        half_width: widths
            .get(widths.len() / 2)
            .copied()
            .map_or(0.0, libm::expm1),
    }
}

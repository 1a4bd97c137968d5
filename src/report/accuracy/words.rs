//! Words and numbers that the table and the page share.

use crate::validation::errors::mean;
use crate::validation::{CaseKind, KindAssessment};

/// The measured quantity of a kind of case.
pub(super) const fn kind_title(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::Step => "training steps",
        CaseKind::Memory => "memory peaks",
        CaseKind::Collective => "collectives",
        CaseKind::IdealCollective => "collectives on ideal links",
        CaseKind::Flow => "concurrent flows",
    }
}

/// The name of a group of cases; sources may not state it.
pub(super) fn group_name(name: &str) -> &str {
    if name.is_empty() {
        "(not stated)"
    } else {
        name
    }
}

/// A relative error: `4.9%`.
pub(super) fn percent(value: f64) -> String {
    format!("{:.1}%", value * 100.0)
}

/// Mean regret and rank correlation of the rankings of layouts; `None` where there are none.
pub(super) fn ranking_means(kind: &KindAssessment) -> Option<(f64, f64)> {
    let rankings = &kind.rankings;
    let regrets: Vec<f64> = rankings.iter().map(|it| it.regret).collect();
    let spearmans: Vec<f64> = rankings.iter().map(|it| it.spearman).collect();
    (!rankings.is_empty()).then(|| (mean(&regrets), mean(&spearmans)))
}

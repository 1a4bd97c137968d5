//! Words and numbers that the table and the page share.

use crate::interval::{Quantity, UnseenErrors};
use crate::validation::errors::mean;
use crate::validation::{CaseKind, ErrorSummary, KindAssessment};

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

/// Dash where nothing was compared.
const NOTHING: &str = "–";

/// A relative error that may not be known: `4.9%`, or a dash.
pub(super) fn percent_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), percent)
}

/// The errors of a group: median, mean, p90, bias, geometric mean and, with so many digits, the mean of the
/// logarithms. All are dashes where no case of the group has both a measurement and a prediction.
pub(super) fn error_cells(errors: &ErrorSummary, digits: usize) -> [String; 6] {
    if errors.count == 0 {
        return std::array::from_fn(|_| NOTHING.to_owned());
    }
    let [median, mean, p90, bias, geometric] = [
        errors.median,
        errors.mean,
        errors.p90,
        errors.bias,
        errors.geometric_mean(),
    ]
    .map(percent);
    let log_mean = format!("{:.digits$}", errors.log_mean);
    [median, mean, p90, bias, geometric, log_mean]
}

/// Mean regret and rank correlation of the rankings of layouts; `None` where there are none.
pub(super) fn ranking_means(kind: &KindAssessment) -> Option<(f64, f64)> {
    let rankings = &kind.rankings;
    let regrets: Vec<f64> = rankings.iter().map(|it| it.regret).collect();
    let spearmans: Vec<f64> = rankings.iter().map(|it| it.spearman).collect();
    (!rankings.is_empty()).then(|| (mean(&regrets), mean(&spearmans)))
}

/// Cells of the errors of runs that no constant has seen: what, lineages, runs, median, mean, p90, bias, the share of
/// their intervals that hold them, and how wide these are.
pub(super) fn unseen_cells(unseen: &UnseenErrors) -> [String; 9] {
    let errors = ErrorSummary::of_errors(&unseen.errors);
    let what = match unseen.quantity {
        Quantity::StepTime => "step",
        Quantity::MemoryPeak => "memory",
    };
    let (inside, width) = if unseen.with_interval == 0 {
        (NOTHING.to_owned(), NOTHING.to_owned())
    } else {
        let share = unseen.inside as f64 / unseen.with_interval as f64;
        (
            format!("{:.0}%", 100.0 * share),
            format!("±{:.0}%", 100.0 * unseen.half_width),
        )
    };
    let [median, mean, p90, bias, ..] = error_cells(&errors, 3);
    [
        format!("{what}, {}", unseen.family),
        unseen.lineages.to_string(),
        errors.count.to_string(),
        median,
        mean,
        p90,
        bias,
        inside,
        width,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    // Nothing measured is no error of 0%: only a prediction that is right has that.
    #[test]
    fn errors_of_nothing_are_dashes() {
        let nothing = ErrorSummary {
            misses: 1,
            ..ErrorSummary::default()
        };
        assert_eq!(error_cells(&nothing, 3), ["–"; 6]);
        assert_eq!(percent_or_dash(None), "–");
        let exact = ErrorSummary::of_errors(&[0.0]);
        let zero = ["0.0%", "0.0%", "0.0%", "0.0%", "0.0%", "0.000"];
        assert_eq!(error_cells(&exact, 3), zero);
        assert_eq!(percent_or_dash(Some(0.0)), "0.0%");
    }
}

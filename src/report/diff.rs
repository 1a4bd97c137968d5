//! What differs between two runs, as text, Markdown and JUnit.

use crate::analysis::diff::{Diff, MetricDiff, StatusChange};
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::quantity::three_digits;

/// Regressions shown for each metric.
const SHOWN: usize = 10;

fn change(relative: f64) -> String {
    format!("{:+.1}%", 100.0 * relative)
}

/// `1,024 points compared; 3 only in the new run`.
fn opening(diff: &Diff) -> String {
    let mut line = format!("{} points in both runs", diff.common);
    if diff.added > 0 {
        push(
            &mut line,
            format_args!(", {} only in the new one", diff.added),
        );
    }
    if diff.gone > 0 {
        push(&mut line, format_args!(", {} only in the base", diff.gone));
    }
    line
}

fn verdict(diff: &Diff) -> &'static str {
    if diff.has_regression() {
        "regression"
    } else {
        "no regression"
    }
}

/// For people.
pub fn text(diff: &Diff) -> String {
    let mut text = format!(
        "{}: {} (tolerance {:.1}%)\n",
        verdict(diff),
        opening(diff),
        100.0 * diff.tolerance
    );
    for cause in &diff.likely_causes {
        push(&mut text, format_args!("  {cause}\n"));
    }
    for metric in &diff.metrics {
        push(&mut text, format_args!("\n{}\n", metric_line(metric)));
        for regression in metric.regressions.iter().take(SHOWN) {
            push(
                &mut text,
                format_args!(
                    "  {:>8}  {} -> {}  {}\n",
                    change(regression.relative),
                    three_digits(regression.base),
                    three_digits(regression.new),
                    regression.point
                ),
            );
        }
        if metric.regressions.len() > SHOWN {
            push(
                &mut text,
                format_args!("  and {} more\n", metric.regressions.len() - SHOWN),
            );
        }
    }
    if !diff.status_changes.is_empty() {
        push(
            &mut text,
            format_args!("\n{} points ended differently\n", diff.status_changes.len()),
        );
        for StatusChange { point, base, new } in diff.status_changes.iter().take(SHOWN) {
            push(&mut text, format_args!("  {base} -> {new}  {point}\n"));
        }
    }
    text
}

fn metric_line(metric: &MetricDiff) -> String {
    format!(
        "{}: {} compared, {} worse, {} better; change {} to {}, median {}",
        metric.metric,
        metric.compared,
        metric.regressions.len(),
        metric.better,
        change(metric.least),
        change(metric.most),
        change(metric.median)
    )
}

/// For a comment on a change.
pub fn markdown(diff: &Diff) -> String {
    let mut text = format!("**{}**: {}\n\n", verdict(diff), opening(diff));
    for cause in &diff.likely_causes {
        push(&mut text, format_args!("- {cause}\n"));
    }
    text.push_str("\n| metric | compared | worse | better | least | median | most |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for metric in &diff.metrics {
        push(
            &mut text,
            format_args!(
                "| `{}` | {} | {} | {} | {} | {} | {} |\n",
                metric.metric,
                metric.compared,
                metric.regressions.len(),
                metric.better,
                change(metric.least),
                change(metric.median),
                change(metric.most)
            ),
        );
    }
    for metric in diff.metrics.iter().filter(|m| !m.regressions.is_empty()) {
        push(
            &mut text,
            format_args!(
                "\nWorst of `{}`:\n\n| change | base | new | point |\n|---:|---:|---:|---|\n",
                metric.metric
            ),
        );
        for regression in metric.regressions.iter().take(SHOWN) {
            push(
                &mut text,
                format_args!(
                    "| {} | {} | {} | {} |\n",
                    change(regression.relative),
                    three_digits(regression.base),
                    three_digits(regression.new),
                    regression.point
                ),
            );
        }
    }
    text
}

/// For a build server: one case per metric and one for the points that ended differently.
pub fn junit(diff: &Diff) -> String {
    let mut cases = String::new();
    let mut failures = 0;
    for metric in &diff.metrics {
        push(
            &mut cases,
            format_args!(
                "  <testcase classname=\"sweep.diff\" name=\"{}\">",
                metric.metric
            ),
        );
        if let Some(worst) = metric.regressions.first() {
            failures += 1;
            push(
                &mut cases,
                format_args!(
                    "<failure message=\"{} worse, worst {} at {}\"/>",
                    metric.regressions.len(),
                    change(worst.relative),
                    escaped(&worst.point)
                ),
            );
        }
        cases.push_str("</testcase>\n");
    }
    let lost = diff
        .status_changes
        .iter()
        .filter(|change| change.is_regression())
        .count();
    cases.push_str("  <testcase classname=\"sweep.diff\" name=\"status\">");
    if lost > 0 {
        failures += 1;
        push(
            &mut cases,
            format_args!("<failure message=\"{lost} points no longer run\"/>"),
        );
    }
    cases.push_str("</testcase>\n");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"sweep diff\" tests=\"{}\" failures=\"{failures}\">\n{cases}</testsuite>\n",
        diff.metrics.len() + 1
    )
}

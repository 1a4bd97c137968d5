//! What differs between two runs, as text, Markdown and JUnit.

use crate::analysis::diff::{Diff, MetricDiff, StatusChange};
use crate::report::chart::escaped;
use crate::report::markup::push;
use crate::report::quantity::three_digits;

/// Regressions shown for each metric, and points of each kind.
const SHOWN: usize = 10;

/// A relative change in percent. What was nought and is no more has grown without measure.
fn change(relative: f64) -> String {
    if relative.is_finite() {
        format!("{:+.1}%", 100.0 * relative)
    } else {
        "from 0".to_owned()
    }
}

/// `1,024 points compared; 3 only in the new run`.
fn opening(diff: &Diff) -> String {
    let mut line = format!("{} points in both runs", diff.common);
    for (points, place) in [(&diff.added, "new one"), (&diff.gone, "base")] {
        if !points.is_empty() {
            push(
                &mut line,
                format_args!(", {} only in the {place}", points.len()),
            );
        }
    }
    line
}

/// The first points of a list, each under a bullet, and how many more there are.
fn push_points(text: &mut String, points: impl ExactSizeIterator<Item = String>, bullet: &str) {
    let more = points.len().saturating_sub(SHOWN);
    for point in points.take(SHOWN) {
        push(text, format_args!("{bullet}{point}\n"));
    }
    if more > 0 {
        push(text, format_args!("{bullet}and {more} more\n"));
    }
}

/// `ok -> infeasible  nodes=2`.
fn ending(change: &StatusChange) -> String {
    format!("{} -> {}  {}", change.base, change.new, change.point)
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
        push(&mut text, format_args!("  likely cause: {cause}\n"));
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
    let endings = diff.status_changes.iter().map(ending);
    for (title, points) in [
        ("points ended differently", endings.collect()),
        ("points only in the new run", diff.added.clone()),
        ("points only in the base run", diff.gone.clone()),
    ] {
        let points: Vec<String> = points;
        if !points.is_empty() {
            push(&mut text, format_args!("\n{} {title}\n", points.len()));
            push_points(&mut text, points.into_iter(), "  ");
        }
    }
    text
}

fn metric_line(metric: &MetricDiff) -> String {
    let spread = &metric.distribution;
    format!(
        "{}: {} compared, {} worse, {} better\n  change: median {}, least {}, p10 {}, p90 {}, most {}",
        metric.metric,
        metric.compared,
        metric.regressions.len(),
        metric.better,
        change(spread.median),
        change(spread.least),
        change(spread.p10),
        change(spread.p90),
        change(spread.most)
    )
}

/// For a comment on a change.
pub fn markdown(diff: &Diff) -> String {
    let mut text = format!(
        "**{}**: {} (tolerance {:.1}%)\n\n",
        verdict(diff),
        opening(diff),
        100.0 * diff.tolerance
    );
    for cause in &diff.likely_causes {
        push(&mut text, format_args!("Likely cause: {cause}.\n\n"));
    }
    text.push_str("| metric | compared | worse | better | least | p10 | median | p90 | most |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for metric in &diff.metrics {
        push(
            &mut text,
            format_args!(
                "| `{}` | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                metric.metric,
                metric.compared,
                metric.regressions.len(),
                metric.better,
                change(metric.distribution.least),
                change(metric.distribution.p10),
                change(metric.distribution.median),
                change(metric.distribution.p90),
                change(metric.distribution.most)
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
    for (title, points) in [
        (
            "Points that ended differently",
            diff.status_changes.iter().map(ending).collect(),
        ),
        ("Points only in the new run", diff.added.clone()),
        ("Points only in the base run", diff.gone.clone()),
    ] {
        let points: Vec<String> = points;
        if !points.is_empty() {
            push(&mut text, format_args!("\n{title}: {}\n\n", points.len()));
            push_points(&mut text, points.into_iter(), "- ");
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
                    "<failure message=\"{} worse, worst {} at {}\">\n",
                    metric.regressions.len(),
                    change(worst.relative),
                    escaped(&worst.point)
                ),
            );
            let lines = metric.regressions.iter().map(|regression| {
                format!(
                    "{} {}",
                    change(regression.relative),
                    escaped(&regression.point)
                )
            });
            push_points(&mut cases, lines, "");
            cases.push_str("</failure>");
        }
        cases.push_str("</testcase>\n");
    }
    let lost: Vec<&StatusChange> = diff
        .status_changes
        .iter()
        .filter(|change| change.is_regression())
        .collect();
    cases.push_str("  <testcase classname=\"sweep.diff\" name=\"status\">");
    if !lost.is_empty() {
        failures += 1;
        push(
            &mut cases,
            format_args!(
                "<failure message=\"{} points no longer run\">\n",
                lost.len()
            ),
        );
        push_points(
            &mut cases,
            lost.iter().map(|change| escaped(&ending(change))),
            "",
        );
        cases.push_str("</failure>");
    }
    cases.push_str("</testcase>\n");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"sweep diff\" tests=\"{}\" failures=\"{failures}\">\n{cases}</testsuite>\n",
        diff.metrics.len() + 1
    )
}

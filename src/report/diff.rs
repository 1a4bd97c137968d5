//! Differences between two runs, as text, Markdown and JUnit.

use std::fmt::Display;

use itertools::Itertools;
use maud::{Markup, PreEscaped, html};

use crate::analysis::diff::{ChangeBin, Diff, MetricChange, MetricDiff, StatusChange, Tolerance};
use crate::report::quantity::{plural, short_bytes, short_number, short_seconds};
use crate::report::text::Text;
use crate::visible::{in_markup, is_obeyed};

/// Changed keys of a spec that are named.
const KEYS: usize = 6;
/// Cells of the longest bar.
const BAR: usize = 24;

/// Regressions shown for each metric, and points of each kind.
const SHOWN: usize = 10;

/// A relative change in percent; infinite where a value of zero has grown.
fn percent(relative: f64) -> String {
    if relative.is_finite() {
        format!("{:+.1}%", 100.0 * relative)
    } else {
        "from 0".to_owned()
    }
}

/// `no regression: 1,024 points in both runs, 3 only in the new one (tolerance 2.0%)`; without a tolerance where each metric
/// has its own.
fn opening(diff: &Diff, verdict: impl Display) -> String {
    let usual = Tolerance::Relative(diff.tolerance);
    let tolerance = if diff.metrics.iter().any(|metric| metric.tolerance == usual) {
        format!(" (tolerance {:.1}%)", 100.0 * diff.tolerance)
    } else {
        String::new()
    };
    let only = [(diff.only_new, "new one"), (diff.only_base, "base")];
    let only = only.into_iter().filter(|(points, _)| *points > 0);
    format!(
        "{verdict}: {} in both runs{}{tolerance}",
        points(diff.common),
        only.map(|(points, run)| format!(", {points} only in the {run}"))
            .join(""),
    )
}

/// `spec: grid.nodes [1, 2] -> [1, 4]; grid.tp 2 -> none`; empty where nothing changed.
fn spec_line(diff: &Diff) -> String {
    let all = diff.spec_changes.len();
    if all == 0 {
        return String::new();
    }
    let named = diff.spec_changes.iter().take(KEYS).join("; ");
    let more = all.saturating_sub(KEYS);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("spec: {named}{more}")
}

/// The gate in words: `no point more than 2% slower`.
fn gate(metric: &MetricDiff) -> String {
    let most = match metric.tolerance {
        Tolerance::Relative(share) => format!("{}%", short_number(100.0 * share)),
        Tolerance::Absolute(amount) => in_unit(metric, amount),
    };
    let worse = match (metric.more_is_better, metric.unit) {
        (true, _) => "lower",
        (false, "s" | "d") => "slower",
        (false, _) => "higher",
    };
    format!("no point more than {most} {worse}")
}

/// An amount of a metric with its unit.
fn in_unit(metric: &MetricDiff, amount: f64) -> String {
    match metric.unit {
        "s" => short_seconds(amount),
        "B" => short_bytes(amount),
        "1" => short_number(amount),
        unit => format!("{} {unit}", short_number(amount)),
    }
}

/// `3 points`.
fn points(number: usize) -> String {
    format!("{number} point{}", plural(number as u64))
}

/// The histogram of a metric: a line with a bar for each bin that has points.
fn bars(metric: &MetricDiff) -> String {
    let bins = &metric.histogram;
    let has_points = |bin: &&ChangeBin| bin.points > 0;
    let most = bins.iter().map(|bin| bin.points).max().unwrap_or(0).max(1);
    let shown = bins.iter().filter(has_points).map(|bin| {
        let range = match (bin.from, bin.to) {
            (None, Some(to)) => format!("under {}", percent(to)),
            (Some(from), None) => format!("{} and more", percent(from)),
            (Some(from), Some(to)) => format!("{} to {}", percent(from), percent(to)),
            (None, None) => "all".to_owned(),
        };
        let cells = (bin.points * BAR).div_ceil(most);
        format!("{range:>16}  {:<BAR$}  {}", "█".repeat(cells), bin.points)
    });
    shown.map(|line| format!("{}\n", line.trim_end())).join("")
}

fn verdict(diff: &Diff) -> &'static str {
    if diff.has_regression() {
        "regression"
    } else {
        "no regression"
    }
}

/// The first of some lines, each under a bullet, and how many more of them all there are.
fn first_of(lines: impl Iterator<Item = String>, all: usize, bullet: &str) -> String {
    let more = all.saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("and {more} more"));
    let lines = lines.take(SHOWN).chain(more);
    lines.map(|line| format!("{bullet}{line}\n")).join("")
}

/// `ok -> infeasible  nodes=2`.
fn ending(change: &StatusChange) -> String {
    format!("{} -> {}  {}", change.base, change.new, change.point)
}

/// Points that the metrics do not cover.
struct Uncompared {
    title: &'static str,
    all: usize,
    /// The first of them.
    shown: Vec<String>,
}

/// Points that the metrics do not cover, under their titles; empty lists are left out.
fn uncompared(diff: &Diff) -> impl Iterator<Item = Uncompared> {
    let endings = diff.status_changes.iter().take(SHOWN).map(ending);
    let first = |points: &[String]| points.iter().take(SHOWN).cloned().collect();
    [
        (
            "ended differently",
            diff.ended_differently,
            endings.collect(),
        ),
        ("only in the new run", diff.only_new, first(&diff.added)),
        ("only in the base run", diff.only_base, first(&diff.gone)),
    ]
    .into_iter()
    .filter(|(_, all, _)| *all > 0)
    .map(|(title, all, shown)| Uncompared { title, all, shown })
}

/// The differences for a terminal.
pub fn text(diff: &Diff) -> String {
    let mut text = Text::default();
    writeln!(text, "{}", opening(diff, verdict(diff)));
    for cause in &diff.likely_causes {
        writeln!(text, "  likely cause: {cause}");
    }
    let spec = spec_line(diff);
    if !spec.is_empty() {
        writeln!(text, "  {spec}");
    }
    for metric in &diff.metrics {
        let [least, p10, median, p90, most] = spread(metric);
        writeln!(
            text,
            "\n{}: {}: {} of {} are, {} better\n  change: median {median}, least {least}, p10 {p10}, p90 {p90}, most {most}",
            metric.metric,
            gate(metric),
            metric.worse,
            metric.compared,
            metric.better,
        );
        let lines = metric.regressions.iter().map(|it| {
            let [base, new] = [it.base, it.new].map(|amount| in_unit(metric, amount));
            format!("{:>8}  {base} -> {new}  {}", percent(it.relative), it.point)
        });
        write!(text, "{}", first_of(lines, metric.worse, "  "));
    }
    for rest in uncompared(diff) {
        writeln!(text, "\n{} {}", points(rest.all), rest.title);
        let shown = rest.shown.into_iter();
        write!(text, "{}", first_of(shown, rest.all, "  "));
    }
    text.finish()
}

/// The changes of a metric: least, p10, median, p90 and most.
fn spread(metric: &MetricDiff) -> [String; 5] {
    let it = &metric.distribution;
    [it.least, it.p10, it.median, it.p90, it.most].map(percent)
}

/// The differences as Markdown, for a comment on a pull request.
pub fn markdown(diff: &Diff) -> String {
    let mut text = Text::default();
    writeln!(
        text,
        "{}\n",
        opening(diff, format_args!("**{}**", verdict(diff)))
    );
    for cause in &diff.likely_causes {
        writeln!(text, "Likely cause: {cause}.\n");
    }
    let spec = spec_line(diff);
    if !spec.is_empty() {
        writeln!(text, "{}\n", in_markdown(&spec));
    }
    writeln!(
        text,
        "| metric | gate | compared | worse | better | least | p10 | median | p90 | most |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for metric in &diff.metrics {
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            metric.metric,
            gate(metric),
            metric.compared,
            metric.worse,
            metric.better,
            spread(metric).join(" | ")
        );
    }
    for metric in &diff.metrics {
        writeln!(
            text,
            "\n`{}`, points by their change:\n\n```text\n{}```",
            metric.metric,
            bars(metric)
        );
    }
    for metric in diff.metrics.iter().filter(|m| !m.regressions.is_empty()) {
        writeln!(
            text,
            "\nWorst of `{}`:\n\n| change | base | new | point |\n|---:|---:|---:|---|",
            metric.metric
        );
        for it in metric.regressions.iter().take(SHOWN) {
            let [base, new] = [it.base, it.new].map(|amount| in_unit(metric, amount));
            writeln!(
                text,
                "| {} | {base} | {new} | {} |",
                percent(it.relative),
                in_markdown(&it.point)
            );
        }
    }
    for rest in uncompared(diff) {
        writeln!(text, "\n{} {}:\n", points(rest.all), rest.title);
        let shown = rest.shown.iter().map(|point| in_markdown(point));
        write!(text, "{}", first_of(shown, rest.all, "- "));
    }
    text.finish()
}

/// Text of one line as Markdown that shows it as it is.
fn in_markdown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' => shown.extend(['\\', letter]),
            '<' => shown.push_str("&lt;"),
            '&' => shown.push_str("&amp;"),
            _ if letter.is_control() || is_obeyed(letter) => shown.push(' '),
            _ => shown.push(letter),
        }
    }
    shown
}

/// The differences as JUnit XML: a case per metric, one for the points that ended differently, and one for those that are
/// missing where that is a fault.
pub fn junit(diff: &Diff) -> String {
    let lost = diff.status_changes.iter().filter(|it| it.is_regression());
    let lost: Vec<String> = lost.take(SHOWN).map(ending).collect();
    let failures = diff.metrics.iter().filter(|metric| metric.worse > 0);
    let failures =
        failures.count() + usize::from(diff.stopped > 0) + usize::from(diff.missing() > 0);
    let cases = diff.metrics.len() + 1 + usize::from(diff.fail_missing);
    let gone: Vec<String> = diff.gone.iter().take(SHOWN).cloned().collect();
    let suite = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuite name="sweep diff" tests=(cases) failures=(failures) {
            "\n"
            @for metric in &diff.metrics {
                (test_case(metric.metric, metric.worse, &metric.regressions, |it: &MetricChange| {
                    format!("{} {}", percent(it.relative), it.point)
                }, |worst| {
                    let (number, change) = (metric.worse, percent(worst.relative));
                    format!("{number} worse, worst {change} at {}", worst.point)
                }))
            }
            (test_case("status", diff.stopped, &lost, String::clone, |_| {
                let run = if diff.stopped == 1 { "runs" } else { "run" };
                format!("{} no longer {run}", points(diff.stopped))
            }))
            @if diff.fail_missing {
                (test_case("missing", diff.missing(), &gone, String::clone, |_| {
                    format!("{} of the base missing", points(diff.missing()))
                }))
            }
        }
    };
    in_markup(suite.into_string()) + "\n"
}

/// A case that fails when there are regressions, of which the first are given; `message` gets the first one.
fn test_case<T>(
    name: &str,
    all: usize,
    regressions: &[T],
    line: impl Fn(&T) -> String,
    message: impl Fn(&T) -> String,
) -> Markup {
    html! {
        "  "
        testcase classname="sweep.diff" name=(name) {
            @if let Some(worst) = regressions.first() {
                failure message=(message(worst)) { "\n" (first_of(regressions.iter().map(line), all, "")) }
            }
        }
        "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A link, a tag, a cell's end and code are shown; so is the backslash before them.
    #[test]
    fn text_in_markdown_is_text() {
        let shown = in_markdown("gpu=a|b<img/src=x>`x` [y](z) **b** c\\\n&d");
        assert_eq!(
            shown,
            "gpu=a\\|b&lt;img/src=x>\\`x\\` \\[y\\](z) \\*\\*b\\*\\* c\\\\ &amp;d"
        );
    }

    #[test]
    fn text_in_xml_has_only_characters_of_xml() {
        let letters = "a\u{1b}[31m\0b\tc\u{ffff}";
        let document = in_markup(html! { a b=(letters) {} }.into_string());
        assert_eq!(document, "<a b=\"a\u{fffd}[31m\u{fffd}b\tc\u{fffd}\"></a>");
        roxmltree::Document::parse(&document).expect("it is XML");
    }
}

//! The page of a training study.

use maud::{Markup, html};

use super::answer::answer;
use super::budget::Budget;
use super::document::{
    Heading, Section, charts, custom_charts, document, finder, infeasible, prose,
};
use super::resimulated::resimulated;
use super::table::all_series;
use crate::analysis::{ChartValues, Findings, SizeFinding};
use crate::report::answer::breakdown_details;
use crate::report::chart::Drawing;
use crate::report::panels::{CHARTS, PanelChart, panels};
use crate::report::prices::prices_words;
use crate::report::quantity::percent;

/// The page of a training study: the answer, charts and those that the spec adds, changes that help, and a table of all series.
pub fn page(findings: &Findings, custom: &[ChartValues], heading: &Heading<'_>) -> String {
    let example = |kind: &str| {
        let sizes = findings.series.iter().flat_map(|series| &series.sizes);
        sizes.into_iter().find_map(|size| example_of(size, kind))
    };
    let mut sections = Vec::new();
    let mut first = answer(findings, heading.trust);
    if findings.counts.ok > 0 {
        let mut budget = Budget::default();
        let (note, drawn) = all_charts(findings, &mut budget);
        first = html! { (first) (note) };
        sections.extend(drawn);
        sections.extend(custom_charts(custom, &mut budget));
        sections.extend(resimulated(findings));
        sections.push(all_series(findings, &budget));
    }
    sections.extend(infeasible(&findings.counts, example));
    sections.push(Section::new("How to read this", reading(findings)));
    document(heading, &first, &sections)
}

fn example_of(size: &SizeFinding, kind: &str) -> Option<String> {
    let reason = size.point.reason.as_ref()?;
    (reason.kind() == kind).then(|| format!("point {}: {}", size.point.point, reason.as_str()))
}

/// Sections of the charts, one for each kind, behind a word on what they leave out: with one model side by side.
fn all_charts(findings: &Findings, budget: &mut Budget) -> (Markup, Vec<Section>) {
    let (panels, hidden) = panels(findings);
    let (shown, all) = (
        panels.iter().map(|panel| panel.lines.len()).sum::<usize>(),
        findings.series.len(),
    );
    let draw = |chart: &PanelChart| -> Vec<Drawing> {
        let drawings = panels
            .iter()
            .filter_map(|panel| (chart.draw)(findings, panel));
        drawings.collect()
    };
    let note = html! {
        @if shown < all {
            p.note {
                "The charts show " (shown) " of " (all) " series: the fastest of each group, at most eight per chart"
                @if hidden > 0 { ", and leave out " (hidden) " models" }
                ". The table below holds the others."
            }
        }
        (finder("h100 2048 …"))
    };
    let details = breakdown_details(findings);
    let details = html! { @for sentence in &details { p { (prose(sentence)) } } };
    let mut has_details = false;
    let sections = CHARTS.iter().filter_map(|chart| {
        let mut section = charts(chart.title, chart.note, &draw(chart), budget)?;
        if chart.is_of_breakdowns() {
            (section, has_details) = (section.below(&details), true);
        }
        Some(if panels.len() == 1 {
            section.half()
        } else {
            section
        })
    });
    let sections = sections.collect();
    let note = if has_details {
        note
    } else {
        html! { (details) (note) }
    };
    (note, sections)
}

fn reading(findings: &Findings) -> Markup {
    html! {
        p {
            "The choices on top are those that no other row beats in both time and cost; of those between the fastest \
             and the cheapest the ones at which cost over time bends most are named. "
            "Efficiency is the rate per GPU over that of the smallest size that ran; strong scaling keeps \
             the global batch, weak scaling the batch per GPU. A series breaks down where efficiency falls under "
            (percent(findings.threshold))
            " and stays there for at least two sizes, sizes that divide unevenly left out; the size is interpolated in \
             log size. Unconfirmed: only the largest size lies under it, so that another one would tell. The cause is the part whose GPU-seconds \
             per sample grow most from the last good size to the first bad one; samples are too few where \
             every replica has one microbatch left."
        }
        @if let Some(prices) = prices_words(findings) { p { (prose(&prices)) } }
        p {
            "Serial fractions are Amdahl's (Gustafson's for weak scaling), referred to one GPU, fitted on \
             log time, with 95% bounds by jackknife. Layouts are chosen anew at each size unless the study \
             fixes them. Marks of a line nearer to one another than 6 pixels are drawn as one; points.parquet and \
             scaling.parquet beside this page hold all."
        }
    }
}

//! The table of all series, which sorts and filters.

use maud::{Markup, html};

use super::budget::Budget;
use super::document::{Section, filter, scrolled};
use crate::analysis::{Dimension, Findings, KeyValue, SeriesFinding};
use crate::report::quantity::count;
use crate::report::series_row::{COLUMNS, Cell, SeriesRow, axis_cell};

impl Cell {
    fn markup(&self) -> Markup {
        let value = self.number.map(|number| match number {
            // An empty number sorts behind all others.
            empty if empty.is_nan() => "–".to_owned(),
            number => number.to_string(),
        });
        let class = self.number.is_none().then_some("t");
        html! { td class=[class] data-v=[value] { (self.text) } }
    }
}

/// The section with the table.
pub(super) fn all_series(findings: &Findings, budget: &Budget) -> Section {
    const TITLE: &str = "All series";
    let series = shown(findings, budget);
    let (rows, all) = (series.len(), findings.series.len());
    let note = if all > rows {
        format!(
            "The {} fastest of {} series; scaling.parquet holds all.",
            count(rows as f64),
            count(all as f64)
        )
    } else {
        "Each at its fastest size within the threshold. Click a heading to sort.".to_owned()
    };
    let body = html! {
        p.note { (note) }
        (filter("h100 ring …", rows))
        (scrolled(TITLE, Some("tall"), &html! {
            table #series {
                (head(findings, series.first().copied()))
                tbody {
                    @for series in series {
                        (row_of(findings, series))
                    }
                }
            }
        }))
    };
    Section::new(TITLE, body)
}

fn row_of(findings: &Findings, series: &SeriesFinding) -> Markup {
    let row = SeriesRow::new(findings, series);
    html! {
        tr {
            @for (_, value) in &row.axes { (axis_cell(*value).markup()) }
            @for (_, cell) in COLUMNS { (cell(&row).markup()) }
        }
    }
}

/// All series, or the fastest of them, in their order.
fn shown<'a>(findings: &'a Findings, budget: &Budget) -> Vec<&'a SeriesFinding> {
    let mut series: Vec<&SeriesFinding> = findings.series.iter().collect();
    let example = series.first().map(|series| row_of(findings, series));
    let fit = budget.rows(example.as_ref());
    if series.len() > fit {
        let rate = |series: &SeriesFinding| series.recommended_rate().unwrap_or(0.0);
        series.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then(a.number.cmp(&b.number)));
        series.truncate(fit);
        series.sort_by_key(|series| series.number);
    }
    series
}

/// The headings; whether a column holds numbers is read from the cells of a series.
fn head(findings: &Findings, example: Option<&SeriesFinding>) -> Markup {
    let of_numbers = |dimension: &Dimension| {
        let values = findings
            .series
            .iter()
            .filter_map(|series| series.dimension(*dimension));
        values
            .into_iter()
            .all(|value| matches!(value, KeyValue::Number(_)))
    };
    let row = example.map(|series| SeriesRow::new(findings, series));
    let is_text = |cell: fn(&SeriesRow<'_>) -> Cell| {
        row.as_ref().is_some_and(|row| cell(row).number.is_none())
    };
    let heading = |title: &str, is_text: bool| {
        html! { th class=[is_text.then_some("t")] { button type="button" { (title) } } }
    };
    html! {
        thead {
            tr {
                @for it in &findings.varied { (heading(it.as_str(), !of_numbers(it))) }
                @for (title, cell) in COLUMNS { (heading(title, is_text(*cell))) }
            }
        }
    }
}

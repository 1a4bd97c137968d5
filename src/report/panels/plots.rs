//! All charts of a study, with file names.

use std::collections::BTreeSet;

use super::busbw::{busbw_chart, busbw_panels, transfer_time_chart};
use super::charts::CHARTS;
use super::custom::custom_chart;
use super::panel::panels;
use crate::analysis::{ChartValues, Collectives, Findings};
use crate::report::chart::Drawing;

/// Most bytes of a name: with its extension and what a write appends it stays under the 255 that
/// file systems take.
const LONGEST: usize = 200;

/// Every chart of a training study with a name for its file, without extension.
pub fn plots(findings: &Findings) -> Vec<(String, Drawing)> {
    let (panels, _) = panels(findings);
    let charts = panels.iter().flat_map(|panel| {
        CHARTS.iter().filter_map(|chart| {
            let drawing = (chart.draw)(findings, panel)?;
            Some((file_name(chart.file, &panel.name), drawing))
        })
    });
    distinct(charts.collect())
}

/// Both charts of every panel of a collective study with a name for its file, without extension:
/// `busbw-all-reduce-dgx-h100-512-GPUs`.
pub(crate) fn collective_plots(found: &Collectives) -> Vec<(String, Drawing)> {
    let panels = found.by_op().flat_map(|jobs| busbw_panels(jobs).0);
    let charts = panels.flat_map(|panel| {
        [
            ("busbw", Some(busbw_chart(&panel))),
            ("time", transfer_time_chart(&panel)),
        ]
        .map(|(what, chart)| chart.map(|chart| (file_name(what, &panel.name), chart.draw())))
    });
    distinct(charts.flatten().collect())
}

/// The charts that a spec adds with a name for the file of each, without extension.
pub(crate) fn custom_plots(charts: &[ChartValues]) -> Vec<(String, Drawing)> {
    let drawn = charts.iter().map(|values| {
        let name = file_name("chart", &values.chart.name);
        (name, custom_chart(values).draw())
    });
    distinct(drawn.collect())
}

/// A file name of letters that every file system takes, from the quantity of a chart and its panel.
fn file_name(what: &str, panel: &str) -> String {
    let mut name = what.to_owned();
    if !panel.is_empty() {
        name.push('-');
    }
    for letter in panel.chars() {
        match letter {
            // Thousands are apart for the eye only.
            ',' => {}
            '-' | '_' | '.' => name.push(letter),
            _ if letter.is_alphanumeric() => name.push(letter),
            _ => name.push('-'),
        }
    }
    name.truncate(name.floor_char_boundary(LONGEST));
    name
}

/// Numbers names that are equal, also those that differ only in case.
fn distinct<T>(mut charts: Vec<(String, T)>) -> Vec<(String, T)> {
    let mut taken = BTreeSet::new();
    for (name, _) in &mut charts {
        let first = name.clone();
        let mut number = 1;
        while !taken.insert(name.to_lowercase()) {
            number += 1;
            *name = format!("{first}-{number}");
        }
    }
    charts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_of_any_name_has_its_files() {
        assert_eq!(file_name("rate", ""), "rate");
        assert_eq!(file_name("rate", "llama3.1-405b"), "rate-llama3.1-405b");
        assert_eq!(file_name("rate", "team/our model"), "rate-team-our-model");
        let panel = "all-reduce dgx-h100 1,024 GPUs";
        let name = "busbw-all-reduce-dgx-h100-1024-GPUs";
        assert_eq!(file_name("busbw", panel), name);
        // 5 + 3·65 = 200 bytes: the 66th letter of three bytes is left out.
        let long = file_name("rate", &"\u{6a21}".repeat(100));
        assert_eq!(long.chars().count(), 5 + 65);
    }

    // `a/b` and `a b` become the same name, `A b` differs from it in a capital only.
    #[test]
    fn no_two_charts_have_the_same_file() {
        let names = ["a/b", "a b", "A b", "a-b-2"];
        let charts = names.map(|name| (file_name("rate", name), ()));
        let expected = ["rate-a-b", "rate-a-b-2", "rate-A-b-3", "rate-a-b-2-2"];
        let expected = expected.map(|name| (name.to_owned(), ()));
        assert_eq!(distinct(charts.to_vec()), expected);
    }
}

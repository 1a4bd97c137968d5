//! The charts that a spec adds.

use crate::analysis::{ChartLine, ChartValues};
use crate::report::chart::{Line, LineChart, Mark, MarkKind, Scale, Stroke, ValueAxis};
use crate::report::panels::styles::LINES;
use crate::report::quantity::{short_bytes, short_decimal};

/// Most marks of a line.
const MARKS: usize = 400;

/// The chart with its first lines. Points are joined where no two of a line have the same horizontal value.
pub(crate) fn custom_chart(values: &ChartValues) -> LineChart {
    let chart = &values.chart;
    let shown = &values.lines[..values.lines.len().min(LINES)];
    let all = || shown.iter().flat_map(|line| &line.values);
    let x = value_axis(&chart.x, values.units.0, chart.log_x, all().map(|it| it.0));
    let y = value_axis(&chart.y, values.units.1, chart.log_y, all().map(|it| it.1));
    let lines = shown.iter().enumerate();
    let lines = lines.map(|(style, it)| line(it, style, [&x, &y]));
    LineChart::new(
        chart.name.to_string(),
        x.clone(),
        y.clone(),
        lines.collect(),
    )
}

/// Note on what the chart leaves out; empty where that is nothing.
pub(crate) fn custom_chart_note(values: &ChartValues) -> String {
    let mut notes = Vec::new();
    let hidden = values.lines.len().saturating_sub(LINES);
    if hidden > 0 {
        notes.push(format!("{hidden} more lines"));
    }
    let most = values.lines.iter().map(|line| line.values.len()).max();
    let every = most.unwrap_or(0).div_ceil(MARKS);
    if every > 1 {
        notes.push(format!("all but one point in {every}"));
    }
    if values.not_positive > 0 {
        let points = values.not_positive;
        notes.push(format!(
            "{points} points that are not over zero, which a logarithmic axis lacks"
        ));
    }
    if notes.is_empty() {
        return String::new();
    }
    format!("{} leaves out {}. ", values.chart.name, notes.join(", "))
}

fn value_axis(
    column: &str,
    unit: &str,
    is_log: bool,
    values: impl Iterator<Item = f64>,
) -> ValueAxis {
    let format = if unit == "B" {
        short_bytes
    } else {
        short_decimal
    };
    let name = match unit {
        // Bytes have their unit in each number.
        "" | "1" | "B" => column.to_owned(),
        unit => format!("{column} [{unit}]"),
    };
    let scale = if is_log {
        Scale::log_around(values, 10.0)
    } else {
        Scale::with_zero(values)
    };
    ValueAxis {
        name,
        scale,
        format,
    }
}

fn line(line: &ChartLine, style: usize, [x, y]: [&ValueAxis; 2]) -> Line {
    let values = &line.values;
    let is_function = values.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let every = values.len().div_ceil(MARKS).max(1);
    let mark = |value: &(f64, f64)| Mark {
        x: value.0,
        y: value.1,
        tip: format!(
            "{}\n{}: {}\n{}: {}",
            line.name,
            x.name,
            (x.format)(value.0),
            y.name,
            (y.format)(value.1)
        ),
        kind: MarkKind::Value,
    };
    Line {
        name: line.name.clone(),
        style,
        stroke: if is_function {
            Stroke::Solid
        } else {
            Stroke::None
        },
        marks: values.iter().step_by(every).map(mark).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Chart;

    fn values(lines: Vec<ChartLine>) -> ChartValues {
        ChartValues {
            chart: Chart {
                name: "cost".into(),
                x: "gpus".into(),
                y: "usd_per_day".into(),
                series: Vec::new(),
                log_x: false,
                log_y: false,
            },
            units: ("1", "USD"),
            lines,
            not_positive: 0,
        }
    }

    fn of(values: &[(f64, f64)]) -> ChartLine {
        ChartLine {
            name: "a".to_owned(),
            values: values.to_vec(),
        }
    }

    // Two rows at 8 GPUs differ in what the chart does not tell apart: no line can pass through both.
    #[test]
    fn points_are_joined_where_each_has_a_place_of_its_own() {
        let joined = custom_chart(&values(vec![of(&[(4.0, 1.0), (8.0, 2.0)])]));
        assert_eq!(joined.lines[0].stroke, Stroke::Solid);
        assert_eq!(joined.y.name, "usd_per_day [USD]");
        let apart = custom_chart(&values(vec![of(&[(8.0, 1.0), (8.0, 2.0)])]));
        assert_eq!(apart.lines[0].stroke, Stroke::None);
    }

    // 2³³ bytes are 8 GiB, and 10⁹ tokens 1 G of a second.
    #[test]
    fn large_numbers_have_a_prefix() {
        let bytes = value_axis("memory_peak_bytes", "B", true, [1.0, 1e12].into_iter());
        assert_eq!((bytes.format)(8_589_934_592.0), "8 GiB");
        let rate = value_axis("tokens_per_s", "1/s", true, [1.0, 1e12].into_iter());
        assert_eq!((rate.format)(1e9), "1 G");
    }

    // 1,000 points in at most 400 marks: one in three, 334 of them; of ten lines eight are drawn.
    #[test]
    fn what_a_chart_leaves_out_is_said() {
        let many: Vec<(f64, f64)> = (0..1_000).map(|n| (f64::from(n), 1.0)).collect();
        let values = values(vec![of(&many); 10]);
        let chart = custom_chart(&values);
        assert_eq!((chart.lines.len(), chart.lines[0].marks.len()), (8, 334));
        let note = custom_chart_note(&values);
        let expected = "cost leaves out 2 more lines, all but one point in 3. ";
        assert_eq!(note, expected);
    }
}

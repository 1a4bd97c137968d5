//! Values of the charts that a spec adds: two columns of its points, and what tells their lines apart.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use itertools::Itertools;

use super::files::{for_each_batch, run_names};
use crate::record::{Column, NumberColumn, PointsReader, ReadError, Rows, point_table};
use crate::spec::{Axis, Chart, Metric};

/// Chart of a spec with its values.
#[derive(Clone, Debug)]
pub struct ChartValues {
    pub(crate) chart: Chart,
    /// Units of both axes.
    pub(crate) units: (&'static str, &'static str),
    /// Lines in the order of their first points.
    pub(crate) lines: Vec<ChartLine>,
    /// Points that a logarithmic axis has no place for, since they are zero or less.
    pub(crate) not_positive: usize,
}

/// Points that agree in the chart's series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChartLine {
    /// Values of the series in words; empty for a chart without.
    pub(crate) name: String,
    /// Values of both axes, by rising horizontal value.
    pub(crate) values: Vec<(f64, f64)>,
}

/// Reads the values of some charts from results of one kind of study; points that lack one are left out.
///
/// # Errors
/// If a file cannot be read, or lacks a column that is no metric.
pub(crate) fn chart_values(
    files: &[&Path],
    metrics: &[Metric],
    charts: &[Chart],
) -> Result<Vec<ChartValues>, ReadError> {
    let runs = run_names(files);
    let values = |chart: &Chart| {
        let readers = files.iter().map(|file| PointsReader::open(file));
        let readers: Vec<PointsReader> = readers.collect::<Result<_, _>>()?;
        let Some(study) = readers.first().map(PointsReader::kind) else {
            return Ok(None);
        };
        let table = point_table(study, metrics);
        let Some(columns) = ChartColumns::of(chart, &table) else {
            return Ok(None);
        };
        let mut lines = Gathered::of(chart);
        for_each_batch(readers, &columns.all(), |rows, source| {
            let run = (runs.len() > 1).then(|| runs[source as usize].as_str());
            lines.add(&columns, rows, run)
        })?;
        Ok(Some(lines.finish(chart, &columns)))
    };
    charts
        .iter()
        .filter_map(|chart| values(chart).transpose())
        .collect()
}

/// Columns of a chart.
struct ChartColumns {
    x: Column,
    y: Column,
    series: Vec<Column>,
}

impl ChartColumns {
    /// `None` where a run has not all of them.
    fn of(chart: &Chart, table: &[Column]) -> Option<Self> {
        let find = |name: &str| table.iter().find(|column| column.name == name).copied();
        Some(Self {
            x: find(&chart.x)?,
            y: find(&chart.y)?,
            series: chart
                .series
                .iter()
                .map(|it| find(it))
                .collect::<Option<_>>()?,
        })
    }

    fn all(&self) -> Vec<Column> {
        let all = [self.x, self.y]
            .into_iter()
            .chain(self.series.iter().copied());
        all.unique_by(|column| column.name).collect()
    }
}

/// Lines of a chart while they are gathered.
struct Gathered<'a> {
    chart: &'a Chart,
    place_of: BTreeMap<String, usize>,
    lines: Vec<ChartLine>,
    not_positive: usize,
}

impl<'a> Gathered<'a> {
    const fn of(chart: &'a Chart) -> Self {
        Self {
            chart,
            place_of: BTreeMap::new(),
            lines: Vec::new(),
            not_positive: 0,
        }
    }

    /// Adds the points of some rows; `run` is their run where there are several.
    fn add(
        &mut self,
        columns: &ChartColumns,
        rows: &Rows,
        run: Option<&str>,
    ) -> Result<(), ReadError> {
        let (x, y) = (rows.numbers(&columns.x)?, rows.numbers(&columns.y)?);
        let words = (columns.series.iter())
            .map(|column| Ok((column.name, rows.words(column)?)))
            .collect::<Result<Vec<_>, ReadError>>()?;
        let finite = |column: &NumberColumn, row| column.get(row).filter(|it| it.is_finite());
        for row in 0..rows.len() {
            let (Some(x), Some(y)) = (finite(&x, row), finite(&y, row)) else {
                continue;
            };
            if (self.chart.log_x && x <= 0.0) || (self.chart.log_y && y <= 0.0) {
                self.not_positive += 1;
                continue;
            }
            let words = words.iter().map(|(name, words)| match &words[row] {
                Some(word) if word.parse::<f64>().is_ok() => format!("{name} {word}"),
                Some(word) => word.clone(),
                // What an axis has no value for the simulator chose.
                None if name.parse::<Axis>().is_ok() => format!("{name} auto"),
                None => format!("{name} none"),
            });
            let name = run.map(str::to_owned).into_iter().chain(words).join(" ");
            self.line(name).values.push((x, y));
        }
        Ok(())
    }

    fn line(&mut self, name: String) -> &mut ChartLine {
        let lines = &mut self.lines;
        let place = *self.place_of.entry(name).or_insert_with_key(|name| {
            lines.push(ChartLine {
                name: name.clone(),
                values: Vec::new(),
            });
            lines.len() - 1
        });
        &mut self.lines[place]
    }

    fn finish(mut self, chart: &Chart, columns: &ChartColumns) -> ChartValues {
        for line in &mut self.lines {
            let by_x = |a: &(f64, f64), b: &(f64, f64)| -> Ordering { a.0.total_cmp(&b.0) };
            line.values.sort_by(by_x);
        }
        ChartValues {
            chart: chart.clone(),
            units: (columns.x.unit, columns.y.unit),
            lines: self.lines,
            not_positive: self.not_positive,
        }
    }
}

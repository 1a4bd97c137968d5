//! Predicted against measured step times, a chart per model family.

use std::collections::BTreeMap;

use itertools::Itertools;

use crate::report::chart::{
    Drawing, Line, LineChart, Mark, MarkKind, Rule, Scale, Stroke, ValueAxis,
};
use crate::report::quantity::{seconds, short_seconds};
use crate::validation::{CaseKind, Judged};

/// File name of the plot.
pub const PLOT: &str = "accuracy.svg";

/// Charts beside each other.
const COLUMNS: usize = 2;

/// A scored step.
struct Step<'a> {
    lineage: &'a str,
    measured: f64,
    predicted: f64,
    id: &'a str,
}

/// The plot as SVG: measured step time across, predicted up, coloured by the lineage of the measurement.
pub fn plot(judged: &[Judged]) -> String {
    let mut families: BTreeMap<&str, Vec<Step<'_>>> = BTreeMap::new();
    for it in judged
        .iter()
        .filter(|it| it.case.kind == CaseKind::Step && it.is_scored())
    {
        if let (Some(measured), Some(predicted)) = (it.case.measured, it.result.predicted) {
            let groups = &it.case.groups;
            families.entry(&groups.family).or_default().push(Step {
                lineage: &groups.lineage,
                measured,
                predicted,
                id: &it.case.id,
            });
        }
    }
    let steps = families.values().flatten();
    let lineages: Vec<&str> = steps.map(|step| step.lineage).sorted().dedup().collect();
    let charts = families.iter();
    let charts: Vec<Drawing> = charts
        .map(|(family, steps)| chart(family, steps, &lineages).draw())
        .collect();
    Drawing::side_by_side("Predicted against measured step time", &charts, COLUMNS).file()
}

fn chart(family: &str, steps: &[Step<'_>], lineages: &[&str]) -> LineChart {
    let values = steps
        .iter()
        .flat_map(|step| [step.measured, step.predicted]);
    let scale = Scale::log_around(values, 10.0);
    let axis = |name: &str| ValueAxis {
        name: name.to_owned(),
        scale,
        format: short_seconds,
    };
    let lines = lineages.iter().enumerate().map(|(style, lineage)| Line {
        name: match *lineage {
            "" => "not stated".to_owned(),
            lineage => lineage.to_owned(),
        },
        style,
        stroke: Stroke::None,
        marks: (steps.iter())
            .filter(|step| step.lineage == *lineage)
            .map(mark)
            .collect(),
    });
    let ends = [scale.low(), scale.high()];
    LineChart {
        title: format!("{family}: {} cases", steps.len()),
        x: axis("measured"),
        y: axis("predicted"),
        lines: lines.collect(),
        rules: vec![Rule {
            name: "predicted = measured".to_owned(),
            label: String::new(),
            from: (ends[0], ends[0]),
            to: (ends[1], ends[1]),
        }],
        rings: ("", Vec::new()),
    }
}

fn mark(step: &Step<'_>) -> Mark {
    let (measured, predicted) = (seconds(step.measured), seconds(step.predicted));
    Mark {
        x: step.measured,
        y: step.predicted,
        tip: format!("{}\nmeasured {measured}, predicted {predicted}", step.id),
        kind: MarkKind::Value,
    }
}

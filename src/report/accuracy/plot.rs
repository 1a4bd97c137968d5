//! Predicted against measured step times, a chart per model family.

use std::collections::BTreeMap;

use itertools::Itertools;

use crate::report::chart::{
    Drawing, Line, LineChart, Mark, MarkKind, Rule, Scale, Stroke, ValueAxis,
};
use crate::report::panels::styles;
use crate::report::quantity::{seconds, short_number};
use crate::validation::{CaseKind, Judged};

/// File name of the plot.
pub const PLOT: &str = "accuracy.svg";

/// Charts in a row.
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
    let lineages = |steps: &Vec<Step<'_>>| -> Vec<String> {
        let lineages = steps.iter().map(|step| step.lineage.to_owned());
        lineages.sorted().dedup().collect()
    };
    let lineages: Vec<Vec<String>> = families.values().map(lineages).collect();
    let charts = families.iter().zip(lineages.iter().zip(styles(&lineages)));
    let charts: Vec<Drawing> = charts
        .map(|((family, steps), (lineages, styles))| chart(family, steps, lineages, &styles).draw())
        .collect();
    Drawing::side_by_side("Predicted against measured step time", &charts, COLUMNS).file()
}

/// The steps of one model family, a line per lineage.
fn chart(family: &str, steps: &[Step<'_>], lineages: &[String], styles: &[usize]) -> LineChart {
    let values = steps
        .iter()
        .flat_map(|step| [step.measured, step.predicted]);
    let scale = Scale::log_around(values, 10.0);
    let axis = |name: &str| ValueAxis {
        name: name.to_owned(),
        scale,
        format: short_number,
    };
    let lines = lineages.iter().zip(styles).map(|(lineage, style)| Line {
        name: match lineage.as_str() {
            "" => "not stated".to_owned(),
            lineage => lineage.to_owned(),
        },
        style: *style,
        stroke: Stroke::None,
        marks: (steps.iter())
            .filter(|step| step.lineage == lineage)
            .map(mark)
            .collect(),
    });
    let title = format!("{family}: {} cases", steps.len());
    let ends = [scale.low(), scale.high()];
    LineChart {
        rules: vec![Rule {
            name: "predicted = measured".to_owned(),
            label: String::new(),
            from: (ends[0], ends[0]),
            to: (ends[1], ends[1]),
        }],
        ..LineChart::new(
            title,
            axis("measured [s]"),
            axis("predicted [s]"),
            lines.collect(),
        )
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

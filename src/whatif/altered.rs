//! A point's spec with one axis changed.

use std::collections::BTreeSet;

use serde::Serialize;
use toml::{Table, Value};

use super::Change;
use crate::simulation::{Infeasible, Outcome, Scenario, Scratch, simulate};
use crate::spec::{Axis, GridPoint, Overrides, Spec, SpecError, Syntax};

/// What came of a changed point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Answer {
    /// It ran.
    Ran {
        /// Time of one step.
        step_time_s: f64,
        /// Step time over samples of the step.
        seconds_per_sample: f64,
        /// The layout that ran: `tp 8 pp 4 cp 1 dp 16, micro batch 2`.
        layout: String,
    },
    /// It cannot run.
    CannotRun {
        /// Why.
        reason: String,
    },
}

/// Plays a point with one axis changed; everything else is as its spec gives it, and what the spec
/// leaves open is resolved anew.
///
/// # Errors
/// If the axis or the value does not exist, or does not go with the others.
pub fn ask(spec: &Spec, point: &GridPoint, change: &Change) -> Result<Answer, SpecError> {
    let text = single_point(spec, point, change.axis);
    let overrides = Overrides {
        set: vec![(change.axis.to_string(), change.value.clone())],
        where_clauses: Vec::new(),
    };
    let altered = Spec::parse("the point's spec", &text, Syntax::Toml, &overrides)?;
    let point = altered.plan().point(0);
    Ok(match play(&altered, &point, &mut Scratch::default()) {
        Ok((scenario, Outcome::Completed(report))) => {
            let layout = &report.layout;
            Answer::Ran {
                step_time_s: report.step_time().as_secs_f64(),
                seconds_per_sample: report.step_time().as_secs_f64()
                    / samples(&scenario).unwrap_or(1.0),
                layout: format!(
                    "tp {} pp {} cp {} dp {}, micro batch {}",
                    layout.tp, layout.pp, layout.cp, layout.dp, layout.micro_batch
                ),
            }
        }
        Ok((_, Outcome::Communicated(_))) => Answer::CannotRun {
            reason: "a communication has no training step".to_owned(),
        },
        Ok((_, Outcome::Infeasible(why))) | Err(why) => Answer::CannotRun {
            reason: why.to_string(),
        },
    })
}

/// Resolves and simulates a point of a spec.
pub(super) fn play(
    spec: &Spec,
    point: &GridPoint,
    scratch: &mut Scratch,
) -> Result<(Scenario, Outcome), Infeasible> {
    let scenario = spec.plan().scenario(point)?;
    let outcome = simulate(&scenario, scratch);
    Ok((scenario, outcome))
}

/// Samples of a training step.
pub(super) fn samples(scenario: &Scenario) -> Option<f64> {
    match scenario {
        Scenario::Training(training) => Some(f64::from(training.workload.global_batch)),
        Scenario::Collective(_) => None,
    }
}

/// The spec of one point: the axes that its spec gives, each with the point's value. Axes that the
/// spec leaves out stay out, so that a change of one (another GPU) is followed by those that hang
/// on it (its usual cluster). Where the change may bring nodes of another size, the job keeps its GPUs and not its
/// nodes.
fn single_point(spec: &Spec, point: &GridPoint, changed: Axis) -> String {
    let mut table: Table = spec
        .resolved_text()
        .parse()
        .expect("a resolved spec is TOML");
    let mut given: BTreeSet<String> = BTreeSet::new();
    for key in ["grid", "zip", "point", "defaults"] {
        match table.remove(key) {
            Some(Value::Table(axes)) => given.extend(axes.keys().cloned()),
            Some(Value::Array(tables)) => {
                for axes in tables.iter().filter_map(Value::as_table) {
                    given.extend(axes.keys().cloned());
                }
            }
            Some(_) | None => {}
        }
    }
    table.remove("where");
    let other_nodes = matches!(changed, Axis::Gpu | Axis::Cluster | Axis::GpusPerNode);
    if other_nodes && given.remove(Axis::Nodes.as_str()) {
        given.insert(Axis::Gpus.to_string());
    }
    let grid: Table = Axis::ALL
        .iter()
        .filter(|axis| given.contains(axis.as_str()))
        .filter_map(|axis| {
            let line = format!("value = {}", point.value(*axis)?.to_toml());
            let mut parsed: Table = line.parse().ok()?;
            Some((axis.to_string(), parsed.remove("value")?))
        })
        .collect();
    table.insert("grid".to_owned(), Value::Table(grid));
    table.to_string()
}

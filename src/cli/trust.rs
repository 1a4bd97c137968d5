//! How far to trust what `sweep explain` says of a point: the measured cases that resemble it.

use serde_json::{Map, Value, json};

use crate::cli::table::{Align, Table};
use crate::record::Record;
use crate::validation::{self, CaseKind, Confidence, NearCase};

/// Verdicts on a training point; none for a communication.
pub(super) fn of(record: &Record) -> Vec<Confidence> {
    record.training().map_or_else(Vec::new, |scenario| {
        validation::confidence(scenario, record.step().map(|step| &step.layout))
    })
}

/// The verdicts, each with its cases; empty where there is none.
pub(super) fn text(verdicts: &[Confidence]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        text.push_str(&format!(
            "\n{}: {}\n",
            title(verdict.kind),
            verdict.sentence
        ));
        let mut table = Table::new(&[("", Align::Right), ("", Align::Left)]);
        for case in &verdict.cases {
            table.row(vec![format!("  {}", error(case)), case.id.clone()]);
            table.row(vec![String::new(), case.run.clone()]);
        }
        text.push_str(&table.render());
    }
    text
}

fn title(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::Step => "trust in the step time",
        CaseKind::Memory => "trust in the memory",
        CaseKind::Collective | CaseKind::IdealCollective | CaseKind::Flow => {
            "trust in the communication"
        }
    }
}

fn error(case: &NearCase) -> String {
    case.relative_error
        .map_or_else(|| "–".to_owned(), |error| format!("{:+.1}%", 100.0 * error))
}

/// The verdicts by what they are about: `step_time` and `memory`.
pub(super) fn json(verdicts: &[Confidence]) -> Value {
    let fields: Map<String, Value> = verdicts
        .iter()
        .map(|verdict| {
            let name = match verdict.kind {
                CaseKind::Step => "step_time",
                CaseKind::Memory => "memory",
                CaseKind::Collective | CaseKind::IdealCollective | CaseKind::Flow => {
                    "communication"
                }
            };
            let cases: Vec<Value> = verdict.cases.iter().map(case_json).collect();
            let value = json!({
                "sentence": verdict.sentence,
                "mean_error": verdict.mean_error,
                "cases": cases,
            });
            (name.to_owned(), value)
        })
        .collect();
    Value::Object(fields)
}

fn case_json(case: &NearCase) -> Value {
    json!({
        "id": case.id,
        "source": case.source,
        "run": case.run,
        "distance": case.distance,
        "relative_error": case.relative_error,
    })
}

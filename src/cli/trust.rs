//! Confidence part of `sweep explain`: errors of the measured cases nearest to the point.

use serde_json::{Value, json};

use crate::cli::table::{Align, Table};
use crate::record::Record;
use crate::validation::{self, Confidence, NearCase};

/// Confidence in the predictions of a training point; `None` for a communication.
pub(super) fn of(record: &Record) -> Option<Confidence> {
    let layout = record.step().map(|step| &step.layout);
    let scenario = record.training()?;
    Some(validation::confidence(scenario, layout))
}

/// The verdicts, each with its cases; empty for a communication.
pub(super) fn text(confidence: Option<&Confidence>) -> String {
    let mut text = String::new();
    let Some(Confidence { step_time, memory }) = confidence else {
        return text;
    };
    for (what, accuracy) in [("step time", step_time), ("memory", memory)] {
        text.push_str(&format!("\ntrust in the {what}: {}\n", accuracy.sentence));
        let mut table = Table::new(&[("", Align::Right), ("", Align::Left)]);
        for case in &accuracy.cases {
            table.row(vec![format!("  {}", error(case)), case.id.clone()]);
            table.row(vec![String::new(), case.run.clone()]);
        }
        text.push_str(&table.render());
    }
    text
}

fn error(case: &NearCase) -> String {
    case.relative_error
        .map_or_else(|| "–".to_owned(), |error| format!("{:+.1}%", 100.0 * error))
}

/// The verdicts as `step_time` and `memory`; an empty object for a communication.
pub(super) fn json(confidence: Option<&Confidence>) -> Value {
    confidence.map_or_else(|| json!({}), |confidence| json!(confidence))
}

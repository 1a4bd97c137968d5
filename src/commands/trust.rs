//! Confidence in a point: errors of the measured cases nearest to the point.

use serde_json::{Value, json};

use crate::record::Record;
use crate::report::text::{Table, Text};
use crate::validation::{self, Confidence, NearCase};

/// Confidence in the predictions of a training point; `None` for a communication.
pub(super) fn of(record: &Record) -> Option<Confidence> {
    let layout = record.step().map(|step| &step.layout);
    let scenario = record.training()?;
    Some(validation::confidence(scenario, layout))
}

/// The verdicts, each with its cases; empty for a communication.
pub(super) fn text(confidence: Option<&Confidence>) -> String {
    let mut text = Text::default();
    let Some(Confidence { step_time, memory }) = confidence else {
        return String::new();
    };
    for (what, accuracy) in [("step time", step_time), ("memory", memory)] {
        writeln!(text, "\nconfidence in the {what}: {}", accuracy.sentence);
        let mut table = Table::new(&[">", ""]);
        for case in &accuracy.cases {
            table.row([format!("  {}", error(case)), case.id.clone()]);
            table.row([String::new(), case.run.clone()]);
        }
        write!(text, "{}", table.render());
    }
    text.finish()
}

fn error(case: &NearCase) -> String {
    case.relative_error
        .map_or_else(|| "–".to_owned(), |error| format!("{:+.1}%", 100.0 * error))
}

/// The verdicts as `step_time` and `memory`; an empty object for a communication.
pub(super) fn json(confidence: Option<&Confidence>) -> Value {
    confidence.map_or_else(|| json!({}), |confidence| json!(confidence))
}

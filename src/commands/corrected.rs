//! Measured runs of one's own that corrected a point.

use schemars::JsonSchema;
use serde::Serialize;

use crate::interval::{Features, Influence};
use crate::record::Record;
use crate::report::quantity::{seconds, signed_percent};
use crate::report::text::{Table, Text};
use crate::spec::Spec;

/// Measured run that corrected a point.
#[derive(JsonSchema, Serialize)]
pub(super) struct CorrectedBy {
    /// Name of the run.
    run: String,
    /// Measured over predicted time of its step.
    measured_over_predicted: f64,
    /// Distance from the point; 0 has the same features.
    distance: f64,
    /// Power to which its ratio is taken, 0–1.
    weight: f64,
}

/// The runs that corrected a point, the most important first; none of a point that did not run.
pub(super) fn of(record: &Record, spec: &Spec) -> Vec<CorrectedBy> {
    let influences = influences(record, spec).into_iter();
    influences
        .map(|it| CorrectedBy {
            run: it.run.name.clone(),
            measured_over_predicted: it.run.ratio(),
            distance: it.distance,
            weight: it.weight,
        })
        .collect()
}

fn influences<'a>(record: &Record, spec: &'a Spec) -> Vec<Influence<'a>> {
    let (Some(training), Some(step)) = (record.training(), record.step()) else {
        return Vec::new();
    };
    let features = Features::of(training, Some(&step.layout));
    let simulated = step.simulated_time().as_secs_f64();
    spec.measured().influences(&features, simulated)
}

/// The correction of a point in words; `None` where no run is near.
pub(super) fn in_words(record: &Record, spec: &Spec) -> Option<String> {
    let influences = influences(record, spec);
    let (first, step) = (influences.first()?, record.step()?);
    let more = match influences.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "measured `{}`{more} corrects it by {} from {} as simulated",
        first.run.name,
        signed_percent(step.correction_factor() - 1.0),
        seconds(step.simulated_time().as_secs_f64())
    ))
}

/// The correction of a point and the runs that made it; empty where none did.
pub(super) fn text(record: &Record, spec: &Spec) -> String {
    let mut text = Text::default();
    let influences = influences(record, spec);
    let (Some(step), false) = (record.step(), influences.is_empty()) else {
        return text.finish();
    };
    writeln!(
        text,
        "\ncorrected by measured runs: {} simulated, {} corrected ({}; every part alike)",
        seconds(step.simulated_time().as_secs_f64()),
        seconds(step.step_time().as_secs_f64()),
        signed_percent(step.correction_factor() - 1.0)
    );
    let mut table = Table::new(&["", ">", ">", ">"]);
    for it in &influences {
        table.row([
            format!("  {}", it.run.name),
            format!(
                "measured {} against its prediction",
                signed_percent(it.run.ratio() - 1.0)
            ),
            format!("{:.2} away", it.distance),
            format!("weight {:.2}", it.weight),
        ]);
    }
    write!(text, "{}", table.render());
    text.finish()
}

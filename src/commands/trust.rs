//! Confidence in a point: errors of the measured cases nearest to the point.

use crate::analysis::{Choice, Findings};
use crate::commands::corrected;
use crate::commands::failure::Failure;
use crate::commands::points::grid_point;
use crate::hardware::FabricTopology;
use crate::record::Record;
use crate::report::brief::first_choice;
use crate::report::planned::Trust;
use crate::report::quantity::seconds;
use crate::report::text::{Table, Text};
use crate::runner::{Planned, play_point};
use crate::simulation::Scratch;
use crate::spec::Spec;
use crate::units::Bytes;
use crate::validation::{self, Confidence, NearCase};

/// Confidence in the predictions of a training point; `None` for a communication, and on several types of GPU, on which
/// nothing was measured.
pub(super) fn of(record: &Record) -> Option<Confidence> {
    let layout = record.step().map(|step| &step.layout);
    let scenario = record.training()?;
    if !scenario.pools.is_empty() {
        return None;
    }
    Some(validation::confidence(scenario, layout))
}

/// How far the first choice of training findings can be trusted.
///
/// # Errors
/// If a spec has not the point of the choice.
pub(super) fn of_first_choice(
    findings: &Findings,
    specs: &[Option<&Spec>],
) -> Result<Option<Trust>, Failure> {
    let first = findings.answers.iter().find_map(first_choice);
    let trust = of_choices(findings, specs, first.copied())?;
    Ok(trust.into_iter().next())
}

/// How far some choices can be trusted; each is simulated again, and so are the cases nearest to it. Those whose rows
/// have no spec are left out.
///
/// # Errors
/// If a spec has not the point of a choice.
pub(super) fn of_choices(
    findings: &Findings,
    specs: &[Option<&Spec>],
    choices: impl IntoIterator<Item = Choice>,
) -> Result<Vec<Trust>, Failure> {
    let of_choice = |choice: Choice| {
        let row = &findings.series[choice.series as usize].sizes[choice.place].point;
        let Some(spec) = specs.get(row.source as usize).copied().flatten() else {
            return Ok(None);
        };
        let point = grid_point(spec, row.point)?;
        let record = play_point(&Planned::new(spec), &point, &mut Scratch::default());
        Ok(of(&record).map(|it| Trust {
            choice,
            is_refined: findings.is_refined(&choice),
            step_time: it.step_time,
            interval: record.metrics().and_then(|metrics| metrics.step_time),
            correction: corrected::in_words(&record, spec),
            network: own_network(&record),
        }))
    };
    let trust = choices.into_iter().map(of_choice);
    let trust = trust.collect::<Result<Vec<_>, Failure>>()?;
    Ok(trust.into_iter().flatten().collect())
}

/// What it means for the errors that the network between the nodes is the spec's own; `None` where it is not, or where
/// there is one node alone.
fn own_network(record: &Record) -> Option<String> {
    let scenario = record.training()?;
    let topology = &scenario.cluster.fabric.topology;
    let FabricTopology::Custom(own) = topology else {
        return None;
    };
    (scenario.nodes() > 1).then(|| {
        format!(
            "nothing was measured on the network `{}`; errors are those of such jobs on networks of the catalogue",
            own.name()
        )
    })
}

/// The intervals, then the verdicts, each with its cases; empty for a communication.
pub(super) fn text(record: &Record) -> String {
    let mut text = Text::default();
    let Some(Confidence { step_time, memory }) = &of(record) else {
        return String::new();
    };
    let metrics = record.metrics();
    let step = metrics.and_then(|metrics| metrics.step_time);
    let peak = metrics.and_then(|metrics| metrics.memory_peak);
    let step = step.map(|it| [it.low, it.high].map(seconds));
    let peak = peak.map(|it| [it.low, it.high].map(|bytes| Bytes::new(bytes as u64).to_string()));
    for (what, accuracy, interval) in [("step time", step_time, step), ("memory", memory, peak)] {
        let between = interval.map_or_else(
            || "no interval: nothing comparable was measured".to_owned(),
            |[low, high]| format!("4 of 5 such measurements would lie between {low} and {high}"),
        );
        writeln!(text, "\nconfidence in the {what}: {between}");
        writeln!(text, "  {}", accuracy.sentence);
        let mut table = Table::new(&[">", ""]);
        for case in &accuracy.cases {
            table.row([format!("  {}", error(case)), case.id.clone()]);
            table.row([String::new(), case.run.clone()]);
        }
        write!(text, "{}", table.render());
    }
    if let Some(network) = own_network(record) {
        writeln!(text);
        text.wrap(&format!("network: {network}"), "", "  ");
    }
    text.finish()
}

fn error(case: &NearCase) -> String {
    case.relative_error
        .map_or_else(|| "–".to_owned(), |error| format!("{:+.1}%", 100.0 * error))
}

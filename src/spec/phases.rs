//! Phases of a training, as `[[analysis.phases]]` gives them: schedules of the batch and of the sequence length.

use crate::spec::analysis::Phase;
use crate::spec::axis::{Axis, Domain};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{PHASE, check_keys};
use crate::spec::question::Question;
use crate::spec::scalars::positive;
use crate::spec::source::Place;
use crate::spec::syntax::{Entry, Node, find};

/// Reads the phases of the training that `[analysis]` describes; one with a fault is left out.
pub(super) fn read(analysis: &[Entry], question: &Question, faults: &mut Faults) -> Vec<Phase> {
    let Some(entry) = find(analysis, "phases") else {
        return Vec::new();
    };
    let nodes = entry.node.items().iter();
    let tables = nodes.filter_map(|node| Some((node, node.entries("a phase", faults)?)));
    let tables: Vec<(&Node, &[Entry])> = tables.collect();
    let unit = match (question.samples, question.tokens) {
        (Some(_), _) => "samples",
        (None, Some(_)) => "tokens",
        (None, None) if tables.is_empty() => return Vec::new(),
        (None, None) => {
            let message = "`phases` belong to a training without `tokens` and `samples`";
            let fault = Diagnostic::error(&entry.key_place, message);
            faults.push(fault.hint("say how much is trained in all: `tokens = 1e12`"));
            return Vec::new();
        }
    };
    let tables = tables.into_iter();
    let phases = tables.filter_map(|(node, entries)| phase(&node.place, entries, unit, faults));
    let phases: Vec<Phase> = phases.collect();
    let sum: f64 = phases.iter().map(|phase| phase.amount).sum();
    if let Some(all) = question.amount().filter(|all| sum > *all) {
        let message = format!("the phases have {sum:e} {unit}, and the training {all:e}");
        let fault = Diagnostic::error(&entry.key_place, message);
        faults.push(fault.hint("what the phases leave over runs as the rows say"));
    }
    phases
}

fn phase(place: &Place, entries: &[Entry], unit: &str, faults: &mut Faults) -> Option<Phase> {
    check_keys(entries, &[PHASE], faults);
    let other = if unit == "tokens" {
        "samples"
    } else {
        "tokens"
    };
    if let Some(entry) = find(entries, other) {
        let message = format!("the training is given in {unit}, its phase in {other}");
        let fault = Diagnostic::error(&entry.key_place, message);
        faults.push(fault.hint(format!("give both in {unit}")));
        return None;
    }
    if find(entries, unit).is_none() {
        let fault = Diagnostic::error(place, format!("a phase has no `{unit}`"));
        faults.push(fault.hint(format!("say how many {unit} of the training it has")));
        return None;
    }
    let keys = [Axis::GlobalBatch, Axis::SeqLen];
    if keys
        .iter()
        .all(|axis| find(entries, axis.as_str()).is_none())
    {
        let message = "a phase says neither `global_batch` nor `seq_len`";
        let fault = Diagnostic::error(place, message);
        faults.push(fault.hint("give what differs from the rows, or leave the phase out"));
        return None;
    }
    let [global_batch, seq_len] = keys.map(|axis| count(entries, axis, faults));
    Some(Phase {
        amount: positive(entries, unit, faults)?,
        global_batch,
        seq_len,
    })
}

/// A count within the bounds of an axis.
fn count(entries: &[Entry], axis: Axis, faults: &mut Faults) -> Option<u32> {
    let node = &find(entries, axis.as_str())?.node;
    let Domain::Int { min, max } = axis.info().domain else {
        return None;
    };
    let is_count =
        |number: &f64| number.fract() == 0.0 && *number >= min as f64 && *number <= max as f64;
    let count = node.number().filter(is_count);
    let expected = format!("a whole number from {min} to {max}");
    let count = faults.ok(count.ok_or_else(|| node.mismatch(axis.as_str(), &expected)))?;
    Some(count as u32)
}

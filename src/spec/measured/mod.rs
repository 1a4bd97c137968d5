//! `[measured]`: measured runs of one's own, which correct the predictions near them.
//!
//! A run is a table of axes, as a point of the grid is, with what was measured; or each row of a CSV `file` that
//! `sweep validate` takes. It stands for itself: `[defaults]` says nothing about a run that was made.

mod asked;
mod predicted;
mod rows;

use itertools::Itertools as _;

use crate::measured::SPEEDS;
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::axis_values::AxisValues;
use crate::spec::checks::check_run;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{MEASURED, MEASURED_FILE, check_keys};
use crate::spec::names::Names;
use crate::spec::product::{Digit, Product};
use crate::spec::read::{Table, axes_of_run};
use crate::spec::syntax::{Entry, Node, find};
use crate::spec::value::AxisValue;

pub(super) use asked::AskedRuns;
use asked::{AskedRun, Speed, TableRun};
pub(super) use predicted::predicted;

/// Most runs: each is simulated whenever the spec is read.
const MOST_RUNS: usize = 1_000;

/// Keys of which a run has one.
const TIMES: [&str; 4] = [
    "step_time_s",
    "tokens_per_s",
    "tokens_per_s_per_gpu",
    "samples_per_s",
];

/// Reads `[measured]`; what is wrong is noted and left out.
pub(super) fn read(top: &[Entry], names: &Names, faults: &mut Faults) -> AskedRuns {
    let Some(entry) = find(top, "measured") else {
        return AskedRuns::default();
    };
    if names.kind != StudyKind::Training {
        let message = format!("a {} study has no training steps to correct", names.kind);
        faults.push(
            Diagnostic::error(&entry.key_place, message)
                .hint("leave [measured] out; `sweep validate` compares measured collectives"),
        );
        return AskedRuns::default();
    }
    let mut runs = Vec::new();
    for (at, node) in entry.node.items().iter().enumerate() {
        let Some(entries) = node.table() else {
            faults.push(node.mismatch("measured", "a table of a run, or a list of them"));
            continue;
        };
        if find(entries, "file").is_some() || find(entries, "csv").is_some() {
            check_keys(entries, &[MEASURED_FILE], faults);
            let found = rows::read(entries, &names.catalog, faults).into_iter();
            runs.extend(found.map(|run| AskedRun::Row(Box::new(run))));
        } else {
            runs.extend(run(node, entries, at, names, faults).map(AskedRun::Table));
        }
    }
    if runs.len() > MOST_RUNS {
        let message = format!(
            "{} measured runs; a spec has at most {MOST_RUNS}",
            runs.len()
        );
        let fault = Diagnostic::error(&entry.key_place, message);
        faults.push(fault.hint("keep those that are nearest to the points of the sweep"));
        return AskedRuns::default();
    }
    AskedRuns(runs)
}

/// Reads a run that is a table of axes.
fn run(
    node: &Node,
    entries: &[Entry],
    at: usize,
    names: &Names,
    faults: &mut Faults,
) -> Option<TableRun> {
    let is_own = |entry: &&Entry| MEASURED.iter().any(|key| key.name == entry.key);
    let (own, others): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_own);
    let (axes, unknown): (Vec<&Entry>, Vec<&Entry>) = others
        .into_iter()
        .partition(|entry| entry.key.parse::<Axis>().is_ok());
    for entry in &unknown {
        faults.push(unknown_key(entry, names));
    }
    let table = axes_of_run(names, node, &axes, faults);
    if let Some(table) = table.as_ref().filter(|_| unknown.is_empty()) {
        check_run(table, faults);
    }
    let name = match own.iter().find(|entry| entry.key == "name") {
        Some(entry) => {
            let text = entry.node.text().filter(|text| !text.trim().is_empty());
            faults
                .ok(text.ok_or_else(|| entry.node.mismatch("name", "text")))?
                .to_owned()
        }
        None => format!("run {}", at + 1),
    };
    let speed = speed(node, &own, faults)?;
    Some(TableRun {
        name,
        place: node.place.clone(),
        product: product(&table?),
        speed,
    })
}

/// Fault of a key that is neither an axis nor a key of a run.
fn unknown_key(entry: &Entry, names: &Names) -> Diagnostic {
    let message = format!("unknown key `{}` of a measured run", entry.key);
    let own = MEASURED.iter().map(|key| key.name);
    let known = names.axes().map(Axis::as_str).chain(own.clone());
    let fault = Diagnostic::error(&entry.key_place, message).did_you_mean(&entry.key, known);
    if fault.hints.is_empty() {
        fault.hint(format!(
            "a run takes the axes of a point (`sweep list axes`) and {}",
            own.map(|key| format!("`{key}`")).join(", ")
        ))
    } else {
        fault
    }
}

/// The one measured speed of a run.
fn speed(node: &Node, own: &[&Entry], faults: &mut Faults) -> Option<Speed> {
    let mut given = own
        .iter()
        .filter(|entry| TIMES.contains(&entry.key.as_str()));
    let all = TIMES.map(|key| format!("`{key}`")).join(", ");
    let Some(first) = given.next() else {
        let fault = Diagnostic::error(&node.place, "the measured run says not how fast it was");
        faults.push(fault.hint(format!("give one of {all}")));
        return None;
    };
    if let Some(second) = given.next() {
        let message = format!("`{}` and `{}` are both given", first.key, second.key);
        let fault = Diagnostic::error(&second.key_place, message);
        faults.push(fault.hint("one follows from the other: keep one of them"));
        return None;
    }
    let number = first.node.number().filter(|it| SPEEDS.contains(it));
    let (least, most) = (SPEEDS.start(), SPEEDS.end());
    let expected = format!("a number over 0, from {least:e} to {most:e}");
    let mismatch = || first.node.mismatch(&first.key, &expected);
    let number = faults.ok(number.ok_or_else(mismatch))?;
    Some(match first.key.as_str() {
        "step_time_s" => Speed::StepTime(number),
        "tokens_per_s" => Speed::Tokens(number),
        "tokens_per_s_per_gpu" => Speed::TokensPerGpu(number),
        _ => Speed::Samples(number),
    })
}

/// The only point of a table of axes.
fn product(table: &Table<AxisValue>) -> Product {
    let digits = table.axes.iter().map(|given| {
        let value = AxisValues::List(vec![given.values.clone()]);
        Digit::single(given.axis, value)
    });
    Product {
        digits: digits.collect(),
    }
}

//! `[collectives.NAME]`: a schedule, as a file or as a text.

use crate::collective::CustomAlgorithm;
use crate::collective::schedule::read_schedule;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{COLLECTIVE, check_keys};
use crate::spec::syntax::{Entry, Value, find};

/// Reads one collective; a fault of its schedule stands at its `file` or `schedule`.
pub(super) fn read(entry: &Entry, faults: &mut Faults) -> Option<CustomAlgorithm> {
    let name = &entry.key;
    let entries = entry
        .node
        .entries(&format!("collective `{name}`"), faults)?;
    check_keys(entries, &[COLLECTIVE], faults);
    let given = match (find(entries, "schedule"), find(entries, "file")) {
        (Some(given), None) => &given.node,
        (Some(given), Some(_)) => {
            let message = "`file` and `schedule` are both given";
            faults.push(Diagnostic::error(&given.key_place, message).hint("keep one of them"));
            return None;
        }
        // The loader puts the schedule in the place of a file that it can read, or says why it cannot.
        (None, Some(_)) => return None,
        (None, None) => {
            let message = format!("collective `{name}` has no schedule");
            faults.push(
                Diagnostic::error(&entry.key_place, message)
                    .hint("write `file = \"my.schedule\"`, or `schedule` with its text"),
            );
            return None;
        }
    };
    let (what, text) = if let Value::File { name, text } = &given.value {
        (format!("schedule `{name}`"), text.as_str())
    } else if let Some(text) = given.text() {
        (format!("schedule of `{name}`"), text)
    } else {
        faults.push(given.mismatch("schedule", "text"));
        return None;
    };
    match read_schedule(text) {
        Ok(schedule) => Some(CustomAlgorithm {
            name: name.clone(),
            schedule,
        }),
        Err(fault) => {
            let message = format!("{what}: {fault}");
            faults.push(Diagnostic::error(&given.place, message));
            None
        }
    }
}

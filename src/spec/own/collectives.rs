//! `[collectives.NAME]`: a schedule, as a file or as a text.

use crate::collective::CustomAlgorithm;
use crate::collective::schedule::read_schedule;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::own::table;
use crate::spec::read::{check_keys, find};
use crate::spec::syntax::{Entry, Node, Value};

/// Keys of a collective table.
pub(in crate::spec) const KEYS: &[&str] = &["file", "schedule"];

/// Reads one collective; what is wrong with its schedule is told at its `file` or `schedule`.
pub(super) fn read(entry: &Entry, faults: &mut Faults) -> Option<CustomAlgorithm> {
    let name = &entry.key;
    let entries = table(&entry.node, &format!("collective `{name}`"), faults)?;
    check_keys(entries, KEYS, faults);
    let Some(given) = find(entries, "schedule") else {
        // A file that could not be read was told where it was looked for.
        if find(entries, "file").is_none() {
            let message = format!("collective `{name}` has no schedule");
            faults.push(
                Diagnostic::error(&entry.key_place, message)
                    .hint("write `file = \"my.schedule\"`, or `schedule` with its text"),
            );
        }
        return None;
    };
    // Both were given, which was told where the files were read.
    if find(entries, "file").is_some_and(|file| file.key_place != given.key_place) {
        return None;
    }
    let Some(text) = given.node.text() else {
        let message = format!("`schedule` is text, not {}", given.node.described());
        faults.push(Diagnostic::error(&given.node.place, message));
        return None;
    };
    let file = find(entries, "file").and_then(|file| file.node.text());
    match read_schedule(text) {
        Ok(schedule) => Some(CustomAlgorithm {
            name: name.clone(),
            schedule,
        }),
        Err(fault) => {
            let what = file.map_or_else(
                || format!("schedule of `{name}`"),
                |file| format!("schedule `{file}`"),
            );
            let message = format!("{what}: {fault}");
            faults.push(Diagnostic::error(&given.node.place, message));
            None
        }
    }
}

/// Puts beside every `file` of `[collectives]` what `content` says it holds, as its `schedule` at the
/// place of the file's name. `content` notes a file that cannot be read.
pub(in crate::spec) fn inlined(
    top: &mut [Entry],
    faults: &mut Faults,
    mut content: impl FnMut(&Node, &mut Faults) -> Option<String>,
) {
    let Some(collectives) = top.iter_mut().find(|entry| entry.key == "collectives") else {
        return;
    };
    let Value::Table(entries) = &mut collectives.node.value else {
        return;
    };
    for entry in entries {
        let Value::Table(keys) = &mut entry.node.value else {
            continue;
        };
        let Some(file) = find(keys, "file").cloned() else {
            continue;
        };
        if let Some(given) = find(keys, "schedule") {
            let message = "`file` and `schedule` are both given";
            faults.push(Diagnostic::error(&given.key_place, message).hint("keep one of them"));
            continue;
        }
        if let Some(text) = content(&file.node, faults) {
            keys.push(Entry {
                key: "schedule".to_owned(),
                key_place: file.key_place,
                node: Node {
                    value: Value::Text(text),
                    place: file.node.place,
                },
            });
        }
    }
}

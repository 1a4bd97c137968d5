//! Reading `[analysis]`.

use std::fmt::Display;
use std::str::FromStr;

use crate::spec::analysis::{AnalysisSettings, BottleneckThresholds};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::read::{check_keys, find};
use crate::spec::syntax::{Entry, Node};

/// Keys of `[analysis]`.
pub(super) const KEYS: &[&str] = &[
    "efficiency_threshold",
    "tokens",
    "node_mtbf_hours",
    "checkpoint_size",
    "checkpoint_bandwidth",
    "restart_time",
    "thresholds",
];

/// Keys of `[analysis.thresholds]`.
pub(super) const THRESHOLD_KEYS: &[&str] = &[
    "gpu_utilization",
    "memory",
    "exposed_communication",
    "bubble",
];

/// Reads the table; what is wrong keeps its default.
pub(super) fn analysis(node: &Node, faults: &mut Faults) -> AnalysisSettings {
    let defaults = AnalysisSettings::default();
    let Some(entries) = entries(node, "analysis", faults) else {
        return defaults;
    };
    check_keys(entries, KEYS, faults);
    AnalysisSettings {
        efficiency_threshold: fraction(entries, "efficiency_threshold", faults)
            .unwrap_or(defaults.efficiency_threshold),
        tokens: positive(entries, "tokens", faults),
        node_mtbf_hours: positive(entries, "node_mtbf_hours", faults),
        checkpoint_size: quantity(entries, "checkpoint_size", faults),
        checkpoint_bandwidth: quantity(entries, "checkpoint_bandwidth", faults),
        restart_time: quantity(entries, "restart_time", faults),
        thresholds: find(entries, "thresholds")
            .map_or(defaults.thresholds, |entry| thresholds(&entry.node, faults)),
    }
}

fn thresholds(node: &Node, faults: &mut Faults) -> BottleneckThresholds {
    let defaults = BottleneckThresholds::default();
    let Some(entries) = entries(node, "thresholds", faults) else {
        return defaults;
    };
    check_keys(entries, THRESHOLD_KEYS, faults);
    let mut threshold = |key, default| fraction(entries, key, faults).unwrap_or(default);
    BottleneckThresholds {
        gpu_utilization: threshold("gpu_utilization", defaults.gpu_utilization),
        memory: threshold("memory", defaults.memory),
        exposed_communication: threshold("exposed_communication", defaults.exposed_communication),
        bubble: threshold("bubble", defaults.bubble),
    }
}

fn entries<'a>(node: &'a Node, key: &str, faults: &mut Faults) -> Option<&'a [Entry]> {
    if let Some(entries) = node.table() {
        return Some(entries);
    }
    let message = format!("`{key}` is a table, not {}", node.described());
    faults.push(Diagnostic::error(&node.place, message));
    None
}

fn number(
    entries: &[Entry],
    key: &str,
    expected: &str,
    in_range: impl Fn(f64) -> bool,
    faults: &mut Faults,
) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let number = node
        .number()
        .filter(|number| number.is_finite() && in_range(*number));
    if number.is_none() {
        let message = format!("`{key}` is {expected}, not {}", node.described());
        faults.push(Diagnostic::error(&node.place, message));
    }
    number
}

fn fraction(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let in_range = |number| number > 0.0 && number <= 1.0;
    number(
        entries,
        key,
        "a number over 0 and up to 1",
        in_range,
        faults,
    )
}

fn positive(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    number(
        entries,
        key,
        "a number over 0",
        |number| number > 0.0,
        faults,
    )
}

fn quantity<T: FromStr<Err: Display>>(
    entries: &[Entry],
    key: &str,
    faults: &mut Faults,
) -> Option<T> {
    let node = &find(entries, key)?.node;
    let parsed = match node.text() {
        Some(text) => text.parse().map_err(|error: T::Err| error.to_string()),
        None => Err(format!(
            "`{key}` is text with its unit, not {}",
            node.described()
        )),
    };
    faults.ok(parsed.map_err(|message| Diagnostic::error(&node.place, message)))
}

//! Reading `[analysis]`.

use std::fmt::Display;
use std::str::FromStr;

use crate::spec::analysis::{AnalysisSettings, BottleneckThresholds};
use crate::spec::diagnostic::Faults;
use crate::spec::keys::{ANALYSIS, THRESHOLDS, check_keys};
use crate::spec::syntax::{Entry, Node, find};

/// Reads the table; a key with a fault keeps its default.
pub(super) fn analysis(node: &Node, faults: &mut Faults) -> AnalysisSettings {
    let defaults = AnalysisSettings::default();
    let Some(entries) = node.entries("`analysis`", faults) else {
        return defaults;
    };
    check_keys(entries, &[ANALYSIS], faults);
    AnalysisSettings {
        efficiency_threshold: fraction(entries, "efficiency_threshold", faults)
            .unwrap_or(defaults.efficiency_threshold),
        tokens: positive(entries, "tokens", faults),
        node_mtbf_hours: positive(entries, "node_mtbf_hours", faults),
        checkpoint_size: quantity(entries, "checkpoint_size", "500 GB", faults),
        checkpoint_bandwidth: quantity(entries, "checkpoint_bandwidth", "20 GB/s", faults),
        restart_time: quantity(entries, "restart_time", "300 s", faults),
        thresholds: find(entries, "thresholds")
            .map_or(defaults.thresholds, |entry| thresholds(&entry.node, faults)),
    }
}

fn thresholds(node: &Node, faults: &mut Faults) -> BottleneckThresholds {
    let defaults = BottleneckThresholds::default();
    let Some(entries) = node.entries("`thresholds`", faults) else {
        return defaults;
    };
    check_keys(entries, &[THRESHOLDS], faults);
    let mut threshold = |key, default| fraction(entries, key, faults).unwrap_or(default);
    BottleneckThresholds {
        gpu_utilization: threshold("gpu_utilization", defaults.gpu_utilization),
        memory: threshold("memory", defaults.memory),
        exposed_communication: threshold("exposed_communication", defaults.exposed_communication),
        bubble: threshold("bubble", defaults.bubble),
        ..defaults
    }
}

/// Reads the key `memory_headroom`.
pub(super) fn memory_headroom(node: &Node, faults: &mut Faults) -> Option<f64> {
    let share = node.number().filter(|number| (0.0..1.0).contains(number));
    faults.ok(share.ok_or_else(|| node.mismatch("memory_headroom", "a number from 0, under 1")))
}

fn fraction(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let fraction = node
        .number()
        .filter(|number| *number > 0.0 && *number <= 1.0);
    faults.ok(fraction.ok_or_else(|| node.mismatch(key, "a number over 0 and up to 1")))
}

fn positive(entries: &[Entry], key: &str, faults: &mut Faults) -> Option<f64> {
    let node = &find(entries, key)?.node;
    let positive = node
        .number()
        .filter(|number| *number > 0.0 && number.is_finite());
    faults.ok(positive.ok_or_else(|| node.mismatch(key, "a number over 0")))
}

fn quantity<T: FromStr<Err: Display>>(
    entries: &[Entry],
    key: &str,
    example: &str,
    faults: &mut Faults,
) -> Option<T> {
    faults.ok(find(entries, key)?.node.quantity(key, example))
}

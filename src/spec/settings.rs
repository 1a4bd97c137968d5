//! Reading `[analysis]`.

use itertools::Itertools;

use crate::spec::analysis::{
    AnalysisSettings, BesideStep, BottleneckThresholds, Evaluation, SlowNodes,
};
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::keys::{ANALYSIS, THRESHOLDS, check_keys};
use crate::spec::phases;
use crate::spec::question::Question;
use crate::spec::scalars::{count, factor, fraction, positive, quantity, switch};
use crate::spec::syntax::{Entry, Node, find};
use crate::units::SimDuration;

/// Reads the table; a key with a fault keeps its default.
pub(super) fn analysis(node: &Node, question: Question, faults: &mut Faults) -> AnalysisSettings {
    let defaults = AnalysisSettings {
        question,
        ..AnalysisSettings::default()
    };
    let Some(entries) = node.entries("`analysis`", faults) else {
        return defaults;
    };
    check_keys(entries, &[ANALYSIS], faults);
    AnalysisSettings {
        efficiency_threshold: fraction(entries, "efficiency_threshold", faults)
            .unwrap_or(defaults.efficiency_threshold),
        question,
        phases: phases::read(entries, &question, faults),
        beside: beside_step(entries, faults),
        thresholds: find(entries, "thresholds")
            .map_or(defaults.thresholds, |entry| thresholds(&entry.node, faults)),
    }
}

fn beside_step(entries: &[Entry], faults: &mut Faults) -> BesideStep {
    let [every, steps] = EVALUATION.map(|key| count(entries, key, faults));
    let (nodes, factor) = (
        count(entries, SLOW_NODES[0], faults),
        factor(entries, SLOW_NODES[1], faults),
    );
    check_pair(entries, EVALUATION, faults);
    check_pair(entries, SLOW_NODES, faults);
    BesideStep {
        node_mtbf_hours: positive(entries, "node_mtbf_hours", faults),
        restart_time: quantity(entries, "restart_time", "300 s", faults),
        checkpoint_size: quantity(entries, "checkpoint_size", "500 GB", faults),
        checkpoint_bandwidth: quantity(entries, "checkpoint_bandwidth", "20 GB/s", faults),
        checkpoint_async: switch(entries, "checkpoint_async", faults).unwrap_or(false),
        checkpoint_interval: interval(entries, faults),
        evaluation: every
            .zip(steps)
            .map(|(every, steps)| Evaluation { every, steps }),
        data_bandwidth: quantity(entries, "data_bandwidth", "2 GB/s", faults),
        slow_nodes: nodes
            .zip(factor)
            .map(|(nodes, factor)| SlowNodes { nodes, factor }),
    }
}

/// Keys of an evaluation: steps from one to the next, and its own steps.
const EVALUATION: [&str; 2] = ["evaluation_every", "evaluation_steps"];

/// Keys of slow nodes: their number, and how much longer their kernels take.
const SLOW_NODES: [&str; 2] = ["slow_nodes", "slow_factor"];

/// Refuses one of two keys that say nothing without one another.
fn check_pair(entries: &[Entry], keys: [&str; 2], faults: &mut Faults) {
    let (alone, lacks) = match keys.map(|key| find(entries, key)) {
        [Some(one), None] => (one, keys[1]),
        [None, Some(other)] => (other, keys[0]),
        [Some(_), Some(_)] | [None, None] => return,
    };
    let message = format!("`{}` says nothing without `{lacks}`", alone.key);
    let fault = Diagnostic::error(&alone.key_place, message);
    faults.push(fault.hint(format!("give `{lacks}` too, or leave both out")));
}

/// Warnings of keys that have no effect, since another one is missing.
pub(super) fn without_effect(node: &Node, question: &Question) -> Vec<Diagnostic> {
    let entries = node.table().unwrap_or_default();
    let has = |key: &str| match key {
        "tokens" | "samples" => question.amount().is_some(),
        key => find(entries, key).is_some(),
    };
    let idle = |(key, needs): &(&str, &[&str])| {
        let entry = find(entries, key)?;
        let lacks = needs.iter().map(|key| format!("`{key}`")).join(" or ");
        let message = format!("`{key}` has no effect without {lacks}");
        let is_idle = !needs.iter().any(|key| has(key));
        is_idle.then(|| Diagnostic::warning(&entry.key_place, message))
    };
    NEEDS.iter().filter_map(idle).collect()
}

/// Keys of `[analysis]` with those of which they need one.
const NEEDS: &[(&str, &[&str])] = &[
    ("node_mtbf_hours", &["tokens", "samples"]),
    ("restart_time", &["node_mtbf_hours"]),
    ("checkpoint_size", &["checkpoint_bandwidth"]),
    ("checkpoint_async", &["checkpoint_bandwidth"]),
    (
        "checkpoint_bandwidth",
        &["node_mtbf_hours", "checkpoint_interval"],
    ),
    (
        "checkpoint_interval",
        &["node_mtbf_hours", "checkpoint_bandwidth"],
    ),
    ("evaluation_every", &["tokens", "samples"]),
    ("data_bandwidth", &["tokens", "samples"]),
    ("slow_nodes", &["tokens", "samples"]),
];

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

/// Time between two checkpoints, which is some.
fn interval(entries: &[Entry], faults: &mut Faults) -> Option<SimDuration> {
    const KEY: &str = "checkpoint_interval";
    let interval: SimDuration = quantity(entries, KEY, "30 min", faults)?;
    let node = &find(entries, KEY)?.node;
    let some = Some(interval).filter(|interval| *interval > SimDuration::ZERO);
    faults.ok(some.ok_or_else(|| node.mismatch(KEY, "a time over zero")))
}

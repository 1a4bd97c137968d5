//! Changes worth trying on a point.

use schemars::JsonSchema;
use serde::Serialize;

use crate::collective::{Algorithm, CollectiveAlgorithm};
use crate::hardware::{Evidence, Gpu};
use crate::simulation::{StepReport, TrainingScenario};
use crate::spec::{Axis, Spec};
use crate::stack::{Recompute, ZeroStage};

/// Change of one axis to one value.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Change {
    /// The axis.
    pub axis: Axis,
    /// New value, as a spec writes it without quotes.
    pub value: String,
    /// The change in words: `NICs at 800 Gbit/s instead of 400`.
    pub words: String,
}

impl Change {
    /// A change described by the axis and its values.
    pub(crate) fn new(axis: Axis, value: &impl ToString, old: &impl ToString) -> Self {
        let (value, old) = (value.to_string(), old.to_string());
        Self {
            words: format!("{axis} {value} instead of {old}"),
            axis,
            value,
        }
    }
}

/// The neighbours of a point that ran: the next layouts, half and twice the batch, twice the NIC,
/// the next faster GPU, overlap on, the other collectives.
pub(crate) fn neighbours(
    spec: &Spec,
    scenario: &TrainingScenario,
    report: &StepReport,
) -> Vec<Change> {
    let mut found = Vec::new();
    if scenario.nodes() > 1 {
        let nic = scenario
            .cluster
            .nic_bandwidth_per_gpu()
            .as_gbit_per_s()
            .round();
        found.push(Change {
            axis: Axis::NicGbitPerS,
            value: format!("{:.1}", 2.0 * nic),
            words: format!("NICs at {} Gbit/s per GPU instead of {nic}", 2.0 * nic),
        });
    }
    found.extend(next_gpu(spec, scenario, report));
    let batch = scenario.workload.global_batch;
    let batches = [batch.checked_mul(2), Some(batch / 2)];
    for other in batches.into_iter().flatten().filter(|other| *other > 0) {
        found.push(Change::new(Axis::GlobalBatch, &other, &batch));
    }
    found.extend(layouts(report));
    found.extend(overlaps(scenario, report));
    found.extend(collectives(spec, scenario, report));
    found
}

/// Overlaps of communication that the layout has, where the stack does not overlap it already.
fn overlaps(scenario: &TrainingScenario, report: &StepReport) -> impl Iterator<Item = Change> {
    let (asked, stack) = (&scenario.communication, &scenario.stack.overlap);
    let layout = &report.layout;
    let usual = scenario.overlap(layout);
    let interleaved = stack.pipeline && layout.vpp > 1;
    [
        (
            Axis::OverlapDp,
            "data-parallel",
            layout.dp * layout.cp > 1 && !(usual.gradients && usual.parameters),
        ),
        (
            Axis::OverlapTp,
            "tensor-parallel",
            layout.tp > 1 && !asked.overlap_tp.unwrap_or(stack.tensor),
        ),
        (
            Axis::OverlapPp,
            "pipeline",
            layout.pp > 1 && !asked.overlap_pp.unwrap_or(interleaved),
        ),
        (
            Axis::OverlapEp,
            "expert-parallel",
            layout.expert_dispatch.is_some()
                && !layout.overlap_ep
                && (layout.vpp > 1 || layout.pp == 1)
                && scenario.stack.offers.overlap_ep,
        ),
    ]
    .into_iter()
    .filter(|(.., is_off)| *is_off)
    .map(|(axis, what, _)| Change {
        axis,
        value: "true".to_owned(),
        words: format!("{what} communication overlapped with compute"),
    })
}

/// The other algorithms, where the layout has all-reduces that they could carry: of replicated gradients, or of
/// tensor parallelism that does not shard the norms' tokens.
fn collectives(spec: &Spec, scenario: &TrainingScenario, report: &StepReport) -> Vec<Change> {
    let layout = &report.layout;
    let gradients = layout.zero == ZeroStage::Z0 && layout.dp * layout.cp > 1;
    let tensors = layout.tp > 1 && !layout.sequence_parallel;
    if !gradients && !tensors {
        return Vec::new();
    }
    let old = scenario
        .communication
        .collective
        .as_ref()
        .or(report.collective_used.as_ref())
        .map_or("auto", Algorithm::as_str);
    let custom = spec.custom().collectives.keys().map(String::as_str);
    CollectiveAlgorithm::NAMES
        .iter()
        .copied()
        .chain(custom)
        .filter(|algorithm| *algorithm != old)
        .map(|algorithm| Change::new(Axis::Collective, &algorithm, &old))
        .collect()
}

/// Half and twice each degree of the layout, the other sharding and recomputation.
fn layouts(report: &StepReport) -> Vec<Change> {
    let layout = &report.layout;
    let mut found = Vec::new();
    for (axis, used) in [
        (Axis::Tp, layout.tp),
        (Axis::Pp, layout.pp),
        (Axis::MicroBatch, layout.micro_batch),
    ] {
        found.push(Change::new(axis, &used.saturating_mul(2), &used));
        if used > 1 {
            found.push(Change::new(axis, &(used / 2), &used));
        }
    }
    let zero = layout.zero;
    for other in ZeroStage::ALL.iter().filter(|other| **other != zero) {
        found.push(Change::new(Axis::Zero, other, &zero));
    }
    let recompute = layout.recompute;
    for other in Recompute::ALL.iter().filter(|other| **other != recompute) {
        found.push(Change::new(Axis::Recompute, other, &recompute));
    }
    found
}

/// The GPU with the least peak above this one's in the format that ran, among those of its maker that were measured and
/// are not behind it in memory or in its bandwidth; `None` on several types.
fn next_gpu(spec: &Spec, scenario: &TrainingScenario, report: &StepReport) -> Option<Change> {
    if !scenario.pools.is_empty() {
        return None;
    }
    let precision = report.layout.precision;
    let peak = scenario.gpu.peaks.get(precision)?.as_tflops();
    // Of several with one peak, one that comes in nodes of the same size is nearer.
    let other_nodes = |gpu: &Gpu| {
        let usual = spec.catalog().clusters.get(&gpu.cluster);
        usual.is_none_or(|usual| usual.gpus_per_node != scenario.cluster.gpus_per_node)
    };
    spec.catalog()
        .gpus
        .values()
        .filter_map(|gpu| Some((gpu.peaks.get(precision)?.as_tflops(), gpu)))
        .filter(|(other, gpu)| {
            *other > 1.05 * peak
                && gpu.memory >= scenario.gpu.memory
                && gpu.memory_bandwidth >= scenario.gpu.memory_bandwidth
                && maker(gpu) == maker(&scenario.gpu)
                && gpu.evidence == Evidence::Measured
        })
        .min_by(|(a, gpu), (b, other)| {
            let order = a
                .total_cmp(b)
                .then_with(|| other_nodes(gpu).cmp(&other_nodes(other)));
            order.then_with(|| gpu.name.cmp(&other.name))
        })
        .map(|(_, gpu)| Change {
            axis: Axis::Gpu,
            value: gpu.name.clone(),
            words: format!("{} instead of {}", gpu.name, scenario.gpu.name),
        })
}

/// Maker of a GPU: the first word of its title.
fn maker(gpu: &Gpu) -> Option<&str> {
    gpu.title.split_whitespace().next()
}

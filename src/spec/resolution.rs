//! A completed point as the scenario that the simulation plays.

use std::str::FromStr;
use std::sync::Arc;

use crate::collective::Algorithm;
use crate::hardware::Gpu;
use crate::model::{Family, Model};
use crate::simulation::random;
use crate::simulation::{
    CollectiveScenario, CommunicationRequest, Infeasible, LayoutRequest, RunSettings, Scenario,
    TrainingScenario, Workload,
};
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::resolver::Resolver;
use crate::spec::{AxisValue, GridPoint, stages};
use crate::stack::ZeroStage;
use crate::units::Bytes;

/// The scenario of a completed point, or why only this point cannot run.
pub(super) fn scenario(
    resolver: &Resolver,
    kind: StudyKind,
    point: &GridPoint,
) -> Result<Scenario, Infeasible> {
    match kind {
        StudyKind::Training => Ok(Scenario::Training(Box::new(training(resolver, point)?))),
        StudyKind::Collective => Ok(Scenario::Collective(Box::new(collective(resolver, point)?))),
    }
}

fn training(resolver: &Resolver, point: &GridPoint) -> Result<TrainingScenario, Infeasible> {
    let gpu = Arc::clone(resolver.gpu(point));
    let model = Arc::clone(resolver.model(point));
    let stack = point
        .text(Axis::Stack)
        .expect("completed points have a stack");
    let gpus = gpus(point)?;
    let workload = workload(point, &gpu, &model, gpus)?;
    let layout = layout(point);
    check_layout(&layout, &model, gpus)?;
    Ok(TrainingScenario {
        cluster: resolver.cluster(point),
        stack: Arc::clone(&resolver.catalog.stacks[stack]),
        gpu,
        model,
        gpus,
        workload,
        layout,
        communication: CommunicationRequest {
            collective: algorithm(resolver, point),
            overlap_dp: flag(point, Axis::OverlapDp),
            overlap_tp: flag(point, Axis::OverlapTp),
            overlap_pp: flag(point, Axis::OverlapPp),
            bucket: point
                .number(Axis::BucketMib)
                .map(|mib| Bytes::from_f64(mib * Bytes::mib(1).as_f64())),
        },
        run: RunSettings {
            variability: point.number(Axis::Variability).unwrap_or(0.0),
            iterations: count(point, Axis::Iterations).unwrap_or(32),
            seed: mixed(point.int(Axis::Seed).unwrap_or(0), point.index),
            counterfactual: None,
        },
    })
}

fn collective(resolver: &Resolver, point: &GridPoint) -> Result<CollectiveScenario, Infeasible> {
    Ok(CollectiveScenario {
        gpu: Arc::clone(resolver.gpu(point)),
        cluster: resolver.cluster(point),
        gpus: gpus(point)?,
        op: named(point, Axis::Op).expect("collective studies have an operation"),
        size: point
            .value(Axis::Size)
            .and_then(AxisValue::as_size)
            .expect("collective studies have a size"),
        algorithm: algorithm(resolver, point),
        protocol: named(point, Axis::Protocol),
        ranks_per_process: 1,
    })
}

/// Ranks of the job: whole nodes, or part of one.
fn gpus(point: &GridPoint) -> Result<u32, Infeasible> {
    let gpus = count(point, Axis::Gpus).expect("completed points have gpus");
    let per_node = count(point, Axis::GpusPerNode).expect("completed points have them");
    if gpus > per_node && !gpus.is_multiple_of(per_node) {
        return Err(Infeasible::Indivisible {
            what: format!("gpus {gpus}"),
            by: format!("the {per_node} GPUs of a node (above one node a job takes whole nodes)"),
        });
    }
    Ok(gpus)
}

fn workload(
    point: &GridPoint,
    gpu: &Gpu,
    model: &Model,
    gpus: u32,
) -> Result<Workload, Infeasible> {
    let precision = named(point, Axis::Precision).expect("completed points have a precision");
    if gpu.peaks.get(precision).is_none() {
        let has: Vec<&str> = gpu.peaks.0.keys().map(|format| format.as_str()).collect();
        return Err(Infeasible::Unsupported {
            sentence: format!(
                "precision {precision} is not among the formats of {}: {}",
                gpu.name,
                has.join(", ")
            ),
        });
    }
    let seq_len = count(point, Axis::SeqLen);
    if model.family == Family::Cnn && seq_len.is_some_and(|tokens| tokens > 1) {
        return Err(Infeasible::Unsupported {
            sentence: format!(
                "seq_len does not apply to {}, which sees images",
                model.name
            ),
        });
    }
    let global_batch = match (point.int(Axis::GlobalBatch), point.int(Axis::BatchPerGpu)) {
        (Some(samples), _) => samples,
        (None, Some(each)) => each * u64::from(gpus),
        (None, None) => unreachable!("the reader of specs demands a batch"),
    };
    Ok(Workload {
        global_batch: u32::try_from(global_batch).map_err(|_| Infeasible::Limit {
            sentence: format!(
                "global batch {global_batch} is over the largest, {}",
                u32::MAX
            ),
        })?,
        seq_len: seq_len.unwrap_or(1),
        precision,
    })
}

fn layout(point: &GridPoint) -> LayoutRequest {
    LayoutRequest {
        micro_batch: count(point, Axis::MicroBatch),
        attention: named(point, Axis::Attention),
        tp: count(point, Axis::Tp),
        pp: count(point, Axis::Pp),
        cp: count(point, Axis::Cp),
        ep: count(point, Axis::Ep),
        vpp: count(point, Axis::Vpp),
        dp: count(point, Axis::Dp),
        etp: count(point, Axis::Etp),
        layers_per_stage: point
            .text(Axis::LayersPerStage)
            .map(|text| stages::parse(text).expect("the reader of specs parsed it before")),
        zero: point.int(Axis::Zero).map(zero_stage),
        sequence_parallel: flag(point, Axis::SequenceParallel),
        recompute: named(point, Axis::Recompute),
        recomputed_share: None,
        schedule: named(point, Axis::Schedule),
    }
}

fn zero_stage(number: u64) -> ZeroStage {
    ZeroStage::ALL
        .iter()
        .copied()
        .find(|stage| u64::from(stage.number()) == number)
        .expect("the axis goes from 0 to 3")
}

/// What a request asks for that this job cannot have, as far as the request alone tells.
fn check_layout(layout: &LayoutRequest, model: &Model, gpus: u32) -> Result<(), Infeasible> {
    let unsupported = |sentence| Err(Infeasible::Unsupported { sentence });
    let over_one = |ranks: Option<u32>| ranks.filter(|ranks| *ranks > 1);
    if model.family == Family::Cnn {
        for (name, ranks) in [("tp", layout.tp), ("cp", layout.cp)] {
            if let Some(ranks) = over_one(ranks) {
                return unsupported(format!(
                    "{name} {ranks} needs a transformer, {} is a convolutional network",
                    model.name
                ));
            }
        }
    }
    let has_experts = model.transformer().is_some_and(|it| it.moe.is_some());
    for (name, ranks) in [("ep", layout.ep), ("etp", layout.etp)] {
        if let Some(ranks) = over_one(ranks).filter(|_| !has_experts) {
            return unsupported(format!(
                "{name} {ranks} needs experts, {} has none",
                model.name
            ));
        }
    }
    check_ranks(layout, gpus)?;
    check_stages(layout, model)
}

/// Whether the given groups fit into the job and divide it.
fn check_ranks(layout: &LayoutRequest, gpus: u32) -> Result<(), Infeasible> {
    let given: Vec<(&str, u32)> = [
        ("tp", layout.tp),
        ("pp", layout.pp),
        ("cp", layout.cp),
        ("dp", layout.dp),
    ]
    .into_iter()
    .filter_map(|(name, ranks)| Some((name, ranks?)))
    .collect();
    let words: Vec<String> = given
        .iter()
        .map(|(name, ranks)| format!("{name} {ranks}"))
        .collect();
    let words = words.join(" × ");
    let need = given.iter().fold(1_u64, |product, (_, ranks)| {
        product.saturating_mul(u64::from(*ranks))
    });
    if need > u64::from(gpus) {
        return Err(Infeasible::Limit {
            sentence: format!("{words} needs {need} GPUs, the job has {gpus}"),
        });
    }
    if !u64::from(gpus).is_multiple_of(need) {
        return Err(Infeasible::Indivisible {
            what: format!("gpus {gpus}"),
            by: if given.len() == 1 {
                words
            } else {
                format!("{words} = {need}")
            },
        });
    }
    if given.len() == 4 && need != u64::from(gpus) {
        return Err(Infeasible::Limit {
            sentence: format!("{words} is {need} GPUs, the job has {gpus}"),
        });
    }
    Ok(())
}

/// Whether an explicit split has the model's layers and the pipeline's stages.
fn check_stages(layout: &LayoutRequest, model: &Model) -> Result<(), Infeasible> {
    let Some(stages) = &layout.layers_per_stage else {
        return Ok(());
    };
    let Some(transformer) = model.transformer() else {
        return Err(Infeasible::Unsupported {
            sentence: format!(
                "layers_per_stage needs a transformer, {} has none",
                model.name
            ),
        });
    };
    let sum: u64 = stages.iter().map(|layers| u64::from(*layers)).sum();
    if sum != u64::from(transformer.layers) {
        return Err(Infeasible::Limit {
            sentence: format!(
                "layers_per_stage holds {sum} layers, {} has {}",
                model.name, transformer.layers
            ),
        });
    }
    if let (Some(pp), Some(vpp)) = (layout.pp, layout.vpp)
        && stages.len() as u64 != u64::from(pp) * u64::from(vpp)
    {
        return Err(Infeasible::Limit {
            sentence: format!(
                "layers_per_stage has {} stages, pp {pp} × vpp {vpp} has {}",
                stages.len(),
                u64::from(pp) * u64::from(vpp)
            ),
        });
    }
    Ok(())
}

fn algorithm(resolver: &Resolver, point: &GridPoint) -> Option<Algorithm> {
    resolver.own.algorithm(point.text(Axis::Collective)?)
}

fn named<T: FromStr>(point: &GridPoint, axis: Axis) -> Option<T> {
    point.text(axis)?.parse().ok()
}

fn count(point: &GridPoint, axis: Axis) -> Option<u32> {
    u32::try_from(point.int(axis)?).ok()
}

fn flag(point: &GridPoint, axis: Axis) -> Option<bool> {
    point.value(axis).and_then(AxisValue::as_bool)
}

/// Seed of one point: neighbours share nothing, and the draws of a point do not depend on when or where it
/// runs.
pub(super) fn mixed(seed: u64, index: u64) -> u64 {
    random::mixed(seed ^ index.wrapping_add(1).wrapping_mul(random::GOLDEN))
}

//! Scenario of a completed point.

use std::str::FromStr;
use std::sync::Arc;

use crate::collective::Algorithm;
use crate::model::ExpertImbalance;
use crate::simulation::random;
use crate::simulation::{
    CollectiveScenario, CommunicationRequest, Infeasible, LayoutRequest, RunSettings, Scenario,
    TrainingScenario, Unstated, Workload, ZeroGroup,
};
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::layers_per_stage;
use crate::spec::point::GridPoint;
use crate::spec::resolver::{COMPLETED, Resolver};
use crate::spec::value::AxisValue;
use crate::stack::RecipeChange;
use crate::units::Bytes;

/// The scenario of a completed point.
///
/// # Errors
/// If its GPUs are no whole nodes, or its batch is over the largest.
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
    let pools = resolver.pools(point)?;
    let (gpu, cluster, gpus) = if let Some(first) = pools.first() {
        let gpus = count(point, Axis::Gpus).expect(COMPLETED);
        (Arc::clone(&first.gpu), Arc::clone(&first.cluster), gpus)
    } else {
        let gpus = gpus(point)?;
        let gpu = resolver.rented_gpu(point, gpus)?;
        (gpu, resolver.cluster(point)?, gpus)
    };
    Ok(TrainingScenario {
        gpu,
        cluster,
        pools,
        model: Arc::clone(resolver.model(point)),
        stack: resolver.stack(point, &recipes(point)),
        gpus,
        workload: workload(point, gpus)?,
        layout: layout(point),
        communication: CommunicationRequest {
            collective: algorithm(resolver, point),
            overlap_dp: flag(point, Axis::OverlapDp),
            overlap_tp: flag(point, Axis::OverlapTp),
            overlap_pp: flag(point, Axis::OverlapPp),
            expert_dispatch: named(point, Axis::ExpertDispatch),
            overlap_ep: flag(point, Axis::OverlapEp),
            bucket: point
                .number(Axis::BucketMib)
                .map(|mib| Bytes::from_f64(mib * Bytes::mib(1).as_f64())),
        },
        run: RunSettings {
            variability: point.number(Axis::Variability).expect(COMPLETED),
            iterations: count(point, Axis::Iterations).expect(COMPLETED),
            seed: mixed(point.int(Axis::Seed).expect(COMPLETED), point.index),
            ..RunSettings::default()
        },
    })
}

fn collective(resolver: &Resolver, point: &GridPoint) -> Result<CollectiveScenario, Infeasible> {
    Ok(CollectiveScenario {
        gpu: Arc::clone(
            resolver
                .gpu(point)
                .expect("a communication has one type of GPU"),
        ),
        cluster: resolver.cluster(point)?,
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
    let gpus = count(point, Axis::Gpus).expect(COMPLETED);
    let per_node = count(point, Axis::GpusPerNode).expect(COMPLETED);
    if gpus > per_node && !gpus.is_multiple_of(per_node) {
        return Err(Infeasible::Indivisible {
            what: format!("gpus {gpus}"),
            by: format!("the {per_node} GPUs of a node (above one node a job takes whole nodes)"),
        });
    }
    Ok(gpus)
}

fn workload(point: &GridPoint, gpus: u32) -> Result<Workload, Infeasible> {
    let global_batch = match (point.int(Axis::GlobalBatch), point.int(Axis::BatchPerGpu)) {
        (Some(samples), _) => samples,
        (None, Some(each)) => each * u64::from(gpus),
        (None, None) => unreachable!("the reader of specs demands a batch"),
    };
    let over_limit = |_| {
        Infeasible::Limit(format!(
            "global batch {global_batch} is over the largest, {}",
            u32::MAX
        ))
    };
    Ok(Workload {
        global_batch: u32::try_from(global_batch).map_err(over_limit)?,
        seq_len: count(point, Axis::SeqLen).unwrap_or(1),
        document_length: count(point, Axis::DocumentLength),
        lora_rank: count(point, Axis::LoraRank),
        frozen: named(point, Axis::Frozen).unwrap_or_default(),
        precision: named(point, Axis::Precision).expect(COMPLETED),
        expert_imbalance: ExpertImbalance::new(
            point.number(Axis::ExpertImbalance).expect(COMPLETED),
        ),
    })
}

/// Changes that a point makes to its stack's recipes.
fn recipes(point: &GridPoint) -> RecipeChange {
    RecipeChange {
        recompute_modules: named(point, Axis::RecomputeModules),
        loss: named(point, Axis::Loss),
        optimizer: named(point, Axis::Optimizer),
        offload: named(point, Axis::Offload),
        cuda_graphs: named(point, Axis::CudaGraphs),
        fp8_recipe: named(point, Axis::Fp8Recipe),
    }
}

fn layout(point: &GridPoint) -> LayoutRequest {
    LayoutRequest {
        micro_batch: count(point, Axis::MicroBatch),
        attention: named(point, Axis::Attention),
        tp: count(point, Axis::Tp),
        pp: count(point, Axis::Pp),
        cp: count(point, Axis::Cp),
        cp_exchange: named(point, Axis::CpExchange),
        ep: count(point, Axis::Ep),
        vpp: count(point, Axis::Vpp),
        dp: count(point, Axis::Dp),
        etp: count(point, Axis::Etp),
        layers_per_stage: point.text(Axis::LayersPerStage).map(|text| {
            layers_per_stage::parse(text).expect("the reader of specs parsed it before")
        }),
        zero: named(point, Axis::Zero),
        zero_group: count(point, Axis::ZeroGroup).map(ZeroGroup::Ranks),
        sequence_parallel: flag(point, Axis::SequenceParallel),
        recompute: named(point, Axis::Recompute),
        recomputed_share: None,
        recompute_layers: count(point, Axis::RecomputeLayers),
        schedule: named(point, Axis::Schedule),
        mixed: named(point, Axis::Mixed),
        unstated: Unstated::Fastest,
    }
}

fn algorithm(resolver: &Resolver, point: &GridPoint) -> Option<Algorithm> {
    resolver.custom.algorithm(point.text(Axis::Collective)?)
}

/// The member of a closed set that an axis names, by its text or its number.
fn named<T: FromStr>(point: &GridPoint, axis: Axis) -> Option<T> {
    match point.value(axis)? {
        AxisValue::Text(name) => name.parse().ok(),
        AxisValue::Int(number) => number.to_string().parse().ok(),
        AxisValue::Auto
        | AxisValue::Real(_)
        | AxisValue::Bool(_)
        | AxisValue::Size(_)
        | AxisValue::Power(_) => None,
    }
}

fn count(point: &GridPoint, axis: Axis) -> Option<u32> {
    u32::try_from(point.int(axis)?).ok()
}

fn flag(point: &GridPoint, axis: Axis) -> Option<bool> {
    point.value(axis).and_then(AxisValue::as_bool)
}

/// Seed of a point from the seed of the run and the index of the point, so that draws do not depend on the
/// order of execution.
pub(super) fn mixed(seed: u64, index: u64) -> u64 {
    random::mixed(seed ^ index.wrapping_add(1).wrapping_mul(random::GOLDEN))
}

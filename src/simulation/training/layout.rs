//! Layouts that a scenario allows.

use itertools::Itertools;

use crate::collective::{Algorithm, CollectiveOp};
use crate::hardware::AttentionKernel;
use crate::model::{Family, Transformer};
use crate::simulation::training::{limits, request, stage_layers};
use crate::simulation::{Infeasible, Layout, TrainingScenario};
use crate::stack::{PipelineSchedule, Recompute, SelectiveRecompute, Sharding, ZeroStage};

/// A layout and the recomputation policies that it may run with, cheapest in time first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The layout, with the first of the policies.
    pub(super) layout: Layout,
    /// The policies.
    pub(super) recompute: &'static [Recompute],
}

/// Longest sequence that is never split over context-parallel ranks by the search.
const SHORT_SEQUENCE: u32 = 16_384;
/// Tokens of one rank and microbatch beyond which the search does not grow the microbatch.
const MOST_TOKENS: u64 = 65_536;
/// Images of a microbatch beyond which the search does not grow it.
const MOST_IMAGES: u64 = 512;
/// Tensor-parallel ranks beyond which the search does not go.
const MOST_TENSOR: u32 = 8;
/// Pipeline stages beyond which the search does not go.
const MOST_STAGES: u32 = 64;

/// Every layout that divides, in the order in which ties are broken: smaller tp, cp, pp, ep, vpp,
/// then the larger microbatch.
///
/// # Errors
/// If none does: the first reason met.
pub(super) fn candidates(scenario: &TrainingScenario) -> Result<Vec<Candidate>, Infeasible> {
    let attention = attention_kernel(scenario)?;
    limits::check_activations(scenario, attention)?;
    let mut found = Found {
        scenario,
        attention,
        candidates: Vec::new(),
        first_fault: None,
    };
    for tp in tensor_options(scenario) {
        for cp in context_options(scenario) {
            for pp in stage_options(scenario, tp.saturating_mul(cp)) {
                found.record(|found| found.groups(tp, cp, pp));
            }
        }
    }
    match (found.candidates.is_empty(), found.first_fault) {
        (false, _) => Ok(found.candidates),
        (true, Some(fault)) => Err(fault),
        (true, None) => Err(Infeasible::Limit(format!(
            "no layout divides {} GPUs",
            scenario.gpus
        ))),
    }
}

struct Found<'a> {
    scenario: &'a TrainingScenario,
    attention: AttentionKernel,
    candidates: Vec<Candidate>,
    first_fault: Option<Infeasible>,
}

impl Found<'_> {
    /// Runs one branch of the search and keeps the first fault of all.
    fn record(&mut self, branch: impl FnOnce(&mut Self) -> Result<(), Infeasible>) {
        if let Err(fault) = branch(self) {
            self.first_fault.get_or_insert(fault);
        }
    }

    fn groups(&mut self, tp: u32, cp: u32, pp: u32) -> Result<(), Infeasible> {
        let dp = replicas(self.scenario, tp, cp, pp)?;
        for ep in expert_options(self.scenario, tp * cp * dp)? {
            self.record(|found| found.batches(tp, cp, pp, dp, ep));
        }
        Ok(())
    }

    fn batches(&mut self, tp: u32, cp: u32, pp: u32, dp: u32, ep: u32) -> Result<(), Infeasible> {
        let scenario = self.scenario;
        let batch = scenario.workload.global_batch;
        if !batch.is_multiple_of(dp) {
            return Err(Infeasible::Indivisible {
                what: format!("global batch {batch}"),
                by: format!("dp {dp}"),
            });
        }
        let replica_batch = batch / dp;
        for micro_batch in micro_batch_options(scenario, replica_batch, cp)? {
            let microbatches = replica_batch.div_ceil(micro_batch);
            let stage_lists = virtual_stage_options(scenario, pp, microbatches)?;
            for (vpp, layers_per_stage) in stage_lists {
                limits::check_passes(microbatches, pp, vpp)?;
                let schedule = pipeline_schedule(scenario, pp, vpp)?;
                for &zero in zero_options(scenario, dp * cp, pp) {
                    let recompute = recompute_options(scenario);
                    let layout = Layout {
                        tp,
                        pp,
                        dp,
                        cp,
                        ep,
                        etp: scenario.layout.etp.unwrap_or(1),
                        vpp,
                        micro_batch,
                        microbatches,
                        zero,
                        recompute: recompute[0],
                        recomputed_share: 1.0,
                        schedule,
                        sequence_parallel: sequence_parallel(scenario, tp),
                        attention: self.attention,
                        precision: scenario.workload.precision,
                        layers_per_stage: layers_per_stage.clone(),
                    };
                    self.candidates.push(Candidate { layout, recompute });
                }
            }
        }
        Ok(())
    }
}

fn attention_kernel(scenario: &TrainingScenario) -> Result<AttentionKernel, Infeasible> {
    let rates = &scenario.gpu.rates.attention;
    match scenario.layout.attention {
        Some(AttentionKernel::Unfused) => Ok(AttentionKernel::Unfused),
        Some(kernel) if rates.contains_key(&kernel) => Ok(kernel),
        Some(kernel) => {
            let others = if rates.is_empty() {
                "no other".to_owned()
            } else {
                rates.keys().join(", ")
            };
            Err(Infeasible::Unsupported(format!(
                "attention kernel `{kernel}` does not run on {}, which has unfused and {others}",
                scenario.gpu.name
            )))
        }
        None => {
            let known = |kernel: &&AttentionKernel| rates.contains_key(kernel);
            let best = scenario.stack.attention.iter().find(known);
            Ok(best.copied().unwrap_or(AttentionKernel::Unfused))
        }
    }
}

/// Divisors of `n`, ascending.
fn divisors(n: u32) -> impl Iterator<Item = u32> {
    (1..=n).filter(move |divisor| n.is_multiple_of(*divisor))
}

fn powers_of_two(most: u32) -> impl Iterator<Item = u32> {
    (0..32)
        .map(|exponent| 1_u32 << exponent)
        .take_while(move |power| *power <= most)
}

fn tensor_options(scenario: &TrainingScenario) -> Vec<u32> {
    if let Some(tp) = scenario.layout.tp {
        return vec![tp];
    }
    let Some(network) = scenario.model.transformer() else {
        return vec![1];
    };
    let most = MOST_TENSOR
        .min(scenario.cluster.domain_gpus)
        .min(scenario.gpus);
    powers_of_two(most)
        .filter(|tp| network.cut_heads(*tp).is_none())
        .collect()
}

fn context_options(scenario: &TrainingScenario) -> Vec<u32> {
    if let Some(cp) = scenario.layout.cp {
        return vec![cp];
    }
    let seq_len = scenario.workload.seq_len;
    let network = scenario.model.transformer();
    let splits = network.is_some_and(Transformer::splits_sequence);
    if !splits || seq_len <= SHORT_SEQUENCE {
        return vec![1];
    }
    powers_of_two((seq_len / 4096).min(32)).collect()
}

fn stage_options(scenario: &TrainingScenario, inner: u32) -> Vec<u32> {
    if let Some(pp) = scenario.layout.pp {
        return vec![pp];
    }
    let Some(network) = scenario.model.transformer() else {
        return vec![1];
    };
    if inner == 0 || !scenario.gpus.is_multiple_of(inner) {
        return vec![1];
    }
    let most = MOST_STAGES.min(network.layers);
    divisors(scenario.gpus / inner)
        .take_while(|pp| *pp <= most)
        .collect()
}

/// Data-parallel replicas that are left beside the groups of the dense layers.
fn replicas(scenario: &TrainingScenario, tp: u32, cp: u32, pp: u32) -> Result<u32, Infeasible> {
    let gpus = scenario.gpus;
    let inner = u64::from(tp) * u64::from(pp) * u64::from(cp);
    let words = || format!("tp {tp} × pp {pp} × cp {cp} = {inner}");
    if !u64::from(gpus).is_multiple_of(inner) {
        return Err(Infeasible::Indivisible {
            what: format!("{gpus} GPUs"),
            by: words(),
        });
    }
    let dp = (u64::from(gpus) / inner) as u32;
    if let Some(requested) = scenario.layout.dp.filter(|requested| *requested != dp) {
        return Err(Infeasible::Limit(format!(
            "dp {requested} needs {requested} × {} GPUs, the job has {gpus}, which is dp {dp}",
            words()
        )));
    }
    let Some(network) = scenario.model.transformer() else {
        return Ok(dp);
    };
    if let Some(what) = network.cut_heads(tp) {
        return Err(Infeasible::Indivisible {
            what,
            by: format!("tp {tp}"),
        });
    }
    let seq_len = scenario.workload.seq_len;
    if cp > 1 && !seq_len.is_multiple_of(2 * cp) {
        return Err(Infeasible::Indivisible {
            what: format!("sequence of {seq_len} tokens"),
            by: format!("2 × cp {cp}"),
        });
    }
    Ok(dp)
}

fn expert_options(scenario: &TrainingScenario, stage_gpus: u32) -> Result<Vec<u32>, Infeasible> {
    let etp = scenario.layout.etp.unwrap_or(1);
    let Some(moe) = scenario.model.transformer().and_then(|network| network.moe) else {
        return Ok(vec![1]);
    };
    let fits = |ep: u32| {
        moe.experts.is_multiple_of(ep) && stage_gpus.is_multiple_of(ep.saturating_mul(etp))
    };
    match scenario.layout.ep {
        None => Ok(divisors(moe.experts)
            .filter(|ep| *ep <= 128 && fits(*ep))
            .collect()),
        Some(ep) if fits(ep) => Ok(vec![ep]),
        Some(ep) if !moe.experts.is_multiple_of(ep) => Err(Infeasible::Indivisible {
            what: format!("{} experts", moe.experts),
            by: format!("ep {ep}"),
        }),
        Some(ep) => Err(Infeasible::Indivisible {
            what: format!("{stage_gpus} GPUs of a stage"),
            by: format!("ep {ep} × etp {etp}"),
        }),
    }
}

fn micro_batch_options(
    scenario: &TrainingScenario,
    replica_batch: u32,
    cp: u32,
) -> Result<Vec<u32>, Infeasible> {
    if let Some(micro_batch) = scenario.layout.micro_batch {
        if micro_batch > replica_batch {
            return Err(Infeasible::Limit(format!(
                "micro batch {micro_batch} is more than the {replica_batch} samples that a replica has per step"
            )));
        }
        return Ok(vec![micro_batch]);
    }
    let most = match scenario.model.family {
        Family::Cnn => MOST_IMAGES,
        Family::Decoder
        | Family::Encoder
        | Family::Moe
        | Family::Hybrid
        | Family::Vit
        | Family::EncoderDecoder
        | Family::Dit => {
            (MOST_TOKENS * u64::from(cp) / u64::from(scenario.workload.seq_len)).max(1)
        }
    };
    let mut options: Vec<u32> = powers_of_two(replica_batch)
        .filter(|size| u64::from(*size) <= most && replica_batch.is_multiple_of(*size))
        .collect();
    if u64::from(replica_batch) <= most && !options.contains(&replica_batch) {
        options.push(replica_batch);
    }
    options.reverse();
    Ok(options)
}

/// Chunks per stage with the layers of each virtual stage.
fn virtual_stage_options(
    scenario: &TrainingScenario,
    pp: u32,
    microbatches: u32,
) -> Result<Vec<(u32, Vec<u32>)>, Infeasible> {
    let Some(network) = scenario.model.transformer() else {
        return Ok(vec![(1, Vec::new())]);
    };
    let layers = network.layers;
    let wants_chunks = scenario.layout.schedule == Some(PipelineSchedule::Interleaved);
    let options: Vec<u32> = match (scenario.layout.vpp, scenario.layout.schedule) {
        (Some(vpp), _) => vec![vpp],
        (
            None,
            Some(PipelineSchedule::GPipe | PipelineSchedule::OneFOneB | PipelineSchedule::ZbH1),
        ) => vec![1],
        (None, Some(PipelineSchedule::Interleaved) | None) if pp == 1 => vec![1],
        (None, Some(PipelineSchedule::Interleaved) | None) => {
            let whole_groups = microbatches.is_multiple_of(pp);
            divisors(layers.div_ceil(pp))
                .filter(|vpp| *vpp == 1 && !wants_chunks || *vpp > 1 && *vpp <= 12 && whole_groups)
                .filter(|vpp| *vpp == 1 || comes_out_even(layers, pp * vpp))
                .collect()
        }
    };
    let mut lists = Vec::with_capacity(options.len());
    for vpp in options {
        lists.push((vpp, stage_layers(scenario, layers, pp, vpp)?));
    }
    if lists.is_empty() {
        return Err(Infeasible::Indivisible {
            what: format!("{microbatches} microbatches or {layers} layers"),
            by: format!("the {pp} stages of an interleaved schedule"),
        });
    }
    Ok(lists)
}

fn comes_out_even(layers: u32, stages: u32) -> bool {
    stages <= layers
        && [layers, layers + 1, layers + 2]
            .iter()
            .any(|count| count.is_multiple_of(stages))
}

fn stage_layers(
    scenario: &TrainingScenario,
    layers: u32,
    pp: u32,
    vpp: u32,
) -> Result<Vec<u32>, Infeasible> {
    if let Some(list) = &scenario.layout.layers_per_stage {
        request::check_split(list, pp, vpp)?;
        return Ok(list.clone());
    }
    let stages = u64::from(pp) * u64::from(vpp);
    // Embedding and loss may each stand for a layer, which leaves a virtual stage without any.
    if stages > u64::from(layers) + 2 {
        return Err(Infeasible::Limit(format!(
            "pp {pp} × vpp {vpp} needs {stages} layers, the model has {layers}"
        )));
    }
    Ok(stage_layers::spread(layers, stages as u32))
}

fn pipeline_schedule(
    scenario: &TrainingScenario,
    pp: u32,
    vpp: u32,
) -> Result<PipelineSchedule, Infeasible> {
    if vpp > 1 && pp == 1 {
        return Err(Infeasible::Unsupported(format!(
            "vpp {vpp} needs a pipeline, the layout has pp 1"
        )));
    }
    match scenario.layout.schedule {
        None if vpp > 1 => Ok(PipelineSchedule::Interleaved),
        None => Ok(PipelineSchedule::OneFOneB),
        Some(schedule) if vpp > 1 && schedule != PipelineSchedule::Interleaved => {
            Err(Infeasible::Unsupported(format!(
                "vpp {vpp} needs the interleaved schedule, `{schedule}` has one chunk per stage"
            )))
        }
        Some(schedule) => Ok(schedule),
    }
}

fn zero_options(scenario: &TrainingScenario, replicas: u32, pp: u32) -> &'static [ZeroStage] {
    match scenario.layout.zero {
        Some(stage) => {
            let place = usize::from(stage.number());
            &ZeroStage::ALL[place..=place]
        }
        None if replicas == 1 || asks_all_reduce(scenario) => &[ZeroStage::Z0],
        None => match scenario.stack.sharding {
            Sharding::Replicated => &[ZeroStage::Z0],
            Sharding::Full => &[ZeroStage::Z3],
            Sharding::Any if pp == 1 => &[ZeroStage::Z1, ZeroStage::Z3],
            Sharding::Optimizer | Sharding::Any => &[ZeroStage::Z1],
        },
    }
}

/// Whether a custom schedule all-reduces the gradients, which only unsharded optimizers need.
fn asks_all_reduce(scenario: &TrainingScenario) -> bool {
    let asked = scenario.communication.collective.as_ref();
    asked
        .and_then(Algorithm::custom)
        .is_some_and(|own| own.schedule.op() == Some(CollectiveOp::AllReduce))
}

fn recompute_options(scenario: &TrainingScenario) -> &'static [Recompute] {
    match scenario.layout.recompute.or(scenario.stack.recompute) {
        Some(Recompute::None) => &[Recompute::None],
        Some(Recompute::Selective) => match scenario.stack.selective {
            SelectiveRecompute::AttentionCore | SelectiveRecompute::Operations => {
                &[Recompute::Selective]
            }
            SelectiveRecompute::Layers => &[Recompute::None, Recompute::Full],
        },
        Some(Recompute::Full) => &[Recompute::Full],
        None if scenario.model.family == Family::Cnn => &[Recompute::None],
        None => &[Recompute::None, Recompute::Selective, Recompute::Full],
    }
}

fn sequence_parallel(scenario: &TrainingScenario, tp: u32) -> bool {
    tp > 1
        && scenario
            .layout
            .sequence_parallel
            .unwrap_or(scenario.stack.sequence_parallel)
}

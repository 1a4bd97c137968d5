//! Layouts that a scenario allows: for each axis the value that was asked for, or all that the model, the job and
//! the stack's framework have.

mod pipelines;
mod zero;

use itertools::{Itertools, iproduct};

use crate::divisors::divisors;
use crate::hardware::AttentionKernel;
use crate::model::{CpExchange, Transformer};
use crate::simulation::training::schedule::Placement;
use crate::simulation::training::shards::Shards;
use crate::simulation::training::token_dispatch::{dispatcher, overlaps};
use crate::simulation::training::{limits, request, stage_layers};
use crate::simulation::{Infeasible, Layout, TrainingScenario, Unstated};
use crate::stack::{ModelGroup, PipelineSchedule, Recompute, SelectiveRecompute};

/// Groups of ranks of a layout, ordered as ties are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Groups {
    pub(super) tp: u32,
    pub(super) pp: u32,
    pub(super) cp: u32,
    pub(super) ep: u32,
    pub(super) etp: u32,
    pub(super) dp: u32,
    pub(super) sequence_parallel: bool,
    pub(super) cp_exchange: CpExchange,
}

/// Schedule of a pipeline, with its chunks per stage and the layers of each virtual stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    pub(super) schedule: PipelineSchedule,
    pub(super) vpp: u32,
    pub(super) layers_per_stage: Vec<u32>,
}

impl Default for Pipeline {
    /// All layers on one stage.
    fn default() -> Self {
        Self {
            schedule: PipelineSchedule::OneFOneB,
            vpp: 1,
            layers_per_stage: Vec::new(),
        }
    }
}

/// Options of a scenario's axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    scenario: &'a TrainingScenario,
    attention: AttentionKernel,
}

/// First reason for which an option does not hold.
#[derive(Debug, Default)]
pub(super) struct FirstFault(Option<Infeasible>);

impl FirstFault {
    /// Keeps the fault of a result, if it is the first.
    pub(super) fn keep<T>(&mut self, result: Result<T, Infeasible>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.0.get_or_insert(fault);
                None
            }
        }
    }

    /// The first fault, if there was any.
    pub(super) fn take(self) -> Option<Infeasible> {
        self.0
    }
}

impl<'a> Options<'a> {
    /// Options of a scenario.
    ///
    /// # Errors
    /// If the GPU has no such attention kernel, or the bytes of activations cannot be counted.
    pub(super) fn of(scenario: &'a TrainingScenario) -> Result<Self, Infeasible> {
        let attention = attention_kernel(scenario)?;
        limits::check_activations(scenario, attention)?;
        Ok(Self {
            scenario,
            attention,
        })
    }

    /// Groups that divide the job, in the order in which ties are broken.
    ///
    /// # Errors
    /// If none does: the first reason met.
    pub(super) fn groups(&self) -> Result<Vec<Groups>, Infeasible> {
        let mut faults = FirstFault::default();
        let mut found = Vec::new();
        for tp in self.tensor() {
            for cp in self.context(tp) {
                for pp in self.stages(u64::from(tp) * u64::from(cp)) {
                    let Some(dp) = faults.keep(self.replicas(tp, cp, pp)) else {
                        continue;
                    };
                    let stage_gpus = tp * cp * dp / self.halves(pp);
                    let (Some(experts), Some(exchanges)) = (
                        faults.keep(self.experts(stage_gpus, pp.into())),
                        faults.keep(self.cp_exchanges(tp, cp)),
                    ) else {
                        continue;
                    };
                    let sequence_parallel = self.sequence_parallel(tp).iter().copied();
                    found.extend(iproduct!(experts, sequence_parallel, exchanges).map(
                        |((ep, etp), sequence_parallel, cp_exchange)| Groups {
                            tp,
                            pp,
                            cp,
                            ep,
                            etp,
                            dp,
                            sequence_parallel,
                            cp_exchange,
                        },
                    ));
                }
            }
        }
        found.sort_unstable();
        match (found.is_empty(), faults.take()) {
            (false, _) => Ok(found),
            (true, Some(fault)) => Err(fault),
            (true, None) => Err(Infeasible::Limit(format!(
                "no layout divides {} GPUs",
                self.scenario.gpus
            ))),
        }
    }

    /// The first layout of all, with the policy that recomputes least.
    ///
    /// # Errors
    /// If none divides.
    pub(super) fn first(&self) -> Result<Layout, Infeasible> {
        let groups = self.groups()?[0];
        let (micro_batch, _) = self.micro_batches(&groups)?;
        let pipeline = self.pipelines(groups.pp)?.swap_remove(0);
        let mut layout = self.layout(&groups, micro_batch, &pipeline, self.shards(&groups)?[0]);
        layout.recompute = self.recompute()[0];
        Ok(layout)
    }

    /// Whether a model may be shared by groups of more than one rank on this axis.
    fn offers(&self, group: ModelGroup) -> bool {
        self.scenario.stack.offers.has(group)
    }

    fn tensor(&self) -> Vec<u32> {
        let scenario = self.scenario;
        match (scenario.layout.tp, scenario.model.transformer()) {
            (Some(tp), _) => vec![tp],
            (None, Some(network)) if self.offers(ModelGroup::Tensor) => divisors(network.heads)
                .into_iter()
                .filter(|tp| scenario.gpus.is_multiple_of(*tp) && network.cut_heads(*tp).is_none())
                .collect(),
            (None, _) => vec![1],
        }
    }

    fn context(&self, tp: u32) -> Vec<u32> {
        let scenario = self.scenario;
        if let Some(cp) = scenario.layout.cp {
            return vec![cp];
        }
        let usual = scenario.layout.unstated == Unstated::Usual;
        let network = scenario.model.transformer();
        let splits = network.is_some_and(Transformer::splits_sequence);
        if usual
            || !splits
            || !self.offers(ModelGroup::Context)
            || !scenario.gpus.is_multiple_of(tp)
        {
            return vec![1];
        }
        let halves = u64::from(scenario.workload.seq_len);
        divisors(scenario.gpus / tp)
            .into_iter()
            .filter(|cp| *cp == 1 || halves.is_multiple_of(2 * u64::from(*cp)))
            .collect()
    }

    fn stages(&self, inner: u64) -> Vec<u32> {
        let scenario = self.scenario;
        match (scenario.layout.pp, scenario.model.transformer()) {
            (Some(pp), _) => vec![pp],
            (None, Some(network))
                if self.offers(ModelGroup::Pipeline)
                    && u64::from(scenario.gpus).is_multiple_of(inner) =>
            {
                // Embedding and loss may each stand for a layer.
                let most = network.depth().saturating_add(2);
                let all = divisors((u64::from(scenario.gpus) / inner) as u32);
                all.into_iter().take_while(|pp| *pp <= most).collect()
            }
            (None, _) => vec![1],
        }
    }

    /// Exchanges among so many context-parallel ranks: the one that was asked for, else those that the stack's framework
    /// offers and that divide the heads.
    ///
    /// # Errors
    /// If the one that was asked for, or the stack's own, does not divide the heads.
    fn cp_exchanges(&self, tp: u32, cp: u32) -> Result<Vec<CpExchange>, Infeasible> {
        let (layout, stack) = (&self.scenario.layout, &self.scenario.stack);
        if cp == 1 {
            return Ok(vec![stack.cp_exchange]);
        }
        let of = |exchange| self.check_heads(exchange, tp, cp).map(|()| exchange);
        match (layout.cp_exchange, layout.unstated) {
            (Some(asked), _) => Ok(vec![of(asked)?]),
            (None, Unstated::Usual) => Ok(vec![of(stack.cp_exchange)?]),
            (None, Unstated::Fastest) => {
                let mut faults = FirstFault::default();
                let offered = stack.offers.cp_exchange.iter().copied();
                let found = offered.filter_map(|it| faults.keep(of(it))).collect_vec();
                match faults.take() {
                    Some(fault) if found.is_empty() => Err(fault),
                    Some(_) | None => Ok(found),
                }
            }
        }
    }

    /// Whether these groups exchange keys and values as the stack does unless told.
    pub(super) fn is_usual_exchange(&self, groups: &Groups) -> bool {
        groups.cp_exchange == self.scenario.stack.cp_exchange
    }

    /// Checks that Ulysses divides the heads, and those of keys and values, that a tensor-parallel rank has.
    fn check_heads(&self, exchange: CpExchange, tp: u32, cp: u32) -> Result<(), Infeasible> {
        let network = self.scenario.model.transformer();
        let (CpExchange::Ulysses, Some(network)) = (exchange, network) else {
            return Ok(());
        };
        let key_heads = if network.mla.is_some() {
            network.heads
        } else {
            network.kv_heads
        };
        for (heads, what) in [
            (network.heads, "attention heads"),
            (key_heads, "heads of keys and values"),
        ] {
            let held = heads.div_ceil(tp);
            if !held.is_multiple_of(cp) {
                return Err(Infeasible::Indivisible {
                    what: format!("{held} {what} of a tensor-parallel rank"),
                    by: format!("cp {cp}, as cp_exchange ulysses needs"),
                });
            }
        }
        Ok(())
    }

    /// Data-parallel replicas that are left beside the groups of the dense layers.
    fn replicas(&self, tp: u32, cp: u32, pp: u32) -> Result<u32, Infeasible> {
        let scenario = self.scenario;
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
        if let Some(network) = scenario.model.transformer() {
            if let Some(what) = network.cut_heads(tp) {
                return Err(Infeasible::Indivisible {
                    what,
                    by: format!("tp {tp}"),
                });
            }
            let seq_len = scenario.workload.seq_len;
            if cp > 1 && !u64::from(seq_len).is_multiple_of(2 * u64::from(cp)) {
                return Err(Infeasible::Indivisible {
                    what: format!("sequence of {seq_len} tokens"),
                    by: format!("2 × cp {cp}"),
                });
            }
            check_state_heads(network, tp, cp)?;
        }
        let halves = self.halves(pp);
        if !dp.is_multiple_of(halves) {
            return Err(Infeasible::Indivisible {
                what: format!("{gpus} GPUs"),
                by: format!("2 × {}", words()),
            });
        }
        if !scenario.has_stages_by_type() {
            let of_replica = inner * u64::from(halves);
            scenario.check_pools(of_replica, || format!("a replica of {}", words()))?;
        }
        let batch = scenario.workload.global_batch;
        if !self.deals() && !batch.is_multiple_of(dp) || batch < dp {
            return Err(Infeasible::Indivisible {
                what: format!("global batch {batch}"),
                by: match halves {
                    1 => format!("dp {dp}"),
                    _ => format!("dp {}, half of it from either end", dp / halves),
                },
            });
        }
        Ok(dp)
    }

    /// Whether replicas of several types are dealt what they have time for.
    fn deals(&self) -> bool {
        !self.scenario.pools.is_empty() && !self.scenario.has_stages_by_type()
    }

    /// Pipelines of so many stages that a pipeline of DualPipe is cut into.
    fn halves(&self, pp: u32) -> u32 {
        match self.scenario.layout.schedule {
            Some(PipelineSchedule::DualPipe) if pp > 1 => 2,
            Some(_) | None => 1,
        }
    }

    /// Expert-parallel ranks, and tensor-parallel ranks inside experts, on the GPUs of one of so many stages.
    fn experts(&self, stage_gpus: u32, stages: u64) -> Result<Vec<(u32, u32)>, Infeasible> {
        let scenario = self.scenario;
        let Some(moe) = scenario.model.transformer().and_then(|network| network.moe) else {
            return Ok(vec![(1, 1)]);
        };
        let every = |asked: Option<u32>, group, width: u32| match asked {
            Some(ranks) => vec![ranks],
            None if self.offers(group) => divisors(width),
            None => vec![1],
        };
        let asked_etp = match scenario.layout.unstated {
            Unstated::Fastest => scenario.layout.etp,
            Unstated::Usual => scenario.layout.etp.or(Some(1)),
        };
        let mut faults = FirstFault::default();
        let mut found = Vec::new();
        for ep in every(scenario.layout.ep, ModelGroup::Expert, moe.experts) {
            for &etp in &every(asked_etp, ModelGroup::ExpertTensor, moe.expert_ffn_hidden) {
                let checked = check_width(("experts", moe.experts), ("ep", ep))
                    .and_then(|()| {
                        check_width(
                            ("columns of an expert", moe.expert_ffn_hidden),
                            ("etp", etp),
                        )
                    })
                    .and_then(|()| {
                        if u64::from(stage_gpus).is_multiple_of(u64::from(ep) * u64::from(etp)) {
                            return Ok(());
                        }
                        Err(Infeasible::Indivisible {
                            what: format!("{stage_gpus} GPUs of a stage"),
                            by: format!("ep {ep} × etp {etp}"),
                        })
                    })
                    .and_then(|()| {
                        if scenario.has_stages_by_type() {
                            return Ok(());
                        }
                        let ranks = u64::from(ep) * u64::from(etp) * stages;
                        scenario.check_pools(ranks, || format!("pp {stages} × ep {ep} × etp {etp}"))
                    })
                    .and_then(|()| dispatcher(scenario, (ep, etp)));
                if faults.keep(checked).is_some() {
                    found.push((ep, etp));
                }
            }
        }
        match faults.take() {
            Some(fault) if found.is_empty() => Err(fault),
            Some(_) | None => Ok(found),
        }
    }

    fn sequence_parallel(&self, tp: u32) -> &'static [bool] {
        let (layout, stack) = (&self.scenario.layout, &self.scenario.stack);
        let asked = match layout.unstated {
            Unstated::Fastest => layout.sequence_parallel,
            Unstated::Usual => layout.sequence_parallel.or(Some(stack.sequence_parallel)),
        };
        match asked {
            _ if tp == 1 => &[false],
            Some(true) => &[true],
            Some(false) if request::needs_sequence_parallel(self.scenario) => &[],
            None if request::needs_sequence_parallel(self.scenario) => &[true],
            None if stack.offers.sequence_parallel => &[false, true],
            Some(false) | None => &[false],
        }
    }

    /// Smallest and largest microbatch of these groups.
    ///
    /// # Errors
    /// If the microbatch that was asked for is larger than a replica's batch, or does not divide it where the stack's
    /// framework needs whole ones.
    pub(super) fn micro_batches(&self, groups: &Groups) -> Result<(u32, u32), Infeasible> {
        let replica_batch = self.scenario.workload.global_batch / groups.dp;
        match self.scenario.layout.micro_batch {
            Some(micro_batch) if micro_batch > replica_batch => Err(Infeasible::Limit(format!(
                "micro batch {micro_batch} is more than the {replica_batch} samples that a replica has per step"
            ))),
            Some(micro_batch) => {
                let whole = self
                    .microbatches_within(groups, (micro_batch, micro_batch))
                    .next();
                let (dp, batch) = (groups.dp, self.scenario.workload.global_batch);
                let together = u64::from(dp) * u64::from(micro_batch);
                whole
                    .map(|it| (it, it))
                    .ok_or_else(|| Infeasible::Indivisible {
                        what: format!("global batch {batch}"),
                        by: if self.deals() {
                            format!("micro batch {micro_batch}")
                        } else {
                            format!("dp {dp} × micro batch {micro_batch} = {together}")
                        },
                    })
            }
            None => Ok((1, replica_batch)),
        }
    }

    /// Microbatches of a range that the stack's framework cuts the batch of a replica of these groups into.
    pub(super) fn microbatches_within(
        &self,
        groups: &Groups,
        (least, most): (u32, u32),
    ) -> impl Iterator<Item = u32> + use<> {
        let replica_batch = self.scenario.workload.global_batch / groups.dp;
        let partial = self.scenario.stack.offers.partial_microbatch;
        // Whole microbatches of the batch are dealt to replicas of several types.
        let whole = if self.deals() {
            self.scenario.workload.global_batch
        } else {
            replica_batch
        };
        (least..=most).filter(move |micro_batch| partial || whole.is_multiple_of(*micro_batch))
    }

    /// Recomputation policies, cheapest in time first. Where there are several, full recomputation covers as few layers
    /// as make the layout fit.
    pub(super) fn recompute(&self) -> Vec<Recompute> {
        let (layout, stack) = (&self.scenario.layout, &self.scenario.stack);
        if let Some(named) = request::named_recomputation(self.scenario) {
            return vec![named];
        }
        let asked = match layout.unstated {
            Unstated::Fastest => layout.recompute,
            Unstated::Usual => layout.recompute.or(stack.recompute),
        };
        let of_layers = match stack.selective {
            SelectiveRecompute::AttentionCore | SelectiveRecompute::Operations => false,
            SelectiveRecompute::Layers => true,
        };
        match asked {
            Some(Recompute::Selective) if of_layers => vec![Recompute::None, Recompute::Full],
            Some(policy) => vec![policy],
            None => Recompute::ALL
                .iter()
                .copied()
                .filter(|policy| stack.offers.recompute.contains(policy))
                .filter(|policy| *policy != Recompute::Selective || !of_layers)
                .collect(),
        }
    }

    /// A layout of these options that recomputes in full where it recomputes so.
    pub(super) fn layout(
        &self,
        groups: &Groups,
        micro_batch: u32,
        pipeline: &Pipeline,
        shards: Shards,
    ) -> Layout {
        let Groups {
            tp,
            pp,
            cp,
            ep,
            etp,
            dp,
            sequence_parallel,
            cp_exchange,
        } = *groups;
        let scenario = self.scenario;
        let expert_dispatch = dispatcher(scenario, (ep, etp)).ok().flatten();
        Layout {
            tp,
            pp,
            dp,
            cp,
            cp_exchange,
            ep,
            etp,
            vpp: pipeline.vpp,
            micro_batch,
            microbatches: (scenario.workload.global_batch / dp).div_ceil(micro_batch),
            zero: shards.zero,
            zero_group: shards.group,
            recompute: Recompute::None,
            recomputed_share: match scenario.layout.recompute_layers {
                Some(layers) => {
                    let placement = Placement::new(pipeline.schedule, pp);
                    stage_layers::share_of(layers, &pipeline.layers_per_stage, placement)
                }
                None => scenario.layout.recomputed_share.unwrap_or(1.0),
            },
            schedule: pipeline.schedule,
            sequence_parallel,
            attention: self.attention,
            precision: scenario.workload.precision,
            layers_per_stage: pipeline.layers_per_stage.clone(),
            expert_dispatch,
            overlap_ep: expert_dispatch.is_some() && overlaps(scenario, (pp, pipeline.schedule)),
        }
    }
}

/// Checks that context parallelism divides the heads with a state of a tensor-parallel rank, and their groups, or is divided by
/// the groups.
fn check_state_heads(network: &Transformer, tp: u32, cp: u32) -> Result<(), Infeasible> {
    let Some(state) = network.state.filter(|_| cp > 1) else {
        return Ok(());
    };
    let (heads, groups) = (
        state.state_heads.div_ceil(tp),
        state.state_groups.div_ceil(tp),
    );
    let undivided = if !heads.is_multiple_of(cp) {
        format!("{heads} heads with a state of a tensor-parallel rank")
    } else if !groups.is_multiple_of(cp) && !cp.is_multiple_of(groups) {
        format!("{groups} groups of heads with a state of a tensor-parallel rank")
    } else {
        return Ok(());
    };
    Err(Infeasible::Indivisible {
        what: undivided,
        by: format!("cp {cp}"),
    })
}

/// Checks that a group divides a width of the model.
fn check_width((what, width): (&str, u32), (axis, ranks): (&str, u32)) -> Result<(), Infeasible> {
    if width.is_multiple_of(ranks) {
        return Ok(());
    }
    Err(Infeasible::Indivisible {
        what: format!("{width} {what}"),
        by: format!("{axis} {ranks}"),
    })
}

/// The attention kernel of a job: as asked, else the first of the stack's that its GPU has.
///
/// # Errors
/// If the GPU has no such kernel, or the model attends to keys that it chooses and only unfused attention is left.
pub(super) fn attention_kernel(scenario: &TrainingScenario) -> Result<AttentionKernel, Infeasible> {
    let kernel = stated_or_best(scenario)?;
    let latent = scenario.model.transformer().and_then(|it| it.mla);
    if kernel == AttentionKernel::Unfused && latent.is_some_and(|mla| mla.index_heads > 0) {
        return Err(Infeasible::Unsupported(format!(
            "model {} attends to keys that its indexer chooses, for which {} with stack `{}` has unfused attention alone; take another GPU or stack",
            scenario.model.name, scenario.gpu.name, scenario.stack.name
        )));
    }
    Ok(kernel)
}

/// The attention kernel as asked, else the first of the stack's that the GPU has, whatever the model attends to.
fn stated_or_best(scenario: &TrainingScenario) -> Result<AttentionKernel, Infeasible> {
    let rates = &scenario.gpu.rates.attention;
    let precision = scenario.workload.precision;
    match scenario.layout.attention {
        Some(AttentionKernel::Unfused) => Ok(AttentionKernel::Unfused),
        Some(kernel @ AttentionKernel::Fp8) if precision == precision.high() => {
            Err(Infeasible::Unsupported(format!(
                "attention kernel `{kernel}` runs inside an 8- or 4-bit recipe, and precision is {precision}"
            )))
        }
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

//! Parameters of one rank, replicated or sharded over data parallelism.

use std::ops::AddAssign;

use crate::collective::GroupPattern;
use crate::hardware::Precision;
use crate::model::ShardParameters;
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::{ShardedGradients, ZeroStage};

/// Bytes of a weight as it is kept from step to step.
pub(super) fn weight_bytes(scenario: &TrainingScenario, layout: &Layout) -> f64 {
    if scenario.stack.recipe.fp32_parameters || layout.precision.storage_bytes() == 4 {
        4.0
    } else {
        2.0
    }
}

/// Bytes of one parameter on its way to the ranks that gather it.
pub(super) fn gathered_bytes(scenario: &TrainingScenario, layout: &Layout) -> u64 {
    let low = layout.precision != layout.precision.high();
    if low && scenario.stack.recipe.fp8_parameters {
        1
    } else {
        layout.precision.storage_bytes()
    }
}

/// Whether a microbatch's 16-bit gradients are added to an fp32 buffer behind its backward pass, and those of a step are
/// all-reduced however the optimizer is sharded: DeepSpeed's bf16 optimizer under a pipeline (`update_hp_grads` in
/// deepspeed/runtime/bf16_optimizer.py, `_bf16_reduce_grads` in deepspeed/runtime/pipe/engine.py).
pub(super) fn adds_behind_pass(scenario: &TrainingScenario, layout: &Layout) -> bool {
    scenario.stack.recipe.late_accumulation && layout.precision.high() == Precision::Bf16
}

impl AddAssign for ShardParameters {
    fn add_assign(&mut self, other: Self) {
        self.dense += other.dense;
        self.expert += other.expert;
        self.partial += other.partial;
        self.frozen_dense += other.frozen_dense;
        self.frozen_expert += other.frozen_expert;
        self.forward_only += other.forward_only;
        self.tensors += other.tensors;
    }
}

/// Ranks over which dense and expert parameters are replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replicas {
    pub(super) dense: u32,
    pub(super) expert: u32,
}

impl Replicas {
    /// Replicas of a layout.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout) -> Self {
        let Layout {
            pp,
            cp,
            dp,
            ep,
            etp,
            ..
        } = *layout;
        Self::over(scenario, dp * cp, pp * etp * ep)
    }

    /// Replicas where `dense` ranks hold the same dense parameters, and so many divide the experts among them.
    pub(super) fn over(scenario: &TrainingScenario, dense: u32, ranks_of_experts: u32) -> Self {
        let network = scenario.model.transformer();
        let expert = match network.and_then(|network| network.moe) {
            Some(_) => scenario.gpus / ranks_of_experts,
            None => 1,
        };
        Self {
            dense,
            expert: expert.max(1),
        }
    }

    /// Replicas that share one set of shards, where there are so many sets.
    const fn sharing(self, sets: u32) -> Self {
        let expert = self.expert / sets;
        Self {
            dense: self.dense / sets,
            expert: if expert > 0 { expert } else { 1 },
        }
    }

    /// Whether anything is replicated.
    pub(super) const fn any(self) -> bool {
        self.dense > 1 || self.expert > 1
    }
}

/// Ranks that hold the same parameters before anything is sharded: those that share one set of shards, and those that
/// hold copies of the same shard (hybrid sharding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copies {
    pub(super) within: GroupPattern,
    pub(super) across: GroupPattern,
}

impl Copies {
    /// Copies of dense and of expert parameters. Those that share a set are neighbours.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout) -> [Self; 2] {
        let sets = layout.shard_sets();
        let replicas = Replicas::of(scenario, layout).sharing(sets);
        let of = |size: u32, stride: u32| Self {
            within: GroupPattern { size, stride },
            across: GroupPattern {
                size: sets,
                stride: stride * size,
            },
        };
        [
            of(replicas.dense, layout.tp),
            of(replicas.expert, layout.etp * layout.ep),
        ]
    }
}

/// Parameters of one rank, which ZeRO shards over the replicas that share a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharded {
    count: ShardParameters,
    replicas: Replicas,
    zero: u8,
    gradients: bool,
}

/// Whether the gradients of every microbatch are reduced, so that a rank keeps its part of them alone: always when
/// parameters are sharded, with ZeRO-2 where the framework does.
pub(super) fn shards_gradients(scenario: &TrainingScenario, layout: &Layout) -> bool {
    match layout.zero {
        ZeroStage::Z0 | ZeroStage::Z1 => false,
        ZeroStage::Z2 => scenario.stack.sharded_gradients == ShardedGradients::EachMicrobatch,
        ZeroStage::Z3 => true,
    }
}

/// Whether what a rank has of the experts is sharded over replicas.
pub(super) fn shards_experts(scenario: &TrainingScenario, layout: &Layout) -> bool {
    let whole = layout.ep > 1 && scenario.stack.recipe.whole_experts;
    !whole
        && Replicas::of(scenario, layout)
            .sharing(layout.shard_sets())
            .expert
            > 1
}

impl Sharded {
    /// `count` parameters under a layout.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout, count: ShardParameters) -> Self {
        let mut replicas = Replicas::of(scenario, layout).sharing(layout.shard_sets());
        if !shards_experts(scenario, layout) {
            replicas.expert = 1;
        }
        Self {
            count,
            replicas,
            zero: layout.zero.number(),
            gradients: shards_gradients(scenario, layout),
        }
    }

    /// Parameters of the rank before sharding.
    pub(super) fn all(self) -> f64 {
        self.count.dense as f64 + self.count.expert as f64
    }

    /// Those of them that are trained.
    pub(super) fn trained(self) -> Self {
        Self {
            count: self.count.trained(),
            ..self
        }
    }

    /// Those that are gathered for the passes where they are sharded: of experts that have no replica there are no parts.
    pub(super) fn gathered(self) -> f64 {
        let experts = self.count.expert as f64;
        let alone = self.replicas.expert == 1 && self.replicas.dense > 1;
        self.all() - if alone { experts } else { 0.0 }
    }

    /// The rank's part of them once they are sharded over all replicas.
    pub(super) fn part(self) -> f64 {
        self.count.dense as f64 / f64::from(self.replicas.dense)
            + self.count.expert as f64 / f64::from(self.replicas.expert)
    }

    /// Parameters whose gradients the rank holds.
    pub(super) fn gradients(self) -> f64 {
        if self.gradients {
            self.part()
        } else {
            self.all()
        }
    }

    /// Parameters whose state the rank holds, where that state is sharded from ZeRO stage `sharded_from` on.
    pub(super) fn held(self, sharded_from: u8) -> f64 {
        if self.zero >= sharded_from {
            self.part()
        } else {
            self.all()
        }
    }
}

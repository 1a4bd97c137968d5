//! Seconds that the passes of each virtual stage take at least, with the data-parallel communication beside them.

use crate::simulation::training::bounds::stage::slowed;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_cost::{Gathers, ReplicaCosts};
use crate::simulation::training::data_parallel_play::Replicates;
use crate::simulation::training::passes::{LayerCost, PassCost};
use crate::simulation::training::schedule::{Pass, Slot};
use crate::simulation::{Infeasible, StepPart};
use crate::stack::ZeroStage;

/// One kind of pass over some layers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Seconds of a full microbatch, and of the last one.
    pub(super) seconds: [f64; 2],
    kernels: [f64; 2],
    pub(super) issue: f64,
}

/// Layers that are gathered and reduced together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    work: [Work; 4],
    /// Seconds in which its parameters are gathered.
    pub(super) gathers: Gathers<f64>,
    pub(super) reduction: f64,
}

/// A virtual stage; others with the same layers share it.
#[derive(Clone, Debug)]
pub(super) struct StageClass {
    pub(super) whole: [Work; 4],
    /// Front to back.
    pub(super) buckets: Vec<Bucket>,
    /// Gathering and reducing all its parameters at once, where passes wait for that.
    pub(super) gather: f64,
    pub(super) reduction: f64,
}

/// Communication beside and around one kind of pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    pub(super) gathers: bool,
    pub(super) reduces: bool,
    pub(super) waits_for_gather: bool,
    pub(super) waits_for_reduction: bool,
}

impl Around {
    /// Whether anything goes on.
    pub(super) fn any(self) -> bool {
        self.gathers || self.reduces || self.waits_for_gather || self.waits_for_reduction
    }
}

/// Times of the virtual stages of a layout.
#[derive(Clone, Debug)]
pub(super) struct StageTimes {
    pub(super) classes: Vec<StageClass>,
    /// Class of each virtual stage.
    pub(super) class_of: Vec<u32>,
    /// By pass, and whether the microbatch is the first and the last.
    around: [[Around; 4]; 4],
    pub(super) sharded: bool,
    pub(super) send: f64,
    /// Time that kernels lose beside the communication of replicas, over its length.
    slowdown: f64,
    /// Kernel time of the slowest GPU over that of a mean one, for a full microbatch and for the last.
    factors: [f64; 2],
}

pub(super) const PASSES: [Pass; 4] = [
    Pass::Forward,
    Pass::Backward,
    Pass::BackwardInput,
    Pass::BackwardWeight,
];

/// Index of a pass in [`PASSES`].
pub(super) const fn index_of(pass: Pass) -> usize {
    match pass {
        Pass::Forward => 0,
        Pass::Backward => 1,
        Pass::BackwardInput => 2,
        Pass::BackwardWeight => 3,
    }
}

impl StageTimes {
    /// Times of a layout that is priced.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn of(
        costs: &StepCosts<'_>,
        replicas: &mut ReplicaCosts<'_>,
    ) -> Result<Self, Infeasible> {
        let factor = costs.slowest * costs.scenario.run.kernel_time();
        let factors = [factor, factor * costs.last_share()];
        let around = PASSES.map(|pass| around(costs, pass));
        let mut classes: Vec<StageClass> = Vec::new();
        let mut class_of: Vec<u32> = Vec::with_capacity(costs.stages.len());
        for stage in &costs.stages {
            if let Some(alike) = stage.like {
                class_of.push(class_of[alike]);
                continue;
            }
            class_of.push(classes.len() as u32);
            classes.push(class(costs, stage.index, factors, &around, replicas)?);
        }
        Ok(Self {
            classes,
            class_of,
            around,
            sharded: costs.layout.zero == ZeroStage::Z3,
            send: costs.send.time.as_secs_f64(),
            slowdown: costs.beside_replicas,
            factors,
        })
    }

    /// Communication around a pass of a microbatch that is the first, or the last.
    pub(super) fn around(&self, pass: Pass, first: bool, last: bool) -> Around {
        self.around[index_of(pass)][usize::from(first) + 2 * usize::from(last)]
    }

    /// Seconds of a bucket in a pass, the kernels slowed by what overlaps with them; `behind` says whether reductions
    /// of earlier buckets may be in flight.
    pub(super) fn bucket_seconds(
        &self,
        bucket: &Bucket,
        pass: Pass,
        last: bool,
        (around, behind): (Around, bool),
    ) -> f64 {
        let mut overlapped = if around.gathers {
            bucket.gathers.of(pass)
        } else {
            0.0
        };
        if around.reduces && (self.sharded || behind) {
            overlapped += bucket.reduction;
        }
        let work = &bucket.work[index_of(pass)];
        let last = usize::from(last);
        let slower = work.kernels[last].min(overlapped * self.factors[last]);
        work.seconds[last] + slower * self.slowdown
    }

    /// Host's seconds to issue a bucket of a pass.
    pub(super) fn bucket_issue(bucket: &Bucket, pass: Pass) -> f64 {
        bucket.work[index_of(pass)].issue
    }

    /// Seconds of a pass, with what it waits for where nothing overlaps.
    pub(super) fn seconds(&self, class: &StageClass, pass: Pass, first: bool, last: bool) -> f64 {
        let around = self.around(pass, first, last);
        let mut seconds = 0.0;
        if around.waits_for_gather {
            seconds += class.gather;
        }
        if around.waits_for_reduction {
            seconds += class.reduction;
        }
        if !around.gathers && !around.reduces {
            return seconds + class.whole[index_of(pass)].seconds[usize::from(last)];
        }
        for at in 0..class.buckets.len() {
            let bucket = &class.buckets[in_order(at, class.buckets.len(), pass)];
            seconds += self.bucket_seconds(bucket, pass, last, (around, at > 0));
        }
        seconds
    }
}

/// Bucket that a pass comes to at a place: backward passes begin with the last.
pub(super) const fn in_order(at: usize, buckets: usize, pass: Pass) -> usize {
    match pass {
        Pass::Forward => at,
        Pass::Backward | Pass::BackwardInput | Pass::BackwardWeight => buckets - 1 - at,
    }
}

fn around(costs: &StepCosts<'_>, pass: Pass) -> [Around; 4] {
    let last = costs.layout.microbatches - 1;
    // A microbatch between the first and the last; where there is none, nobody asks for it.
    let middle = if last > 1 { 1 } else { last / 2 };
    [middle, 0, last, 0].map(|microbatch| {
        let slot = Slot::of(pass, microbatch, 0);
        let Replicates { gathers, reduces } = costs.replicates(slot);
        Around {
            gathers,
            reduces,
            waits_for_gather: costs.waits_for_gather(slot),
            waits_for_reduction: costs.waits_for_reduction(slot),
        }
    })
}

fn class(
    costs: &StepCosts<'_>,
    index: usize,
    factors: [f64; 2],
    around: &[[Around; 4]; 4],
    replicas: &mut ReplicaCosts<'_>,
) -> Result<StageClass, Infeasible> {
    let stage = &costs.stages[index];
    let whole = works(&stage.total, factors);
    let any = |asked: fn(&Around) -> bool| around.iter().flatten().any(asked);
    let mut class = StageClass {
        whole,
        buckets: Vec::new(),
        gather: 0.0,
        reduction: 0.0,
    };
    let held = stage.parameters();
    if any(|around| around.waits_for_gather) {
        class.gather = replicas.parameters(held)?.time.as_secs_f64();
    }
    if any(|around| around.waits_for_reduction) {
        class.reduction = replicas.gradients(held)?.time.as_secs_f64();
    }
    let (gathers, reduces) = (any(|around| around.gathers), any(|around| around.reduces));
    if !gathers && !reduces {
        return Ok(class);
    }
    for layers in costs.buckets(stage) {
        let gathers = if gathers {
            let both = replicas.gathers(layers.parameters)?;
            both.map(|gather| gather.time.as_secs_f64())
        } else {
            Gathers::default()
        };
        let reduction = if reduces {
            replicas.gradients(layers.parameters)?.time.as_secs_f64()
        } else {
            0.0
        };
        class.buckets.push(Bucket {
            work: works(&layers, factors),
            gathers,
            reduction,
        });
    }
    Ok(class)
}

fn works(layers: &LayerCost, factors: [f64; 2]) -> [Work; 4] {
    let passes = [
        &layers.forward,
        &layers.backward,
        &layers.backward_input,
        &layers.backward_weight,
    ];
    passes.map(|pass| Work::of(pass, factors))
}

impl Work {
    fn of(pass: &PassCost, factors: [f64; 2]) -> Self {
        let kernels = pass.parts[StepPart::Compute] + pass.parts[StepPart::Recompute];
        Self {
            seconds: factors.map(|factor| slowed(&pass.parts, factor)),
            kernels: factors.map(|factor| kernels.as_secs_f64() * factor),
            issue: pass.issue.as_secs_f64(),
        }
    }
}

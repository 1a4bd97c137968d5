//! All passes of a pipeline in one order in which each comes behind those that it waits for.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Pass, PipelineSize, Placement, Slot, order};
use crate::halt;
use crate::stack::PipelineSchedule;

/// A pass of one microbatch through one virtual stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StagePass {
    /// The pass.
    pub(crate) pass: Pass,
    /// Virtual stage, front to back.
    pub(crate) virtual_stage: u32,
    /// Microbatch, 0-based.
    pub(crate) microbatch: u32,
    /// Whether it runs beside the next of its stage.
    pub(crate) beside_next: bool,
}

/// Passes of a pipeline: each stage's in its own order, and each behind the pass that feeds it. A schedule that
/// deadlocks ends where it does.
pub(crate) fn static_order(schedule: PipelineSchedule, pipeline: PipelineSize) -> Vec<StagePass> {
    let stages = pipeline.stages;
    let mut orders: Vec<Vec<Slot>> = Vec::with_capacity(stages as usize);
    for stage in 0..stages {
        let mut slots = Vec::new();
        order(schedule, pipeline, stage, &mut slots);
        orders.push(slots);
    }
    let placement = Placement::new(schedule, stages);
    let mut done = Done::of(pipeline);
    let mut passes = Vec::with_capacity(orders.iter().map(Vec::len).sum());
    let mut next = vec![0_usize; stages as usize];
    let mut moves = true;
    while moves {
        halt::check();
        moves = false;
        for (stage, slots) in (0..).zip(&orders) {
            let at = &mut next[stage as usize];
            let placed = |slot: &Slot| StagePass {
                pass: slot.pass,
                virtual_stage: placement.virtual_stage(stage, slot.chunk),
                microbatch: slot.microbatch,
                beside_next: slot.beside_next,
            };
            while let Some(slot) = slots.get(*at) {
                let pass = placed(slot);
                let beside = slot.beside_next.then(|| placed(&slots[*at + 1]));
                if !done.feeds(pass) || beside.is_some_and(|beside| !done.feeds(beside)) {
                    break;
                }
                for pass in [Some(pass), beside].into_iter().flatten() {
                    done.add(pass);
                    passes.push(pass);
                    *at += 1;
                }
                moves = true;
            }
        }
    }
    passes
}

/// Passes that are done, `[virtual stage × microbatch]`.
struct Done {
    forward: Vec<bool>,
    backward: Vec<bool>,
    last: u32,
    microbatches: u32,
}

impl Done {
    fn of(pipeline: PipelineSize) -> Self {
        let stages = pipeline.stages * pipeline.chunks;
        let count = (stages * pipeline.microbatches) as usize;
        Self {
            forward: vec![false; count],
            backward: vec![false; count],
            last: stages - 1,
            microbatches: pipeline.microbatches,
        }
    }

    fn at(&self, virtual_stage: u32, microbatch: u32) -> usize {
        (virtual_stage * self.microbatches + microbatch) as usize
    }

    /// Whether a pass has what it waits for from other virtual stages.
    fn feeds(&self, pass: StagePass) -> bool {
        let (virtual_stage, microbatch) = (pass.virtual_stage, pass.microbatch);
        match pass.pass {
            Pass::Forward => {
                virtual_stage == 0 || self.forward[self.at(virtual_stage - 1, microbatch)]
            }
            Pass::Backward | Pass::BackwardInput => {
                virtual_stage == self.last || self.backward[self.at(virtual_stage + 1, microbatch)]
            }
            Pass::BackwardWeight => true,
        }
    }

    fn add(&mut self, pass: StagePass) {
        let at = self.at(pass.virtual_stage, pass.microbatch);
        match pass.pass {
            Pass::Forward => self.forward[at] = true,
            Pass::Backward | Pass::BackwardInput => self.backward[at] = true,
            Pass::BackwardWeight => {}
        }
    }
}

/// Static orders that were made, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct StaticOrders {
    known: HashMap<(PipelineSchedule, PipelineSize), Arc<[StagePass]>>,
    passes: usize,
}

/// Passes that are kept: 12 MB. All are dropped when more come.
const MOST_PASSES: usize = 1 << 20;

impl StaticOrders {
    /// Passes of a pipeline in their static order.
    pub(crate) fn of(
        &mut self,
        schedule: PipelineSchedule,
        pipeline: PipelineSize,
    ) -> Arc<[StagePass]> {
        if let Some(known) = self.known.get(&(schedule, pipeline)) {
            return Arc::clone(known);
        }
        let passes: Arc<[StagePass]> = static_order(schedule, pipeline).into();
        if self.passes + passes.len() > MOST_PASSES {
            self.known.clear();
            self.passes = 0;
        }
        if passes.len() <= MOST_PASSES {
            self.passes += passes.len();
            self.known.insert((schedule, pipeline), Arc::clone(&passes));
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // p·v·m passes each way, and as many for weight gradients where they are apart. In the order each pass must find
    // the one that feeds it, and each stage's passes must come as its own order has them.
    #[test]
    fn every_pass_comes_behind_those_that_it_waits_for() {
        for &schedule in PipelineSchedule::ALL {
            let chunks = match schedule.chunks() {
                (fewest, u32::MAX) => fewest + 1,
                (fewest, _) => fewest,
            };
            for (stages, microbatches) in [(1, 1), (2, 5), (4, 3), (4, 8), (5, 11)] {
                if schedule.pairs_passes() && microbatches < 2 * stages {
                    continue;
                }
                let placement = Placement::new(schedule, stages);
                let pipeline = PipelineSize {
                    stages,
                    chunks,
                    microbatches,
                };
                let passes = static_order(schedule, pipeline);
                let place = |pass: &dyn Fn(Pass) -> bool, virtual_stage, microbatch| {
                    passes.iter().position(|it| {
                        pass(it.pass)
                            && (it.virtual_stage, it.microbatch) == (virtual_stage, microbatch)
                    })
                };
                let forward = |it| it == Pass::Forward;
                let backward = |it| matches!(it, Pass::Backward | Pass::BackwardInput);
                for microbatch in 0..microbatches {
                    for virtual_stage in 1..stages * chunks {
                        let (fed, feeds) = (virtual_stage, virtual_stage - 1);
                        assert!(
                            place(&forward, feeds, microbatch) < place(&forward, fed, microbatch)
                        );
                        assert!(
                            place(&backward, fed, microbatch) < place(&backward, feeds, microbatch)
                        );
                    }
                }
                for stage in 0..stages {
                    let mut slots = Vec::new();
                    order(schedule, pipeline, stage, &mut slots);
                    let own = passes
                        .iter()
                        .filter(|it| placement.stage(it.virtual_stage) == stage);
                    let own: Vec<Slot> = own
                        .map(|it| Slot {
                            pass: it.pass,
                            microbatch: it.microbatch,
                            chunk: it.virtual_stage / stages,
                            beside_next: it.beside_next,
                        })
                        .collect();
                    assert_eq!(own, slots, "{schedule} {pipeline:?} stage {stage}");
                }
            }
        }
    }
}

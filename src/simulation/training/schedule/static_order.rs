//! All passes of a pipeline in one order in which each comes behind those that it waits for.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Pass, PipelineSize, Slot, order};
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
}

/// Passes of a pipeline: each stage's in its own order, and each behind the pass that feeds it. A schedule that
/// deadlocks ends where it does.
pub(crate) fn static_order(schedule: PipelineSchedule, pipeline: PipelineSize) -> Vec<StagePass> {
    let PipelineSize {
        stages,
        chunks,
        microbatches,
    } = pipeline;
    let mut orders: Vec<Vec<Slot>> = Vec::with_capacity(stages as usize);
    for stage in 0..stages {
        let mut slots = Vec::new();
        order(schedule, pipeline, stage, &mut slots);
        orders.push(slots);
    }
    let last = stages * chunks - 1;
    let at =
        |virtual_stage: u32, microbatch: u32| (virtual_stage * microbatches + microbatch) as usize;
    let count = (stages * chunks * microbatches) as usize;
    let (mut forward, mut backward) = (vec![false; count], vec![false; count]);
    let mut passes = Vec::with_capacity(orders.iter().map(Vec::len).sum());
    let mut next = vec![0_usize; stages as usize];
    let mut moves = true;
    while moves {
        moves = false;
        for (stage, slots) in (0..).zip(&orders) {
            while let Some(&Slot {
                pass,
                microbatch,
                chunk,
            }) = slots.get(next[stage as usize])
            {
                let virtual_stage = chunk * stages + stage;
                let fed = match pass {
                    Pass::Forward => {
                        virtual_stage == 0 || forward[at(virtual_stage - 1, microbatch)]
                    }
                    Pass::Backward | Pass::BackwardInput => {
                        virtual_stage == last || backward[at(virtual_stage + 1, microbatch)]
                    }
                    Pass::BackwardWeight => true,
                };
                if !fed {
                    break;
                }
                match pass {
                    Pass::Forward => forward[at(virtual_stage, microbatch)] = true,
                    Pass::Backward | Pass::BackwardInput => {
                        backward[at(virtual_stage, microbatch)] = true;
                    }
                    Pass::BackwardWeight => {}
                }
                passes.push(StagePass {
                    pass,
                    virtual_stage,
                    microbatch,
                });
                next[stage as usize] += 1;
                moves = true;
            }
        }
    }
    passes
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
            let chunks = if schedule == PipelineSchedule::Interleaved {
                3
            } else {
                1
            };
            for (stages, microbatches) in [(1, 1), (2, 5), (4, 3), (4, 8), (5, 11)] {
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
                        .filter(|it| it.virtual_stage % stages == stage);
                    let own: Vec<Slot> = own
                        .map(|it| Slot {
                            pass: it.pass,
                            microbatch: it.microbatch,
                            chunk: it.virtual_stage / stages,
                        })
                        .collect();
                    assert_eq!(own, slots, "{schedule} {pipeline:?} stage {stage}");
                }
            }
        }
    }
}

//! A spec's plan as a study.

use crate::runner::play::Study;
use crate::simulation::{Outcome, Scenario, Scratch, simulate};
use crate::spec::{BottleneckThresholds, GridPoint, Plan, Spec};

/// The points of a spec, run through the simulator.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    plan: &'a Plan,
    thresholds: BottleneckThresholds,
}

impl<'a> Planned<'a> {
    /// The study of a spec.
    pub fn new(spec: &'a Spec) -> Self {
        Self {
            plan: spec.plan(),
            thresholds: spec.analysis.thresholds,
        }
    }
}

impl Study for Planned<'_> {
    type Scratch = Scratch;

    fn play(&self, point: &GridPoint, scratch: &mut Scratch) -> (Option<Scenario>, Outcome) {
        match self.plan.scenario(point) {
            Ok(scenario) => {
                let outcome = simulate(&scenario, scratch);
                (Some(scenario), outcome)
            }
            Err(why) => (None, Outcome::Infeasible(why)),
        }
    }

    fn thresholds(&self) -> BottleneckThresholds {
        self.thresholds
    }
}

//! A spec's plan as a study.

use std::sync::Arc;

use crate::record::{PhaseStep, phase_steps};
use crate::runner::play::Study;
use crate::simulation::{Outcome, Scenario, Scratch, simulate};
use crate::spec::{AnalysisSettings, GridPoint, Metric, Spec};

/// The points of a spec, run through the simulator.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    spec: &'a Spec,
    max_events: Option<u64>,
}

impl<'a> Planned<'a> {
    /// The study of a spec.
    pub const fn new(spec: &'a Spec) -> Self {
        Self {
            spec,
            max_events: None,
        }
    }

    /// The same with at most so many events a simulation.
    pub const fn with_max_events(self, max_events: Option<u64>) -> Self {
        Self { max_events, ..self }
    }
}

impl Planned<'_> {
    /// An outcome as the spec's measured runs correct it.
    fn corrected(&self, scenario: &Scenario, outcome: Outcome) -> Outcome {
        match (scenario, outcome) {
            (Scenario::Training(training), Outcome::Completed(step))
                if !self.spec.measured().is_empty() =>
            {
                let step = self.spec.measured().correct(training, *step);
                Outcome::Completed(Box::new(step))
            }
            (_, outcome) => outcome,
        }
    }
}

impl Study for Planned<'_> {
    type Scratch = Scratch;

    fn play(&self, point: &GridPoint, scratch: &mut Scratch) -> (Option<Scenario>, Outcome) {
        match self.spec.plan().scenario(point) {
            Ok(scenario) => {
                scratch.limit_events(self.max_events);
                let outcome = self.corrected(&scenario, simulate(&scenario, scratch));
                (Some(scenario), outcome)
            }
            Err(why) => (None, Outcome::Infeasible(why)),
        }
    }

    fn play_phases(&self, scenario: &Scenario, scratch: &mut Scratch) -> Vec<PhaseStep> {
        match scenario {
            Scenario::Training(main) => {
                scratch.limit_events(self.max_events);
                let phases = &self.spec.analysis.phases;
                phase_steps(main, phases, self.spec.measured(), scratch)
            }
            Scenario::Collective(_) => Vec::new(),
        }
    }

    fn analysis(&self) -> &AnalysisSettings {
        &self.spec.analysis
    }

    fn metrics(&self) -> &Arc<[Metric]> {
        &self.spec.metrics
    }
}

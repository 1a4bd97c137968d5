//! The timeline of one point.

use std::fmt::Display;

use crate::commands::failure::Failure;
use crate::commands::points::grid_point;
use crate::report::trace::chrome_json;
use crate::simulation::training::trace_training;
use crate::simulation::{Scenario, Scratch};
use crate::spec::Spec;

/// The timeline of one training step.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Trace that Chrome and Perfetto open: JSON in their trace event format.
    pub chrome_json: String,
    /// Slices of the timeline.
    pub slices: usize,
    /// Pipeline stages whose work it shows.
    pub stages: u32,
}

impl Timeline {
    /// The timeline of a point, by its number in the full grid.
    ///
    /// # Errors
    /// If the grid has no such point, it cannot run, or is a single communication.
    pub fn of(spec: &Spec, point: u64) -> Result<Self, Failure> {
        let cannot =
            |why: &dyn Display| Failure::usage(format!("point {point} has no timeline: {why}"));
        let place = grid_point(spec, point)?;
        let scenario = spec.plan().scenario(&place).map_err(|why| cannot(&why))?;
        let training = match scenario {
            Scenario::Training(training) => training,
            Scenario::Collective(_) => return Err(cannot(&"it is a single communication")),
        };
        let traced = trace_training(&training, &mut Scratch::default());
        let (_, trace) = traced.map_err(|why| cannot(&why))?;
        let name = format!("{} point {point}", spec.name);
        Ok(Self {
            chrome_json: chrome_json(&trace, &name),
            slices: trace.slices.len(),
            stages: trace.stages,
        })
    }
}

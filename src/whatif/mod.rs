//! Points simulated again: what the rows of a run do not say.
//!
//! A neighbour is the point's own spec with one axis changed, read and resolved like any spec, so
//! that what is `auto` is chosen anew and a faster NIC meets the layout that suits it. Everything
//! else begins with the point as it ran, its layout pinned, and only where this version gives the
//! time of the row again.
//!
//! | Question | Where |
//! |---|---|
//! | What would help here, and by how much? | [`neighbours()`], [`Baseline::ask_all`] |
//! | What does the fabric do while the layout stays? | `frozen` |
//! | Would it have broken without this part? | `cause` |
//! | What does the time hang on? | [`elasticities`] |
//! | All of that for a study | [`deepen()`] |

mod altered;
mod cause;
mod deepen;
mod frozen;
mod neighbours;
mod replay;
mod resource;
mod sensitivity;

pub use altered::{Answer, ask};
pub use deepen::{Questions, deepen};
pub use neighbours::{Change, neighbours};
pub use resource::with_more;
pub use sensitivity::elasticities;

use rayon::prelude::*;
use serde::Serialize;

use crate::spec::{GridPoint, Spec, SpecError};

/// What one change does to a point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// The change.
    pub change: Change,
    /// What came of it.
    pub answer: Answer,
    /// Change of the time per sample, new over old less one; below zero is faster. `None` where
    /// the neighbour does not run.
    pub time_per_sample: Option<f64>,
}

/// Seconds per sample of a point that ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// Step time over samples of the step.
    pub seconds_per_sample: f64,
}

impl Baseline {
    fn gain(self, change: Change, answer: Answer) -> Gain {
        let time_per_sample = match &answer {
            Answer::Ran {
                seconds_per_sample, ..
            } => Some(seconds_per_sample / self.seconds_per_sample - 1.0),
            Answer::CannotRun { .. } => None,
        };
        Gain {
            change,
            answer,
            time_per_sample,
        }
    }

    /// What one change would do.
    ///
    /// # Errors
    /// If the axis or the value does not exist.
    pub fn ask(self, spec: &Spec, point: &GridPoint, change: Change) -> Result<Gain, SpecError> {
        let answer = ask(spec, point, &change)?;
        Ok(self.gain(change, answer))
    }

    /// What each change would do, the most helpful first; changes that the spec refuses are left
    /// out, and so are those that change nothing.
    pub fn ask_all(self, spec: &Spec, point: &GridPoint, changes: Vec<Change>) -> Vec<Gain> {
        /// Less than this is the search choosing among equals.
        const NOTHING: f64 = 1e-6;
        let mut gains: Vec<Gain> = changes
            .into_par_iter()
            .filter_map(|change| self.ask(spec, point, change).ok())
            .filter(|gain| gain.time_per_sample.is_none_or(|t| t.abs() > NOTHING))
            .collect();
        gains.sort_by(|a, b| {
            let key = |gain: &Gain| gain.time_per_sample.unwrap_or(f64::INFINITY);
            key(a).total_cmp(&key(b))
        });
        gains
    }
}

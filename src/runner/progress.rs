//! Progress of a run, for whoever shows it.

use crate::record::Record;

/// Listens to a run. Called from every thread.
pub trait Progress: Sync {
    /// A point has its row.
    fn point_done(&self, record: &Record);

    /// The last point has its row, or the run was stopped.
    fn finished(&self);
}

/// Shows no progress.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn point_done(&self, _record: &Record) {}

    fn finished(&self) {}
}

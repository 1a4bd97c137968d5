//! Whether a run is to end early.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::runner::interrupt::Interrupt;

/// Raised when a run is to end early, by a signal or by a failure.
pub(super) struct StopFlag<'a> {
    interrupt: &'a Interrupt,
    failed: AtomicBool,
}

impl<'a> StopFlag<'a> {
    pub(super) const fn new(interrupt: &'a Interrupt) -> Self {
        Self {
            interrupt,
            failed: AtomicBool::new(false),
        }
    }

    pub(super) fn raise(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_raised(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.interrupt.is_raised()
    }
}

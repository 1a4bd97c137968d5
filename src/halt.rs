//! Work of one thread that another thread ends, at its next check.
//!
//! The simulator reads no clock and no signal: who runs it raises a [`Halt`], and loops that can be long look at it.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Flag that ends the work done under it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt(Arc<AtomicBool>);

/// Payload of the unwinding of work that was halted.
pub(crate) struct Halted;

thread_local! {
    /// The flag of the work that this thread does.
    static CURRENT: RefCell<Option<Halt>> = const { RefCell::new(None) };
}

/// Puts the outer flag back, whatever ends the work.
struct Outer(Option<Halt>);

impl Drop for Outer {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Halt {
    /// Ends the work under this flag at its next look.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets the next work go on.
    pub(crate) fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Does work under this flag on this thread.
    pub(crate) fn over<T>(&self, work: impl FnOnce() -> T) -> T {
        let _outer = Outer(CURRENT.replace(Some(self.clone())));
        work()
    }
}

/// Whether the work of this thread is to end.
pub(crate) fn is_raised() -> bool {
    CURRENT.with_borrow(|halt| {
        let flag = halt.as_ref();
        flag.is_some_and(|Halt(flag)| flag.load(Ordering::Relaxed))
    })
}

/// Ends the work of this thread where its flag is raised: it unwinds, past what catches panics, without a message.
pub(crate) fn check() {
    if is_raised() {
        resume_unwind(Box::new(Halted));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    // Without a flag nothing ends; under a raised one the first check does, and the outer flag counts again behind it.
    #[test]
    fn work_under_a_raised_flag_ends_at_its_first_check() {
        check();
        let (outer, inner) = (Halt::default(), Halt::default());
        inner.raise();
        let reached = outer.over(|| {
            let ended = catch_unwind(AssertUnwindSafe(|| inner.over(check)));
            assert!(ended.is_err_and(|payload| payload.is::<Halted>()));
            assert!(!is_raised());
            inner.lower();
            inner.over(|| {
                check();
                true
            })
        });
        assert!(reached && !is_raised());
    }
}

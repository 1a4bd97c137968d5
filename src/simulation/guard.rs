//! Panics of a simulation, turned into values: a fault of this program costs one point, never a run.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::halt::Halted;

thread_local! {
    /// Whether this thread is inside [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Why work gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crash {
    /// Panic with this message.
    #[error("{0}")]
    Panicked(String),
    /// Another thread ended it.
    #[error("it was halted")]
    Halted,
}

/// Result of `work`, or its panic. The memory that it works with is made anew after a panic.
///
/// # Errors
/// If `work` panics or is halted.
pub(crate) fn guarded<S: Default, T>(
    scratch: &mut S,
    work: impl FnOnce(&mut S) -> T,
) -> Result<T, Crash> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(|| work(scratch)));
    GUARDED.set(outer);
    result.map_err(|panic| {
        *scratch = S::default();
        if panic.is::<Halted>() {
            Crash::Halted
        } else {
            Crash::Panicked(panic_message(panic.as_ref()))
        }
    })
}

/// Whether a panic of this thread would become a [`Crash`], so that nobody need print it.
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| "a panic without a message".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value_and_leaves_fresh_memory() {
        let mut scratch = vec![1, 2, 3];
        let crash = guarded(&mut scratch, |scratch| {
            scratch.push(4);
            assert!(is_guarded());
            panic!("tile {} is missing", scratch.len());
        });
        let crash: Result<(), Crash> = crash;
        assert_eq!(crash, Err(Crash::Panicked("tile 4 is missing".to_owned())));
        assert!(scratch.is_empty() && !is_guarded());
        assert_eq!(guarded(&mut scratch, |_| 7), Ok(7));
    }
}

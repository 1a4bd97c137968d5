//! Threads on the command line.

use std::num::NonZeroUsize;

/// Most threads of a run: each beyond the cores of the machine takes memory and gains nothing.
const MOST: usize = 1_024;

/// A number of threads.
///
/// # Errors
/// If it is none, zero, or more than a run takes.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, NoThreads> {
    let threads: NonZeroUsize = text.parse().map_err(|_| NoThreads)?;
    if threads.get() <= MOST {
        Ok(threads)
    } else {
        Err(NoThreads)
    }
}

/// Text that is no number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 1 to {MOST}; left out, it is one per core")]
pub(super) struct NoThreads;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_as_many_as_a_machine_may_have() {
        assert_eq!(threads("1024").map(NonZeroUsize::get), Ok(1_024));
        for wrong in ["0", "1025", "5000", "-1", "", "two"] {
            assert_eq!(threads(wrong), Err(NoThreads), "{wrong}");
        }
    }
}

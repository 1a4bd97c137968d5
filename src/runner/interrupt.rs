//! Signals that end a run early.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A signal that ends a run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// `kill`, and schedulers at the end of a job's time.
    Terminate,
}

/// Lets a write beyond the process's limit on the size of a file fail, as on a full disk, in place of ending the process.
///
/// # Errors
/// If the system refuses the handler.
#[cfg(unix)]
pub(crate) fn outlive_file_limit() -> io::Result<()> {
    flag::register(signal_hook::consts::signal::SIGXFSZ, Arc::default()).map(|_| ())
}

/// Elsewhere no process has such a limit.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub(crate) fn outlive_file_limit() -> io::Result<()> {
    Ok(())
}

/// Raised by the first SIGINT or SIGTERM; the second one ends the process at once.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to the signals of the process.
    ///
    /// # Errors
    /// If the system refuses the handlers.
    pub(crate) fn listen() -> io::Result<Self> {
        let interrupt = Self::default();
        let flags = [
            (SIGINT, 130, &interrupt.interrupted),
            (SIGTERM, 143, &interrupt.terminated),
        ];
        for (signal, exit_code, own) in flags {
            // Handlers run in this order: the first signal finds both flags down and raises its own.
            for (_, _, any) in flags {
                flag::register_conditional_shutdown(signal, exit_code, Arc::clone(any))?;
            }
            flag::register(signal, Arc::clone(own))?;
        }
        Ok(interrupt)
    }

    /// Raises it as a signal would.
    #[cfg(test)]
    pub(crate) fn raise(&self, signal: Signal) {
        match signal {
            Signal::Interrupt => self.interrupted.store(true, Ordering::Relaxed),
            Signal::Terminate => self.terminated.store(true, Ordering::Relaxed),
        }
    }

    /// Ends the run as Ctrl-C would.
    pub fn stop(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Whether a signal came.
    pub(crate) fn is_raised(&self) -> bool {
        self.signal().is_some()
    }

    /// The signal that came.
    pub(crate) fn signal(&self) -> Option<Signal> {
        if self.interrupted.load(Ordering::Relaxed) {
            Some(Signal::Interrupt)
        } else if self.terminated.load(Ordering::Relaxed) {
            Some(Signal::Terminate)
        } else {
            None
        }
    }
}

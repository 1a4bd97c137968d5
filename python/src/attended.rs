//! Work on a thread of its own, while the calling thread looks at signals.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clustersweep::commands::Failure;
use pyo3::prelude::*;

use crate::errors::exception;

/// Time between two looks at signals.
const TICK: Duration = Duration::from_millis(100);

/// Looks for which an interrupted call waits for the points in flight: one and a half seconds. The thread ends by
/// itself after that.
const GRACE_TICKS: u32 = 15;

/// News from the thread that works.
enum News<M, T> {
    Message(M),
    Done(Result<T, Failure>),
}

/// Sends messages to the calling thread.
pub(crate) struct Post<M, T>(SyncSender<News<M, T>>);

impl<M, T> Post<M, T> {
    /// Sends a message and returns whether anybody wants more of them.
    pub(crate) fn send(&self, message: M) -> bool {
        self.0.send(News::Message(message)).is_ok()
    }
}

/// Work of the calling thread meanwhile.
pub(crate) trait Attendant<M> {
    /// Takes a message.
    fn take(&mut self, py: Python<'_>, message: M) -> PyResult<()>;

    /// Looks around, every tenth of a second and once more at the end.
    fn tick(&mut self, py: Python<'_>) -> PyResult<()>;

    /// Asks the work to end early.
    fn stop(&self);
}

/// Nothing to do and no way to stop: an interrupted call returns, and its thread ends by itself.
pub(crate) struct Idle;

impl Attendant<()> for Idle {
    fn take(&mut self, _: Python<'_>, (): ()) -> PyResult<()> {
        Ok(())
    }

    fn tick(&mut self, _: Python<'_>) -> PyResult<()> {
        Ok(())
    }

    fn stop(&self) {}
}

/// The result of work that sends no messages.
pub(crate) fn alone<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    attended(py, &mut Idle, move |_: &Post<(), T>| work())
}

/// The result of work on a thread of its own; a panic there is a failure.
///
/// A signal, or an exception of the attendant, asks the work to end and is raised as soon as it did, at the latest
/// after one and a half seconds.
pub(crate) fn attended<M: Send + 'static, T: Send + 'static>(
    py: Python<'_>,
    attendant: &mut dyn Attendant<M>,
    work: impl FnOnce(&Post<M, T>) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let (sender, news) = sync_channel(2);
    // Only this thread takes the lock; what is done without the GIL must be shareable.
    let news = Mutex::new(news);
    let next = |patience| {
        let news = news.lock().unwrap_or_else(PoisonError::into_inner);
        news.recv_timeout(patience)
    };
    let post = Post(sender);
    let thread = thread::Builder::new().name("clustersweep".to_owned());
    let started = thread.spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| work(&post)));
        let result = result.unwrap_or_else(|panic| Err(fault(panic.as_ref())));
        // A call that was interrupted has gone.
        let _ = post.0.send(News::Done(result));
    });
    started
        .map_err(|error| exception(py, &Failure::Io(format!("cannot start a thread: {error}"))))?;
    loop {
        let look = match py.detach(|| next(TICK)) {
            Ok(News::Done(result)) => {
                attendant.tick(py)?;
                return result.map_err(|failure| exception(py, &failure));
            }
            Ok(News::Message(message)) => attendant.take(py, message),
            Err(RecvTimeoutError::Timeout) => attendant.tick(py),
            Err(RecvTimeoutError::Disconnected) => {
                let gone = Failure::Fault("a thread of clustersweep ended without a result".into());
                return Err(exception(py, &gone));
            }
        };
        if let Err(error) = look.and_then(|()| py.check_signals()) {
            attendant.stop();
            py.detach(|| await_end(next));
            return Err(error);
        }
    }
}

/// Waits for the end of work that was asked to end.
fn await_end<M, T>(next: impl Fn(Duration) -> Result<News<M, T>, RecvTimeoutError>) {
    for _ in 0..GRACE_TICKS {
        match next(TICK) {
            Ok(News::Message(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(News::Done(_)) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The failure that a panic is.
fn fault(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a panic without a message".to_owned());
    Failure::Fault(format!(
        "this is a fault of clustersweep, please report it: {text}"
    ))
}

/// Panics, so that tests see what becomes of it.
#[pyfunction]
pub(crate) fn _panic(py: Python<'_>, message: String) -> PyResult<()> {
    alone(py, move || std::panic::panic_any(message))
}

//! The lock of a run folder: one process writes there, and a second one learns which.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::files::open_entry_to_write;
use crate::runner::clock;
use crate::runner::host::Host;

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pid: u32,
    host: String,
    since: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, host, since } = self;
        write!(formatter, "process {pid} on {host} since {since}")
    }
}

impl Holder {
    fn this() -> Self {
        Self {
            pid: std::process::id(),
            host: Host::this().name,
            since: clock::now_utc(),
        }
    }

    /// The holder that a lock file names; `None` where it names none.
    fn named_in(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.take(NOTE_MAX).read_to_string(&mut text).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        Some(Self {
            pid: u32::try_from(value["pid"].as_u64()?).ok()?,
            host: value["host"].as_str()?.to_owned(),
            since: value["since"].as_str()?.to_owned(),
        })
    }

    /// Whether it may still run: a process of another machine cannot be asked.
    fn may_live(&self) -> bool {
        let processes = Path::new("/proc");
        self.host != Host::this().name
            || !processes.join("self").exists()
            || processes.join(self.pid.to_string()).exists()
    }
}

/// Why a lock cannot be taken.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process holds it; `None` where it has not yet said which.
    Held(Option<Holder>),
    /// The file holds something else than the note of a holder.
    Foreign,
    /// The file system refused.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Longest note of a holder, in bytes.
const NOTE_MAX: u64 = 4_096;

/// Whether a file is empty, holds a note of a holder, or what a loss of power makes of one.
fn is_note(file: &File) -> io::Result<bool> {
    let mut bytes = Vec::new();
    file.take(NOTE_MAX + 1).read_to_end(&mut bytes)?;
    let is_short = bytes.len() as u64 <= NOTE_MAX;
    Ok(is_short && (bytes.starts_with(b"{\"pid\":") || bytes.iter().all(|byte| *byte == 0)))
}

/// A lock that this process holds. The system releases it whatever ends the process. The file stays: were it removed, a
/// process could lock the removed file while another one locks its successor.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Locks a file, which is created where it is missing, and notes the holder in it.
    ///
    /// On a file system without locks the note alone tells: it is stale where its process has ended on this machine.
    ///
    /// # Errors
    /// If another process holds it, or the file system refuses.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = open_entry_to_write(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held(Holder::named_in(&mut file)));
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                if let Some(holder) = Holder::named_in(&mut file).filter(Holder::may_live) {
                    return Err(LockError::Held(Some(holder)));
                }
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        file.rewind()?;
        if !is_note(&file)? {
            return Err(LockError::Foreign);
        }
        let Holder { pid, host, since } = Holder::this();
        file.set_len(0)?;
        file.rewind()?;
        let note = json!({"pid": pid, "host": host, "since": since});
        file.write_all(format!("{note}\n").as_bytes())?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A note that cannot be taken back does no harm: the lock is what counts.
        let _ = self.0.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    // 8 threads try 500 times each; every open file has its own lock, so that they stand for processes. Each holder
    // counts itself in and out: the count is never over 1.
    #[test]
    fn a_lock_never_has_two_holders() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (inside, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        match Lock::take(&path) {
                            Ok(lock) => {
                                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                                taken.fetch_add(1, Ordering::SeqCst);
                                inside.fetch_sub(1, Ordering::SeqCst);
                                drop(lock);
                            }
                            Err(LockError::Held(_)) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
        assert_eq!(
            fs::read(&path).unwrap(),
            b"",
            "a holder that ends is no longer named"
        );
    }

    #[test]
    fn a_refusal_names_the_holder_and_a_stale_note_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        // What a killed process leaves.
        fs::write(
            &path,
            r#"{"pid":1,"host":"gone","since":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        let lock = Lock::take(&path).unwrap();
        let Err(LockError::Held(Some(holder))) = Lock::take(&path) else {
            panic!("a second holder");
        };
        let this = format!("process {} on ", std::process::id());
        assert!(holder.to_string().starts_with(&this), "{holder}");
        assert!(holder.may_live());
        let other = Holder {
            pid: u32::MAX,
            ..holder
        };
        assert!(!other.may_live(), "no process has that number");
        drop(lock);
        Lock::take(&path).unwrap();
    }
}

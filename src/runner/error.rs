//! Why a run could not be carried out.

use std::path::PathBuf;

use crate::record::{MergeError, WriteError};
use crate::runner::finished::ResumeError;
use crate::runner::folder::FolderError;

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A result cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Parts cannot be joined.
    #[error(transparent)]
    Join(#[from] MergeError),
    /// The run in the folder cannot be resumed.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A part changed on the disk while the run was under way.
    #[error("`{}` is damaged: it has not the digest that its name states; --resume simulates its points again", path.display())]
    Damaged {
        /// The part.
        path: PathBuf,
    },
    /// A table that is to be extended is not what was written.
    #[error("`{}` is damaged: it has not the digest that manifest.json states; simulate its points again with --resume first", path.display())]
    DamagedTable {
        /// The table.
        path: PathBuf,
    },
    /// Parts with more or fewer rows than the plan has points.
    #[error("`{}` would have {found} rows where the plan has {expected} points; start over with --overwrite", path.display())]
    Rows {
        /// The table.
        path: PathBuf,
        /// Rows of the parts.
        found: u64,
        /// Points of the plan.
        expected: u64,
    },
    /// A panic beside the points: a fault of this program.
    #[error(
        "a fault of sweep ended the run while it {doing}: {message}; finished points are kept, --resume goes on from them"
    )]
    Panicked {
        /// Work of the thread that panicked, as a verb.
        doing: &'static str,
        /// Message of the panic.
        message: String,
    },
    /// The threads cannot be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// The requested number.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
}

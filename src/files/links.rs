//! Names that are links.

use std::io;
use std::path::Path;

/// What becomes of a name that is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Followed,
    Refused,
}

/// Whether an entry of a run folder is a link.
pub(crate) fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.is_symlink())
}

/// Error of a link where none is followed.
pub(super) fn refused() -> io::Error {
    io::Error::other("it is a symbolic link, which is not followed inside a run folder")
}

//! The same by the standard library alone, for systems that are no Unix: pipes and sockets have no names in folders there.
//! Between the look at a name and its opening a link could be put there; names are exchanged over a third one; free space is
//! not told.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::path::Path;

use super::links::{Links, is_link, refused};
use crate::units::Bytes;

/// Opens a file.
pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    match links {
        Links::Refused if is_link(path) => Err(refused()),
        Links::Refused | Links::Followed => options.open(path),
    }
}

/// Whether it is a socket.
pub(super) fn is_socket(_: FileType) -> bool {
    false
}

/// Whether it is a pipe with a name.
pub(super) fn is_pipe(_: FileType) -> bool {
    false
}

/// Gives two entries each other's name in one step: never.
pub(super) fn exchange_at_once(_: &Path, _: &Path) -> Option<io::Result<()>> {
    None
}

/// Bytes that are left on the file system of a path: not known.
pub(super) fn free_space(_: &Path) -> Option<Bytes> {
    None
}

/// Entries that can be added to the file system of a path: not known.
pub(super) fn free_entries(_: &Path) -> Option<u64> {
    None
}

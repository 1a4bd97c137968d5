//! What Unix does beyond the standard library: files opened without waiting and without following links, names exchanged in
//! one step, free space.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, statvfs};
use rustix::io::Errno;

use super::links::{Links, is_link, refused};
use crate::units::Bytes;

/// Opens a file without waiting for the other end of a pipe.
pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    let links = match links {
        Links::Followed => OFlags::empty(),
        Links::Refused => OFlags::NOFOLLOW,
    };
    let flags = (links | OFlags::NONBLOCK).bits().cast_signed();
    options.custom_flags(flags).open(path).map_err(|error| {
        if is_link(path) && Errno::from_io_error(&error) == Some(Errno::LOOP) {
            refused()
        } else {
            error
        }
    })
}

/// Whether it is a socket.
pub(super) fn is_socket(kind: FileType) -> bool {
    kind.is_socket()
}

/// Whether it is a pipe with a name.
pub(super) fn is_pipe(kind: FileType) -> bool {
    kind.is_fifo()
}

/// Gives two entries each other's name in one step; `None` where the file system cannot.
///
/// # Errors
/// If the file system refuses.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn exchange_at_once(one: &Path, other: &Path) -> Option<io::Result<()>> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    const CANNOT: [Errno; 4] = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP];
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(errno) if CANNOT.contains(&errno) => None,
        done => Some(done.map_err(io::Error::from)),
    }
}

/// Gives two entries each other's name in one step; `None` where the system cannot.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn exchange_at_once(_: &Path, _: &Path) -> Option<io::Result<()>> {
    None
}

/// Bytes that are left on the file system of a path; `None` where nothing is there.
pub(super) fn free_space(path: &Path) -> Option<Bytes> {
    let left = statvfs(path).ok()?;
    Some(Bytes::new(left.f_bavail.saturating_mul(left.f_frsize)))
}

/// Entries that can be added to the file system of a path; `None` where it does not count them.
pub(super) fn free_entries(path: &Path) -> Option<u64> {
    let left = statvfs(path).ok()?;
    (left.f_files > 0).then_some(left.f_favail)
}

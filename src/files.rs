//! Files that people name and entries of run folders, opened so that nothing hangs and nothing leads elsewhere.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::str::Utf8Error;
use std::thread;
use std::time::Duration;

mod links;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

use links::Links;
pub(crate) use links::is_link;
#[cfg(not(unix))]
use portable::{exchange_at_once, free_entries, free_space, is_pipe, is_socket, open};
#[cfg(unix)]
use unix::{exchange_at_once, free_entries, free_space, is_pipe, is_socket, open};

/// Time between two looks at a pipe.
const LOOKS_EVERY: Duration = Duration::from_millis(10);
/// Looks at a pipe to which nobody writes: one second.
const LOOKS_FOR_WRITER: u32 = 100;
/// Looks at a pipe whose writer is silent: five seconds.
const LOOKS_FOR_BYTES: u32 = 500;

/// Opens a regular file to be read, also behind links.
///
/// # Errors
/// If it cannot be opened, or is a folder, a pipe, a device or a socket.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    regular(open(path, OpenOptions::new().read(true), Links::Followed)?)
}

/// Opens an entry of a run folder to be read, without following a link.
///
/// # Errors
/// If it cannot be opened, or is a link or anything else than a regular file.
pub(crate) fn open_entry(path: &Path) -> io::Result<File> {
    regular(open(path, OpenOptions::new().read(true), Links::Refused)?)
}

/// Opens an entry of a run folder to be read and written, and creates it where it is missing, without following a link.
///
/// # Errors
/// As [`open_entry`].
pub(crate) fn open_entry_to_write(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    regular(open(path, &mut options, Links::Refused)?)
}

/// Text of an entry of a run folder.
///
/// # Errors
/// As [`open_entry`], or if it is not UTF-8.
pub(crate) fn read_entry(path: &Path) -> io::Result<String> {
    io::read_to_string(open_entry(path)?)
}

/// Whether an entry of a run folder is a regular file itself, not a link to one.
pub(crate) fn is_entry(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

/// Whether a table of a run folder is there: a regular file, or a folder of them.
pub(crate) fn is_table(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.is_file() || found.is_dir())
}

/// Reads a file that somebody named: a regular one, a device, or a pipe with a writer. At most one byte more than `most`.
///
/// # Errors
/// If it cannot be opened, is a folder or a socket, or a pipe through which nothing comes.
pub(crate) fn read_named(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if is_socket(path.metadata()?.file_type()) {
        return Err(io::Error::other(described("a socket")));
    }
    let file = open(path, OpenOptions::new().read(true), Links::Followed)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut file = file.take(most.saturating_add(1));
    if metadata.is_file() {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    read_through(file, is_pipe(metadata.file_type()))
}

/// Reads what comes through a pipe or out of a device that is not waited for.
fn read_through(mut file: impl Read, is_pipe: bool) -> io::Result<Vec<u8>> {
    let (mut bytes, mut looks, mut has_writer) = (Vec::new(), 0, false);
    loop {
        let before = bytes.len();
        match file.read_to_end(&mut bytes) {
            // A pipe that nobody has opened to write yet ends like one whose writer is gone.
            Ok(_) if is_pipe && bytes.is_empty() && !has_writer && looks < LOOKS_FOR_WRITER => {}
            Ok(_) if is_pipe && bytes.is_empty() => {
                return Err(io::Error::other("it is a pipe to which nobody writes"));
            }
            Ok(_) => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => has_writer = true,
            Err(error) => return Err(error),
        }
        looks = if bytes.len() > before { 0 } else { looks + 1 };
        if looks > LOOKS_FOR_BYTES {
            let seconds = (LOOKS_EVERY * LOOKS_FOR_BYTES).as_secs();
            return Err(io::Error::other(format!(
                "nothing came for {seconds} s; write it to a file first"
            )));
        }
        thread::sleep(LOOKS_EVERY);
    }
}

/// Refuses what is no regular file.
fn regular(file: File) -> io::Result<File> {
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        Err(ErrorKind::IsADirectory.into())
    } else if metadata.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other(described(special(&metadata))))
    }
}

fn special(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if is_pipe(kind) {
        "a pipe"
    } else if is_socket(kind) {
        "a socket"
    } else {
        "a device"
    }
}

fn described(what: &str) -> String {
    format!("it is {what}, not a regular file")
}

/// Place of the first byte of a text that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8 {
    /// The byte.
    byte: u8,
    /// Bytes before it.
    pub(crate) position: usize,
    line: usize,
    column: usize,
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            byte, line, column, ..
        } = self;
        write!(f, "not UTF-8: byte 0x{byte:02x} at {line}:{column}")
    }
}

impl NotUtf8 {
    fn of(bytes: &[u8], error: Utf8Error) -> Self {
        let position = error.valid_up_to();
        let before = str::from_utf8(&bytes[..position]).unwrap_or_default();
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self {
            byte: bytes[position],
            position,
            line: before.matches('\n').count() + 1,
            column: last.chars().count() + 1,
        }
    }
}

/// Bytes as a text.
///
/// # Errors
/// With the place of the first byte that is none of UTF-8, and the bytes.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String, (NotUtf8, Vec<u8>)> {
    String::from_utf8(bytes).map_err(|error| {
        let place = NotUtf8::of(error.as_bytes(), error.utf8_error());
        (place, error.into_bytes())
    })
}

/// Reads the text of a file that somebody named, of at most `most` bytes.
///
/// # Errors
/// In words: what [`read_named`] says, that it is too large, or where it is not UTF-8.
pub(crate) fn read_named_text(path: &Path, most: u64) -> io::Result<String> {
    let bytes = read_named(path, most)?;
    if bytes.len() as u64 > most {
        let most = most >> 20;
        return Err(io::Error::other(format!(
            "it is too large: such a file has at most {most} MiB"
        )));
    }
    utf8(bytes).map_err(|(place, _)| io::Error::other(format!("{place}; save the file as UTF-8")))
}

/// Gives two entries each other's name, in one step where the file system can, else over a third name.
///
/// # Errors
/// If the file system refuses.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    exchange_at_once(one, other).unwrap_or_else(|| exchange_over_third(one, other))
}

fn exchange_over_third(one: &Path, other: &Path) -> io::Result<()> {
    let mut aside = one.as_os_str().to_owned();
    aside.push(".old");
    fs::rename(other, &aside)?;
    fs::rename(one, other)?;
    fs::rename(&aside, one)
}

/// Space that is left on the file system of a path, in brackets behind the error's message; empty of other errors than those
/// of a full one.
pub(crate) fn space_left(error: &io::Error, path: &Path) -> String {
    let is_full = matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    );
    // A file that could not be created is no path: the folder that it would lie in is one.
    let here = |path: &'_ Path| match path.as_os_str() {
        empty if empty.is_empty() => PathBuf::from("."),
        _ => path.to_owned(),
    };
    let mut folders = path.ancestors().map(here);
    let left = folders.find_map(|folder| Some((free_space(&folder)?, free_entries(&folder))));
    let Some((free, entries)) = left.filter(|_| is_full) else {
        return String::new();
    };
    let besides = if entries == Some(0) {
        ", but no file can be added (inodes)"
    } else if error.kind() == ErrorKind::QuotaExceeded {
        ", beyond your quota"
    } else {
        ""
    };
    format!(" ({free} free there{besides})")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    // A pipe, a socket and a device are none; a link is one where it may be followed.
    #[test]
    fn entries_are_regular_files_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "x").unwrap();
        symlink(at("file"), at("link")).unwrap();
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_entry(&at("file")).unwrap(), "x");
        assert!(is_entry(&at("file")) && !is_entry(&at("link")));
        open_regular(&at("link")).unwrap();
        let told = |path: &Path| open_entry(path).unwrap_err().to_string();
        assert!(told(&at("link")).contains("symbolic link"));
        assert_eq!(told(&at("pipe")), "it is a pipe, not a regular file");
        assert_eq!(
            told(Path::new("/dev/zero")),
            "it is a device, not a regular file"
        );
        open_entry(&at("socket")).unwrap_err();
        open_entry_to_write(&at("link")).unwrap_err();
        assert_eq!(fs::read(at("file")).unwrap(), b"x");
    }

    // 6 bytes in two writes with a pause; a pipe without a writer ends within two seconds; of an endless device 4 + 1 bytes
    // are read.
    #[test]
    fn a_named_pipe_or_device_is_read_as_far_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let mut writer = Command::new("sh")
            .args(["-c", "exec >\"$0\"; printf abc; sleep 0.1; printf def"])
            .arg(&pipe)
            .spawn()
            .unwrap();
        assert_eq!(read_named(&pipe, 1_000).unwrap(), b"abcdef");
        writer.wait().unwrap();
        let told = read_named(&pipe, 1_000).unwrap_err().to_string();
        assert_eq!(told, "it is a pipe to which nobody writes");
        assert_eq!(read_named(Path::new("/dev/zero"), 4).unwrap(), [0; 5]);
        assert_eq!(read_named(Path::new("/dev/null"), 4).unwrap(), b"");
    }

    // Whatever the file system: the one has the bytes of the other, and nothing lies beside them.
    #[test]
    fn names_are_exchanged_over_a_third_where_they_cannot_be_at_once() {
        for exchange in [exchange, exchange_over_third] {
            let dir = tempfile::tempdir().unwrap();
            let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
            fs::write(&one, "1").unwrap();
            fs::write(&other, "2").unwrap();
            exchange(&one, &other).unwrap();
            assert_eq!(fs::read(&one).unwrap(), b"2");
            assert_eq!(fs::read(&other).unwrap(), b"1");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        }
    }

    // Line 2 is `é` (two bytes) and the wrong byte: its second character, the sixth byte of the text.
    #[test]
    fn what_is_not_utf8_has_a_place() {
        let (place, bytes) = utf8(b"ab\n\xc3\xa9\xff".to_vec()).unwrap_err();
        assert_eq!(place.to_string(), "not UTF-8: byte 0xff at 2:2");
        assert_eq!((place.position, bytes.len()), (5, 6));
    }

    #[test]
    fn space_is_told_of_the_nearest_folder_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("no/such/file");
        let full = io::Error::from(ErrorKind::StorageFull);
        let told = space_left(&full, &missing);
        assert!(told.starts_with(" ("), "{told}");
        assert!(told.contains("B free there"), "{told}");
        let other = io::Error::from(ErrorKind::PermissionDenied);
        assert_eq!(space_left(&other, &missing), "");
    }
}

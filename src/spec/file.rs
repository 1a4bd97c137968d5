//! Files of a spec as text.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::files::{self, NotUtf8};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::error::SpecError;
use crate::spec::source::{Place, SPEC_BYTES_MAX, Source};

/// Reads a file of at most `bytes_left` bytes.
pub(super) fn read(path: &Path, bytes_left: u64) -> Result<Source, SpecError> {
    let name = path.display().to_string();
    let unreadable = |reason| SpecError::Read {
        path: path.display().to_string(),
        reason,
    };
    let bytes = files::read_named(path, bytes_left).map_err(|reason| {
        unreadable(if reason.kind() == io::ErrorKind::IsADirectory {
            io::Error::other("it is a directory; name a .toml, .yaml or .json file")
        } else {
            reason
        })
    })?;
    if bytes.len() as u64 > bytes_left {
        return Err(SpecError::Faults(vec![Diagnostic::error_without_place(
            format!(
                "spec `{name}` is too large: all files of a spec together have at most {} MiB",
                SPEC_BYTES_MAX >> 20
            ),
        )]));
    }
    match files::utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err((place, bytes)) => Err(not_utf8(name, place, &bytes)),
    }
}

fn not_utf8(name: String, wrong: NotUtf8, bytes: &[u8]) -> SpecError {
    let text = String::from_utf8_lossy(&bytes[..wrong.position]).into_owned();
    let source = Arc::new(Source { name, text });
    let place = Place::new(&source, wrong.position..wrong.position);
    let fault = Diagnostic::error(&place, wrong.to_string());
    SpecError::Faults(vec![fault.hint("save the file as UTF-8")])
}

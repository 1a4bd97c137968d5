//! Files of a spec as text.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

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
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a directory; name a .toml, .yaml or .json file",
        )));
    }
    let mut bytes = Vec::new();
    file.take(bytes_left + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > bytes_left {
        return Err(SpecError::Faults(vec![Diagnostic::error_without_place(
            format!(
                "spec `{name}` is too large: all files of a spec together have at most {} MiB",
                SPEC_BYTES_MAX >> 20
            ),
        )]));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => Err(not_utf8(name, &error)),
    }
}

fn not_utf8(name: String, error: &std::string::FromUtf8Error) -> SpecError {
    let valid = error.utf8_error().valid_up_to();
    let byte = error.as_bytes()[valid];
    let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
    let source = Arc::new(Source { name, text });
    let fault = Diagnostic::error(
        &Place::new(&source, valid..valid),
        format!("not UTF-8: byte 0x{byte:02x} at position {valid}"),
    );
    SpecError::Faults(vec![fault.hint("save the file as UTF-8")])
}

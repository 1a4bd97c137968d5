//! The texts a spec is made of, and places in them.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::spec::diagnostic::Diagnostic;

/// Largest spec, all included files together: room for 50,000 explicit points, and at worst a few
/// hundred MB of memory while it is read.
pub const SPEC_BYTES_MAX: u64 = 4 << 20;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

impl Syntax {
    /// By the file's extension; TOML unless it says otherwise.
    pub fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|text| text.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// One text: a file, or an argument of the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it comes from, as the user named it: `sweeps/llm.toml`, `--set`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// Bytes of it.
    pub span: Range<usize>,
    /// Keys and list positions from the top, in YAML and JSON: `grid.nodes[2]`.
    pub path: Option<Arc<str>>,
}

impl Place {
    /// A part of a text.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let end = span.end.min(source.text.len());
        Self {
            source: Arc::clone(source),
            span: span.start.min(end)..end,
            path: None,
        }
    }

    /// Line and column of its beginning, both from 1, columns in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.source.text.floor_char_boundary(self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// The text at the place.
    pub fn text(&self) -> &str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }

    /// The part of a quoted value that `inner` (bytes of the value) covers; the whole value where
    /// escapes make the two differ.
    pub(super) fn within(&self, value: &str, inner: Range<usize>) -> Self {
        let Some(offset) = self.text().find(value) else {
            return self.clone();
        };
        let start = self.span.start + offset;
        Self {
            span: start + inner.start..start + inner.end,
            ..self.clone()
        }
    }
}

/// Why a spec could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A file could not be read.
    #[error("cannot read spec `{path}`: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        reason: io::Error,
    },
    /// The spec is wrong.
    #[error("{}", crate::spec::diagnostic::render_all(.0, false))]
    Faults(Vec<Diagnostic>),
}

impl SpecError {
    /// The message for a terminal, with colours if it has them.
    pub fn render(&self, styled: bool) -> String {
        match self {
            Self::Read { .. } => format!("error: {self}"),
            Self::Faults(faults) => crate::spec::diagnostic::render_all(faults, styled),
        }
    }
}

impl Source {
    /// Reads a file of at most `bytes_left` bytes.
    pub(super) fn read(path: &Path, bytes_left: u64) -> Result<Self, SpecError> {
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
            Ok(text) => Ok(Self { name, text }),
            Err(error) => Err(not_utf8(name, &error)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source {
            name: "a.toml".to_owned(),
            text: text.to_owned(),
        })
    }

    // Line 2 is `äb = 1`; `b` is its second character though its third byte.
    #[test]
    fn columns_are_counted_in_characters() {
        let text = source("x = 1\näb = 1\n");
        let at = text.text.find('b').expect("there is a b");
        assert_eq!(Place::new(&text, at..at + 1).line_column(), (2, 2));
    }

    // `'a b'`: byte 2 of the value is byte 3 of the quoted text, and the value starts at 4.
    #[test]
    fn a_place_inside_a_quoted_value_is_found() {
        let text = source("k = 'a b'");
        let place = Place::new(&text, 4..9).within("a b", 2..3);
        assert_eq!(place.text(), "b");
        // Written with an escape the value is not in the text: the whole of it is the place.
        let text = source(r#"k = "\u0061 b""#);
        let place = Place::new(&text, 4..14);
        assert_eq!(place.within("a b", 2..3), place);
    }

    #[test]
    fn the_extension_decides_on_the_syntax() {
        assert_eq!(Syntax::of(Path::new("a.YML")), Syntax::Yaml);
        assert_eq!(Syntax::of(Path::new("a.json")), Syntax::Json);
        assert_eq!(Syntax::of(Path::new("a")), Syntax::Toml);
    }
}

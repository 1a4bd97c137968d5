//! Texts of a spec, and places in them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::spec::key_path::KeyPath;

/// Largest spec, all included files together: room for 50,000 explicit points of ten keys, however long their names and values
/// are. With what its syntax may hold it takes at worst a few hundred MB of memory while it is read.
pub(crate) const SPEC_BYTES_MAX: u64 = 16 << 20;

/// Longest text of a place that is shown beside it, in bytes.
const TEXT_SHOWN_MAX: usize = 40;

/// Syntax of a text.
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
    /// Syntax by the extension of a file; TOML unless that is of YAML or JSON.
    pub(crate) fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|text| text.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// Text with its origin: a file, or an argument of the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Origin as the user named it: `sweeps/llm.toml`, `--set`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Keys and list positions from the top, in YAML and JSON: `grid.nodes[2]`.
    pub path: Option<KeyPath>,
}

impl Place {
    /// A part of a text.
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let end = span.end.min(source.text.len());
        Self {
            source: Arc::clone(source),
            span: span.start.min(end)..end,
            path: None,
        }
    }

    /// Line and column of the beginning, both from 1, columns in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.source.text.floor_char_boundary(self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// The place in a few words beside another one: where it is, and its text where that differs.
    pub(super) fn beside(&self, first: &Self) -> String {
        let at = if let Some(path) = &self.path {
            format!("`{path}`")
        } else {
            let (line, column) = self.line_column();
            format!("{line}:{column}")
        };
        let file = if self.source == first.source {
            String::new()
        } else {
            format!("{}:", self.source.name)
        };
        let text = self.text();
        if text == first.text() || text.len() > TEXT_SHOWN_MAX || text.contains('\n') {
            format!("{file}{at}")
        } else {
            format!("{file}{at} ({text})")
        }
    }

    /// The text at the place.
    pub(crate) fn text(&self) -> &str {
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

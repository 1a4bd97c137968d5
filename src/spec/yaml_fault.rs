//! Faults of a text that is not YAML or JSON, in the words of a spec.

use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Location};

use crate::spec::diagnostic::Diagnostic;
use crate::spec::source::{Place, Source, Syntax};

/// Most keys and values of a text of YAML or JSON, lists and tables among them: 50,000 points of ten keys.
pub(super) const NODES_MAX: usize = 1_100_000;

/// Way out of texts that nest too deep.
const FEW_LEVELS: &str = "a spec needs a handful of levels at most";

/// Way out of texts that repeat too much by reference.
const WRITTEN_OUT: &str = "write the values out, or as ranges";

/// The fault that the parser of YAML found, which reads JSON too.
pub(super) fn of_yaml(source: &Arc<Source>, syntax: Syntax, error: &Error) -> Diagnostic {
    let error = error.without_snippet();
    let at = error.location().map_or(0..0, |at| span(source, &at));
    let place = Place::new(source, at);
    let error = match error {
        Error::AliasError { error, .. } => error,
        error => error,
    };
    let (message, hint) = match error {
        Error::Budget { breach, .. } => over_limit(breach),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key
                .as_ref()
                .map_or_else(|| "a key".to_owned(), |key| format!("key `{key}`"));
            (format!("{key} is given twice"), "keep one of them")
        }
        Error::NonFiniteFloat { value, .. } => (
            format!("`{value}` is no number that a spec takes"),
            "the largest is 1.8e308",
        ),
        Error::MultipleDocuments { .. } => (
            "a spec is one document, and another begins here".to_owned(),
            "put each into a file of its own",
        ),
        Error::UnknownAnchor { .. } => (
            "no value before this has the name".to_owned(),
            "`&name` before a value names it, `*name` behind that repeats it",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("a value stands inside itself".to_owned(), WRITTEN_OUT)
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            ("aliases stand for too many values".to_owned(), WRITTEN_OUT)
        }
        other => return malformed(&place, syntax, other),
    };
    Diagnostic::error(&place, message).hint(hint)
}

/// The fault of a text that breaks the rules of its syntax.
fn malformed(place: &Place, syntax: Syntax, error: &Error) -> Diagnostic {
    let message = error.to_string();
    // The first line says what; the rest repeats the place.
    let message = message.lines().next().unwrap_or("malformed");
    let message = message.split(" at line ").next().unwrap_or(message);
    if message.contains("recursion limit") {
        return Diagnostic::error(place, TOO_DEEP).hint(FEW_LEVELS);
    }
    let message = message.replace("string scalar", "a key that is text");
    let name = if syntax == Syntax::Json {
        "JSON"
    } else {
        "YAML"
    };
    Diagnostic::error(place, format!("not {name}: {message}"))
}

const TOO_DEEP: &str = "lists and tables nest too deep";

/// The fault of a text that is over a limit, and the way out.
fn over_limit(breach: &BudgetBreach) -> (String, &'static str) {
    match breach {
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => (
            format!("too many keys and values: YAML and JSON may have at most {NODES_MAX}"),
            "shorten it with ranges, or write it as TOML",
        ),
        BudgetBreach::Depth { .. } => (TOO_DEEP.to_owned(), FEW_LEVELS),
        BudgetBreach::Documents { .. } => (
            "a spec is one document, and this file has several".to_owned(),
            "put each into a file of its own",
        ),
        // What is left counts anchors, aliases and what they stand for.
        _ => (
            "anchors and aliases stand for too many values".to_owned(),
            WRITTEN_OUT,
        ),
    }
}

/// Bytes of a location; of one that has none, the character at its line and column.
pub(super) fn span(source: &Source, at: &Location) -> Range<usize> {
    let span = at.span();
    if let Some(start) = span.byte_offset() {
        let start = start as usize;
        return start..start + span.byte_len().unwrap_or(0) as usize;
    }
    let line_start = line_start(&source.text, at.line() as usize);
    let rest = &source.text[line_start..];
    let mut letters = rest
        .char_indices()
        .skip((at.column() as usize).saturating_sub(1));
    let (offset, length) = letters.next().map_or((rest.len(), 0), |(offset, letter)| {
        (offset, letter.len_utf8())
    });
    line_start + offset..line_start + offset + length
}

/// Byte at which a line begins, counted from 1.
fn line_start(text: &str, line: usize) -> usize {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1));
    before.map(str::len).sum()
}

/// The fault that the strict reader of JSON found in a text of which the first bytes, a byte order mark, are left out.
pub(super) fn of_json(
    source: &Arc<Source>,
    left_out: usize,
    error: &serde_json::Error,
) -> Diagnostic {
    let text = source.text.as_str();
    let shift = if error.line() == 1 { left_out } else { 0 };
    let at = line_start(text, error.line()) + shift + error.column().saturating_sub(1);
    let at = text.floor_char_boundary(at);
    let letter = text[at..].chars().next();
    let place = Place::new(source, at..at + letter.map_or(0, char::len_utf8));
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    let (message, hint) = json_words(message, letter);
    let fault = Diagnostic::error(&place, message);
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// What the reader of JSON says, in the words of a spec, and the way out; `letter` is the one at which it stopped.
fn json_words(said: &str, letter: Option<char>) -> (String, Option<&'static str>) {
    let no_comma = "JSON has no comma before the end of a list or an object";
    let (message, hint) = match (said, letter) {
        ("recursion limit exceeded", _) => return (TOO_DEEP.to_owned(), Some(FEW_LEVELS)),
        ("expected value", Some('/' | '#')) => (
            "a comment",
            Some("JSON has none; name the file .yaml or .toml to write some"),
        ),
        ("expected value", Some(']' | '}')) => ("a value is missing", Some(no_comma)),
        ("expected value", Some('\'')) => ("a text begins with \"", None),
        ("expected value", _) => (
            "no value",
            Some(
                "a value is a number, a text in double quotes, true, false, null, a list or an object",
            ),
        ),
        ("key must be a string", Some('}')) => ("a key is missing", Some(no_comma)),
        ("key must be a string", _) => ("a key is a text in double quotes", None),
        ("expected ident", _) => ("no value; names are true, false and null", None),
        ("trailing comma", _) => ("a comma before the end", Some(no_comma)),
        ("trailing characters", _) => (
            "text behind the end",
            Some("a spec is one object; put others into files of their own"),
        ),
        ("invalid number", _) => ("no number", None),
        ("number out of range", _) => ("a number that is too large", None),
        ("invalid escape", _) => (
            "no such escape",
            Some(r#"there are \" \\ \/ \b \f \n \r \t and \u with four digits"#),
        ),
        (said, _) if said.starts_with("control character") => (
            "a control character inside a text",
            Some("write it as an escape: \\n, \\t, \\u001b"),
        ),
        (said, _) if said.starts_with("EOF") => (
            "the text ends too soon",
            Some("close what is open: quotes, brackets, braces"),
        ),
        (said, _) => (said, None),
    };
    (format!("not JSON: {message}"), hint)
}

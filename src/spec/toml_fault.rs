//! Faults of a text that is not TOML: one for each slip, not one for each thing that follows from it.

use std::ops::Range;
use std::sync::Arc;

use toml::de::Error;

use crate::spec::diagnostic::Diagnostic;
use crate::spec::source::{Place, Source};

/// Faults of a text that is not TOML, in its order.
///
/// A bracket that is never closed swallows the lines behind it, about which the parser then complains one
/// by one: only the bracket is named. Within a line the first fault counts.
pub(super) fn faults(source: &Arc<Source>, errors: &[Error]) -> Vec<Diagnostic> {
    let text = source.text.as_str();
    let end = text.len();
    let span = |error: &Error| error.span().unwrap_or(end..end);
    // What the parser says about brackets that it never looked into helps no one.
    if let Some(deep) = errors.iter().find(|it| it.message().contains("recurs")) {
        let message = "not TOML that a spec may hold: nested too deeply";
        let hint = "a spec needs a handful of levels at most";
        return vec![Diagnostic::error(&Place::new(source, span(deep)), message).hint(hint)];
    }
    let open = unclosed(text);
    let mut found: Vec<(Range<usize>, String)> = errors
        .iter()
        .map(|error| (span(error), error.message().replace('\n', "; ")))
        .filter(|(span, _)| open.is_none_or(|open| span.start < open))
        .chain(open.map(|open| {
            let bracket = &text[open..=open];
            (open..open + 1, format!("this `{bracket}` is never closed"))
        }))
        .collect();
    found.sort_by_key(|(span, _)| span.start);
    let line = |span: &Range<usize>| Place::new(source, span.clone()).line_column().0;
    found.dedup_by_key(|(span, _)| line(span));
    found
        .into_iter()
        .map(|(span, message)| {
            Diagnostic::error(&Place::new(source, span), format!("not TOML: {message}"))
        })
        .collect()
}

/// Place of the first bracket or brace of a value that another one closes, or none.
fn unclosed(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    let mut line_begins = true;
    while let Some(byte) = bytes.get(at) {
        let header = line_begins && open.is_empty() && *byte == b'[';
        line_begins = *byte == b'\n' || (line_begins && byte.is_ascii_whitespace());
        match byte {
            // The brackets of a table's header end with its line.
            b'#' => at = line_end(bytes, at),
            _ if header => at = line_end(bytes, at),
            b'"' | b'\'' => at = string_end(bytes, at),
            b'[' | b'{' => {
                open.push(at);
                at += 1;
            }
            b']' | b'}' => {
                if let Some(last) = open.pop()
                    && (bytes[last] == b'[') != (*byte == b']')
                {
                    return Some(last);
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    open.first().copied()
}

/// Place of the end of a line, the break itself not included.
fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes[from..].iter().position(|byte| *byte == b'\n');
    rest.map_or(bytes.len(), |length| from + length)
}

/// Place behind a string in either kind of quotes; a string of one line ends with the line at the latest.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let quote = bytes[from];
    let long = bytes[from..].starts_with(&[quote; 3]);
    let close: &[u8] = if long { &[quote; 3] } else { &[quote] };
    let mut at = from + close.len();
    while at < bytes.len() && (long || bytes[at] != b'\n') {
        if bytes[at..].starts_with(close) {
            return at + close.len();
        }
        // In double quotes a backslash takes the next character's meaning away.
        at += if quote == b'"' && bytes[at] == b'\\' {
            2
        } else {
            1
        };
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let source = Arc::new(Source {
            name: "a.toml".to_owned(),
            text: text.to_owned(),
        });
        let (_, errors) = toml::de::DeTable::parse_recoverable(text);
        let line = |fault: &Diagnostic| fault.place.as_ref().map_or(0, |it| it.line_column().0);
        let faults = faults(&source, &errors);
        faults
            .iter()
            .map(|fault| (line(fault), fault.message.clone()))
            .collect()
    }

    // One bracket is missing in each; all that the parser says besides is about lines that are right.
    #[test]
    fn a_missing_bracket_is_one_fault_at_the_one_that_it_would_close() {
        let rest = "nodes = [1, 2, 4]\nmodel = \"llama3-8b\" # ] }\n[[zip]]\ntp = [1]\n";
        for (slip, bracket) in [
            ("gpu = [\"a\", \"b\"", '['),
            ("gpu = [\"a]\", 'b\\'", '['),
            ("gpu = [[1, 2], [3, 4]", '['),
            ("nodes = { from = 1, to = 8, times = 2", '{'),
            ("link = [{ a = 1 }, { a = 2]", '{'),
        ] {
            let text = format!("name = \"x\"\n[grid]\n{slip}\n{rest}");
            let expected = format!("not TOML: this `{bracket}` is never closed");
            assert_eq!(found(&text), [(3, expected)], "{slip}");
        }
        assert_eq!(found(&format!("[grid\n{rest}")).len(), 1);
    }

    #[test]
    fn several_slips_on_one_line_are_one_fault_and_on_several_lines_several() {
        let text = "a = { x = 1 y = 2 z = 3 }\nb = [\"x\" \"y\" \"z\"]\nc: 1\nd = [1, 2]]\ne = 1\n";
        let lines: Vec<usize> = found(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
    }
}

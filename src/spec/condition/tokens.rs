//! Text of a `where` clause to its words, numbers, texts and symbols.

use std::ops::Range;

/// Fault of a clause that is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::spec) struct Malformed {
    /// Bytes of the clause.
    pub(in crate::spec) span: Range<usize>,
    pub(in crate::spec) message: String,
    pub(in crate::spec) hint: Option<String>,
}

/// A fault without a way out.
pub(super) fn malformed(span: Range<usize>, message: impl Into<String>) -> Malformed {
    Malformed {
        span,
        message: message.into(),
        hint: None,
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Number(f64),
    Text(String),
    Word,
    Symbol,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

/// Splits a clause.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Malformed> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let while_matches =
            |matches: fn(char) -> bool| rest.find(|c| !matches(c)).unwrap_or(rest.len());
        let (kind, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first.is_ascii_digit() || first == '.' {
            number(rest, at)?
        } else if first == '"' || first == '\'' {
            let Some(end) = rest[1..].find(first) else {
                return Err(malformed(at..text.len(), "the text is never closed"));
            };
            (TokenKind::Text(rest[1..=end].to_owned()), end + 2)
        } else if first.is_alphabetic() || first == '_' {
            let length = while_matches(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
            (TokenKind::Word, length)
        } else {
            let pairs = ["==", "!=", "<=", ">=", "&&", "||", "<>"];
            let length = if pairs.iter().any(|pair| rest.starts_with(pair)) {
                2
            } else {
                first.len_utf8()
            };
            (TokenKind::Symbol, length)
        };
        tokens.push(Token {
            kind,
            span: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

/// A number at the beginning of `rest`: `4`, `1_000`, `0.5`, `70e9`.
fn number(rest: &str, at: usize) -> Result<(TokenKind, usize), Malformed> {
    let mut previous = ' ';
    let length = rest
        .find(|c: char| {
            let sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
            previous = c;
            !(c.is_alphanumeric() || matches!(c, '.' | '_') || sign)
        })
        .unwrap_or(rest.len());
    let digits = rest[..length].replace('_', "");
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((TokenKind::Number(number), length)),
        _ => Err(malformed(
            at..at + length,
            format!("`{}` is not a number", &rest[..length]),
        )),
    }
}

//! Text of a `where` clause to a checked expression.

use std::ops::Range;

use crate::catalog::Kind as Shelf;
use crate::closed_set::nearest;
use crate::spec::axis::{Axis, Domain, StudyKind};
use crate::units::Bytes;

use super::{Expression, Field, Kind, Operand, Operator, Part};

/// Parentheses, `not` and minus signs inside each other.
const NESTING_MAX: usize = 64;

/// Operators of one expression: a chain of them is as deep as it is long.
const OPERATORS_MAX: usize = 1_000;

/// What a clause may name.
pub(in crate::spec) struct Known<'a> {
    /// Numbers that the things of a shelf have: `params`.
    pub(in crate::spec) fields: &'a dyn Fn(Shelf) -> Vec<&'static str>,
    /// Names that an axis may have.
    pub(in crate::spec) names: &'a dyn Fn(Domain) -> Vec<String>,
    /// Kind of study whose axes can be named.
    pub(in crate::spec) kind: StudyKind,
}

/// Why a clause is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::spec) struct Malformed {
    /// Bytes of the clause.
    pub(in crate::spec) span: Range<usize>,
    pub(in crate::spec) message: String,
    pub(in crate::spec) hint: Option<String>,
}

/// Parses and checks a clause.
pub(in crate::spec) fn parse(text: &str, known: &Known<'_>) -> Result<Expression, Malformed> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(malformed(0..text.len(), "the expression is empty"));
    }
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        operators: 0,
        known,
    };
    let part = parser.disjunction()?;
    if let Some(token) = parser.peek().cloned() {
        return Err(parser.unexpected(&token.span));
    }
    Ok(parser.truth(part)?.expression)
}

fn malformed(span: Range<usize>, message: impl Into<String>) -> Malformed {
    Malformed {
        span,
        message: message.into(),
        hint: None,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum TokenKind {
    Number(f64),
    Text(String),
    Word,
    Symbol,
}

#[derive(Clone, Debug)]
struct Token {
    kind: TokenKind,
    span: Range<usize>,
}

fn tokens(text: &str) -> Result<Vec<Token>, Malformed> {
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

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    operators: usize,
    known: &'a Known<'a>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token if it is this word or symbol.
    fn take(&mut self, wanted: &str) -> Option<Range<usize>> {
        let token = self.tokens.get(self.at)?;
        let matches = matches!(token.kind, TokenKind::Word | TokenKind::Symbol)
            && &self.text[token.span.clone()] == wanted;
        matches.then(|| {
            self.at += 1;
            token.span.clone()
        })
    }

    fn take_one_of(&mut self, operators: &[(&str, Operator)]) -> Option<(Operator, Range<usize>)> {
        operators
            .iter()
            .find_map(|(text, operator)| Some((*operator, self.take(text)?)))
    }

    fn unexpected(&self, span: &Range<usize>) -> Malformed {
        let text = &self.text[span.clone()];
        let hint = match text {
            "=" => Some("compare with `==`"),
            "<>" => Some("write `!=`"),
            "&&" => Some("write `and`"),
            "||" => Some("write `or`"),
            "!" => Some("write `not`"),
            _ => None,
        };
        Malformed {
            hint: hint.map(str::to_owned),
            ..malformed(span.clone(), format!("unexpected `{text}`"))
        }
    }

    fn nested<T>(
        &mut self,
        span: &Range<usize>,
        inner: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        if self.depth == NESTING_MAX {
            let message = format!("nested more than {NESTING_MAX} levels deep");
            return Err(malformed(span.clone(), message));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn disjunction(&mut self) -> Result<Part, Malformed> {
        self.chain(Self::conjunction, &[("or", Operator::Or)], Self::truth)
    }

    fn conjunction(&mut self) -> Result<Part, Malformed> {
        self.chain(Self::negation, &[("and", Operator::And)], Self::truth)
    }

    fn sum(&mut self) -> Result<Part, Malformed> {
        let signs = [("+", Operator::Add), ("-", Operator::Subtract)];
        self.chain(Self::product, &signs, Self::numeric)
    }

    fn product(&mut self) -> Result<Part, Malformed> {
        let signs = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("%", Operator::Remainder),
        ];
        self.chain(Self::unary, &signs, Self::numeric)
    }

    /// Parts joined by operators of one rank, from the left.
    fn chain(
        &mut self,
        next: fn(&mut Self) -> Result<Part, Malformed>,
        operators: &[(&str, Operator)],
        checked: fn(&Self, Part) -> Result<Part, Malformed>,
    ) -> Result<Part, Malformed> {
        let mut left = next(self)?;
        while let Some((operator, at)) = self.take_one_of(operators) {
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                let message = format!("the expression has more than {OPERATORS_MAX} operators");
                return Err(malformed(at, message));
            }
            let right = next(self)?;
            left = joined(operator, checked(self, left)?, checked(self, right)?);
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Part, Malformed> {
        let Some(not) = self.take("not") else {
            return self.comparison();
        };
        let inner = self.nested(&not, Self::negation)?;
        let inner = self.truth(inner)?;
        Ok(Part {
            span: not.start..inner.span.end,
            expression: Expression::Not(Box::new(inner.expression)),
            kind: Kind::Bool,
        })
    }

    fn comparison(&mut self) -> Result<Part, Malformed> {
        const SIGNS: &[(&str, Operator)] = &[
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let left = self.sum()?;
        let Some((operator, _)) = self.take_one_of(SIGNS) else {
            return Ok(left);
        };
        let right = self.sum()?;
        if let Some((_, again)) = self.take_one_of(SIGNS) {
            return Err(Malformed {
                hint: Some("join two comparisons with `and`".to_owned()),
                ..malformed(again, "comparisons cannot be chained")
            });
        }
        let (left, right) = self.comparable(operator, left, right)?;
        Ok(joined(operator, left, right))
    }

    fn unary(&mut self) -> Result<Part, Malformed> {
        let Some(minus) = self.take("-") else {
            return self.atom();
        };
        let inner = self.nested(&minus, Self::unary)?;
        let inner = self.numeric(inner)?;
        Ok(Part {
            span: minus.start..inner.span.end,
            expression: Expression::Negative(Box::new(inner.expression)),
            kind: Kind::Number,
        })
    }

    fn atom(&mut self) -> Result<Part, Malformed> {
        let end = self.text.len();
        let Some(token) = self.peek().cloned() else {
            return Err(malformed(end..end, "the expression ends too early"));
        };
        self.at += 1;
        let (expression, kind) = match token.kind {
            TokenKind::Number(number) => {
                (Expression::Literal(Operand::Number(number)), Kind::Number)
            }
            TokenKind::Text(text) => (
                Expression::Literal(Operand::Text(text.into())),
                Kind::Literal,
            ),
            TokenKind::Word => self.word(&token.span)?,
            TokenKind::Symbol if &self.text[token.span.clone()] == "(" => {
                let inner = self.nested(&token.span, Self::disjunction)?;
                let Some(close) = self.take(")") else {
                    return Err(match self.peek() {
                        Some(other) => self.unexpected(&other.span.clone()),
                        None => malformed(token.span, "`(` is never closed"),
                    });
                };
                return Ok(Part {
                    span: token.span.start..close.end,
                    ..inner
                });
            }
            TokenKind::Symbol => return Err(self.unexpected(&token.span)),
        };
        Ok(Part {
            expression,
            kind,
            span: token.span,
        })
    }

    fn word(&self, span: &Range<usize>) -> Result<(Expression, Kind), Malformed> {
        let word = &self.text[span.clone()];
        if word == "true" || word == "false" {
            let literal = Expression::Literal(Operand::Bool(word == "true"));
            return Ok((literal, Kind::Bool));
        }
        if matches!(word, "and" | "or" | "not") {
            return Err(self.unexpected(span));
        }
        if let Ok(axis) = word.parse::<Axis>()
            && axis.belongs_to(self.known.kind)
        {
            let field = Field::Axis(axis);
            return Ok((Expression::Field(field.clone()), Kind::of(&field)));
        }
        let mut all: Vec<String> = Axis::ALL
            .iter()
            .filter(|axis| axis.belongs_to(self.known.kind))
            .map(ToString::to_string)
            .collect();
        for (prefix, shelf) in [
            ("model", Shelf::Models),
            ("gpu", Shelf::Gpus),
            ("cluster", Shelf::Clusters),
        ] {
            for name in (self.known.fields)(shelf) {
                if word
                    .strip_prefix(prefix)
                    .and_then(|rest| rest.strip_prefix('.'))
                    == Some(name)
                {
                    let field = Field::Catalog(shelf, name.into());
                    return Ok((Expression::Field(field), Kind::Number));
                }
                all.push(format!("{prefix}.{name}"));
            }
        }
        let hint = nearest(word, all.iter().map(String::as_str)).map_or_else(
            || {
                "a field is an axis, or a number of model, gpu or cluster; text stands in quotes"
                    .to_owned()
            },
            |close| format!("did you mean `{close}`?"),
        );
        Err(Malformed {
            hint: Some(hint),
            ..malformed(span.clone(), format!("unknown field `{word}`"))
        })
    }

    fn described(&self, part: &Part) -> String {
        format!(
            "`{}` is {}",
            &self.text[part.span.clone()],
            part.kind.described()
        )
    }

    fn truth(&self, part: Part) -> Result<Part, Malformed> {
        match part.kind {
            Kind::Bool => Ok(part),
            Kind::Number | Kind::Size | Kind::Name(_) | Kind::Literal => Err(malformed(
                part.span.clone(),
                format!("{}, not true or false", self.described(&part)),
            )),
        }
    }

    fn numeric(&self, part: Part) -> Result<Part, Malformed> {
        match part.kind {
            Kind::Number | Kind::Size => Ok(part),
            Kind::Bool | Kind::Name(_) | Kind::Literal => Err(malformed(
                part.span.clone(),
                format!("{}, not a number", self.described(&part)),
            )),
        }
    }

    /// Both sides of a comparison, checked against each other; names and sizes in quotes are looked up.
    fn comparable(
        &self,
        operator: Operator,
        left: Part,
        right: Part,
    ) -> Result<(Part, Part), Malformed> {
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        let span = left.span.start..right.span.end;
        let (left, right) = match (left.kind, right.kind) {
            (Kind::Literal, kind) => (self.literal(left, kind, &right, ordered)?, right),
            (kind, Kind::Literal) => {
                let literal = self.literal(right, kind, &left, ordered)?;
                (left, literal)
            }
            (Kind::Number | Kind::Size, Kind::Number | Kind::Size)
            | (Kind::Name(_), Kind::Name(_))
            | (Kind::Bool, Kind::Bool) => (left, right),
            (Kind::Number | Kind::Size | Kind::Bool | Kind::Name(_), kind) => {
                let message = format!(
                    "{} is compared with {}",
                    left.kind.described(),
                    kind.described()
                );
                return Err(malformed(span, message));
            }
        };
        match left.kind {
            Kind::Name(_) | Kind::Literal | Kind::Bool if ordered => Err(no_order(span, left.kind)),
            Kind::Number | Kind::Size | Kind::Name(_) | Kind::Literal | Kind::Bool => {
                Ok((left, right))
            }
        }
    }

    /// Text in quotes as what the other side is.
    fn literal(
        &self,
        text: Part,
        kind: Kind,
        other: &Part,
        ordered: bool,
    ) -> Result<Part, Malformed> {
        let Expression::Literal(Operand::Text(value)) = &text.expression else {
            return Ok(text);
        };
        if &**value == "auto" && !ordered {
            return Ok(text);
        }
        match kind {
            Kind::Size => match value.parse::<Bytes>() {
                Ok(size) => Ok(Part {
                    expression: Expression::Literal(Operand::Number(size.as_f64())),
                    kind: Kind::Size,
                    ..text
                }),
                Err(error) => Err(malformed(text.span, error.to_string())),
            },
            Kind::Name(domain) => {
                let names = (self.known.names)(domain);
                if names.is_empty() || names.iter().any(|name| **name == **value) {
                    return Ok(text);
                }
                let close = nearest(value, names.iter().map(String::as_str));
                Err(Malformed {
                    hint: close.map(|close| format!("did you mean `{close}`?")),
                    ..malformed(text.span, format!("unknown name `{value}`"))
                })
            }
            Kind::Number | Kind::Bool => Err(malformed(
                text.span,
                format!("{}, not text", self.described(other)),
            )),
            Kind::Literal => Ok(text),
        }
    }
}

fn no_order(span: Range<usize>, kind: Kind) -> Malformed {
    malformed(
        span,
        format!("{} has no order; compare with == or !=", kind.described()),
    )
}

fn joined(operator: Operator, left: Part, right: Part) -> Part {
    let kind = match operator {
        Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Remainder => Kind::Number,
        Operator::Or
        | Operator::And
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual => Kind::Bool,
    };
    Part {
        span: left.span.start..right.span.end,
        expression: Expression::Binary(
            operator,
            Box::new(left.expression),
            Box::new(right.expression),
        ),
        kind,
    }
}

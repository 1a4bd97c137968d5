//! Text of a `where` clause or of a metric to a checked expression.

use std::ops::Range;

use crate::spec::axis::{Axis, ColumnType, Domain};
use crate::spec::condition::expression::{Arithmetic, Comparison, Expression, Field, Operand};
use crate::spec::condition::tokens::{Token, TokenKind, malformed, tokens};
use crate::spec::facts::{FACTS, Fact};
use crate::spec::names::Names;
use crate::spec::result_columns::ResultColumn;
use crate::spelling::did_you_mean;
use crate::units::Bytes;

pub(in crate::spec) use crate::spec::condition::tokens::Malformed;

/// Parentheses, `not` and minus signs inside each other.
const NESTING_MAX: usize = 64;

/// Operators of one expression: a chain of them is as deep as it is long.
const OPERATORS_MAX: usize = 1_000;

/// Parses and checks a clause.
pub(in crate::spec) fn parse(text: &str, names: &Names) -> Result<Expression, Malformed> {
    checked(text, names, &[], Parser::truth)
}

/// Parses and checks an expression that gives a number and can name some columns of the results.
pub(in crate::spec) fn parse_number(
    text: &str,
    names: &Names,
    columns: &[ResultColumn],
) -> Result<Expression, Malformed> {
    checked(text, names, columns, Parser::numeric)
}

/// Parses a whole text and checks what it gives.
fn checked<'a>(
    text: &'a str,
    names: &'a Names,
    columns: &'a [ResultColumn],
    gives: fn(&Parser<'a>, Part) -> Result<Part, Malformed>,
) -> Result<Expression, Malformed> {
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
        names,
        columns,
    };
    let part = parser.disjunction()?;
    if let Some(token) = parser.peek().cloned() {
        return Err(parser.unexpected(&token.span));
    }
    Ok(gives(&parser, part)?.expression)
}

/// Type of an expression, known without a point.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Number,
    Size,
    Bool,
    Name(Domain),
    /// A text column of the results.
    Text,
    Literal,
}

impl Kind {
    fn of_axis(axis: Axis) -> Self {
        match axis.info().domain {
            Domain::Int { .. } | Domain::Real { .. } | Domain::Power => Self::Number,
            Domain::Size => Self::Size,
            Domain::Bool => Self::Bool,
            domain @ (Domain::Catalog(_)
            | Domain::Closed(_)
            | Domain::Several(..)
            | Domain::Custom(_)
            | Domain::Stages) => Self::Name(domain),
        }
    }

    fn of_column(column: &ResultColumn) -> Self {
        match column.column_type {
            ColumnType::Int | ColumnType::Real => Self::Number,
            ColumnType::Bool => Self::Bool,
            ColumnType::Text => Self::Text,
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Size => "an amount of data",
            Self::Bool => "true or false",
            Self::Name(_) | Self::Text | Self::Literal => "text",
        }
    }
}

/// Part of an expression with its type and place.
struct Part {
    expression: Expression,
    kind: Kind,
    span: Range<usize>,
}

/// Expression of an operator and its two sides.
type Join = fn(Box<Expression>, Box<Expression>) -> Expression;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    operators: usize,
    names: &'a Names,
    columns: &'a [ResultColumn],
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

    fn take_one_of<T: Copy>(&mut self, operators: &[(&str, T)]) -> Option<(T, Range<usize>)> {
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
        let or: &[(&str, Join)] = &[("or", Expression::Or)];
        self.chain(Self::conjunction, or, Self::truth)
    }

    fn conjunction(&mut self) -> Result<Part, Malformed> {
        let and: &[(&str, Join)] = &[("and", Expression::And)];
        self.chain(Self::negation, and, Self::truth)
    }

    fn sum(&mut self) -> Result<Part, Malformed> {
        let signs: &[(&str, Join)] = &[
            ("+", |a, b| Expression::Compute(Arithmetic::Add, a, b)),
            ("-", |a, b| Expression::Compute(Arithmetic::Subtract, a, b)),
        ];
        self.chain(Self::product, signs, Self::numeric)
    }

    fn product(&mut self) -> Result<Part, Malformed> {
        let signs: &[(&str, Join)] = &[
            ("*", |a, b| Expression::Compute(Arithmetic::Multiply, a, b)),
            ("/", |a, b| Expression::Compute(Arithmetic::Divide, a, b)),
            ("%", |a, b| Expression::Compute(Arithmetic::Remainder, a, b)),
        ];
        self.chain(Self::unary, signs, Self::numeric)
    }

    /// Parts joined by operators of one rank, from the left; the result is of the type of the parts.
    fn chain(
        &mut self,
        next: fn(&mut Self) -> Result<Part, Malformed>,
        operators: &[(&str, Join)],
        checked: fn(&Self, Part) -> Result<Part, Malformed>,
    ) -> Result<Part, Malformed> {
        let mut left = next(self)?;
        while let Some((join, at)) = self.take_one_of(operators) {
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                let message = format!("the expression has more than {OPERATORS_MAX} operators");
                return Err(malformed(at, message));
            }
            let right = next(self)?;
            let (checked_left, right) = (checked(self, left)?, checked(self, right)?);
            let kind = match checked_left.kind {
                Kind::Bool => Kind::Bool,
                Kind::Number | Kind::Size | Kind::Name(_) | Kind::Text | Kind::Literal => {
                    Kind::Number
                }
            };
            left = joined(kind, join, checked_left, right);
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
        const SIGNS: &[(&str, Comparison)] = &[
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
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
        let compare = |left, right| Expression::Compare(operator, left, right);
        Ok(joined(Kind::Bool, compare, left, right))
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
        if let Some((field, kind)) = self.field(word) {
            return Ok((Expression::Field(field), kind));
        }
        let axes = self.names.axes().map(Axis::as_str);
        let columns = self.columns.iter().map(|column| column.name);
        let facts = FACTS.iter().map(|fact| fact.name);
        let hint = did_you_mean(word, axes.chain(columns).chain(facts)).unwrap_or_else(|| {
            let a_column = if self.columns.is_empty() {
                ""
            } else {
                "a column of the results (`sweep list columns`), "
            };
            format!(
                "a field is {a_column}an axis, or a number of model, gpu or cluster; text stands in quotes"
            )
        });
        Err(Malformed {
            hint: Some(hint),
            ..malformed(span.clone(), format!("unknown field `{word}`"))
        })
    }

    /// The axis, number of the catalogue or column with a name.
    fn field(&self, word: &str) -> Option<(Field, Kind)> {
        let axis = word.parse::<Axis>().ok();
        if let Some(axis) = axis.filter(|axis| axis.belongs_to(self.names.kind)) {
            return Some((Field::Axis(axis), Kind::of_axis(axis)));
        }
        if let Some(fact) = Fact::named(word) {
            return Some((Field::Fact(fact), Kind::Number));
        }
        let columns = self.columns.iter();
        let place = columns.clone().position(|column| column.name == word)?;
        Some((Field::Column(place), Kind::of_column(&self.columns[place])))
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
            Kind::Number | Kind::Size | Kind::Name(_) | Kind::Text | Kind::Literal => {
                Err(malformed(
                    part.span.clone(),
                    format!("{}, not true or false", self.described(&part)),
                ))
            }
        }
    }

    fn numeric(&self, part: Part) -> Result<Part, Malformed> {
        match part.kind {
            Kind::Number | Kind::Size => Ok(part),
            Kind::Bool | Kind::Name(_) | Kind::Text | Kind::Literal => {
                let way_out = "it takes numbers; `sweep list columns` shows the types of columns";
                let message = format!("{}, not a number", self.described(&part));
                Err(Malformed {
                    hint: (!self.columns.is_empty()).then(|| way_out.to_owned()),
                    ..malformed(part.span, message)
                })
            }
        }
    }

    /// Both sides of a comparison, checked against each other; names and sizes in quotes are looked up.
    fn comparable(
        &self,
        operator: Comparison,
        left: Part,
        right: Part,
    ) -> Result<(Part, Part), Malformed> {
        let ordered = operator.is_ordered();
        let span = left.span.start..right.span.end;
        let (left, right) = match (left.kind, right.kind) {
            (Kind::Literal, kind) => (self.literal(left, kind, &right, ordered)?, right),
            (kind, Kind::Literal) => {
                let literal = self.literal(right, kind, &left, ordered)?;
                (left, literal)
            }
            (Kind::Number | Kind::Size, Kind::Number | Kind::Size)
            | (Kind::Name(_) | Kind::Text, Kind::Name(_) | Kind::Text)
            | (Kind::Bool, Kind::Bool) => (left, right),
            (Kind::Number | Kind::Size | Kind::Bool | Kind::Name(_) | Kind::Text, kind) => {
                let message = format!(
                    "{} is compared with {}",
                    left.kind.described(),
                    kind.described()
                );
                return Err(malformed(span, message));
            }
        };
        match left.kind {
            Kind::Name(_) | Kind::Text | Kind::Literal | Kind::Bool if ordered => {
                Err(no_order(span, left.kind))
            }
            Kind::Number | Kind::Size | Kind::Name(_) | Kind::Text | Kind::Literal | Kind::Bool => {
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
                let names = self.names.of(domain);
                if names.is_empty() {
                    return Ok(text);
                }
                if let Some(name) = self.names.named(domain, value) {
                    return Ok(Part {
                        expression: Expression::Literal(Operand::Text(name.into())),
                        ..text
                    });
                }
                let what = if let Domain::Catalog(kind) = domain {
                    kind.singular()
                } else {
                    "name"
                };
                Err(Malformed {
                    hint: did_you_mean(value, names),
                    ..malformed(text.span, format!("unknown {what} `{value}`"))
                })
            }
            Kind::Number | Kind::Bool => Err(malformed(
                text.span,
                format!("{}, not text", self.described(other)),
            )),
            Kind::Text | Kind::Literal => Ok(text),
        }
    }
}

fn no_order(span: Range<usize>, kind: Kind) -> Malformed {
    malformed(
        span,
        format!("{} has no order; compare with == or !=", kind.described()),
    )
}

fn joined(
    kind: Kind,
    join: impl Fn(Box<Expression>, Box<Expression>) -> Expression,
    left: Part,
    right: Part,
) -> Part {
    Part {
        span: left.span.start..right.span.end,
        expression: join(Box::new(left.expression), Box::new(right.expression)),
        kind,
    }
}

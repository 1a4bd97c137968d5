//! `where` expressions: which points of the product stay.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | comparison
//! compare = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum ]
//! sum     = product { ( "+" | "-" ) product }
//! product = unary { ( "*" | "/" | "%" ) unary }
//! unary   = "-" unary | number | "text" | 'text' | "true" | "false" | field | "(" or ")"
//! ```
//!
//! A field is an axis (`nodes`, `tp`) or a number of the catalogue (`model.params`, `gpu.memory_gib`).
//! A field at `auto`, or one that a point does not have, is *null*: a comparison with it is false,
//! arithmetic with it is null again. Two things are true of null: `!= x`, and `== 'auto'`. As a
//! truth value null counts as false, so `not` of it holds. Sizes are numbers of bytes and also
//! compare with texts like `'64 MiB'`.

use std::ops::Range;
use std::sync::Arc;

use crate::catalog::Kind as Shelf;
use crate::spec::axis::{Axis, Domain};

mod parser;

pub(super) use parser::{Known, Malformed, parse};

/// What an expression reads from a point.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    /// The value of an axis.
    Axis(Axis),
    /// A number of the GPU, model or cluster of the point.
    Catalog(Shelf, Arc<str>),
}

/// The value of a field or part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// `auto`, absent, or computed from such.
    Null,
    Number(f64),
    Text(Arc<str>),
    Bool(bool),
}

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Literal(Operand),
    Field(Field),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// What stands between two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Expression {
    /// Whether a point with these values stays.
    pub(super) fn holds(&self, value_of: &dyn Fn(&Field) -> Operand) -> bool {
        self.evaluate(value_of) == Operand::Bool(true)
    }

    /// Every field that the expression reads.
    pub(super) fn fields(&self, take: &mut dyn FnMut(&Field)) {
        match self {
            Self::Literal(_) => {}
            Self::Field(field) => take(field),
            Self::Not(inner) | Self::Negative(inner) => inner.fields(take),
            Self::Binary(_, left, right) => {
                left.fields(take);
                right.fields(take);
            }
        }
    }

    fn evaluate(&self, value_of: &dyn Fn(&Field) -> Operand) -> Operand {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Field(field) => value_of(field),
            Self::Not(inner) => Operand::Bool(!inner.holds(value_of)),
            Self::Negative(inner) => match inner.evaluate(value_of) {
                Operand::Number(number) => Operand::Number(-number),
                Operand::Null | Operand::Text(_) | Operand::Bool(_) => Operand::Null,
            },
            Self::Binary(Operator::Or, left, right) => {
                Operand::Bool(left.holds(value_of) || right.holds(value_of))
            }
            Self::Binary(Operator::And, left, right) => {
                Operand::Bool(left.holds(value_of) && right.holds(value_of))
            }
            Self::Binary(operator, left, right) => combined(
                *operator,
                &left.evaluate(value_of),
                &right.evaluate(value_of),
            ),
        }
    }
}

fn combined(operator: Operator, left: &Operand, right: &Operand) -> Operand {
    match operator {
        Operator::Equal => return Operand::Bool(equal(left, right)),
        Operator::NotEqual => return Operand::Bool(!equal(left, right)),
        Operator::Or
        | Operator::And
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Remainder => {}
    }
    let (Operand::Number(a), Operand::Number(b)) = (left, right) else {
        return Operand::Null;
    };
    match operator {
        Operator::Less => Operand::Bool(a < b),
        Operator::LessOrEqual => Operand::Bool(a <= b),
        Operator::Greater => Operand::Bool(a > b),
        Operator::GreaterOrEqual => Operand::Bool(a >= b),
        Operator::Add => Operand::Number(a + b),
        Operator::Subtract => Operand::Number(a - b),
        Operator::Multiply => Operand::Number(a * b),
        Operator::Divide => Operand::Number(a / b),
        Operator::Remainder => Operand::Number(a % b),
        Operator::Or | Operator::And | Operator::Equal | Operator::NotEqual => {
            unreachable!("handled before: they take more than numbers")
        }
    }
}

fn equal(left: &Operand, right: &Operand) -> bool {
    let is_auto = |other: &Operand| matches!(other, Operand::Text(text) if &**text == "auto");
    if *left == Operand::Null {
        is_auto(right)
    } else if *right == Operand::Null {
        is_auto(left)
    } else {
        left == right
    }
}

/// What an expression can be, known without a point.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Number,
    Size,
    Bool,
    Name(Domain),
    Literal,
}

impl Kind {
    fn of(field: &Field) -> Self {
        match field {
            Field::Catalog(..) => Self::Number,
            Field::Axis(axis) => match axis.info().domain {
                Domain::Int { .. } | Domain::Real { .. } => Self::Number,
                Domain::Size => Self::Size,
                Domain::Bool => Self::Bool,
                domain @ (Domain::Catalog(_)
                | Domain::Closed(_)
                | Domain::Own(_)
                | Domain::Stages) => Self::Name(domain),
            },
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Size => "an amount of data",
            Self::Bool => "true or false",
            Self::Name(_) | Self::Literal => "text",
        }
    }
}

/// A part of an expression with what is known about it.
struct Part {
    expression: Expression,
    kind: Kind,
    span: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Expression, Malformed> {
        let fields = |shelf: Shelf| match shelf {
            Shelf::Models => vec!["params"],
            Shelf::Gpus => vec!["memory_gib", "tflops"],
            Shelf::Clusters | Shelf::Stacks => vec![],
        };
        let names = |domain: Domain| match domain {
            Domain::Catalog(_) => vec!["llama3-8b".to_owned(), "llama3-70b".to_owned()],
            Domain::Closed(names) => names.iter().map(|name| (*name).to_owned()).collect(),
            Domain::Own(kind) => kind
                .built_in()
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            Domain::Int { .. }
            | Domain::Real { .. }
            | Domain::Bool
            | Domain::Size
            | Domain::Stages => vec![],
        };
        parse(
            text,
            &Known {
                fields: &fields,
                names: &names,
                kind: crate::spec::axis::StudyKind::Training,
            },
        )
    }

    /// A point of 16 nodes with a 70 billion parameter model, tp at auto.
    fn holds(text: &str) -> bool {
        let expression = parsed(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        expression.holds(&|field| match field {
            Field::Axis(Axis::Nodes) => Operand::Number(16.0),
            Field::Axis(Axis::Model) => Operand::Text("llama3-70b".into()),
            Field::Axis(Axis::OverlapDp) => Operand::Bool(true),
            Field::Catalog(..) => Operand::Number(70e9),
            Field::Axis(_) => Operand::Null,
        })
    }

    // By hand at nodes = 16: 16 % 3 = 1; 2 + 3·4 = 14; not (a or b) = not a and not b; 64 KiB = 65,536 B.
    #[test]
    fn expressions_follow_the_usual_precedence() {
        for text in [
            "nodes == 16",
            "nodes % 3 == 1 and nodes / 2 >= 8",
            "2 + 3 * 4 == 14 and (2 + 3) * 4 == 20",
            "not nodes < 4 and not (nodes > 20 or nodes == 1)",
            "nodes > 100 or nodes < 20 and model == \"llama3-70b\"",
            "model != 'llama3-8b'",
            "model.params >= 70e9",
            "-nodes == -16",
            "overlap_dp",
            "overlap_dp == true",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in ["nodes < 16", "model == 'llama3-8b'", "not overlap_dp"] {
            assert!(!holds(text), "{text}");
        }
    }

    // tp is at auto: null. Only `!=` and `== 'auto'` are true of it.
    #[test]
    fn comparisons_with_auto_are_false_but_for_inequality() {
        for text in ["tp != 4", "tp == 'auto'", "not tp > 4", "not overlap_tp"] {
            assert!(holds(text), "{text}");
        }
        for text in ["tp == 4", "tp <= 4", "tp > 4", "tp + 1 > 0", "tp != 'auto'"] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        // text, where it is wrong, and what is said
        for (text, at, message) in [
            ("nodes <", 7..7, "the expression ends too early"),
            ("nodes = 4", 6..7, "unexpected `=`"),
            ("nodez > 4", 0..5, "unknown field `nodez`"),
            ("model.param > 4", 0..11, "unknown field `model.param`"),
            ("nodes > 'four'", 8..14, "`nodes` is a number, not text"),
            ("model == 4", 0..10, "text is compared with a number"),
            ("model < 'llama3-8b'", 0..19, "text has no order"),
            ("model == 'lama3-8b'", 9..19, "unknown name `lama3-8b`"),
            ("(nodes > 4", 0..1, "`(` is never closed"),
            ("nodes > 4 4", 10..11, "unexpected `4`"),
            ("nodes > 'a", 8..10, "the text is never closed"),
            (
                "nodes and tp > 1",
                0..5,
                "`nodes` is a number, not true or false",
            ),
            ("1 < nodes < 4", 10..11, "comparisons cannot be chained"),
            ("nodes > 4 && tp > 1", 10..12, "unexpected `&&`"),
            ("nodes > #", 8..9, "unexpected `#`"),
            ("", 0..0, "the expression is empty"),
        ] {
            let fault = parsed(text).expect_err(text);
            assert!(fault.message.contains(message), "{text}: {fault:?}");
            assert_eq!(fault.span, at, "{text}: {fault:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_overflowed() {
        for text in [
            "(".repeat(100_000),
            "not ".repeat(100_000),
            "-".repeat(100_000),
        ] {
            let fault = parsed(&text).expect_err("too deep");
            assert!(fault.message.contains("nested"), "{fault:?}");
        }
    }
}

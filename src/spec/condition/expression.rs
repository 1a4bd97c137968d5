//! Checked expressions and their values at a point.

use std::sync::Arc;

use crate::spec::axis::Axis;
use crate::spec::facts::Fact;

/// Value of a point that an expression reads.
#[derive(Clone, Copy, Debug)]
pub(in crate::spec) enum Field {
    /// Value of an axis.
    Axis(Axis),
    /// Number of the GPU, model or cluster.
    Fact(&'static Fact),
    /// Column of the results, by its place among those that a metric can name.
    Column(usize),
}

/// Value of a field or of a part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    /// `auto`, absent, or computed from such.
    Null,
    /// A count, quantity or size in bytes.
    Number(f64),
    /// A name or sentence.
    Text(Arc<str>),
    /// A switch or the verdict of a comparison.
    Bool(bool),
}

/// Checked expression.
#[derive(Clone, Debug)]
pub(in crate::spec) enum Expression {
    Literal(Operand),
    Field(Field),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Compute(Arithmetic, Box<Expression>, Box<Expression>),
}

/// Operator between two values of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spec) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Operator between two numbers.
#[derive(Clone, Copy, Debug)]
pub(in crate::spec) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Expression {
    /// Whether a point with these values is kept.
    pub(in crate::spec) fn holds(&self, value_of: &dyn Fn(&Field) -> Operand) -> bool {
        self.evaluate(value_of) == Operand::Bool(true)
    }

    /// The number that the expression gives; `None` where it is null, infinite or not defined.
    pub(in crate::spec) fn number(&self, value_of: &dyn Fn(&Field) -> Operand) -> Option<f64> {
        match self.evaluate(value_of) {
            Operand::Number(number) => Some(number).filter(|number| number.is_finite()),
            Operand::Null | Operand::Text(_) | Operand::Bool(_) => None,
        }
    }

    /// Hands out every field that the expression reads.
    pub(in crate::spec) fn fields(&self, take: &mut dyn FnMut(&Field)) {
        match self {
            Self::Literal(_) => {}
            Self::Field(field) => take(field),
            Self::Not(inner) | Self::Negative(inner) => inner.fields(take),
            Self::Or(left, right)
            | Self::And(left, right)
            | Self::Compare(_, left, right)
            | Self::Compute(_, left, right) => {
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
            Self::Or(left, right) => Operand::Bool(left.holds(value_of) || right.holds(value_of)),
            Self::And(left, right) => Operand::Bool(left.holds(value_of) && right.holds(value_of)),
            Self::Compare(operator, left, right) => {
                operator.apply(&left.evaluate(value_of), &right.evaluate(value_of))
            }
            Self::Compute(operator, left, right) => {
                let operands = (left.evaluate(value_of), right.evaluate(value_of));
                let (Operand::Number(a), Operand::Number(b)) = operands else {
                    return Operand::Null;
                };
                Operand::Number(operator.apply(a, b))
            }
        }
    }
}

impl Comparison {
    /// Whether the operator orders its operands, which only numbers can be.
    pub(super) const fn is_ordered(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    fn apply(self, left: &Operand, right: &Operand) -> Operand {
        let ordered = |test: fn(&f64, &f64) -> bool| {
            let (Operand::Number(a), Operand::Number(b)) = (left, right) else {
                return Operand::Null;
            };
            Operand::Bool(test(a, b))
        };
        match self {
            Self::Equal => Operand::Bool(equal(left, right)),
            Self::NotEqual => Operand::Bool(!equal(left, right)),
            Self::Less => ordered(f64::lt),
            Self::LessOrEqual => ordered(f64::le),
            Self::Greater => ordered(f64::gt),
            Self::GreaterOrEqual => ordered(f64::ge),
        }
    }
}

impl Arithmetic {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => a % b,
        }
    }
}

fn equal(left: &Operand, right: &Operand) -> bool {
    let is_auto = |other: &Operand| matches!(other, Operand::Text(text) if &**text == "auto");
    match (left, right) {
        (Operand::Null, other) | (other, Operand::Null) => is_auto(other),
        (left, right) => left == right,
    }
}

//! Expressions: `where` clauses, conditions that keep a point, and the values of metrics, which are numbers.
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
//! A field is an axis (`nodes`, `tp`) or a number of the catalogue (`model.params`, `gpu.memory_gib`), for a metric
//! also a column of the results (`step_time_s`).
//! A field at `auto`, or one that a point does not have, is *null*: a comparison with it is false,
//! arithmetic with it is null again. Two things are true of null: `!= x`, and `== 'auto'`. As a
//! truth value null counts as false, so `not` of it holds. Sizes are numbers of bytes and also
//! compare with texts like `'64 MiB'`.
//!
//! ```
//! use clustersweep::spec::{Overrides, Spec, Syntax};
//!
//! let text = "
//!     where = \"gpus <= 64 and (tp == 8 or model.params < 10e9)\"
//!     [grid]
//!     gpu = \"h100-sxm\"
//!     model = [\"llama3-8b\", \"llama3-70b\"]
//!     nodes = [4, 8, 16]
//!     tp = [4, 8]
//!     global_batch = 256
//! ";
//! let spec = Spec::parse("sizes", text, Syntax::Toml, &Overrides::default())?;
//! // 4 and 8 nodes of 8 GPUs: both values of `tp` for the small model, one for the large.
//! assert_eq!(spec.plan().kept(0..12).count(), 2 * (2 + 1));
//! # Ok::<(), clustersweep::spec::SpecError>(())
//! ```

mod expression;
mod parser;
mod tokens;

pub(crate) use expression::Operand;
pub(super) use expression::{Expression, Field};
pub(super) use parser::{Malformed, parse, parse_number};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;
    use crate::spec::axis::{Axis, ColumnType, StudyKind};
    use crate::spec::names::{Misspelt, Names};
    use crate::spec::result_columns::ResultColumn;

    fn names() -> Names {
        Names {
            kind: StudyKind::Training,
            catalog: Arc::new(Catalog::builtin().clone()),
            tables: toml::Table::new(),
            misspelt: Misspelt::default(),
        }
    }

    fn parsed(text: &str) -> Result<Expression, Malformed> {
        parse(text, &names())
    }

    /// A point of 16 nodes with a 70 billion parameter model, tp at auto.
    fn holds(text: &str) -> bool {
        let expression = parsed(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        expression.holds(&|field| match field {
            Field::Axis(Axis::Nodes) => Operand::Number(16.0),
            Field::Axis(Axis::Model) => Operand::Text("llama3-70b".into()),
            Field::Axis(Axis::OverlapDp) => Operand::Bool(true),
            Field::Fact(_) => Operand::Number(70e9),
            Field::Axis(_) | Field::Column(_) => Operand::Null,
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
            ("model == 'lama3-8b'", 9..19, "unknown model `lama3-8b`"),
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

    // 8 samples in 2 s on 4 GPUs are 1 a second and GPU; a null column, and a division by zero, give nothing.
    #[test]
    fn a_metric_is_a_number_over_columns() {
        let columns = [
            ("samples", ColumnType::Int),
            ("step_time_s", ColumnType::Real),
            ("bottleneck", ColumnType::Text),
            ("tight", ColumnType::Bool),
            ("mfu", ColumnType::Real),
        ];
        let columns = columns.map(|(name, column_type)| ResultColumn { name, column_type });
        let names = names();
        let value = |text: &str| {
            let parsed = parse_number(text, &names, &columns).expect(text);
            parsed.number(&|field| match field {
                Field::Column(0) => Operand::Number(8.0),
                Field::Column(1) => Operand::Number(2.0),
                Field::Axis(Axis::Gpus) => Operand::Number(4.0),
                Field::Axis(_) | Field::Fact(_) | Field::Column(_) => Operand::Null,
            })
        };
        assert_eq!(value("samples / step_time_s / gpus"), Some(1.0));
        assert_eq!(value("-samples + 2 * (gpus % 3)"), Some(-6.0));
        assert_eq!(value("mfu * 100"), None);
        assert_eq!(value("samples / (gpus - 4)"), None);
        for (text, at, message) in [
            (
                "samples / bottleneck",
                10..20,
                "`bottleneck` is text, not a number",
            ),
            ("tight * 2", 0..5, "`tight` is true or false, not a number"),
            (
                "samples > 4",
                0..11,
                "`samples > 4` is true or false, not a number",
            ),
            ("sample", 0..6, "unknown field `sample`"),
        ] {
            let fault = parse_number(text, &names, &columns).expect_err(text);
            assert!(fault.message.contains(message), "{text}: {fault:?}");
            assert_eq!(fault.span, at, "{text}: {fault:?}");
            assert!(fault.hint.is_some(), "{text}");
        }
        // A clause is read before there are results.
        assert!(parse("mfu > 0.5", &names).is_err());
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

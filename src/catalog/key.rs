//! The keys that a catalogue table may hold, and the check of a table against them.

use crate::closed_set::nearest;
use crate::hardware::{AttentionKernel, Precision};
use crate::units::{Bandwidth, Bytes, FlopRate, Power, SimDuration};

use super::fault::Faults;
use super::quantity::{Dollars, Month, ParameterCount};

/// What the value of a key looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// Several texts.
    TextList,
    /// An amount of data from 1 byte to 1 EB: `"80 GiB"`.
    Bytes,
    /// A data rate from 1 kB/s to 1 EB/s: `"400 Gbit/s"`.
    Bandwidth,
    /// A span of time from zero to an hour: `"1.5 us"`.
    Duration,
    /// A floating-point rate from 1 MFLOP/s to 10⁹ TFLOP/s: `"989 TFLOP/s"`.
    FlopRate,
    /// Electrical power: `"700 W"`.
    Power,
    /// Money for one GPU and hour: `"2.50 USD"`.
    Price,
    /// A month: `"2026-05"`.
    Month,
    /// A published number of parameters with its digits: `"70.6 billion"`.
    ParameterCount,
    /// A whole number from 1 to a limit beyond which it can only be a slip.
    CountTo(u32),
    /// A whole number from 0 on.
    CountOrZero,
    /// Exactly so many whole numbers from 1 to 10,000.
    Counts(usize),
    /// A number above 0 and at most 1.
    Fraction,
    /// A number from 1 on.
    Ratio,
    /// A number from 0 on.
    Number,
    /// `true` or `false`.
    Flag,
    /// One of fixed names.
    Choice(&'static [&'static str]),
    /// One of fixed names, or `auto`.
    ChoiceOrAuto(&'static [&'static str]),
    /// Several of fixed names.
    Choices(&'static [&'static str]),
}

impl ValueKind {
    /// What is expected, in words that follow "expected".
    pub fn expectation(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::TextList => "a list of texts".to_owned(),
            Self::Bytes => "an amount of data like \"80 GiB\"".to_owned(),
            Self::Bandwidth => "a data rate like \"400 Gbit/s\"".to_owned(),
            Self::Duration => "a time like \"1.5 us\"".to_owned(),
            Self::FlopRate => "a rate like \"989 TFLOP/s\"".to_owned(),
            Self::Power => "a power like \"700 W\"".to_owned(),
            Self::Price => "a price like \"2.50 USD\"".to_owned(),
            Self::Month => "a month like \"2026-05\"".to_owned(),
            Self::ParameterCount => "a number of parameters like \"70.6 billion\"".to_owned(),
            Self::CountTo(most) => format!("a whole number from 1 to {most}"),
            Self::CountOrZero => "a whole number from 0 on".to_owned(),
            Self::Counts(length) => format!("{length} whole numbers from 1 to {LONGEST}"),
            Self::Fraction => "a number above 0 and at most 1".to_owned(),
            Self::Ratio => "a number from 1 on".to_owned(),
            Self::Number => "a number from 0 on".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Choice(names) => format!("one of: {}", names.join(", ")),
            Self::ChoiceOrAuto(names) => format!("one of: auto, {}", names.join(", ")),
            Self::Choices(names) => format!("a list of: {}", names.join(", ")),
        }
    }
}

/// One key of a catalogue table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Dotted path below the entry. A part in braces stands for each name of a closed set:
    /// `peaks.{precision}`, `attention.{attention}.forward`.
    pub path: &'static str,
    /// What its value looks like.
    pub kind: ValueKind,
    /// Whether an entry without it is refused (inside a table in braces: when that table is there).
    pub required: bool,
    /// Meaning and, where it has one, its default.
    pub doc: &'static str,
}

impl Key {
    /// A key that every entry has.
    pub(super) const fn required(path: &'static str, kind: ValueKind, doc: &'static str) -> Self {
        Self {
            path,
            kind,
            required: true,
            doc,
        }
    }

    /// A key that may be left out.
    pub(super) const fn optional(path: &'static str, kind: ValueKind, doc: &'static str) -> Self {
        Self {
            path,
            kind,
            required: false,
            doc,
        }
    }

    /// Every spelling of the path, braces filled in.
    pub fn paths(&self) -> Vec<String> {
        self.path
            .split('.')
            .fold(vec![String::new()], |heads, part| {
                heads
                    .iter()
                    .flat_map(|head| {
                        part_names(part).into_iter().map(move |name| {
                            if head.is_empty() {
                                name.to_owned()
                            } else {
                                format!("{head}.{name}")
                            }
                        })
                    })
                    .collect()
            })
    }
}

fn part_names(part: &'static str) -> Vec<&'static str> {
    match part {
        "{precision}" => Precision::NAMES.to_vec(),
        "{attention}" => AttentionKernel::NAMES.to_vec(),
        name => vec![name],
    }
}

/// Checks what a table says, key by key: unknown keys and values that do not fit.
///
/// Whether something is missing is [`check_complete`]'s question, since a table may rest on another.
pub(super) fn check_given(table: &toml::Table, keys: &[Key], faults: &mut Faults<'_>) {
    let known: Vec<(String, &Key)> = keys
        .iter()
        .flat_map(|key| key.paths().into_iter().map(move |path| (path, key)))
        .collect();
    check_table(table, "", &known, faults);
}

fn check_table(
    table: &toml::Table,
    prefix: &str,
    known: &[(String, &Key)],
    faults: &mut Faults<'_>,
) {
    for (name, value) in table {
        // A dot inside a quoted name must not reach into another table.
        if name.contains('.') {
            unknown_key(name, prefix, known, faults);
            continue;
        }
        let path = format!("{prefix}{name}");
        if let Some((_, key)) = known.iter().find(|(known_path, _)| *known_path == path) {
            check_value(&path, value, key.kind, faults);
            continue;
        }
        let below = format!("{path}.");
        let is_table = known.iter().any(|(known, _)| known.starts_with(&below));
        match value {
            toml::Value::Table(inner) if is_table => check_table(inner, &below, known, faults),
            other if is_table => {
                let message = format!("`{name}` is a table, not {}", other.type_str());
                faults.value(&path, other, message, None);
            }
            _ => unknown_key(name, prefix, known, faults),
        }
    }
}

fn unknown_key(name: &str, prefix: &str, known: &[(String, &Key)], faults: &mut Faults<'_>) {
    let mut here: Vec<&str> = known
        .iter()
        .filter_map(|(path, _)| path.strip_prefix(prefix))
        .filter_map(|rest| rest.split('.').next())
        .collect();
    here.dedup();
    let hint = nearest(name, here.iter().copied()).map_or_else(
        || format!("known keys: {}", here.join(", ")),
        |close| format!("did you mean `{close}`?"),
    );
    faults.unknown_key(prefix, name, hint);
}

/// Says for every required key that the table does not have how to write it.
pub(super) fn check_complete(table: &toml::Table, keys: &[Key], faults: &mut Faults<'_>) {
    for key in keys.iter().filter(|key| key.required) {
        for path in key.paths() {
            let needed = !key.path.contains('{') || holder(table, &path).is_some();
            if needed && lookup(table, &path).is_none() {
                let hint = format!(
                    "write `{path}` with {}, or name a `base` that has it",
                    key.kind.expectation()
                );
                faults.key("", format!("`{path}` is missing"), Some(hint));
            }
        }
    }
}

/// The table that holds the last part of a path.
fn holder<'a>(table: &'a toml::Table, path: &str) -> Option<&'a toml::Value> {
    path.rsplit_once('.')
        .and_then(|(above, _)| lookup(table, above))
}

/// The value at a dotted path.
pub(super) fn lookup<'a>(table: &'a toml::Table, path: &str) -> Option<&'a toml::Value> {
    let mut parts = path.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

fn check_value(path: &str, value: &toml::Value, kind: ValueKind, faults: &mut Faults<'_>) {
    if let Err(Refusal { message, hint }) = accept(value, kind) {
        faults.value(path, value, message, hint);
    }
}

/// Why a value does not fit its key.
struct Refusal {
    message: String,
    hint: Option<String>,
}

fn accept(value: &toml::Value, kind: ValueKind) -> Result<(), Refusal> {
    match kind {
        ValueKind::Text => value
            .as_str()
            .map(|_| ())
            .ok_or_else(|| mismatch(value, kind)),
        ValueKind::Bytes => {
            let amount = quantity::<Bytes>(value, kind)?.as_f64();
            within(value, amount, (1.0, 1e18), "1 B to 1 EB")
        }
        ValueKind::Bandwidth => {
            let rate = quantity::<Bandwidth>(value, kind)?.as_bytes_per_s();
            within(value, rate, (1e3, 1e18), "1 kB/s to 1 EB/s")
        }
        ValueKind::Duration => {
            let span = quantity::<SimDuration>(value, kind)?.as_secs_f64();
            within(value, span, (0.0, 3600.0), "0 to 3600 s")
        }
        ValueKind::FlopRate => {
            let rate = quantity::<FlopRate>(value, kind)?.as_tflops();
            within(value, rate, (1e-6, 1e9), "1e-3 GFLOP/s to 1e6 PFLOP/s")
        }
        ValueKind::Power => quantity::<Power>(value, kind).map(|_| ()),
        ValueKind::Price => quantity::<Dollars>(value, kind).map(|_| ()),
        ValueKind::Month => quantity::<Month>(value, kind).map(|_| ()),
        ValueKind::ParameterCount => quantity::<ParameterCount>(value, kind).map(|_| ()),
        ValueKind::CountTo(most) => whole(value, kind, (1, most)),
        ValueKind::CountOrZero => whole(value, kind, (0, u32::MAX)),
        ValueKind::Fraction => number(value, kind, |n| n > 0.0 && n <= 1.0),
        ValueKind::Ratio => number(value, kind, |n| n >= 1.0),
        ValueKind::Number => number(value, kind, |n| n >= 0.0),
        ValueKind::Flag => value
            .as_bool()
            .map(|_| ())
            .ok_or_else(|| mismatch(value, kind)),
        ValueKind::Choice(names) => choice(value, kind, names),
        ValueKind::ChoiceOrAuto(names) => match value.as_str() {
            Some("auto") => Ok(()),
            _ => choice(value, kind, names),
        },
        ValueKind::TextList => each(value, kind, |item| accept(item, ValueKind::Text)),
        ValueKind::Choices(names) => each(value, kind, |item| choice(item, kind, names)),
        ValueKind::Counts(length) => {
            each(value, kind, |item| whole(item, kind, (1, LONGEST)))?;
            match value.as_array() {
                Some(items) if items.len() == length => Ok(()),
                _ => Err(mismatch(value, kind)),
            }
        }
    }
}

fn each(
    value: &toml::Value,
    kind: ValueKind,
    check: impl Fn(&toml::Value) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    value
        .as_array()
        .ok_or_else(|| mismatch(value, kind))?
        .iter()
        .try_for_each(check)
}

fn quantity<T>(value: &toml::Value, kind: ValueKind) -> Result<T, Refusal>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(_) | toml::Value::Float(_) => {
            return Err(Refusal {
                message: format!("`{value}` has no unit; expected {}", kind.expectation()),
                hint: Some("a quantity is text with its unit".to_owned()),
            });
        }
        toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => return Err(mismatch(value, kind)),
    };
    text.parse().map_err(|error: T::Err| Refusal {
        message: error.to_string(),
        hint: None,
    })
}

/// Most blocks or items that a list of counts may ask for.
pub(super) const LONGEST: u32 = 10_000;

/// Refuses what parses but is so far from any machine that it can only be a slip, and would leave
/// the range of the simulator's integers.
fn within(
    value: &toml::Value,
    amount: f64,
    (least, most): (f64, f64),
    bounds: &str,
) -> Result<(), Refusal> {
    if (least..=most).contains(&amount) {
        return Ok(());
    }
    let given = value.as_str().unwrap_or_default();
    Err(Refusal {
        message: format!("`{given}` is out of range; expected {bounds}"),
        hint: None,
    })
}

fn whole(value: &toml::Value, kind: ValueKind, (least, most): (u32, u32)) -> Result<(), Refusal> {
    match value.as_integer() {
        Some(n) if (i64::from(least)..=i64::from(most)).contains(&n) => Ok(()),
        Some(_) => Err(out_of_range(value, kind)),
        None => Err(mismatch(value, kind)),
    }
}

fn number(
    value: &toml::Value,
    kind: ValueKind,
    in_range: impl Fn(f64) -> bool,
) -> Result<(), Refusal> {
    let n = as_number(value).ok_or_else(|| mismatch(value, kind))?;
    if n.is_finite() && in_range(n) {
        Ok(())
    } else {
        Err(out_of_range(value, kind))
    }
}

/// An integer or float as a real number.
pub(super) fn as_number(value: &toml::Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|n| n as f64))
}

fn choice(
    value: &toml::Value,
    kind: ValueKind,
    names: &'static [&'static str],
) -> Result<(), Refusal> {
    let text = value.as_str().ok_or_else(|| mismatch(value, kind))?;
    if names.contains(&text) {
        return Ok(());
    }
    Err(Refusal {
        message: format!("unknown name `{text}`; expected {}", kind.expectation()),
        hint: nearest(text, names.iter().copied()).map(|close| format!("did you mean `{close}`?")),
    })
}

fn mismatch(value: &toml::Value, kind: ValueKind) -> Refusal {
    Refusal {
        message: format!(
            "expected {}, found {}",
            kind.expectation(),
            described(value)
        ),
        hint: None,
    }
}

fn out_of_range(value: &toml::Value, kind: ValueKind) -> Refusal {
    Refusal {
        message: format!("`{value}` is out of range; expected {}", kind.expectation()),
        hint: None,
    }
}

/// The value for a message: short ones as written, long ones by their type.
fn described(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(_) => "a table".to_owned(),
        toml::Value::Array(_) => "a list".to_owned(),
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => format!("`{value}`"),
    }
}

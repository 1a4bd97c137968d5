//! Check of a catalogue table against its keys.

use crate::data_table::quantity::{Amount, Currency, Date, Dollars, Month, ParameterCount};
use crate::data_table::{DEAREST, Key, LONGEST, Need, Value, ValueKind};
use crate::spelling::did_you_mean;
use crate::units::{Bandwidth, Bytes, FlopRate, Power, SimDuration};

use super::fault::Faults;
use super::model::MOST_PARAMETERS;

/// Notes unknown keys and values that do not fit. [`check_complete`] finds missing keys once bases are
/// merged in.
pub(super) fn check_given(table: &toml::Table, keys: &[Key], faults: &mut Faults<'_>) {
    check_table(table, "", keys, faults);
}

fn check_table(table: &toml::Table, prefix: &str, known: &[Key], faults: &mut Faults<'_>) {
    for (name, value) in table {
        // A dot inside a quoted name must not reach into another table.
        if name.contains('.') {
            unknown_key(name, prefix, known, faults);
            continue;
        }
        let path = format!("{prefix}{name}");
        if let Some(key) = known.iter().find(|key| key.path == path) {
            match (key.kind, value) {
                (ValueKind::Amounts, toml::Value::Table(prices)) => {
                    check_amounts(&path, prices, faults);
                }
                (kind, value) => check_value(&path, value, kind, faults),
            }
            continue;
        }
        let below = format!("{path}.");
        let is_table = known.iter().any(|key| key.path.starts_with(&below));
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

fn check_amounts(path: &str, prices: &toml::Table, faults: &mut Faults<'_>) {
    for (name, amount) in prices {
        let message = match Amount::of(amount) {
            Ok(price) if price.value <= DEAREST => continue,
            Ok(_) => format!(
                "`{}` is out of range; a price is at most {DEAREST}",
                written(amount)
            ),
            Err(error) => error.to_string(),
        };
        faults.value(&format!("{path}.{name}"), amount, message, None);
    }
}

fn unknown_key(name: &str, prefix: &str, known: &[Key], faults: &mut Faults<'_>) {
    let mut here: Vec<&str> = known
        .iter()
        .filter_map(|key| key.path.strip_prefix(prefix))
        .filter_map(|rest| rest.split('.').next())
        .collect();
    here.dedup();
    let hint = did_you_mean(name, here.iter().copied())
        .unwrap_or_else(|| format!("known keys: {}", here.join(", ")));
    faults.unknown_key(prefix, name, hint);
}

/// Notes every required key that a complete table lacks, and every key that belongs to entries of
/// another kind. Keys of `faulty` were refused already: they are not missing.
pub(super) fn check_complete(
    table: &toml::Table,
    keys: &[Key],
    faulty: &[String],
    faults: &mut Faults<'_>,
) {
    let mut missing: Vec<&Key> = missing(table, keys).collect();
    match missing.iter().find_map(|key| family(key)) {
        // Without the family, nothing is known about the keys that depend on it but what all families have in common.
        Some(family) => {
            let anyway = missing_anyway(table, keys, family);
            missing.extend(anyway.into_iter().filter(|key| key.owner.is_some()));
        }
        None => note_strangers(table, keys, faults),
    }
    missing.retain(|key| !faulty.contains(&key.path));
    note_missing(&missing, faults);
}

/// Whether a table has every key that it needs.
pub(super) fn is_complete(table: &toml::Table, keys: &[Key]) -> bool {
    missing(table, keys).next().is_none()
}

/// The required keys that a table lacks, without those of entries of another kind.
fn missing<'a>(table: &toml::Table, keys: &'a [Key]) -> impl Iterator<Item = &'a Key> {
    keys.iter().filter(|key| {
        let needed = match key.need {
            Need::Always => true,
            Need::InItsTable => holder(table, &key.path).is_some(),
            Need::Of(owner) => owner.owns(table),
            Need::Never => false,
        };
        needed && is_at_home(key, table) && lookup(table, &key.path).is_none()
    })
}

/// Whether a key belongs to entries like this one.
fn is_at_home(key: &Key, table: &toml::Table) -> bool {
    key.owner.is_none_or(|owner| owner.owns(table))
}

/// A key that every entry has and on whose value others depend, with its values.
fn family(key: &Key) -> Option<(&str, &'static [&'static str])> {
    match key.kind {
        ValueKind::Choice(values) if key.owner.is_none() => Some((&key.path, values)),
        _ => None,
    }
}

/// The required keys that a table lacks whichever value its family gets, of those under which no key of the table is a stranger.
fn missing_anyway<'a>(
    table: &toml::Table,
    keys: &'a [Key],
    (family, values): (&str, &[&str]),
) -> Vec<&'a Key> {
    let as_one = |value: &&str| {
        let mut table = table.clone();
        table.insert(family.to_owned(), toml::Value::from(*value));
        table
    };
    let has_no_stranger = |table: &toml::Table| {
        let mut strangers = keys.iter().filter(|key| !is_at_home(key, table));
        !strangers.any(|key| lookup(table, &key.path).is_some())
    };
    let possible = values.iter().map(as_one).filter(has_no_stranger);
    possible
        .map(|table| missing(&table, keys).collect::<Vec<_>>())
        .reduce(|anyway, next| {
            let in_next = |key: &&Key| next.iter().any(|other| other.path == key.path);
            anyway.into_iter().filter(in_next).collect()
        })
        .unwrap_or_default()
}

fn note_strangers(table: &toml::Table, keys: &[Key], faults: &mut Faults<'_>) {
    for key in keys {
        let stranger = key.owner.filter(|owner| !owner.owns(table));
        if let Some(owner) = stranger
            && lookup(table, &key.path).is_some()
        {
            let message = format!("`{}` belongs to {} only", key.path, owner.title);
            faults.key(&key.path, message, None);
        }
    }
}

/// Notes the keys that a table lacks: many are one fault, a `base` that is not named.
fn note_missing(missing: &[&Key], faults: &mut Faults<'_>) {
    let (message, hint) = match missing {
        [] => return,
        [key] => (
            format!("`{}` is missing", key.path),
            format!(
                "write `{}` with {}, or name a `base` that has it",
                key.path,
                key.kind.expectation()
            ),
        ),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|key| format!("`{}`", key.path)).collect();
            let rest = rest.join(", ");
            (
                format!("{rest} and `{}` are missing", last.path),
                "name a `base` that has them, or write them; `sweep schema` shows what each takes"
                    .to_owned(),
            )
        }
    };
    faults.key("", message, Some(hint));
}

/// The table that holds the last key of a dotted path.
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
        let other = value.as_str().filter(|_| path == "family");
        let other = other.and_then(family_by_table).map(str::to_owned);
        faults.value(path, value, message, other.or(hint));
    }
}

/// The way to a network whose kind is no `family` of a model's table.
fn family_by_table(name: &str) -> Option<&'static str> {
    const OF_IMAGES_AND_TEXT: [&str; 7] = [
        "multimodal",
        "vlm",
        "mllm",
        "lmm",
        "vision-language",
        "image-text-to-text",
        "llava",
    ];
    let plain = name.to_lowercase().replace(['_', ' '], "-");
    OF_IMAGES_AND_TEXT.contains(&plain.as_str()).then_some(
        "images in front of text are the tables [models.NAME.encoder] and [models.NAME.projector] of a decoder, a moe or a \
         hybrid; see docs/models.md",
    )
}

/// Refusal of a value that does not fit its key.
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
        ValueKind::Power => {
            let power = quantity::<Power>(value, kind)?.as_watts();
            within(value, power, (1.0, 1e6), "1 W to 1 MW")
        }
        ValueKind::Price => {
            let price = quantity::<Dollars>(value, kind)?.usd();
            within(
                value,
                price,
                (0.0, DEAREST),
                &format!("at most {DEAREST} USD"),
            )
        }
        ValueKind::Amounts => Err(mismatch(value, kind)),
        ValueKind::Currency => quantity::<Currency>(value, kind).map(|_| ()),
        ValueKind::Date => quantity::<Date>(value, kind).map(|_| ()),
        ValueKind::Month => quantity::<Month>(value, kind).map(|_| ()),
        ValueKind::ParameterCount => {
            let count = quantity::<ParameterCount>(value, kind)?.count;
            within(value, count, (1.0, MOST_PARAMETERS), "1 to 1000 trillion")
        }
        ValueKind::CountTo(most) => whole(value, kind, (1, most)),
        ValueKind::CountOrZeroTo(most) => whole(value, kind, (0, most)),
        ValueKind::Fraction => number(value, kind, |n| n > 0.0 && n <= 1.0),
        ValueKind::RatioTo(most) => number(value, kind, |n| (1.0..=f64::from(most)).contains(&n)),
        ValueKind::NumberTo(most) => number(value, kind, |n| (0.0..=f64::from(most)).contains(&n)),
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
        ValueKind::Letters(letters) => letters_of(value, kind, letters),
        ValueKind::Counts(length) => {
            each(value, kind, |item| whole(item, kind, (1, LONGEST)))?;
            match value.as_array() {
                Some(items) if items.len() == length => Ok(()),
                _ => Err(mismatch(value, kind)),
            }
        }
    }
}

/// Refuses letters of a pattern that are not known, the first by its place.
fn letters_of(
    value: &toml::Value,
    kind: ValueKind,
    letters: &'static [&'static str],
) -> Result<(), Refusal> {
    let text = value.as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| mismatch(value, kind))?;
    let known = |letter: char| letters.iter().any(|known| known.starts_with(letter));
    let count = text.chars().count();
    if count > LONGEST as usize {
        return Err(Refusal {
            message: format!("a pattern has at most {LONGEST} letters, this one {count}"),
            hint: None,
        });
    }
    let Some((at, letter)) = (1..).zip(text.chars()).find(|(_, it)| !known(*it)) else {
        return Ok(());
    };
    Err(Refusal {
        message: format!(
            "unknown letter `{letter}` (letter {at} of {count}); expected {}",
            kind.expectation()
        ),
        hint: None,
    })
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
                message: format!(
                    "`{}` has no unit; expected {}",
                    written(value),
                    kind.expectation()
                ),
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

/// Refuses a value so far from any machine that it must be a typing error, and that would leave the
/// range of the simulator's integers.
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
    let n = f64::read(value).ok_or_else(|| mismatch(value, kind))?;
    if n.is_finite() && in_range(n) {
        Ok(())
    } else {
        Err(out_of_range(value, kind))
    }
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
        hint: did_you_mean(text, names.iter().copied()),
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
        message: format!(
            "`{}` is out of range; expected {}",
            written(value),
            kind.expectation()
        ),
        hint: None,
    }
}

/// A value as it is written, a number of many digits with an exponent.
fn written(value: &toml::Value) -> String {
    let number = value.as_float().map(|number| format!("{number:?}"));
    number.unwrap_or_else(|| value.to_string())
}

/// A value as messages show it: short ones as written, long ones by their type.
fn described(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(_) => "a table".to_owned(),
        toml::Value::Array(_) => "a list".to_owned(),
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => format!("`{}`", written(value)),
    }
}

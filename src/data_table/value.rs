//! Values of data files, from their text to the types of fields.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::closed_set::ClosedSet;
use crate::units::{Bandwidth, Bytes, FlopRate, Power, SimDuration};

use super::key::MOST;
use super::quantity::{Amount, Amounts, Currency, Date, Dollars, Month, ParameterCount};
use super::{Key, Need, ValueKind};

/// A table whose values were checked and which lacks nothing that is required.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a toml::Table);

impl Fields<'_> {
    /// The value of a key, when it is there.
    pub(crate) fn find<T: Field>(self, key: &str) -> Option<T> {
        T::find(self, key)
    }

    /// The value of a key that is required.
    ///
    /// # Panics
    /// If it is not there or does not fit: the check of the table comes first.
    pub(crate) fn get<T: Field>(self, key: &str) -> T {
        self.find(key)
            .unwrap_or_else(|| panic!("`{key}` was checked before it is read"))
    }

    /// The table under a key, when it is there.
    pub(crate) fn table(self, key: &str) -> Option<Self> {
        self.0.get(key)?.as_table().map(Fields)
    }

    /// The table under a key, one without keys where it is not there.
    pub(crate) fn table_or_empty(self, key: &str) -> Self {
        static EMPTY: LazyLock<toml::Table> = LazyLock::new(toml::Table::new);
        self.table(key).unwrap_or(Fields(&EMPTY))
    }
}

/// A key as a field declares it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// Dotted path below the entry.
    pub(crate) path: String,
    /// Form of its value, where the field's type does not say enough.
    pub(crate) kind: Option<ValueKind>,
    /// Whether it may be left out.
    pub(crate) need: Need,
    /// Meaning and, where it has one, its default.
    pub(crate) doc: &'static str,
}

/// Content of a struct's field: a value, one that may be missing, a table, or tables by name.
pub(crate) trait Field: Sized {
    /// Adds the keys that the field is read from.
    fn declare(key: Declared, keys: &mut Vec<Key>);

    /// The field's content, or `None` where the table does not have it.
    fn find(fields: Fields<'_>, key: &str) -> Option<Self>;
}

/// A single value of a data file.
pub(crate) trait Value: Sized {
    /// Form of the value, unless the key narrows it.
    const KIND: ValueKind;

    /// The value from TOML, `None` where it is of another form.
    fn read(value: &toml::Value) -> Option<Self>;
}

impl<T: Value> Field for T {
    fn declare(key: Declared, keys: &mut Vec<Key>) {
        keys.push(Key {
            path: key.path,
            kind: key.kind.unwrap_or(T::KIND),
            need: key.need,
            doc: key.doc,
            owner: None,
        });
    }

    fn find(fields: Fields<'_>, key: &str) -> Option<Self> {
        T::read(fields.0.get(key)?)
    }
}

/// A value that may be left out, or be `auto`, which has to be written.
impl<T: Value> Field for Option<T> {
    fn declare(key: Declared, keys: &mut Vec<Key>) {
        let need = match key.kind {
            Some(ValueKind::ChoiceOrAuto(_)) => key.need,
            _ => Need::Never,
        };
        T::declare(Declared { need, ..key }, keys);
    }

    fn find(fields: Fields<'_>, key: &str) -> Option<Self> {
        Some(T::find(fields, key))
    }
}

/// One value or table for each name of a closed set, as far as they are given.
impl<K: ClosedSet + Ord, T: Field> Field for BTreeMap<K, T> {
    fn declare(key: Declared, keys: &mut Vec<Key>) {
        for name in K::SPELLINGS {
            let each = Declared {
                path: format!("{}.{name}", key.path),
                need: Need::Never,
                ..key.clone()
            };
            T::declare(each, keys);
        }
    }

    fn find(fields: Fields<'_>, key: &str) -> Option<Self> {
        let Some(table) = fields.table(key) else {
            return Some(Self::new());
        };
        let named = K::MEMBERS.iter().zip(K::SPELLINGS);
        Some(
            named
                .filter_map(|(member, name)| Some((*member, table.find(name)?)))
                .collect(),
        )
    }
}

/// Values that are written as text and know how to be parsed.
macro_rules! texts {
    ($( $type:ty: $kind:ident ),+ $(,)?) => { $(
        impl Value for $type {
            const KIND: ValueKind = ValueKind::$kind;

            fn read(value: &toml::Value) -> Option<Self> {
                parsed(value)
            }
        }
    )+ };
}

texts! {
    String: Text,
    Bytes: Bytes,
    Bandwidth: Bandwidth,
    SimDuration: Duration,
    FlopRate: FlopRate,
    Power: Power,
    Dollars: Price,
    Currency: Currency,
    Date: Date,
    Month: Month,
    ParameterCount: ParameterCount,
}

impl<T: ClosedSet> Value for T {
    const KIND: ValueKind = ValueKind::Choice(T::SPELLINGS);

    fn read(value: &toml::Value) -> Option<Self> {
        parsed(value)
    }
}

impl<T: ClosedSet> Value for Vec<T> {
    const KIND: ValueKind = ValueKind::Choices(T::SPELLINGS);

    fn read(value: &toml::Value) -> Option<Self> {
        value.as_array()?.iter().map(parsed).collect()
    }
}

impl Value for Vec<String> {
    const KIND: ValueKind = ValueKind::TextList;

    fn read(value: &toml::Value) -> Option<Self> {
        value.as_array()?.iter().map(parsed).collect()
    }
}

impl Value for Amounts {
    const KIND: ValueKind = ValueKind::Amounts;

    fn read(value: &toml::Value) -> Option<Self> {
        let amounts = value.as_table()?.iter();
        let amounts = amounts.map(|(name, value)| Some((name.clone(), Amount::of(value).ok()?)));
        amounts.collect::<Option<_>>().map(Self)
    }
}

impl Value for bool {
    const KIND: ValueKind = ValueKind::Flag;

    fn read(value: &toml::Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Value for u32 {
    const KIND: ValueKind = ValueKind::CountOrZeroTo(MOST);

    fn read(value: &toml::Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }
}

/// A count for which 0 says that there is none.
impl Value for NonZeroU32 {
    const KIND: ValueKind = ValueKind::CountOrZeroTo(MOST);

    fn read(value: &toml::Value) -> Option<Self> {
        Self::new(u32::read(value)?)
    }
}

impl<const N: usize> Value for [u32; N] {
    const KIND: ValueKind = ValueKind::Counts(N);

    fn read(value: &toml::Value) -> Option<Self> {
        let items: Option<Vec<u32>> = value.as_array()?.iter().map(u32::read).collect();
        items?.try_into().ok()
    }
}

/// An integer is read as the number that it stands for.
impl Value for f64 {
    const KIND: ValueKind = ValueKind::NumberTo(MOST);

    fn read(value: &toml::Value) -> Option<Self> {
        value
            .as_float()
            .or_else(|| value.as_integer().map(|n| n as Self))
    }
}

fn parsed<T: FromStr>(value: &toml::Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

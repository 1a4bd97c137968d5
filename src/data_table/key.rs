//! Keys of data files: path, form of the value, meaning.

/// Form of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
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
    /// Electrical power from 1 W to 1 MW: `"700 W"`.
    Power,
    /// Money for one GPU and hour, at most [`DEAREST`]: `"2.50 USD"`.
    Price,
    /// Money by the name of what it is paid for: `{ "h100-sxm" = "2.10 EUR" }`.
    Amounts,
    /// A currency: `"EUR"`.
    Currency,
    /// A year, month or day: `"2026-05"`.
    Date,
    /// A month: `"2026-05"`.
    Month,
    /// A published number of parameters, at most a thousand trillion, with its digits: `"70.6 billion"`.
    ParameterCount,
    /// A whole number from 1 to a limit; more must be a typing error.
    CountTo(u32),
    /// A whole number from 0 to a limit.
    CountOrZeroTo(u32),
    /// Exactly so many whole numbers from 1 to 10,000.
    Counts(usize),
    /// Text of fixed letters, one a layer.
    Letters(&'static [&'static str]),
    /// A number above 0 and at most 1.
    Fraction,
    /// A number from 1 to a limit.
    RatioTo(u32),
    /// A number from 0 to a limit.
    NumberTo(u32),
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
    /// The form in words that follow "expected".
    pub(crate) fn expectation(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::TextList => "a list of texts".to_owned(),
            Self::Bytes => "an amount of data like \"80 GiB\"".to_owned(),
            Self::Bandwidth => "a data rate like \"400 Gbit/s\"".to_owned(),
            Self::Duration => "a time like \"1.5 us\"".to_owned(),
            Self::FlopRate => "a rate like \"989 TFLOP/s\"".to_owned(),
            Self::Power => "a power like \"700 W\"".to_owned(),
            Self::Price => "a price like \"2.50 USD\"".to_owned(),
            Self::Amounts => "a table of prices by GPU like { h100-sxm = \"2.10 EUR\" }".to_owned(),
            Self::Currency => "a currency like \"EUR\"".to_owned(),
            Self::Date => "a date like \"2026-05\"".to_owned(),
            Self::Month => "a month like \"2026-05\"".to_owned(),
            Self::ParameterCount => "a number of parameters like \"70.6 billion\"".to_owned(),
            Self::CountTo(most) => format!("a whole number from 1 to {most}"),
            Self::CountOrZeroTo(most) => format!("a whole number from 0 to {most}"),
            Self::Counts(length) => format!("{length} whole numbers from 1 to {LONGEST}"),
            Self::Letters(letters) => {
                format!("text of the letters {}, one a layer", letters.join(", "))
            }
            Self::Fraction => "a number above 0 and at most 1".to_owned(),
            Self::RatioTo(most) => format!("a number from 1 to {most}"),
            Self::NumberTo(most) => format!("a number from 0 to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::Choice(names) => format!("one of: {}", names.join(", ")),
            Self::ChoiceOrAuto(names) => format!("one of: auto, {}", names.join(", ")),
            Self::Choices(names) => format!("a list of: {}", names.join(", ")),
        }
    }
}

/// Whether a table without a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Every entry has to give it.
    Always,
    /// Every entry that has the table around it has to give it.
    InItsTable,
    /// These entries have to give it.
    Of(Owner),
    /// No entry has to give it.
    Never,
}

impl Need {
    /// Need of the keys inside a table that is itself needed like this.
    pub(crate) const fn inside(self) -> Self {
        match self {
            Self::Always => Self::Always,
            Self::InItsTable | Self::Of(_) | Self::Never => Self::InItsTable,
        }
    }
}

/// The entries that a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Keys of which an entry has to hold one.
    pub any_of: &'static [Mark],
    /// Such an entry, in words.
    pub title: &'static str,
}

/// Key that tells entries apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A key with one of these values.
    Value(&'static str, &'static [&'static str]),
    /// A key whose text has one of these letters.
    Letter(&'static str, &'static [&'static str]),
}

impl Owner {
    /// Whether an entry is one of them.
    pub(crate) fn owns(&self, entry: &toml::Table) -> bool {
        let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
        self.any_of.iter().any(|mark| match mark {
            Mark::Value(key, values) => text(key).is_some_and(|text| values.contains(&text)),
            Mark::Letter(key, letters) => {
                text(key).is_some_and(|text| letters.iter().any(|letter| text.contains(letter)))
            }
        })
    }
}

/// One key of a data file's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Dotted path below the entry: `peaks.bf16`.
    pub path: String,
    /// Form of its value.
    pub kind: ValueKind,
    /// Whether it may be left out.
    pub need: Need,
    /// Meaning and, where it has one, its default.
    pub doc: &'static str,
    /// The entries that it belongs to; `None`: all.
    pub owner: Option<Owner>,
}

/// Most blocks or items that a list of counts may ask for.
pub(crate) const LONGEST: u32 = 10_000;

/// Most that a count or a number may be whose key names no limit of its own.
pub(crate) const MOST: u32 = 16_777_216;

/// Highest price of a GPU or node for an hour, in any currency.
pub(crate) const DEAREST: f64 = 1e9;

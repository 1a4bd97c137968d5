//! Quantities that only data files have: prices, dates, published parameter counts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A text that is none of these quantities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    /// Not an amount of US dollars.
    #[error("`{0}` is not a price above zero; write it like \"2.50 USD\"")]
    Price(String),
    /// Not an amount of money.
    #[error("`{0}` is not a price above zero; write it like \"2.10 EUR\"")]
    Amount(String),
    /// Not a currency.
    #[error("`{0}` is not a currency; write it as three capital letters like \"EUR\"")]
    Currency(String),
    /// Not a date.
    #[error("`{0}` is not a date; write it like \"2026\", \"2026-05\" or \"2026-05-28\"")]
    Date(String),
    /// Not a month.
    #[error("`{0}` is not a month; write it like \"2026-05\"")]
    Month(String),
    /// Not a count of parameters.
    #[error(
        "`{0}` is not a number of parameters; write it like \"70.6 billion\" (million, billion, trillion)"
    )]
    ParameterCount(String),
}

/// An amount of US dollars above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Dollars(f64);

impl Dollars {
    /// From an amount above zero.
    pub(crate) const fn of(usd: f64) -> Self {
        Self(usd)
    }

    /// The amount, in US dollars.
    pub(crate) const fn usd(self) -> f64 {
        self.0
    }
}

impl FromStr for Dollars {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        text.trim()
            .strip_suffix("USD")
            .and_then(|number| number.trim().parse::<f64>().ok())
            .filter(|amount| amount.is_finite() && *amount > 0.0)
            .map(Self)
            .ok_or_else(|| TextError::Price(text.to_owned()))
    }
}

/// A currency by its three letters (ISO 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Currency([u8; 3]);

impl Currency {
    /// The US dollar.
    pub(crate) const USD: Self = Self(*b"USD");
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).expect("capital letters are ASCII"))
    }
}

impl FromStr for Currency {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let letters: Option<[u8; 3]> = text.as_bytes().try_into().ok();
        letters
            .filter(|letters| letters.iter().all(u8::is_ascii_uppercase))
            .map(Self)
            .ok_or_else(|| TextError::Currency(text.to_owned()))
    }
}

/// An amount of money above zero; a bare number has no currency of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Amount {
    /// The number.
    pub value: f64,
    /// Currency, where it is written.
    pub currency: Option<Currency>,
}

impl Amount {
    /// The amount of a value of a table: text with a currency, or a number.
    pub(crate) fn of(value: &toml::Value) -> Result<Self, TextError> {
        let wrong = || TextError::Amount(value.to_string().trim_matches(['"', '\'']).to_owned());
        let (number, currency) = match value {
            toml::Value::Integer(number) => (Some(*number as f64), None),
            toml::Value::Float(number) => (Some(*number), None),
            toml::Value::String(text) => {
                let (number, currency) = text.trim().split_once(' ').ok_or_else(wrong)?;
                (number.parse().ok(), Some(currency.trim().parse()?))
            }
            _ => (None, None),
        };
        let value = number.filter(|amount: &f64| amount.is_finite() && *amount > 0.0);
        Ok(Self {
            value: value.ok_or_else(wrong)?,
            currency,
        })
    }
}

/// Amounts of money by the name of what they are paid for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Amounts(pub BTreeMap<String, Amount>);

/// A date to the precision that its source has: a year, a month or a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Date(String);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Date {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let parts: Vec<&str> = text.split('-').collect();
        let bounds = [(4, 1900..=2999), (2, 1..=12), (2, 1..=31)];
        let fits = parts.len() <= bounds.len()
            && parts.iter().zip(bounds).all(|(part, (letters, range))| {
                part.len() == letters
                    && part
                        .parse()
                        .is_ok_and(|number: u16| range.contains(&number))
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(TextError::Date(text.to_owned()))
        }
    }
}

/// A month of a year, `YYYY-MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Month {
    /// Year.
    pub year: u16,
    /// Month, 1–12.
    pub month: u8,
}

impl FromStr for Month {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = || TextError::Month(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(wrong());
        }
        let (year, month) = (
            year.parse().map_err(|_| wrong())?,
            month.parse().map_err(|_| wrong())?,
        );
        if (1..=12).contains(&month) {
            Ok(Self { year, month })
        } else {
            Err(wrong())
        }
    }
}

/// A published number of parameters, with the precision it was published to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ParameterCount {
    /// Number of parameters.
    pub count: f64,
    /// Half a unit of its last printed digit: `"13 billion"` may be anything from 12.5 to 13.5.
    pub rounding: f64,
}

impl FromStr for ParameterCount {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = || TextError::ParameterCount(text.to_owned());
        let (number, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let unit = match unit.trim() {
            "million" => 1e6,
            "billion" => 1e9,
            "trillion" => 1e12,
            _ => return Err(wrong()),
        };
        let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let value: f64 = number.parse().map_err(|_| wrong())?;
        if !plain || value <= 0.0 {
            return Err(wrong());
        }
        let decimals = number.split_once('.').map_or(0, |(_, digits)| digits.len());
        let last_digit = (0..decimals).fold(1.0, |digit, _| digit / 10.0);
        Ok(Self {
            count: value * unit,
            rounding: 0.5 * last_digit * unit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A bare number has no currency; a currency has three capital letters.
    #[test]
    fn an_amount_has_a_number_and_perhaps_a_currency() {
        let amount = |text: &str| {
            let table: toml::Table = format!("x = {text}").parse().expect("TOML");
            Amount::of(&table["x"])
        };
        let euros = amount("\"2.10 EUR\"").expect("an amount");
        assert!((euros.value - 2.1).abs() < 1e-12);
        assert_eq!(
            euros.currency.map(|it| it.to_string()),
            Some("EUR".to_owned())
        );
        assert_eq!(amount("3").expect("an amount").currency, None);
        for text in [
            "0",
            "-1",
            "nan",
            "\"2.10\"",
            "\"2 eur\"",
            "\"x EUR\"",
            "true",
            "[1]",
        ] {
            assert!(amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_is_a_year_a_month_or_a_day() {
        for text in ["2026", "2026-05", "2026-05-28"] {
            assert_eq!(
                text.parse().map(|it: Date| it.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "26",
            "2026-5",
            "2026-13",
            "2026-05-32",
            "2026-05-28-1",
            "May 2026",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_price_is_dollars_above_zero() {
        assert_eq!("2.50 USD".parse(), Ok(Dollars(2.5)));
        for text in ["2.50", "2.50 EUR", "0 USD", "-1 USD", "NaN USD", "USD"] {
            assert!(text.parse::<Dollars>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_is_four_digits_a_dash_and_two() {
        assert_eq!(
            "2026-05".parse(),
            Ok(Month {
                year: 2026,
                month: 5
            })
        );
        for text in [
            "2026-13",
            "2026-00",
            "2026",
            "26-05",
            "2026-5",
            "2026-05-01",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }

    // 70.6 billion: the last digit is 0.1 billion, half of it 50 million.
    #[test]
    fn a_parameter_count_knows_its_rounding() {
        let count: ParameterCount = "70.6 billion".parse().expect("a count");
        assert!((count.count - 70.6e9).abs() < 1.0);
        assert!((count.rounding - 0.05e9).abs() < 1.0);
        for text in ["70.6e9", "70.6", "-1 billion", "inf billion", "70.6 B"] {
            assert!(text.parse::<ParameterCount>().is_err(), "{text}");
        }
    }
}

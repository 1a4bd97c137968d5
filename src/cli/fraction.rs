//! Fractions on the command line: `0.8` or `80%`.

use thiserror::Error;

/// Reason for which a text is no fraction.
#[derive(Clone, Debug, PartialEq, Error)]
pub(super) enum NoFraction {
    /// A number over 1 without a sign for percent.
    #[error(
        "`{text}` would be {percent:.0}%; write a fraction from 0 to 1, or percent as `{text}%`"
    )]
    OverOne {
        /// The text.
        text: String,
        /// The number in percent.
        percent: f64,
    },
    /// More than the whole where that cannot be.
    #[error("`{0}` is more than 100%")]
    OverWhole(String),
    /// No number, or one below 0.
    #[error("`{0}` is no fraction; write 0.8 or 80%")]
    Other(String),
}

/// A fraction from 0 on: of a number without `%` at most 1, so that `80` does not mean 8000%.
pub(super) fn fraction(text: &str) -> Result<f64, NoFraction> {
    let number = |digits: &str| {
        let number: Option<f64> = digits.trim().parse().ok();
        number
            .filter(|number| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| NoFraction::Other(text.to_owned()))
    };
    if let Some(percent) = text.trim().strip_suffix('%') {
        return Ok(number(percent)? / 100.0);
    }
    match number(text)? {
        fraction if fraction <= 1.0 => Ok(fraction),
        number => Err(NoFraction::OverOne {
            text: text.trim().to_owned(),
            percent: 100.0 * number,
        }),
    }
}

/// A fraction that is no more than the whole.
pub(super) fn share(text: &str) -> Result<f64, NoFraction> {
    match fraction(text)? {
        share if share <= 1.0 => Ok(share),
        _ => Err(NoFraction::OverWhole(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 80% and 0.8 are the same; 80 alone would be 8000%.
    #[test]
    fn a_fraction_is_written_as_one_or_in_percent() {
        for (text, value) in [
            ("0.8", 0.8),
            ("80%", 0.8),
            ("1", 1.0),
            ("0", 0.0),
            (" 2.5 %", 0.025),
        ] {
            assert_eq!(fraction(text), Ok(value), "{text}");
            assert_eq!(share(text), Ok(value), "{text}");
        }
        assert_eq!(fraction("250%"), Ok(2.5));
        assert!(share("250%").is_err());
        let message = fraction("80").expect_err("8000%").to_string();
        assert!(
            message.contains("8000%") && message.contains("`80%`"),
            "{message}"
        );
        for text in ["", "%", "-0.1", "-5%", "nan", "inf", "a lot", "0.8 %%"] {
            let message = fraction(text).expect_err(text).to_string();
            assert!(message.contains("write 0.8 or 80%"), "{message}");
        }
    }
}

//! Quantities for people: three significant digits, with a unit.

pub(crate) use crate::units::{plural, three_digits};

/// A count with thousands apart: `16,384`; rounded to a whole one.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.as_str()),
    };
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// The size of a job: `512 GPUs`.
pub(crate) fn gpus(number: u64) -> String {
    format!("{} GPU{}", count(number as f64), plural(number))
}

/// A value in the largest of some units that it reaches, else in the last one.
fn in_unit(value: f64, units: &[(f64, &str)]) -> String {
    let (factor, unit) = units
        .iter()
        .find(|(factor, _)| value.abs() >= *factor)
        .or(units.last())
        .copied()
        .unwrap_or((1.0, ""));
    format!("{} {unit}", three_digits(value / factor))
        .trim_end()
        .to_owned()
}

/// A time: `1.23 s`, `45.6 ms`, `3.00 h`.
pub(crate) fn seconds(value: f64) -> String {
    // From where on a unit is used, and how many seconds it has.
    const UNITS: &[(f64, f64, &str)] = &[
        (3.0 * 86_400.0, 86_400.0, "d"),
        (2.0 * 3_600.0, 3_600.0, "h"),
        (300.0, 60.0, "min"),
        (1.0, 1.0, "s"),
        (1e-3, 1e-3, "ms"),
    ];
    let (factor, unit) = UNITS
        .iter()
        .find(|(least, ..)| value >= *least)
        .map_or((1e-6, "µs"), |(_, factor, unit)| (*factor, *unit));
    format!("{} {unit}", three_digits(value / factor))
}

/// A large number with a decimal prefix: `4.10 M`, `12.3 k`.
pub(crate) fn decimal(value: f64) -> String {
    in_unit(
        value,
        &[(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
    )
}

/// Bytes with a binary prefix: `79.2 GiB`.
pub(crate) fn bytes(value: f64) -> String {
    const KIBI: f64 = 1_024.0;
    const MEBI: f64 = KIBI * KIBI;
    in_unit(
        value,
        &[
            (MEBI * MEBI, "TiB"),
            (MEBI * KIBI, "GiB"),
            (MEBI, "MiB"),
            (KIBI, "KiB"),
            (1.0, "B"),
        ],
    )
}

/// Dollars: `$1.23`, `$4.10 M`.
pub(crate) fn dollars(value: f64) -> String {
    format!("${}", decimal(value))
}

/// A number for the tick of an axis, without trailing zeros: `0.05`.
pub(crate) fn short_number(value: f64) -> String {
    without_trailing_zeros(&three_digits(value))
}

/// A large number for the tick of an axis: `10 M`, `200 k`, `2.5`.
pub(crate) fn short_decimal(value: f64) -> String {
    without_trailing_zeros_before_unit(&decimal(value))
}

/// Dollars for the tick of an axis: `$10 M`.
pub(crate) fn short_dollars(value: f64) -> String {
    format!("${}", short_decimal(value))
}

/// Bytes for the tick of an axis: `8 MiB`.
pub(crate) fn short_bytes(value: f64) -> String {
    without_trailing_zeros_before_unit(&bytes(value))
}

/// A time for the tick of an axis: `10 ms`.
pub(crate) fn short_seconds(value: f64) -> String {
    without_trailing_zeros_before_unit(&seconds(value))
}

fn without_trailing_zeros_before_unit(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) => format!("{} {unit}", without_trailing_zeros(number)),
        None => without_trailing_zeros(text),
    }
}

fn without_trailing_zeros(number: &str) -> String {
    let short = number.trim_end_matches('0').trim_end_matches('.');
    if number.contains('.') { short } else { number }.to_owned()
}

/// A change in percent with its sign: `+31.0%`.
pub(crate) fn signed_percent(change: f64) -> String {
    // Rounding must not leave a minus before a zero.
    format!("{:+.1}%", 100.0 * change).replace("-0.0%", "+0.0%")
}

/// A fraction in percent: `84%`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.0}%", 100.0 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit_the_size() {
        assert_eq!(count(16_384.0), "16,384");
        assert_eq!(count(-1_024.4), "-1,024");
        assert_eq!(count(12.0), "12");
        assert_eq!(gpus(1), "1 GPU");
        assert_eq!(gpus(1_024), "1,024 GPUs");
        assert_eq!(seconds(1.234), "1.23 s");
        assert_eq!(seconds(0.0456), "45.6 ms");
        // 10 days in seconds.
        assert_eq!(seconds(864_000.0), "10.0 d");
        assert_eq!(seconds(2e-6), "2.00 µs");
        assert_eq!(decimal(4.1e6), "4.10 M");
        assert_eq!(decimal(12.0), "12.0");
        assert_eq!(dollars(1_500.0), "$1.50 k");
        assert_eq!(bytes(80.0 * 1_073_741_824.0), "80.0 GiB");
        assert_eq!(percent(0.846), "85%");
        assert_eq!(short_number(0.05), "0.05");
        assert_eq!(short_number(100.0), "100");
        assert_eq!(short_decimal(1e7), "10 M");
        assert_eq!(short_decimal(2.5), "2.5");
        assert_eq!(short_bytes(8.0 * 1_048_576.0), "8 MiB");
        assert_eq!(short_seconds(1e-2), "10 ms");
        assert_eq!(short_dollars(200_000.0), "$200 k");
    }
}

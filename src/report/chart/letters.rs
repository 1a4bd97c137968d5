//! Widths of text, so that labels never touch.

/// Widths of the letters U+0020 to U+007E of Inter Regular, in 2048ths of the font size.
const WIDTHS: [u16; 95] = [
    576, 589, 954, 1297, 1314, 2011, 1319, 614, 747, 747, 1026, 1355, 590, 942, 590, 738, 1292,
    833, 1249, 1265, 1323, 1215, 1270, 1159, 1267, 1270, 590, 618, 1355, 1355, 1355, 1047, 1978,
    1413, 1340, 1496, 1478, 1231, 1209, 1528, 1522, 550, 1169, 1376, 1158, 1850, 1543, 1566, 1308,
    1566, 1318, 1314, 1322, 1524, 1413, 2018, 1397, 1390, 1288, 747, 738, 747, 965, 934, 661, 1150,
    1254, 1170, 1254, 1194, 758, 1256, 1211, 496, 496, 1124, 496, 1794, 1210, 1228, 1254, 1254,
    771, 1081, 670, 1211, 1151, 1676, 1118, 1151, 1131, 873, 681, 873, 1355,
];

/// Width of any other letter.
const OTHER: u16 = 1_355;

/// Allowance for a page that draws in another font: DejaVu Sans, the widest usual one, is 8% wider.
pub(super) const SLACK: f64 = 1.08;

/// Width of a text in the font of charts at a font size, in the units of the size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let units: u32 = text
        .chars()
        .map(|letter| {
            let place = (letter as usize).wrapping_sub(0x20);
            u32::from(WIDTHS.get(place).copied().unwrap_or(OTHER))
        })
        .sum();
    SLACK * f64::from(units) / 2_048.0 * size
}

/// A text cut down with `…` until it is at most so wide.
pub(super) fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    loop {
        kept.pop();
        let cut: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if width(&cut, size) <= most || kept.is_empty() {
            return cut;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_its_letters() {
        // "10" is 833 + 1292 units of 2048, at 12 units a letter's height 12.45; with 8% slack 13.45.
        assert!((width("10", 12.0) - 1.08 * 12.0 * 2_125.0 / 2_048.0).abs() < 1e-9);
        assert!((width("", 12.0)).abs() < 1e-9);
    }

    #[test]
    fn a_text_too_wide_ends_in_dots() {
        assert_eq!(fitted("h100", 12.0, 100.0), "h100");
        let cut = fitted("a name that is far too long", 12.0, 60.0);
        assert!(cut.ends_with('…') && cut.starts_with("a name"), "{cut}");
        assert!(width(&cut, 12.0) <= 60.0);
    }
}

//! Coordinates as SVG writes them.

/// Width of every chart, in the units of its view box.
pub(super) const WIDTH: f64 = 420.0;

/// A coordinate with one digit behind the point, which is finer than any screen.
pub(super) fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The value of a `transform` that moves (0, 0) to a place.
pub(super) fn translate(x: f64, y: f64) -> String {
    format!("translate({} {})", at(x), at(y))
}

/// The path of a horizontal line.
pub(super) fn horizontal(from: f64, to: f64, y: f64) -> String {
    format!("M{} {}H{}", at(from), at(y), at(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(at(12.0), "12");
        assert_eq!(at(12.34), "12.3");
    }
}

//! Charts as SVG, drawn from values alone: the same values give the same bytes.
//!
//! Colours are classes (`c0` … `c9`), so that a page can have a light and a dark scheme; every
//! line has a marker of its own shape besides, so that no meaning hangs on colour.

mod bars;
mod drawing;
mod frame;
mod letters;
mod lines;
pub mod palette;
mod ranges;
mod raster;
mod scale;

pub use bars::{Bar, BarChart};
pub use drawing::Drawing;
pub use frame::ValueAxis;
pub use lines::{Line, LineChart, Mark, MarkKind, Ring, Rule, Stroke};
pub use ranges::{Range, RangeChart, RangeMark};
pub use raster::{RasterError, Rasteriser};
pub use scale::Scale;

/// Style of charts, with the colours of [`palette`] as custom properties.
pub const STYLE: &str = include_str!("chart.css");

/// Text that is safe inside markup and attribute values.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A coordinate with one digit behind the point, which is finer than any screen.
fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_markup() {
        assert_eq!(escaped("a<b>\"&"), "a&lt;b&gt;&quot;&amp;");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(at(12.0), "12");
        assert_eq!(at(12.34), "12.3");
    }
}

//! Charts as SVG, drawn from values alone: the same values give the same bytes.
//!
//! Colours are classes (`c0` … `c9`), so that a page can have a light and a dark scheme; every
//! line has a marker of its own shape besides, so that no meaning hangs on colour.

mod bars;
mod frame;
mod lines;
mod scale;

pub use bars::{Bar, BarChart};
pub use lines::{Line, LineChart, Mark, MarkKind, Rule};
pub use scale::Scale;

/// Style of a chart that stands alone: the light scheme, on white.
const STANDALONE_STYLE: &str = include_str!("standalone.css");

/// Makes a chart a file of its own, readable without the page.
pub fn standalone(svg: &str) -> String {
    let (head, rest) = svg.split_once('>').unwrap_or((svg, ""));
    let style: String = STANDALONE_STYLE
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    format!(
        "{head}><style>{style}</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>{rest}\n"
    )
}

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

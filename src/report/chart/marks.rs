//! Marks that several kinds of charts draw.

use maud::{Markup, html};

use super::coordinates::{at, translate};

/// The text that hovering shows; none where it is empty.
pub(super) fn tip(text: &str) -> Markup {
    html! { @if !text.is_empty() { title { (text) } } }
}

/// A marker of the outline `shape`, which is drawn around (0, 0).
pub(super) fn marker(class: &str, shape: &str, x: f64, y: f64, text: &str) -> Markup {
    html! { path class=(class) transform=(translate(x, y)) d=(shape) { (tip(text)) } }
}

/// A cross, for points that did not run.
pub(super) fn cross(x: f64, y: f64, text: &str) -> Markup {
    const CROSS: &str = "M-3.2 -3.2L3.2 3.2M-3.2 3.2L3.2 -3.2";
    marker("cross", CROSS, x, y, text)
}

/// A ring around a place of note, such as a breakdown point.
pub(super) fn ring(x: f64, y: f64, text: &str) -> Markup {
    html! { circle.ring cx=(at(x)) cy=(at(y)) r="6" { (tip(text)) } }
}

/// The ring of the legend.
pub(super) fn ring_sample() -> Markup {
    html! { circle.ring r="5" {} }
}

/// The outline of the marker of a style: circle, square, triangle, diamond, and so on.
pub(super) const fn shape(style: usize) -> &'static str {
    match style {
        0 => "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
        1 => "M-3.2 -3.2h6.4v6.4h-6.4z",
        2 => "M0 -4.2L3.9 3H-3.9z",
        3 => "M0 -4.5L4 0L0 4.5L-4 0z",
        4 => "M0 4.2L3.9 -3H-3.9z",
        5 => "M-1.4 -4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
        6 => "M0 -4.2L4 -1.3L2.5 3.5H-2.5L-4 -1.3z",
        _ => "M-3.8 0L-1.9 -3.6H1.9L3.8 0L1.9 3.6H-1.9z",
    }
}

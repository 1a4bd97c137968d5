//! A finished chart, for a page or a file.

use super::{STYLE, at, escaped, palette};

/// Width of a file: a column of a two-column page.
const COLUMN_MM: f64 = 85.0;

/// Paper around a chart in a file, in the units of its view box.
const MARGIN: f64 = 10.0;

/// A finished chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) body: String,
}

impl Drawing {
    /// An SVG element for a page that holds [`STYLE`] and the colours of [`palette`].
    pub fn on_page(&self) -> String {
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            at(self.width),
            at(self.height),
            escaped(&self.title),
            self.body
        )
    }

    /// A file of its own: as wide as a column of print, in the light scheme, on white paper.
    pub fn file(&self) -> String {
        let (width, height) = (self.width + 2.0 * MARGIN, self.height + 2.0 * MARGIN);
        let (w, h) = (at(width), at(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" width=\"{COLUMN_MM}mm\" height=\"{}mm\" \
             viewBox=\"-{MARGIN} -{MARGIN} {w} {h}\" role=\"img\" aria-label=\"{}\">\n<style>\n{}</style>\n\
             <rect x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"/>\n{}\n</svg>\n",
            at(COLUMN_MM * height / width),
            escaped(&self.title),
            palette::LIGHT.inlined(STYLE),
            palette::LIGHT.paper,
            self.body
        )
    }
}

//! A finished chart, for a page or a file.

use maud::{Markup, PreEscaped, html};

use super::coordinates::{WIDTH, at, translate};
use super::layer::{Layer, Layers};
use super::palette;
use crate::visible::in_markup;

/// Style of charts, with the colours of [`palette`] as custom properties.
pub(crate) const STYLE: &str = include_str!("chart.css");

/// Width of a file: a column of a two-column page.
const COLUMN_MM: f64 = 85.0;

/// Paper around a chart in a file, in the units of its view box.
const MARGIN: f64 = 10.0;

/// A finished chart.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) layers: Layers,
}

impl Drawing {
    /// Several charts as one, in rows of `columns`.
    pub(crate) fn side_by_side(title: &str, charts: &[Self], columns: usize) -> Self {
        let (mut width, mut height): (f64, f64) = (0.0, 0.0);
        let mut body = Markup::default();
        for row in charts.chunks(columns) {
            let (top, mut left) = (height, 0.0);
            for chart in row {
                let place = translate(left, top);
                body = html! { (body) g transform=(place) { (chart.layers.flat()) } };
                left += chart.width + 2.0 * MARGIN;
                height = height.max(top + chart.height + 2.0 * MARGIN);
            }
            width = width.max(left - 2.0 * MARGIN);
        }
        let mut layers = Layers::new([0.0; 4]);
        layers.start(Layer::Fixed);
        layers.push(&body);
        Self {
            title: title.to_owned(),
            width,
            height: height - 2.0 * MARGIN,
            layers,
        }
    }

    /// An SVG element for a page that holds [`STYLE`] and the colours of [`palette`].
    pub(crate) fn on_page(&self) -> Markup {
        let view_box = format!("0 0 {} {}", at(self.width), at(self.height));
        let layers = &self.layers;
        let ticks = |list: &str| (!list.is_empty()).then(|| list.to_owned());
        html! {
            svg.chart viewBox=(view_box) role="img" aria-label=(self.title) data-plot=(layers.places())
                data-x=[ticks(&layers.x_ticks)] data-y=[ticks(&layers.y_ticks)] { (layers.grouped()) }
        }
    }

    /// A file of its own: a chart as wide as a column of print, in the light scheme, on white paper.
    pub fn file(&self) -> String {
        let (width, height) = (self.width + 2.0 * MARGIN, self.height + 2.0 * MARGIN);
        let (w, h, edge) = (at(width), at(height), at(-MARGIN));
        let mm = COLUMN_MM / (WIDTH + 2.0 * MARGIN);
        let (width_mm, height_mm) = (at(mm * width), at(mm * height));
        let svg = html! {
            svg.chart xmlns="http://www.w3.org/2000/svg" width={ (width_mm) "mm" } height={ (height_mm) "mm" }
                viewBox={ (edge) " " (edge) " " (w) " " (h) } role="img" aria-label=(self.title) {
                style { (PreEscaped(palette::LIGHT.inlined(STYLE))) }
                rect x=(edge) y=(edge) width=(w) height=(h) fill=(palette::LIGHT.paper) {}
                (self.layers.flat())
            }
        };
        in_markup(svg.into_string()) + "\n"
    }
}

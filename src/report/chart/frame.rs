//! What every chart has: a title, two axes with ticks and names, a legend.

use super::{Scale, at, escaped};
use crate::report::markup::push;

/// Width of a letter of the charts' font, about.
const LETTER: f64 = 6.1;

/// Height of a line of the legend.
const LEGEND_LINE: f64 = 16.0;

/// The room of a chart and what is drawn into it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    body: String,
    legend: Vec<(String, String)>,
    title: String,
}

impl Frame {
    /// Whole width of every chart, in the units of its view box.
    pub(super) const WIDTH: f64 = 420.0;

    pub(super) fn new(title: &str) -> Self {
        Self {
            left: 54.0,
            top: 26.0,
            width: Self::WIDTH - 54.0 - 12.0,
            height: 190.0,
            body: String::new(),
            legend: Vec::new(),
            title: title.to_owned(),
        }
    }

    pub(super) fn x(&self, place: f64) -> f64 {
        self.left + place * self.width
    }

    pub(super) fn y(&self, place: f64) -> f64 {
        self.top + (1.0 - place) * self.height
    }

    pub(super) fn push(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    /// A name in the legend with the markup of its sample, drawn around (0, 0).
    pub(super) fn legend(&mut self, name: &str, sample: String) {
        self.legend.push((name.to_owned(), sample));
    }

    fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        push(
            &mut self.body,
            format_args!(
                "<text{class} x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                at(x),
                at(y),
                escaped(text)
            ),
        );
    }

    /// Grid, ticks and name of the vertical axis.
    pub(super) fn vertical_axis(&mut self, scale: Scale, name: &str, format: fn(f64) -> String) {
        for tick in scale.ticks(5) {
            let y = self.y(scale.place(tick));
            let right = self.left + self.width;
            let line = format!(
                "<path class=\"gridline\" d=\"M{} {}H{}\"/>",
                at(self.left),
                at(y),
                at(right)
            );
            self.push(&line);
            self.text("", self.left - 6.0, y + 3.5, "end", &format(tick));
        }
        self.text("name", 2.0, self.top - 6.0, "start", name);
    }

    /// Ticks and name of a horizontal axis with values.
    pub(super) fn horizontal_axis(&mut self, scale: Scale, name: &str, format: fn(f64) -> String) {
        let ticks: Vec<(f64, String)> = scale
            .ticks(7)
            .into_iter()
            .map(|tick| (scale.place(tick), format(tick)))
            .collect();
        self.horizontal_ticks(&ticks, name);
    }

    /// Ticks at given places, and the line of the axis. Labels that would touch are left out.
    pub(super) fn horizontal_ticks(&mut self, ticks: &[(f64, String)], name: &str) {
        let bottom = self.top + self.height;
        let line = format!(
            "<path class=\"axis\" d=\"M{} {}H{}\"/>",
            at(self.left),
            at(bottom),
            at(self.left + self.width)
        );
        self.push(&line);
        let mut free_from = 0.0;
        for (place, label) in ticks {
            let x = self.x(*place);
            let half = label.chars().count() as f64 * LETTER / 2.0;
            let tick = format!("<path class=\"tick\" d=\"M{} {}v4\"/>", at(x), at(bottom));
            self.push(&tick);
            if x - half >= free_from {
                self.text("", x, bottom + 16.0, "middle", label);
                free_from = x + half + 5.0;
            }
        }
        self.text("name", self.left + self.width, bottom + 31.0, "end", name);
    }

    /// The chart as an SVG element.
    pub(super) fn finish(mut self) -> String {
        let mut x = self.left;
        let mut y = self.top + self.height + 50.0;
        for (name, sample) in std::mem::take(&mut self.legend) {
            let width = 26.0 + name.chars().count() as f64 * LETTER;
            if x > self.left && x + width > Self::WIDTH {
                x = self.left;
                y += LEGEND_LINE;
            }
            let sample = format!(
                "<g transform=\"translate({} {})\">{sample}</g>",
                at(x + 8.0),
                at(y - 4.0)
            );
            self.push(&sample);
            self.text("", x + 20.0, y, "start", &name);
            x += width + 8.0;
        }
        let height = if y > self.top + self.height + 50.0 || x > self.left {
            y + 10.0
        } else {
            self.top + self.height + 40.0
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}\">\
             <text class=\"title\" x=\"{}\" y=\"13\" text-anchor=\"end\">{title}</text>{}</svg>",
            at(Self::WIDTH),
            at(height),
            at(Self::WIDTH - 12.0),
            self.body,
            title = escaped(&self.title),
        )
    }
}

//! The frame of every chart: title, two axes with ticks and names, legend.

use itertools::Itertools;
use maud::{Markup, html};

use super::coordinates::{WIDTH, at, horizontal, translate};
use super::drawing::Drawing;
use super::layer::{Layer, Layers};
use super::letters::{fitted, width};
use super::scale::Scale;

/// Size of all text but the title.
pub(super) const LETTER: f64 = 12.0;

/// Height of a line of the legend.
const LEGEND_LINE: f64 = 18.0;

/// Title and name of the vertical axis, above the plot.
const HEAD: f64 = 42.0;

/// One axis with values.
#[derive(Clone, Debug)]
pub(crate) struct ValueAxis {
    /// Quantity with its unit.
    pub(crate) name: String,
    /// Scale from values to places.
    pub(crate) scale: Scale,
    /// Format of the values.
    pub(crate) format: fn(f64) -> String,
}

impl ValueAxis {
    /// Ticks with their labels: `0.25 8|0.5 16` where about `most` of them mark the axis, then `||` and those that
    /// mark a part of it that is looked at closely.
    fn tick_list(&self, most: usize) -> String {
        let coarse = self.scale.ticks(most);
        let labelled = |ticks: &[f64]| -> Vec<(f64, String)> {
            let ticks = ticks.iter().filter(|tick| self.scale.holds(**tick));
            ticks
                .map(|tick| (self.scale.place(*tick), (self.format)(*tick)))
                .collect()
        };
        let (coarse, fine) = (labelled(&coarse), labelled(&self.scale.fine_ticks()));
        // A label stands for one place only.
        let is_own = |label: &String| {
            let same = fine.iter().filter(|(_, other)| other == label).count();
            same == 1 && coarse.iter().all(|(_, other)| other != label)
        };
        let words = |ticks: &mut dyn Iterator<Item = &(f64, String)>| {
            ticks
                .map(|(place, label)| format!("{place:.4} {label}"))
                .join("|")
        };
        let fine = words(&mut fine.iter().filter(|(_, label)| is_own(label)));
        format!("{}||{fine}", words(&mut coarse.iter()))
    }
}

/// The plot area of a chart, and its markup so far.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    layers: Layers,
    legend: Vec<(String, Markup)>,
    title: String,
}

impl Frame {
    /// A frame whose vertical axis has values, and whose plot has words of such a width beside it.
    pub(super) fn with_values(title: &str, axis: &ValueAxis, beside: f64) -> Self {
        let ticks = axis.scale.ticks(5);
        let widest = ticks
            .iter()
            .map(|tick| width(&(axis.format)(*tick), LETTER))
            .fold(0.0, f64::max);
        let mut frame = Self::new(title, widest + 8.0, 14.0 + beside, 200.0);
        frame.layers.y_ticks = axis.tick_list(5);
        frame.text("name", 0.0, 34.0, "start", &axis.name);
        frame.on(Layer::VerticalTicks);
        let right = frame.left + frame.width;
        let lines = axis
            .scale
            .minor_ticks()
            .into_iter()
            .map(|tick| ("minor", tick))
            .chain(ticks.iter().map(|tick| ("gridline", *tick)));
        for (class, tick) in lines {
            let y = frame.y(axis.scale.place(tick));
            frame.push(&html! { path class=(class) d=(horizontal(frame.left, right, y)) {} });
        }
        for tick in ticks {
            let y = frame.y(axis.scale.place(tick)) + 4.2;
            frame.text("", frame.left - 6.0, y, "end", &(axis.format)(tick));
        }
        frame.on(Layer::Fixed);
        frame
    }

    /// A frame whose plot lies between margins and is so high.
    pub(super) fn new(title: &str, left: f64, right: f64, height: f64) -> Self {
        Self {
            left,
            top: HEAD,
            width: WIDTH - left - right,
            height,
            layers: Layers::new([left, HEAD, WIDTH - left - right, height]),
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

    pub(super) fn push(&mut self, markup: &Markup) {
        self.layers.push(markup);
    }

    /// Begins a layer, to which all that is pushed from now on belongs.
    pub(super) fn on(&mut self, layer: Layer) {
        self.layers.start(layer);
    }

    /// Adds a name to the legend, with the markup of its sample around (0, 0); known names are not repeated.
    pub(super) fn legend(&mut self, name: &str, sample: Markup) {
        if !self.legend.iter().any(|(known, _)| known == name) {
            self.legend.push((name.to_owned(), sample));
        }
    }

    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        self.push(&text_at(class, (x, y), anchor, text));
    }

    /// A text at most so wide; where it is cut, all of it shows under the pointer.
    pub(super) fn label(&mut self, class: &str, (x, y): (f64, f64), text: &str, most: f64) {
        let cut = fitted(text, LETTER, most);
        let drawn = text_at(class, (x, y), "start", &cut);
        if cut == text {
            self.push(&drawn);
        } else {
            self.push(&html! { g { title { (text) } (drawn) } });
        }
    }

    /// Ticks and name of a horizontal axis with values.
    pub(super) fn horizontal_axis(&mut self, axis: &ValueAxis) {
        let ticks: Vec<(f64, String)> = axis
            .scale
            .ticks(10)
            .into_iter()
            .map(|tick| (axis.scale.place(tick), (axis.format)(tick)))
            .collect();
        self.layers.x_ticks = axis.tick_list(10);
        self.horizontal_ticks(&ticks, &axis.name);
    }

    /// Ticks at given places, and the line of the axis. Where labels would touch, only every second,
    /// third, … has one.
    pub(super) fn horizontal_ticks(&mut self, ticks: &[(f64, String)], name: &str) {
        let bottom = self.top + self.height;
        let line = horizontal(self.left, self.left + self.width, bottom);
        self.push(&html! { path.axis d=(line) {} });
        self.on(Layer::HorizontalTicks);
        let every = self.labelled_ticks(ticks);
        for (number, (place, label)) in ticks.iter().enumerate() {
            let x = self.x(*place);
            self.push(&html! { path.tick d={ "M" (at(x)) " " (at(bottom)) "v4" } {} });
            if number % every == 0 {
                // The last label may not stick out of the chart.
                let half = width(label, LETTER) / 2.0;
                let x = x.clamp(half, (WIDTH - half).max(half));
                self.text("", x, bottom + 17.0, "middle", label);
            }
        }
        self.on(Layer::Fixed);
        let center = self.left + self.width / 2.0;
        self.text("name", center, bottom + 35.0, "middle", name);
    }

    /// The least `n` such that the labels of every nth tick do not touch.
    fn labelled_ticks(&self, ticks: &[(f64, String)]) -> usize {
        const APART: f64 = 6.0;
        let keep_apart = |every: usize| {
            let mut free_from = f64::NEG_INFINITY;
            ticks.iter().step_by(every).all(|(place, label)| {
                let half = width(label, LETTER) / 2.0;
                let fits = self.x(*place) - half >= free_from;
                free_from = self.x(*place) + half + APART;
                fits
            })
        };
        (1..ticks.len().max(2))
            .find(|every| keep_apart(*every))
            .unwrap_or(ticks.len().max(1))
    }

    /// The chart.
    pub(super) fn finish(mut self) -> Drawing {
        let first = self.top + self.height + 58.0;
        let (mut x, mut y) = (0.0, first);
        let entries = std::mem::take(&mut self.legend);
        for (name, sample) in &entries {
            let most = WIDTH - 26.0;
            let wide = 24.0 + width(name, LETTER).min(most);
            if x > 0.0 && x + wide > WIDTH {
                x = 0.0;
                y += LEGEND_LINE;
            }
            self.on(Layer::Legend(name.clone()));
            self.push(&html! { g transform=(translate(x + 9.0, y - 4.0)) { (sample) } });
            self.label("", (x + 22.0, y), name, most);
            x += wide + 14.0;
        }
        let height = if entries.is_empty() {
            self.top + self.height + 40.0
        } else {
            y + 8.0
        };
        // Bold letters are wider than the table of widths has them, in other fonts still more so.
        let title = fitted(&self.title, 1.2 * 13.0, WIDTH);
        self.layers.legend_top = self.top + self.height + 42.0;
        self.layers.title = html! { text.title x="0" y="14" { (title) } };
        Drawing {
            width: WIDTH,
            height,
            layers: self.layers,
            title: self.title,
        }
    }
}

fn text_at(class: &str, (x, y): (f64, f64), anchor: &str, text: &str) -> Markup {
    let class = Some(class).filter(|class| !class.is_empty());
    html! { text class=[class] x=(at(x)) y=(at(y)) text-anchor=(anchor) { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_is_cut_shows_all_of_it_under_the_pointer() {
        let name = "dgx-h100 oversubscription 4";
        let label = |most: f64| {
            let mut frame = Frame::new("t", 0.0, 0.0, 10.0);
            frame.label("", (0.0, 0.0), name, most);
            frame.finish().file()
        };
        let cut = label(100.0);
        assert!(cut.contains(&format!("<title>{name}</title>")), "{cut}");
        assert!(cut.contains("…</text>"), "{cut}");
        assert!(label(1_000.0).contains(&format!(">{name}</text>")));
    }
}

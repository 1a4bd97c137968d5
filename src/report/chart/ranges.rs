//! Ranges of several things, one row each over a common axis.

use maud::{Markup, html};

use super::apart::{APART, Taken};
use super::coordinates::{WIDTH, at, horizontal};
use super::drawing::Drawing;
use super::frame::{Frame, LETTER, ValueAxis};
use super::layer::Layer;
use super::letters::{fitted, width};
use super::marks::{cross, ring, ring_sample, tip};

/// Kind of a size of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeMark {
    /// Ran, and is good enough.
    Good,
    /// Ran, and is not.
    Bad,
    /// Did not run.
    Missing,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Range {
    /// Name of the row.
    pub(crate) name: String,
    /// Sizes in order: value, kind, text that hovering shows.
    pub(crate) marks: Vec<(f64, RangeMark, String)>,
    /// End of the good range, and the text that hovering there shows.
    pub(crate) end: Option<(f64, String)>,
    /// Note behind the row: why it ends.
    pub(crate) note: String,
    /// Colour, 0–7; rows that belong together share one.
    pub(crate) style: usize,
}

/// A chart of ranges.
#[derive(Clone, Debug)]
pub(crate) struct RangeChart {
    /// Title above the chart.
    pub(crate) title: String,
    /// Title of the rows.
    pub(crate) rows: String,
    /// The axis.
    pub(crate) x: ValueAxis,
    /// Meaning of the ring at the end of a row.
    pub(crate) ring: &'static str,
    /// Meaning of a good size.
    pub(crate) good: String,
    /// Meaning of a bad size.
    pub(crate) bad: String,
    /// The rows.
    pub(crate) ranges: Vec<Range>,
}

/// Height of a row.
const ROW: f64 = 20.0;
/// Most room for the names, and for the notes.
const NAMES: f64 = 190.0;
const NOTES: f64 = 132.0;

impl RangeChart {
    /// Draws the chart.
    pub(crate) fn draw(&self) -> Drawing {
        let widest = |texts: &mut dyn Iterator<Item = &str>, most: f64| {
            texts
                .map(|text| width(text, LETTER))
                .fold(0.0, f64::max)
                .min(most)
        };
        let names = widest(&mut self.ranges.iter().map(|row| row.name.as_str()), NAMES);
        let notes = widest(&mut self.ranges.iter().map(|row| row.note.as_str()), NOTES);
        let height = ROW * self.ranges.len() as f64;
        let mut frame = Frame::new(&self.title, names + 12.0, notes + 16.0, height);
        let rows = fitted(&self.rows, LETTER, WIDTH);
        frame.text("name", 0.0, 34.0, "start", &rows);
        frame.on(Layer::HorizontalTicks);
        for tick in self.x.scale.ticks(10) {
            let x = frame.x(self.x.scale.place(tick));
            let (top, bottom) = (frame.top, frame.top + frame.height);
            let line = format!("M{} {}V{}", at(x), at(top), at(bottom));
            frame.push(&html! { path.gridline d=(line) {} });
        }
        for (place, row) in self.ranges.iter().enumerate() {
            let y = frame.top + (place as f64 + 0.5) * ROW;
            self.push_row(&mut frame, row, y, names, notes);
        }
        frame.on(Layer::Fixed);
        frame.horizontal_axis(&self.x);
        self.push_legend(&mut frame);
        frame.finish()
    }

    fn push_row(&self, frame: &mut Frame, row: &Range, y: f64, names: f64, notes: f64) {
        let place = |value: f64| frame.x(self.x.scale.place(value).clamp(0.0, 1.0));
        let ran = || {
            row.marks
                .iter()
                .filter(|(_, kind, _)| *kind != RangeMark::Missing)
        };
        let style = row.style % 8;
        let line = |class: &str, from: f64, to: f64| {
            html! { path class={ (class) " s" (style) } d=(horizontal(place(from), place(to), y)) {} }
        };
        let mut taken = Taken::new(APART);
        let drawn: Vec<_> = row
            .marks
            .iter()
            .filter(|(value, ..)| taken.take(place(*value), y))
            .collect();
        let markup = html! {
            g.series {
                @if let (Some((first, ..)), Some((last, ..))) = (ran().next(), ran().next_back()) {
                    @let end = row.end.as_ref().map_or(*last, |(end, _)| *end);
                    (line("line", *first, end))
                    @if end < *last { (line("faint", end, *last)) }
                }
                @for (value, kind, tip) in drawn { (mark(*kind, style, place(*value), y, tip)) }
                @if let Some((end, tip)) = &row.end { (ring(place(*end), y, tip)) }
            }
        };
        frame.on(Layer::Plot(row.name.clone()));
        frame.push(&markup);
        frame.on(Layer::Label(row.name.clone()));
        frame.label("", (0.0, y + 4.2), &row.name, names + 0.1);
        let right = frame.left + frame.width + 12.0;
        frame.label("name", (right, y + 4.2), &row.note, notes + 0.1);
    }

    fn push_legend(&self, frame: &mut Frame) {
        let has = |wanted: RangeMark| {
            self.ranges
                .iter()
                .flat_map(|row| &row.marks)
                .any(|(_, kind, _)| *kind == wanted)
        };
        let names = [
            (RangeMark::Good, self.good.as_str()),
            (RangeMark::Bad, self.bad.as_str()),
            (RangeMark::Missing, "does not run"),
        ];
        for (kind, name) in names {
            if has(kind) {
                frame.legend(name, mark(kind, 6, 0.0, 0.0, ""));
            }
        }
        if self.ranges.iter().any(|row| row.end.is_some()) {
            frame.legend(self.ring, ring_sample());
        }
    }
}

fn mark(kind: RangeMark, style: usize, x: f64, y: f64, text: &str) -> Markup {
    let (class, radius) = match kind {
        RangeMark::Good => ("mark c", "3.2"),
        RangeMark::Bad => ("hollow s", "2.8"),
        RangeMark::Missing => return cross(x, y, text),
    };
    html! { circle class={ (class) (style) } cx=(at(x)) cy=(at(y)) r=(radius) { (tip(text)) } }
}

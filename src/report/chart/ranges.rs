//! How far each of several things reaches: one row each over a common axis.

use super::bars::CROSS;
use super::frame::{Frame, LETTER, ValueAxis};
use super::letters::{fitted, width};
use super::{Drawing, at, escaped};
use crate::report::markup::push;

/// What a size of a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeMark {
    /// It ran and is good enough.
    Good,
    /// It ran and is not.
    Bad,
    /// It did not run.
    Missing,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// What the row is.
    pub name: String,
    /// Its sizes in order: value, what it stands for, what hovering shows.
    pub marks: Vec<(f64, RangeMark, String)>,
    /// Where it ends being good, and what hovering there shows.
    pub end: Option<(f64, String)>,
    /// What stands behind the row: why it ends.
    pub note: String,
    /// Colour, 0–7; rows that belong together share one.
    pub style: usize,
}

/// A chart of ranges.
#[derive(Clone, Debug)]
pub struct RangeChart {
    /// What it shows.
    pub title: String,
    /// What the rows are.
    pub rows: String,
    /// The axis.
    pub x: ValueAxis,
    /// What the ring at the end of a row means.
    pub ring: &'static str,
    /// What a good and a bad size mean.
    pub good: String,
    /// The same of a bad one.
    pub bad: String,
    /// The rows.
    pub ranges: Vec<Range>,
}

/// Height of a row.
const ROW: f64 = 20.0;
/// Most room for the names, and for the notes.
const NAMES: f64 = 175.0;
const NOTES: f64 = 110.0;

impl RangeChart {
    /// Draws it.
    pub fn draw(&self) -> Drawing {
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
        let rows = fitted(&self.rows, LETTER, Frame::WIDTH);
        frame.text("name", 0.0, 34.0, "start", &rows);
        for tick in self.x.scale.ticks(10) {
            let x = frame.x(self.x.scale.place(tick));
            let (top, bottom) = (frame.top, frame.top + frame.height);
            frame.push(&format!(
                "<path class=\"gridline\" d=\"M{} {}V{}\"/>",
                at(x),
                at(top),
                at(bottom)
            ));
        }
        for (place, row) in self.ranges.iter().enumerate() {
            let y = frame.top + (place as f64 + 0.5) * ROW;
            self.push_row(&mut frame, row, y, names, notes);
        }
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
        let mut markup = String::from("<g class=\"series\">");
        if let (Some((first, ..)), Some((last, ..))) = (ran().next(), ran().next_back()) {
            let end = row.end.as_ref().map_or(*last, |(end, _)| *end);
            let line = |class: &str, from: f64, to: f64| {
                format!(
                    "<path class=\"{class} s{style}\" d=\"M{} {}H{}\"/>",
                    at(place(from)),
                    at(y),
                    at(place(to))
                )
            };
            markup.push_str(&line("line", *first, end));
            if end < *last {
                markup.push_str(&line("faint", end, *last));
            }
        }
        for (value, kind, tip) in &row.marks {
            markup.push_str(&mark(*kind, style, place(*value), y, tip));
        }
        if let Some((end, tip)) = &row.end {
            push(
                &mut markup,
                format_args!(
                    "<circle class=\"ring\" cx=\"{}\" cy=\"{}\" r=\"6\"><title>{}</title></circle>",
                    at(place(*end)),
                    at(y),
                    escaped(tip)
                ),
            );
        }
        markup.push_str("</g>");
        frame.push(&markup);
        let name = fitted(&row.name, LETTER, names + 0.1);
        let note = fitted(&row.note, LETTER, notes + 0.1);
        frame.text("", 0.0, y + 4.2, "start", &name);
        let right = frame.left + frame.width + 12.0;
        frame.text("name", right, y + 4.2, "start", &note);
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
            frame.legend(self.ring, "<circle class=\"ring\" r=\"5\"/>".to_owned());
        }
    }
}

fn mark(kind: RangeMark, style: usize, x: f64, y: f64, tip: &str) -> String {
    let title = if tip.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escaped(tip))
    };
    let (x, y) = (at(x), at(y));
    match kind {
        RangeMark::Good => {
            format!(
                "<circle class=\"mark c{style}\" cx=\"{x}\" cy=\"{y}\" r=\"3.2\">{title}</circle>"
            )
        }
        RangeMark::Bad => format!(
            "<circle class=\"hollow s{style}\" cx=\"{x}\" cy=\"{y}\" r=\"2.8\">{title}</circle>"
        ),
        RangeMark::Missing => format!(
            "<path class=\"cross\" transform=\"translate({x} {y})\" d=\"{CROSS}\">{title}</path>"
        ),
    }
}

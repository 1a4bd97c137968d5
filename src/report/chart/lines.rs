//! Lines and marks over two axes with values.

use super::frame::Frame;
use super::{Scale, at, escaped};
use crate::report::markup::push;

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A value.
    Value,
    /// The first size under the threshold: a ring around the mark.
    Broken,
    /// A value in the background.
    Dim,
}

/// One value of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Horizontal value.
    pub x: f64,
    /// Vertical value.
    pub y: f64,
    /// What hovering shows.
    pub tip: String,
    /// What it stands for.
    pub kind: MarkKind,
}

/// Marks of one thing, joined or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Name in the legend; empty for none.
    pub name: String,
    /// Colour and marker, 0–7.
    pub style: usize,
    /// Whether a line joins the marks.
    pub joined: bool,
    /// Its marks, by rising horizontal value.
    pub marks: Vec<Mark>,
}

/// A dashed line that means a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it means.
    pub name: String,
    /// From where.
    pub from: (f64, f64),
    /// To where.
    pub to: (f64, f64),
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// What it shows.
    pub title: String,
    /// Name and unit of the horizontal axis, its scale, and how its values are written.
    pub x: (String, Scale, fn(f64) -> String),
    /// The same of the vertical axis.
    pub y: (String, Scale, fn(f64) -> String),
    /// Its lines.
    pub lines: Vec<Line>,
    /// Its limits.
    pub rules: Vec<Rule>,
}

impl LineChart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let mut frame = Frame::new(&self.title);
        let (x_name, x, x_format) = &self.x;
        let (y_name, y, y_format) = &self.y;
        frame.vertical_axis(*y, y_name, *y_format);
        frame.horizontal_axis(*x, x_name, *x_format);
        for rule in &self.rules {
            self.push_rule(&mut frame, rule);
        }
        for line in &self.lines {
            self.push_line(&mut frame, line);
        }
        frame.finish()
    }

    fn place(&self, frame: &Frame, x: f64, y: f64) -> (f64, f64) {
        (
            frame.x(self.x.1.place(x).clamp(0.0, 1.0)),
            frame.y(self.y.1.place(y).clamp(0.0, 1.0)),
        )
    }

    fn push_rule(&self, frame: &mut Frame, rule: &Rule) {
        let (x0, y0) = self.place(frame, rule.from.0, rule.from.1);
        let (x1, y1) = self.place(frame, rule.to.0, rule.to.1);
        frame.push(&format!(
            "<path class=\"rule\" d=\"M{} {}L{} {}\"/>",
            at(x0),
            at(y0),
            at(x1),
            at(y1)
        ));
        if !rule.name.is_empty() {
            let sample = "<path class=\"rule\" d=\"M-8 0H8\"/>".to_owned();
            frame.legend(&rule.name, sample);
        }
    }

    fn push_line(&self, frame: &mut Frame, line: &Line) {
        let style = line.style % 8;
        let mut path = String::new();
        let mut marks = String::new();
        for mark in &line.marks {
            let (x, y) = self.place(frame, mark.x, mark.y);
            let step = if path.is_empty() { 'M' } else { 'L' };
            push(&mut path, format_args!("{step}{} {}", at(x), at(y)));
            marks.push_str(&mark_markup(style, mark, x, y));
        }
        if line.joined && line.marks.len() > 1 {
            frame.push(&format!("<path class=\"line s{style}\" d=\"{path}\"/>"));
        }
        frame.push(&marks);
        if !line.name.is_empty() {
            let sample = if line.joined {
                format!("<path class=\"line s{style}\" d=\"M-8 0H8\"/>")
            } else {
                String::new()
            };
            frame.legend(
                &line.name,
                format!(
                    "{sample}<path class=\"mark c{style}\" d=\"{}\"/>",
                    shape(style)
                ),
            );
        }
    }
}

fn mark_markup(style: usize, mark: &Mark, x: f64, y: f64) -> String {
    let class = match mark.kind {
        MarkKind::Value => format!("mark c{style}"),
        MarkKind::Broken => format!("mark broken s{style}"),
        MarkKind::Dim => format!("mark dim c{style}"),
    };
    let title = if mark.tip.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escaped(&mark.tip))
    };
    let d = shape(style);
    let grown = match mark.kind {
        MarkKind::Broken => " scale(1.5)",
        MarkKind::Value | MarkKind::Dim => "",
    };
    format!(
        "<path class=\"{class}\" transform=\"translate({} {}){grown}\" d=\"{d}\">{title}</path>",
        at(x),
        at(y)
    )
}

/// The marker of a style, around (0, 0): circle, square, triangle, diamond, and so on.
const fn shape(style: usize) -> &'static str {
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

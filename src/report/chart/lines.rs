//! Lines and marks over two axes with values.

use super::frame::{Frame, ValueAxis};
use super::{Drawing, at, escaped};
use crate::report::markup::push;

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A value.
    Value,
    /// A value in the background.
    Dim,
    /// Nothing but a bend of the line.
    Joint,
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

/// How the marks of a line are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Not at all.
    None,
    /// By a line.
    Solid,
    /// By a dashed line, for what is only supposed.
    Dashed,
}

/// Marks of one thing, joined or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Name in the legend; empty for none.
    pub name: String,
    /// Colour and marker, 0–7.
    pub style: usize,
    /// How its marks are joined.
    pub stroke: Stroke,
    /// Its marks, by rising horizontal value.
    pub marks: Vec<Mark>,
}

/// A dashed line that means a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it means; rules of the same name share a place in the legend.
    pub name: String,
    /// What stands on the line itself, at its start; may be empty.
    pub label: String,
    /// From where.
    pub from: (f64, f64),
    /// To where.
    pub to: (f64, f64),
}

/// A place that a ring marks, such as a breakdown point.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// Horizontal value.
    pub x: f64,
    /// Vertical value.
    pub y: f64,
    /// What hovering shows.
    pub tip: String,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// What it shows.
    pub title: String,
    /// The horizontal axis.
    pub x: ValueAxis,
    /// The vertical axis.
    pub y: ValueAxis,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Its limits.
    pub rules: Vec<Rule>,
    /// What its rings mean, and where they are.
    pub rings: (&'static str, Vec<Ring>),
}

impl LineChart {
    /// Draws it.
    pub fn draw(&self) -> Drawing {
        let mut frame = Frame::with_values(&self.title, &self.y);
        frame.horizontal_axis(&self.x);
        for rule in &self.rules {
            self.push_rule(&mut frame, rule);
        }
        // The first line, which is the best, lies on top.
        for line in self.lines.iter().rev() {
            self.push_line(&mut frame, line);
        }
        let named = |line: &&Line| !(line.name.is_empty() || line.marks.is_empty());
        for line in self.lines.iter().filter(named) {
            frame.legend(&line.name, sample(line));
        }
        self.push_rings(&mut frame);
        self.push_labels(&mut frame);
        frame.finish()
    }

    fn place(&self, frame: &Frame, x: f64, y: f64) -> (f64, f64) {
        (
            frame.x(self.x.scale.place(x).clamp(0.0, 1.0)),
            frame.y(self.y.scale.place(y).clamp(0.0, 1.0)),
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

    /// The labels of rules, above their lines; one that would touch another is left out.
    fn push_labels(&self, frame: &mut Frame) {
        let mut taken: Vec<f64> = Vec::new();
        for rule in self.rules.iter().rev().filter(|r| !r.label.is_empty()) {
            let (x, y) = self.place(frame, rule.to.0, rule.to.1);
            if taken.iter().all(|other| (y - other).abs() > 14.0) {
                frame.text("name halo", x, y - 4.0, "end", &rule.label);
                taken.push(y);
            }
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
        let class = match line.stroke {
            Stroke::None => None,
            Stroke::Solid => Some("line"),
            Stroke::Dashed => Some("line dashed"),
        };
        frame.push("<g class=\"series\">");
        if let (Some(class), true) = (class, line.marks.len() > 1) {
            frame.push(&format!("<path class=\"{class} s{style}\" d=\"{path}\"/>"));
        }
        frame.push(&marks);
        frame.push("</g>");
    }

    fn push_rings(&self, frame: &mut Frame) {
        let (meaning, rings) = &self.rings;
        for ring in rings {
            let (x, y) = self.place(frame, ring.x, ring.y);
            frame.push(&format!(
                "<circle class=\"ring\" cx=\"{}\" cy=\"{}\" r=\"6\"><title>{}</title></circle>",
                at(x),
                at(y),
                escaped(&ring.tip)
            ));
        }
        if !rings.is_empty() {
            frame.legend(meaning, "<circle class=\"ring\" r=\"5\"/>".to_owned());
        }
    }
}

fn sample(line: &Line) -> String {
    let style = line.style % 8;
    let stroke = match line.stroke {
        Stroke::None => String::new(),
        Stroke::Solid => format!("<path class=\"line s{style}\" d=\"M-8 0H8\"/>"),
        Stroke::Dashed => format!("<path class=\"line dashed s{style}\" d=\"M-8 0H8\"/>"),
    };
    if line.marks.iter().all(|mark| mark.kind == MarkKind::Joint) {
        return stroke;
    }
    format!(
        "{stroke}<path class=\"mark c{style}\" d=\"{}\"/>",
        shape(style)
    )
}

fn mark_markup(style: usize, mark: &Mark, x: f64, y: f64) -> String {
    let class = match mark.kind {
        MarkKind::Value => format!("mark c{style}"),
        MarkKind::Dim => format!("mark dim c{style}"),
        MarkKind::Joint => return String::new(),
    };
    let title = if mark.tip.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escaped(&mark.tip))
    };
    format!(
        "<path class=\"{class}\" transform=\"translate({} {})\" d=\"{}\">{title}</path>",
        at(x),
        at(y),
        shape(style)
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

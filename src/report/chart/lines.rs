//! Lines and marks over two axes with values.

use itertools::Itertools;
use maud::{Markup, html};

use super::apart::{APART, Taken};
use super::coordinates::at;
use super::drawing::Drawing;
use super::frame::{Frame, LETTER, ValueAxis};
use super::layer::Layer;
use super::letters::width;
use super::marks::{marker, ring, ring_sample, shape};

/// Kind of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// A value.
    Value,
    /// A value in the background.
    Dim,
    /// A bend of the line, without a marker.
    Joint,
}

/// One value of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// Horizontal value.
    pub(crate) x: f64,
    /// Vertical value.
    pub(crate) y: f64,
    /// Text that hovering shows.
    pub(crate) tip: String,
    /// Kind of the mark.
    pub(crate) kind: MarkKind,
}

/// Line between the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stroke {
    /// No line.
    None,
    /// A line.
    Solid,
    /// A dashed line, for hypothetical values.
    Dashed,
}

/// Marks of one thing, joined or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Name in the legend; empty for none.
    pub(crate) name: String,
    /// Colour and marker, 0–7.
    pub(crate) style: usize,
    /// Line between the marks.
    pub(crate) stroke: Stroke,
    /// Marks, by rising horizontal value.
    pub(crate) marks: Vec<Mark>,
}

/// A dashed line that marks a limit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Name in the legend; rules of the same name share an entry.
    pub(crate) name: String,
    /// Label on the line itself; may be empty.
    pub(crate) label: String,
    /// Start.
    pub(crate) from: (f64, f64),
    /// End.
    pub(crate) to: (f64, f64),
}

/// A place that a ring marks, such as a breakdown point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ring {
    /// Horizontal value.
    pub(crate) x: f64,
    /// Vertical value.
    pub(crate) y: f64,
    /// Name of its line.
    pub(crate) of: String,
    /// Text that hovering shows.
    pub(crate) tip: String,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub(crate) struct LineChart {
    /// Title above the chart.
    pub(crate) title: String,
    /// The horizontal axis.
    pub(crate) x: ValueAxis,
    /// The vertical axis.
    pub(crate) y: ValueAxis,
    /// Lines, the first drawn on top.
    pub(crate) lines: Vec<Line>,
    /// Limits.
    pub(crate) rules: Vec<Rule>,
    /// Meaning of the rings, and the rings.
    pub(crate) rings: (&'static str, Vec<Ring>),
}

impl LineChart {
    /// A chart without limits and rings.
    pub(crate) fn new(title: String, x: ValueAxis, y: ValueAxis, lines: Vec<Line>) -> Self {
        Self {
            title,
            x,
            y,
            lines,
            rules: Vec::new(),
            rings: ("", Vec::new()),
        }
    }

    /// Draws the chart; lines that lie on one another as one.
    pub(crate) fn draw(&self) -> Drawing {
        let mut apart = self.clone();
        apart.join_alike();
        apart.draw_lines()
    }

    /// Lines that lie on an earlier one become one with it, under both names.
    fn join_alike(&mut self) {
        let mut kept: Vec<Line> = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            let Some(same) = kept.iter_mut().find(|other| other.lies_on(&line)) else {
                kept.push(line);
                continue;
            };
            let joined = format!("{} and {}", same.name, line.name);
            for ring in &mut self.rings.1 {
                if ring.of == same.name || ring.of == line.name {
                    ring.of.clone_from(&joined);
                }
            }
            same.name = joined;
        }
        self.lines = kept;
    }

    fn draw_lines(&self) -> Drawing {
        let labels = self.rules.iter().map(|rule| width(&rule.label, LETTER));
        let widest = labels.fold(0.0, f64::max);
        let beside = if widest > 0.0 { widest + 6.0 } else { 0.0 };
        let mut frame = Frame::with_values(&self.title, &self.y, beside);
        frame.horizontal_axis(&self.x);
        for rule in &self.rules {
            frame.on(Layer::Plot(rule.name.clone()));
            self.push_rule(&mut frame, rule);
        }
        // A line without a name belongs to the one before it.
        let names = self.lines.iter().scan("", |last, line| {
            if !line.name.is_empty() {
                *last = &line.name;
            }
            Some(*last)
        });
        let lines: Vec<(&str, &Line)> = names.zip(&self.lines).collect();
        // The first line, which is the best, lies on top.
        for (name, line) in lines.into_iter().rev() {
            frame.on(Layer::Plot(name.to_owned()));
            self.push_line(&mut frame, line);
        }
        let named = |line: &&Line| !(line.name.is_empty() || line.marks.is_empty());
        for line in self.lines.iter().filter(named) {
            frame.legend(&line.name, line.sample());
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
        let line = format!("M{} {}L{} {}", at(x0), at(y0), at(x1), at(y1));
        frame.push(&html! { path.rule d=(line) {} });
        if !rule.name.is_empty() {
            frame.legend(&rule.name, html! { path.rule d=(SAMPLE) {} });
        }
    }

    /// The labels of rules, beside the ends of their lines and one above the other where those are near.
    fn push_labels(&self, frame: &mut Frame) {
        const APART: f64 = 14.0;
        let labelled = self.rules.iter().filter(|rule| !rule.label.is_empty());
        let ends = labelled.map(|rule| (self.place(frame, rule.to.0, rule.to.1), rule));
        let from_below = ends.sorted_by(|a, b| b.0.1.total_cmp(&a.0.1));
        let mut free_below = f64::INFINITY;
        for ((x, y), rule) in from_below.collect::<Vec<_>>() {
            let y = (y + 4.2).min(free_below);
            free_below = y - APART;
            frame.on(Layer::Label(rule.name.clone()));
            frame.text("name", x + 5.0, y, "start", &rule.label);
        }
    }

    fn push_line(&self, frame: &mut Frame, line: &Line) {
        let places: Vec<(&Mark, f64, f64)> = (line.marks.iter())
            .map(|mark| {
                let (x, y) = self.place(frame, mark.x, mark.y);
                (mark, x, y)
            })
            .collect();
        // The last bend stays, so that the line ends where its values do.
        let mut bends = Taken::new(1.0);
        let last = places.len().saturating_sub(1);
        let path = (places.iter().enumerate())
            .filter(|(place, (_, x, y))| bends.take(*x, *y) || *place == last)
            .map(|(place, (_, x, y))| {
                let step = if place == 0 { 'M' } else { 'L' };
                format!("{step}{} {}", at(*x), at(*y))
            })
            .join("");
        let drawn = apart(&places);
        frame.push(&html! {
            g.series {
                @if let (Some(class), true) = (line.class(), places.len() > 1) {
                    path class=(class) d=(path) {}
                }
                @for (mark, x, y) in &drawn {
                    @if let Some(class) = mark.class(line.style % 8) {
                        (marker(&class, shape(line.style % 8), *x, *y, &mark.tip))
                    }
                }
            }
        });
    }

    fn push_rings(&self, frame: &mut Frame) {
        let (meaning, rings) = &self.rings;
        for it in rings {
            let (x, y) = self.place(frame, it.x, it.y);
            frame.on(Layer::Plot(it.of.clone()));
            frame.push(&ring(x, y, &it.tip));
        }
        if !rings.is_empty() {
            frame.legend(meaning, ring_sample());
        }
    }
}

/// Marks that are drawn: of those nearer to one another than [`APART`] the first one, values before those in the background.
fn apart<'a>(places: &[(&'a Mark, f64, f64)]) -> Vec<(&'a Mark, f64, f64)> {
    let mut taken = Taken::new(APART);
    let mut keep = |kind: MarkKind| -> Vec<bool> {
        let of_kind = places.iter();
        of_kind
            .map(|(mark, x, y)| mark.kind == kind && taken.take(*x, *y))
            .collect()
    };
    let (values, dim) = (keep(MarkKind::Value), keep(MarkKind::Dim));
    let kept = places.iter().zip(values.into_iter().zip(dim));
    kept.filter(|(_, (value, dim))| *value || *dim)
        .map(|(place, _)| *place)
        .collect()
}

/// The line of the legend.
const SAMPLE: &str = "M-8 0H8";

/// A dashed line of the legend, which is too short for the dashes of a plot.
const DASHES: &str = "M-9 0h4M-2 0h4M5 0h4";

impl Mark {
    /// Classes of the marker; `None` where there is none.
    fn class(&self, style: usize) -> Option<String> {
        match self.kind {
            MarkKind::Value => Some(format!("mark c{style}")),
            MarkKind::Dim => Some(format!("mark dim c{style}")),
            MarkKind::Joint => None,
        }
    }
}

impl Line {
    /// Whether another line has its marks at the same places, to a thousandth.
    fn lies_on(&self, other: &Self) -> bool {
        const ALIKE: f64 = 1e-3;
        let is_named = |line: &Self| line.stroke != Stroke::None && !line.name.is_empty();
        is_named(self)
            && is_named(other)
            && self.stroke == other.stroke
            && self.marks.len() > 1
            && self.marks.len() == other.marks.len()
            && self.marks.iter().zip(&other.marks).all(|(a, b)| {
                a.x.total_cmp(&b.x).is_eq() && (a.y - b.y).abs() <= ALIKE * a.y.abs().max(b.y.abs())
            })
    }

    /// Classes of the path; `None` where the marks are not joined.
    fn class(&self) -> Option<String> {
        let style = self.style % 8;
        match self.stroke {
            Stroke::None => None,
            Stroke::Solid => Some(format!("line s{style}")),
            Stroke::Dashed => Some(format!("line dashed s{style}")),
        }
    }

    /// Sample in the legend.
    fn sample(&self) -> Markup {
        let style = self.style % 8;
        let has_marker = self.marks.iter().any(|mark| mark.kind != MarkKind::Joint);
        // Dashed lines of several colours share one entry, in none of their colours.
        if self.stroke == Stroke::Dashed {
            return html! { path.line.any d=(DASHES) {} };
        }
        html! {
            @if let Some(class) = self.class() { path class=(class) d=(SAMPLE) {} }
            @if has_marker { path class={ "mark c" (style) } d=(shape(style)) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scale::Scale;
    use super::*;

    fn line(name: &str, heights: [f64; 2]) -> Line {
        let marks = heights.into_iter().zip([1.0, 2.0]).map(|(y, x)| Mark {
            x,
            y,
            tip: String::new(),
            kind: MarkKind::Value,
        });
        Line {
            name: name.to_owned(),
            style: 0,
            stroke: Stroke::Solid,
            marks: marks.collect(),
        }
    }

    // 10,000 marks over 400 units of a line: 6 units hold 150 of them, so 67 are drawn at most.
    #[test]
    fn of_many_marks_those_are_drawn_that_can_be_told_apart() {
        let axis = |high: f64| ValueAxis {
            name: String::new(),
            scale: Scale::from_zero([high].into_iter()),
            format: |value| value.to_string(),
        };
        let marks = (0..10_000).map(|x| Mark {
            x: f64::from(x),
            y: 1.0,
            tip: format!("tip {x}"),
            kind: MarkKind::Value,
        });
        let line = Line {
            name: "all".to_owned(),
            style: 0,
            stroke: Stroke::Solid,
            marks: marks.collect(),
        };
        let chart = LineChart::new(String::new(), axis(1e4), axis(1.0), vec![line]);
        let page = chart.draw().on_page().into_string();
        let drawn = page.matches("tip ").count();
        assert!((40..=67).contains(&drawn), "{drawn}");
        assert!(page.len() < 20_000, "{}", page.len());
    }

    // Three limits of which two lie 1% of the plot's 200 units apart: each has its label, and no two touch.
    #[test]
    fn every_limit_has_its_label() {
        let axis = ValueAxis {
            name: String::new(),
            scale: Scale::from_zero([2.0].into_iter()),
            format: |value| value.to_string(),
        };
        let mut chart = LineChart::new(
            String::new(),
            axis.clone(),
            axis,
            vec![line("a", [1.0, 2.0])],
        );
        let rule = |height: f64, label: &str| Rule {
            name: "limit".to_owned(),
            label: label.to_owned(),
            from: (0.0, height),
            to: (2.0, height),
        };
        chart.rules = vec![rule(1.0, "79.3"), rule(1.02, "80.0"), rule(2.0, "178")];
        let svg = chart.draw().file();
        let height = |label: &str| -> f64 {
            let (before, _) = svg.split_once(&format!(">{label}</text>")).expect(label);
            let (_, place) = before.rsplit_once(" y=\"").expect("texts have a place");
            let (digits, _) = place.split_once('"').expect("places end");
            digits.parse().expect("places are numbers")
        };
        let heights = ["79.3", "80.0", "178"].map(height);
        assert!(
            heights[0] - heights[1] >= 12.0 && heights[1] - heights[2] >= 12.0,
            "{heights:?}"
        );
    }

    // 1.0005 lies within a thousandth of 1, and 2 on 2; 2.01 is half a percent off.
    #[test]
    fn lines_that_lie_on_one_another_are_drawn_once_under_both_names() {
        let axis = ValueAxis {
            name: String::new(),
            scale: Scale::from_zero([2.0].into_iter()),
            format: |value| value.to_string(),
        };
        let lines = vec![
            line("a", [1.0, 2.0]),
            line("b", [1.0, 2.01]),
            line("c", [1.0005, 2.0]),
        ];
        let mut chart = LineChart::new(String::new(), axis.clone(), axis, lines);
        let ring = |of: &str| Ring {
            x: 1.0,
            y: 1.0,
            of: of.to_owned(),
            tip: String::new(),
        };
        chart.rings = ("ring", vec![ring("b"), ring("c")]);
        chart.join_alike();
        let names: Vec<&str> = chart.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["a and c", "b"]);
        let of: Vec<&str> = chart.rings.1.iter().map(|ring| ring.of.as_str()).collect();
        assert_eq!(of, ["b", "a and c"]);
    }
}

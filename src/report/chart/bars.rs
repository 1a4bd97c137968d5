//! Stacked bars over categories.

use super::frame::Frame;
use super::{Scale, at, escaped};

/// One bar: its category and the parts that stack up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Name under the bar.
    pub name: String,
    /// Height and tip of each part, in the order of the chart's parts.
    pub parts: Vec<(f64, String)>,
}

/// A chart of stacked bars.
#[derive(Clone, Debug)]
pub struct BarChart {
    /// What it shows.
    pub title: String,
    /// Name of the categories.
    pub x: String,
    /// Name and unit of the heights.
    pub y: String,
    /// How heights are written.
    pub format: fn(f64) -> String,
    /// Names of the parts and their colours, 0–9.
    pub parts: Vec<(&'static str, usize)>,
    /// The bars; one without parts is a gap.
    pub bars: Vec<Bar>,
}

impl BarChart {
    /// The chart as an SVG element. Parts that are nowhere above half a percent of the tallest bar
    /// have no place in the legend.
    pub fn svg(&self) -> String {
        let mut frame = Frame::new(&self.title);
        let heights = self
            .bars
            .iter()
            .map(|bar| bar.parts.iter().map(|(height, _)| height).sum::<f64>());
        let scale = Scale::from_zero(heights.clone());
        let tallest = heights.fold(0.0, f64::max);
        frame.vertical_axis(scale, &self.y, self.format);
        let slot = 1.0 / self.bars.len().max(1) as f64;
        let ticks: Vec<(f64, String)> = self
            .bars
            .iter()
            .enumerate()
            .map(|(place, bar)| ((place as f64 + 0.5) * slot, bar.name.clone()))
            .collect();
        let width = (frame.width * slot * 0.72).min(46.0);
        for (bar, (center, _)) in self.bars.iter().zip(&ticks) {
            let x = frame.x(*center) - width / 2.0;
            let mut below = 0.0;
            for ((height, tip), (_, colour)) in bar.parts.iter().zip(&self.parts) {
                let (bottom, top) = (
                    frame.y(scale.place(below)),
                    frame.y(scale.place(below + height)),
                );
                below += height;
                if bottom - top < 0.05 {
                    continue;
                }
                frame.push(&format!(
                    "<rect class=\"bar p{colour}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
                    at(x),
                    at(top),
                    at(width),
                    at(bottom - top),
                    escaped(tip)
                ));
            }
        }
        frame.horizontal_ticks(&ticks, &self.x);
        for (place, (name, colour)) in self.parts.iter().enumerate() {
            let largest = self
                .bars
                .iter()
                .filter_map(|bar| bar.parts.get(place))
                .map(|(height, _)| *height)
                .fold(0.0, f64::max);
            if largest > 0.005 * tallest {
                let sample = format!(
                    "<rect class=\"bar p{colour}\" x=\"-6\" y=\"-5\" width=\"12\" height=\"10\"/>"
                );
                frame.legend(name, sample);
            }
        }
        frame.finish()
    }
}

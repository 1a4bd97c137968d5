//! Stacked bars over categories.

use maud::html;

use super::coordinates::at;
use super::drawing::Drawing;
use super::frame::{Frame, ValueAxis};
use super::layer::Layer;
use super::marks::{cross, tip};
use super::scale::Scale;

/// One bar: its category and the parts that stack up to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Name under the bar.
    pub(crate) name: String,
    /// Height and tip of each part, in the order of the chart's parts.
    pub(crate) parts: Vec<(f64, String)>,
    /// Reason of a gap: a bar without parts.
    pub(crate) gap: String,
}

/// A chart of stacked bars.
#[derive(Clone, Debug)]
pub(crate) struct BarChart {
    /// Title above the chart.
    pub(crate) title: String,
    /// Name of the categories.
    pub(crate) x: String,
    /// Name and unit of the heights.
    pub(crate) y: String,
    /// Format of the heights.
    pub(crate) format: fn(f64) -> String,
    /// Names of the parts and their colours, 0–9.
    pub(crate) parts: Vec<(&'static str, usize)>,
    /// The bars; one without parts is a gap.
    pub(crate) bars: Vec<Bar>,
}

/// Most bars of a chart.
const BARS: usize = 60;

impl BarChart {
    /// The chart with every second, third … bar, so that no more are left than can be told apart; the title says so.
    pub(crate) fn thinned(mut self) -> Self {
        let every = self.bars.len().div_ceil(BARS).max(1);
        if every > 1 {
            self.bars = self.bars.into_iter().step_by(every).collect();
            self.title = format!("{} (one size in {every})", self.title);
        }
        self
    }

    /// Draws the chart. The legend leaves out parts that are nowhere above half a percent of the tallest bar.
    pub(crate) fn draw(&self) -> Drawing {
        let height = |bar: &Bar| bar.parts.iter().map(|(height, _)| height).sum::<f64>();
        let heights = self.bars.iter().map(height);
        let axis = ValueAxis {
            name: self.y.clone(),
            scale: Scale::from_zero(heights.clone()),
            format: self.format,
        };
        let mut frame = Frame::with_values(&self.title, &axis, 0.0);
        let slot = 1.0 / self.bars.len().max(1) as f64;
        let bars = self.bars.iter().enumerate();
        let ticks = bars.map(|(place, bar)| ((place as f64 + 0.5) * slot, bar.name.clone()));
        let ticks: Vec<(f64, String)> = ticks.collect();
        frame.on(Layer::Plot(String::new()));
        for (bar, (center, _)) in self.bars.iter().zip(&ticks) {
            self.push_bar(&mut frame, bar, *center, axis.scale);
        }
        frame.on(Layer::Fixed);
        frame.horizontal_ticks(&ticks, &self.x);
        self.push_legend(&mut frame, heights.fold(0.0, f64::max));
        frame.finish()
    }

    fn push_bar(&self, frame: &mut Frame, bar: &Bar, center: f64, scale: Scale) {
        if bar.parts.is_empty() {
            frame.push(&cross(frame.x(center), frame.y(0.0) - 8.0, &bar.gap));
            return;
        }
        let slot = frame.width / self.bars.len() as f64;
        let width = (slot * 0.72).min(46.0);
        let x = frame.x(center) - width / 2.0;
        let mut below = 0.0;
        for ((height, text), (_, colour)) in bar.parts.iter().zip(&self.parts) {
            let (bottom, top) = (
                frame.y(scale.place(below)),
                frame.y(scale.place(below + height)),
            );
            below += height;
            if bottom - top < 0.05 {
                continue;
            }
            frame.push(&html! {
                rect class={ "bar p" (colour) } x=(at(x)) y=(at(top)) width=(at(width)) height=(at(bottom - top)) {
                    (tip(text))
                }
            });
        }
    }

    fn push_legend(&self, frame: &mut Frame, tallest: f64) {
        for (place, (name, colour)) in self.parts.iter().enumerate() {
            let largest = self
                .bars
                .iter()
                .filter_map(|bar| bar.parts.get(place))
                .map(|(height, _)| *height)
                .fold(0.0, f64::max);
            if largest > 0.005 * tallest {
                let sample = html! { rect class={ "bar p" (colour) } x="-6" y="-5" width="12" height="10" {} };
                frame.legend(name, sample);
            }
        }
        if self.bars.iter().any(|bar| bar.parts.is_empty()) {
            frame.legend("did not run", cross(0.0, 0.0, ""));
        }
    }
}

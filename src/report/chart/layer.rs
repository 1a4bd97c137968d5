//! Layers of a drawing, by which a page can switch, find and zoom its parts.

use maud::{Markup, PreEscaped, html};

use super::coordinates::at;

/// Part of a drawing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layer {
    /// Stays where it is.
    Fixed,
    /// Ticks of the horizontal axis.
    HorizontalTicks,
    /// Ticks of the vertical axis, with their grid lines.
    VerticalTicks,
    /// Marks of a series of that name inside the plot area; without a name those of limits.
    Plot(String),
    /// Words beside the plot area about a series.
    Label(String),
    /// Entry of the legend.
    Legend(String),
}

/// The markup of a drawing by layer, in the order in which it is drawn.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    /// Left, top, width and height of the plot area.
    plot: [f64; 4],
    pub(super) title: Markup,
    /// Ticks of the horizontal axis, empty where it has no values.
    pub(super) x_ticks: String,
    /// Ticks of the vertical axis, empty where it has no values.
    pub(super) y_ticks: String,
    /// Height at which the legend begins.
    pub(super) legend_top: f64,
    parts: Vec<(Layer, String)>,
}

impl Layers {
    pub(super) fn new(plot: [f64; 4]) -> Self {
        Self {
            plot,
            title: Markup::default(),
            x_ticks: String::new(),
            y_ticks: String::new(),
            legend_top: 0.0,
            parts: vec![(Layer::Fixed, String::new())],
        }
    }

    pub(super) fn start(&mut self, layer: Layer) {
        if self.parts.last().is_none_or(|(last, _)| *last != layer) {
            self.parts.push((layer, String::new()));
        }
    }

    pub(super) fn push(&mut self, markup: &Markup) {
        if let Some((_, last)) = self.parts.last_mut() {
            last.push_str(&markup.0);
        }
    }

    /// Markup of a file, where nothing moves.
    pub(super) fn flat(&self) -> Markup {
        let parts = self.parts.iter().map(|(_, part)| part.as_str());
        PreEscaped(self.title.0.clone() + &parts.collect::<String>())
    }

    /// Markup of a page, with the parts in groups.
    pub(super) fn grouped(&self) -> Markup {
        let in_plot = |layer: &Layer| matches!(layer, Layer::Plot(_));
        let runs = self.parts.chunk_by(|a, b| in_plot(&a.0) && in_plot(&b.0));
        html! {
            (self.title)
            @for run in runs {
                @if in_plot(&run[0].0) { g.plot { @for part in run { (group(part)) } } }
                @else { @for part in run { (group(part)) } }
            }
        }
    }

    /// Left, top, width and height of the plot area, then the height at which the legend begins.
    pub(super) fn places(&self) -> String {
        let [left, top, width, height] = self.plot.map(at);
        format!("{left} {top} {width} {height} {}", at(self.legend_top))
    }
}

fn group((layer, markup): &(Layer, String)) -> Markup {
    let markup = PreEscaped(markup);
    match layer {
        Layer::Fixed => html! { (markup) },
        Layer::HorizontalTicks => html! { g.ticks.x { (markup) } },
        Layer::VerticalTicks => html! { g.ticks.y { (markup) } },
        Layer::Plot(name) | Layer::Label(name) => html! { g data-series=(name) { (markup) } },
        Layer::Legend(name) => html! { g.legend data-key=(name) { (markup) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The axis, two series and a legend: a file has them one behind the other, a page those of the plot area in one group.
    #[test]
    fn a_page_has_the_series_in_groups_and_a_file_has_none() {
        let mut layers = Layers::new([10.0, 20.0, 300.0, 200.0]);
        layers.push(&html! { "axis " });
        for name in ["a", "b"] {
            layers.start(Layer::Plot(name.to_owned()));
            layers.push(&html! { "line " });
        }
        layers.start(Layer::Legend("a".to_owned()));
        layers.push(&html! { "key" });
        assert_eq!(layers.flat().0, "axis line line key");
        assert_eq!(
            layers.grouped().0,
            "axis <g class=\"plot\"><g data-series=\"a\">line </g><g data-series=\"b\">line </g></g>\
             <g class=\"legend\" data-key=\"a\">key</g>"
        );
        assert_eq!(layers.places(), "10 20 300 200 0");
    }
}

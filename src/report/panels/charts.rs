//! The charts of a training study, in the order of the page.

use super::cost::cost_chart;
use super::efficiency::efficiency_chart;
use super::memory::memory_chart;
use super::panel::Panel;
use super::parts::parts_chart;
use super::rate::rate_chart;
use super::reach::reach_chart;
use crate::analysis::Findings;
use crate::report::chart::Drawing;

/// A kind of chart that every panel has.
pub(crate) struct PanelChart {
    /// Prefix of its files.
    pub(super) file: &'static str,
    /// Title of its section on the page.
    pub(crate) title: &'static str,
    /// Note on how to read the chart.
    pub(crate) note: &'static str,
    /// Draws the chart of a panel; `None` where the study lacks the data.
    pub(crate) draw: fn(&Findings, &Panel<'_>) -> Option<Drawing>,
}

impl PanelChart {
    /// Whether it shows where each series breaks down.
    pub(crate) fn is_of_breakdowns(&self) -> bool {
        self.file == REACH
    }
}

/// Prefix of the files of the chart of breakdowns.
const REACH: &str = "reach";

/// The charts of a training study.
pub(crate) const CHARTS: &[PanelChart] = &[
    PanelChart {
        file: "rate",
        title: "How fast",
        note: "Both axes are logarithmic; dashed: linear scaling of the fastest series. A ring marks a \
               confirmed breakdown.",
        draw: |findings, panel| Some(rate_chart(findings, panel).draw()),
    },
    PanelChart {
        file: "efficiency",
        title: "How efficient",
        note: "Rate per GPU against the smallest size that ran. Dashed, where it differs: the same series with \
               the layout of its smallest size, only data parallelism growing. Over 100%: that size, the measure, runs a \
               slower layout, where little else fits.",
        draw: |findings, panel| efficiency_chart(findings, panel).map(|chart| chart.draw()),
    },
    PanelChart {
        file: REACH,
        title: "How far it scales",
        note: "One row per series: filled where efficiency is within the threshold, hollow where it is under it, \
               a cross where the size cannot run. The ring is the breakdown point, followed by its cause; unconfirmed where fewer than two sizes that divide evenly are under \
               the threshold, so that another one would tell.",
        draw: |findings, panel| reach_chart(findings, panel).map(|chart| chart.draw()),
    },
    PanelChart {
        file: "parts",
        title: "Where the time goes",
        note: "GPU-seconds per sample by exclusive part: what grows is what stops scaling. Shown is the \
               fastest series that breaks down, else the fastest.",
        draw: |findings, panel| parts_chart(findings, panel).map(|chart| chart.thinned().draw()),
    },
    PanelChart {
        file: "memory",
        title: "Memory",
        note: "Peak memory of the fullest GPU and the capacity of a GPU, by size.",
        draw: |findings, panel| memory_chart(findings, panel).map(|chart| chart.draw()),
    },
    PanelChart {
        file: "cost",
        title: "Cost against time",
        note: "Every point that has a price, and the Pareto front: no point is both cheaper and faster.",
        draw: |findings, panel| cost_chart(findings, panel).map(|chart| chart.draw()),
    },
];

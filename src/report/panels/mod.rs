//! Charts of a study: a few panels, each with the series worth showing.

mod busbw;
mod charts;
mod cost;
mod curves;
mod custom;
mod efficiency;
mod memory;
mod panel;
mod parts;
mod plots;
mod rate;
mod reach;
mod styles;
mod tips;

pub(crate) use busbw::{busbw_chart, busbw_panels, transfer_time_chart};
pub(crate) use charts::{CHARTS, PanelChart};
pub(crate) use custom::{custom_chart, custom_chart_note};
pub(crate) use panel::panels;
pub use plots::plots;
pub(crate) use plots::{collective_plots, custom_plots};
pub(crate) use styles::styles;

//! Findings as text, JSON and a page; pure: the same findings give the same bytes.

pub mod again;
pub mod answer;
pub mod busbw;
pub mod chart;
pub mod diff;
mod markup;
mod networks;
pub mod page;
pub mod panels;
pub mod quantity;
pub mod text;
pub mod trace;

pub use busbw::busbw_summary;
pub use page::{Heading, collective_page, page};
pub use panels::{collective_plots, plots};
pub use text::summary;

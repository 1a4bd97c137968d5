//! Findings as text, JSON and a page; pure: the same findings give the same bytes.
//!
//! A row model (`series_row`) and shared words (`words`) feed the summary on a terminal, the page and JSON. HTML
//! and SVG are `maud` templates, which escape by construction.

pub mod accuracy;
mod answer;
pub(crate) mod answer_document;
pub(crate) mod brief;
mod busbw;
pub mod chart;
mod choices;
mod comparison;
mod contrasts;
pub mod diff;
mod networks;
mod page;
mod panels;
pub(crate) mod planned;
pub(crate) mod prices;
pub(crate) mod quantity;
mod question;
mod resimulated;
pub mod series_row;
mod summary;
pub mod text;
pub(crate) mod trace;
mod words;

pub(crate) use answer::sentences as answer_sentences;
pub(crate) use busbw::{busbw_details, busbw_sentences, busbw_summary};
pub(crate) use comparison::{comparison_sentences, comparison_summary};
pub use page::{Heading, page};
pub(crate) use page::{collective_page, comparison_page};
pub use panels::plots;
pub(crate) use panels::{collective_plots, custom_plots};
pub(crate) use quantity::{decimal, seconds, short_decimal};
pub use summary::summary;
pub(crate) use words::counts_line;

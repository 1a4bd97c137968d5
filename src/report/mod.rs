//! Findings as text, JSON and a page; pure: the same findings give the same bytes.

pub mod answer;
pub mod quantity;
pub mod text;

pub use text::summary;

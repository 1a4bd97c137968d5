//! Charts as SVG, drawn from values alone: the same values give the same bytes.
//!
//! Colours are classes (`c0` … `c9`), so that a page can have a light and a dark scheme; every
//! line also has a marker of its own shape, so that no meaning depends on colour alone.

mod apart;
mod bars;
mod coordinates;
mod drawing;
mod frame;
mod layer;
mod letters;
mod lines;
mod marks;
pub(crate) mod palette;
mod ranges;
#[cfg(feature = "png")]
mod raster;
mod scale;

pub(crate) use bars::{Bar, BarChart};
pub(crate) use drawing::{Drawing, STYLE};
pub(crate) use frame::ValueAxis;
pub(crate) use lines::{Line, LineChart, Mark, MarkKind, Ring, Rule, Stroke};
pub(crate) use ranges::{Range, RangeChart, RangeMark};
#[cfg(feature = "png")]
pub use raster::Rasteriser;
pub(crate) use scale::Scale;

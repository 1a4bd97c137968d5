//! `report.html`: one page that needs nothing but itself.

mod answer;
mod budget;
mod collective;
mod comparison;
mod document;
mod resimulated;
mod table;
mod training;

pub(crate) use collective::collective_page;
pub(crate) use comparison::comparison_page;
pub use document::Heading;
pub use training::page;

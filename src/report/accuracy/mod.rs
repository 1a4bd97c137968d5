//! Accuracy of the simulator: errors against measured cases as text, CSV, JSON and a page.

mod document;
mod listing;
mod page;
mod plot;
mod words;

pub(crate) use document::ValidateDocument;
pub(crate) use listing::{csv, text};
pub use page::{PAGE, page};
pub use plot::{PLOT, plot};

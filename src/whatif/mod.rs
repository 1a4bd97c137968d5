//! Points simulated again, to answer what the rows of a run do not say.
//!
//! A neighbour is the point with one axis changed in its plan, so that what is `auto` is chosen anew and a
//! faster NIC meets the layout that suits it. Every other question starts from the point as it ran, its
//! layout pinned, and is asked only where this version reproduces the time of the row.
//!
//! | Question | Where |
//! |---|---|
//! | What would help here, and by how much? | [`neighbours()`], [`Baseline::ask_all`] |
//! | What does the fabric do while the layout stays? | `frozen` |
//! | Would efficiency have held without this part of the step? | `cause` |
//! | Which resource is the step time sensitive to? | [`elasticities`] |
//! | All of that for a study | [`run_questions`] |

mod altered;
mod cause;
mod frozen;
mod neighbours;
mod questions;
mod replay;
mod resource;
mod sensitivity;

pub(crate) use altered::{Answer, Baseline, Effect};
pub(crate) use neighbours::{Change, neighbours};
pub(crate) use questions::{Questions, run_questions};
pub use resource::with_more;
pub use sensitivity::elasticities;

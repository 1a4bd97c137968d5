//! Collective operations: who sends what to whom, and how long that takes on a network.
//!
//! Bottom up:
//!
//! | file | says |
//! |---|---|
//! | `op`, `binary_tree`, `placement` | operations and protocols; how groups lie over the scale-up domains |
//! | `library` | tables of NCCL, RCCL and XLA, from `data/libraries/` |
//! | `job`, `contention`, `group` | a job's domains, NICs and fabric; the rates that one group gets |
//! | `schedule/` | rounds of transfers: built, played, read from files |
//! | `links`, `stages`, `transfers` | chunks that a round puts on the links, and its time |
//! | `algorithm/` | one file and one row for each algorithm |
//! | `custom`, `request`, `network` | a request and its cost |
//! | `token_exchange` | tokens sent once to each place of their experts: DeepEP and HybridEP, from `data/libraries/tokens.toml` |
//! | `line_rate` | the least that any cost can be |

mod algorithm;
mod binary_tree;
mod contention;
mod cost;
mod custom;
mod group;
mod hashing;
mod job;
mod library;
mod line_rate;
mod links;
mod network;
mod op;
mod pipelined_cost;
mod placement;
#[cfg(test)]
mod properties;
mod request;
pub mod schedule;
mod schedule_cost;
#[cfg(test)]
mod tests;
mod token_exchange;

pub use algorithm::CollectiveAlgorithm;
pub(crate) use custom::{Algorithm, CarriedBy, CustomAlgorithm};
pub(crate) use library::{fitted_constants, launch_per_gpu};
pub use network::Network;
pub use op::{CollectiveOp, Protocol};
pub use placement::GroupPattern;
pub use request::CollectiveRequest;
pub(crate) use request::{CollectiveCost, Unsupported};
pub(crate) use token_exchange::{TokenExchange, token_sms};

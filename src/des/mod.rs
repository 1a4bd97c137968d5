//! Events: a queue on integer time, tasks on serial streams, and links that are shared fairly.
//!
//! Nothing here has heard of a GPU. An [`Engine`] owns all state of one simulation; one simulation
//! is one thread, without locks.

pub(crate) mod engine;
mod fair;
pub(crate) mod flows;
pub(crate) mod link;
pub(crate) mod queue;

pub use engine::Engine;
pub(crate) use engine::{Gate, StreamId, TaskId};
pub use flows::{Crossing, Flow, FlowLink, finish_times};
pub(crate) use link::{LinkLoads, PerLinkClass};

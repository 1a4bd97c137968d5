//! Events: a queue on integer time, tasks on serial streams, and links that are shared fairly.
//!
//! Nothing here has heard of a GPU. An [`Engine`] owns all state of one simulation; one simulation
//! is one thread, without locks.

pub mod engine;
mod fair;
pub mod flows;
pub mod link;
pub mod queue;

pub use engine::{Engine, Gate, StreamId, TaskId};
pub use flows::{Crossing, Flow, FlowLink, finish_times};
pub use link::{LinkLoads, PerLinkClass, SharedLinks};
pub use queue::EventQueue;

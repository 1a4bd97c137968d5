//! Worlds that no hardware makes: a step without one of its parts.
//!
//! They answer "was it this part?" about a point whose parts are known: a part that is left out
//! also takes along what hides behind it and what waits for it, which its own time does not tell.

use crate::simulation::StepPart;

/// One change to the rules of a simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counterfactual {
    /// A part takes no time: a communication is free, a stage finds its input ready (bubble), the host costs
    /// nothing, what recomputation saves of memory stays saved. Compute cannot be left out; that changes nothing.
    Without(StepPart),
    /// Kernels of forward and backward take this many times as long.
    KernelTime(f64),
    /// Latencies of the network take this many times as long: of links, switches and NICs, and of the
    /// communication library's protocols.
    NetworkLatency(f64),
}

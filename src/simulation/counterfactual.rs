//! Worlds that no hardware makes: a step without one of its parts.
//!
//! They answer "was it this part?" about a point whose parts are known: a part that is taken away
//! also takes along what hides behind it and what waits for it, which its own time does not tell.

use crate::closed_set;

closed_set! {
    /// A part of a step that a simulation can leave out.
    pub enum StepPart: "step part" {
        /// Kernels that repeat forward work; what they save of memory stays saved.
        Recompute = "recompute",
        /// Tensor-parallel communication.
        TpComm = "tp-comm",
        /// Context-parallel communication.
        CpComm = "cp-comm",
        /// Expert-parallel communication.
        EpComm = "ep-comm",
        /// Sends between stages.
        PpComm = "pp-comm",
        /// Data-parallel communication: gradients, parameters, norms.
        DpComm = "dp-comm",
        /// Waiting for other stages: every stage works as if its input were there.
        Bubble = "bubble",
        /// The optimizer's kernels.
        Optimizer = "optimizer",
    }
}

/// One change to the rules of a simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counterfactual {
    /// A part takes no time.
    Without(StepPart),
    /// Kernels of forward and backward take this many times as long.
    KernelTime(f64),
    /// Latencies of the network take this many times as long: of links, switches and NICs, and of the
    /// communication library's protocols.
    NetworkLatency(f64),
}

//! The exclusive parts of a step, as the analysis accounts for them.

use serde::Serialize;

use crate::closed_set;

closed_set! {
    /// One exclusive part of a step's time; the spelling is its column in `points.parquet`.
    pub enum TimePart: "time part" {
        /// Kernels of forward and backward.
        Compute = "compute_s",
        /// Kernels that repeat forward work.
        Recompute = "recompute_s",
        /// Waiting for tensor-parallel communication.
        TpComm = "tp_comm_exposed_s",
        /// Waiting for context-parallel communication.
        CpComm = "cp_comm_exposed_s",
        /// Waiting for expert-parallel communication.
        EpComm = "ep_comm_exposed_s",
        /// Waiting for sends between stages.
        PpComm = "pp_comm_exposed_s",
        /// Waiting for data-parallel communication.
        DpComm = "dp_comm_exposed_s",
        /// Waiting for another stage's work.
        Bubble = "bubble_s",
        /// The optimizer's kernels.
        Optimizer = "optimizer_s",
        /// Waiting for the host.
        Overhead = "overhead_s",
    }
}

impl TimePart {
    /// The part for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Recompute => "recomputation",
            Self::TpComm => "tensor-parallel communication",
            Self::CpComm => "context-parallel communication",
            Self::EpComm => "expert-parallel communication",
            Self::PpComm => "pipeline sends",
            Self::DpComm => "data-parallel communication",
            Self::Bubble => "pipeline bubble",
            Self::Optimizer => "optimizer",
            Self::Overhead => "host overhead",
        }
    }

    /// The part in at most 12 letters, for tables.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Recompute => "recompute",
            Self::TpComm => "tp comm",
            Self::CpComm => "cp comm",
            Self::EpComm => "ep comm",
            Self::PpComm => "pp sends",
            Self::DpComm => "dp comm",
            Self::Bubble => "bubble",
            Self::Optimizer => "optimizer",
            Self::Overhead => "overhead",
        }
    }

    /// Whether the part is waiting for the network.
    pub const fn is_communication(self) -> bool {
        match self {
            Self::TpComm | Self::CpComm | Self::EpComm | Self::PpComm | Self::DpComm => true,
            Self::Compute | Self::Recompute | Self::Bubble | Self::Optimizer | Self::Overhead => {
                false
            }
        }
    }

    /// Place of the part in [`TimePart::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Compute => 0,
            Self::Recompute => 1,
            Self::TpComm => 2,
            Self::CpComm => 3,
            Self::EpComm => 4,
            Self::PpComm => 5,
            Self::DpComm => 6,
            Self::Bubble => 7,
            Self::Optimizer => 8,
            Self::Overhead => 9,
        }
    }
}

/// Seconds of each part of one step, in the order of [`TimePart::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PartSeconds(pub [f64; 10]);

impl PartSeconds {
    /// Seconds of one part.
    pub fn of(&self, part: TimePart) -> f64 {
        self.0[part.index()]
    }

    /// Seconds of the step.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// Seconds of waiting for the network.
    pub fn exposed_communication(&self) -> f64 {
        TimePart::ALL
            .iter()
            .filter(|part| part.is_communication())
            .map(|part| self.of(*part))
            .sum()
    }

    /// The parts with their seconds, in order.
    pub fn iter(&self) -> impl Iterator<Item = (TimePart, f64)> + '_ {
        TimePart::ALL.iter().copied().zip(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_under_its_place() {
        let mut seconds = PartSeconds::default();
        for (place, part) in TimePart::ALL.iter().enumerate() {
            assert_eq!(part.index(), place);
            seconds.0[place] = 1.0;
            assert!(seconds.of(*part) > 0.0);
            assert!(part.short().len() <= 12);
        }
        // Ten parts of a second each; five of them wait for the network.
        assert!((seconds.total() - 10.0).abs() < 1e-12);
        assert!((seconds.exposed_communication() - 5.0).abs() < 1e-12);
    }
}

//! Why a file is no schedule.

use crate::collective::schedule::verify::ScheduleFault;

/// Why a file is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleFileFault {
    /// A line cannot be read.
    #[error("line {line}: {message}")]
    Line {
        /// The line, from 1.
        line: u32,
        /// The fault, and the way out.
        message: String,
    },
    /// The schedule can be read, but does not carry its operation out.
    #[error(transparent)]
    Wrong(#[from] ScheduleFault),
    /// A step of an MSCCL schedule cannot be carried out.
    #[error("{at}: {sentence}")]
    Step {
        /// The step.
        at: StepName,
        /// The fault in words.
        sentence: String,
    },
    /// A GPU of an MSCCL schedule ends without what the operation promises.
    #[error("gpu {gpu}: {sentence}")]
    End {
        /// The GPU.
        gpu: u32,
        /// The fault in words.
        sentence: String,
    },
}

/// Name of a step in an MSCCL schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepName {
    /// GPU that carries it out.
    pub gpu: u32,
    /// Thread block of the GPU.
    pub block: u32,
    /// Number in the thread block.
    pub step: u32,
}

impl std::fmt::Display for StepName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { gpu, block, step } = self;
        write!(f, "gpu {gpu}, threadblock {block}, step {step}")
    }
}

/// A fault of one line.
pub(super) fn at_line(line: u32, message: impl Into<String>) -> ScheduleFileFault {
    ScheduleFileFault::Line {
        line,
        message: message.into(),
    }
}

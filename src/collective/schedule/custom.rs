//! Schedules of files.

use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::messages::Messages;
use crate::collective::schedule::program::Program;
use crate::collective::schedule::rounds::Schedule;
use crate::units::Bytes;

/// A checked schedule of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomSchedule {
    /// Rounds of transfers.
    Rounds(Schedule),
    /// Steps of thread blocks.
    Program(Program),
}

impl CustomSchedule {
    /// Operation that it carries out; `None` where it is none of the usual ones.
    pub const fn op(&self) -> Option<CollectiveOp> {
        match self {
            Self::Rounds(schedule) => Some(schedule.op),
            Self::Program(program) => program.op,
        }
    }

    /// Name of the operation.
    pub fn op_name(&self) -> &'static str {
        self.op().map_or("custom", CollectiveOp::as_str)
    }

    /// Ranks of the group.
    pub const fn ranks(&self) -> u32 {
        match self {
            Self::Rounds(schedule) => schedule.ranks,
            Self::Program(program) => program.ranks,
        }
    }

    /// Chunks of the buffer, of equal size.
    pub const fn chunks(&self) -> u32 {
        match self {
            Self::Rounds(schedule) => schedule.chunks,
            Self::Program(program) => program.chunks,
        }
    }

    /// Number of rounds: messages one after another.
    pub fn rounds(&self) -> usize {
        match self {
            Self::Rounds(schedule) => schedule.rounds.len(),
            Self::Program(program) => program.rounds(),
        }
    }

    /// Protocol that it is written for, if it is for one.
    pub(in crate::collective) const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Rounds(_) => None,
            Self::Program(program) => Some(program.protocol()),
        }
    }

    /// Whether a library takes it for a buffer of this size.
    pub(in crate::collective) fn is_for(&self, buffer: Bytes) -> bool {
        match self {
            Self::Rounds(_) => true,
            Self::Program(program) => program.is_for(buffer),
        }
    }

    pub(in crate::collective) fn messages(&self) -> &dyn Messages {
        match self {
            Self::Rounds(schedule) => schedule,
            Self::Program(program) => program,
        }
    }
}

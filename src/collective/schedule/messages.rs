//! Messages that a schedule puts on the links.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::collective::op::Protocol;
use crate::units::{Seconds, Volume};

/// Chunks between each two positions of a group, in one round.
pub(in crate::collective) type RoundMessages = BTreeMap<(u32, u32), f64>;

/// Pieces of each chunk that go through a schedule one behind the other.
pub(in crate::collective) struct Pieces<'a> {
    /// Number of pieces.
    pub(in crate::collective) count: f64,
    /// Rounds that one piece must have passed before the next one enters the first of them.
    pub(in crate::collective) spans: &'a [Range<usize>],
}

/// Messages of a schedule: those that can be on their way at once, and those that wait for others.
pub(in crate::collective) trait Messages {
    /// Messages of each round.
    fn by_round(&self) -> Box<dyn Iterator<Item = RoundMessages> + '_>;

    /// Part of a rank's buffer that one chunk is.
    fn chunk_of_buffer(&self) -> f64;

    /// Pieces in which chunks of a size go through the rounds; `None` where they go as a whole.
    fn pieces(&self, _chunk: Volume, _protocol: Protocol) -> Option<Pieces<'_>> {
        None
    }

    /// Time of the slowest chain of messages that wait for one another, where a message from one
    /// position to another takes `delay`.
    fn slowest_chain(&self, delay: &mut dyn FnMut(u32, u32) -> Seconds) -> Seconds;
}

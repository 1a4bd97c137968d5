//! What a schedule asks of the links.

use std::collections::BTreeMap;

use crate::units::Seconds;

/// Chunks between each two positions of a group, in one round.
pub(in crate::collective) type RoundMessages = BTreeMap<(u32, u32), f64>;

/// Messages of a schedule: those that can be on their way at once, and those that wait for others.
pub(in crate::collective) trait Messages {
    /// Messages of each round.
    fn by_round(&self) -> Box<dyn Iterator<Item = RoundMessages> + '_>;

    /// Part of a rank's buffer that one chunk is.
    fn chunk_of_buffer(&self) -> f64;

    /// Time of the slowest chain of messages that wait for one another, where a message from one
    /// position to another takes `delay`.
    fn slowest_chain(&self, delay: &mut dyn FnMut(u32, u32) -> Seconds) -> Seconds;
}

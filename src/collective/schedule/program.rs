//! Steps of thread blocks in an order in which they can be carried out.

use std::ops::{Range, RangeInclusive};

use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::messages::{Messages, Pieces, RoundMessages};
use crate::units::{Bytes, Seconds, Volume};

/// Bytes of a chunk that go through a program at once: one message of a connection.
///
/// Of Simple 4 of the 8 slots of 4 MiB; of LL half of 64 KiB are data, of LL128 15/16 of 600 KiB.
///
/// Source: `calcBytePerStep` in `src/device/primitives.h` and the buffer sizes of NCCL,
/// `MSCCL_CHUNKSTEPS` of RCCL.
const fn piece_bytes(protocol: Protocol) -> f64 {
    match protocol {
        Protocol::Simple => 2_097_152.0,
        Protocol::Ll128 => 576_000.0,
        // A bound: the finest pieces overlap most.
        Protocol::Ll | Protocol::Ideal => 32_768.0,
    }
}

/// A step with what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlayedStep {
    /// Rank that carries it out.
    pub(super) rank: u32,
    /// Steps of the same rank that come before it: that of its thread block, that of another one, and
    /// of another rank the receive that makes room for its message.
    pub(super) before: [Option<usize>; 3],
    /// Step that sends the message that it receives.
    pub(super) arrival: Option<usize>,
    /// Receiver and chunks of the message that it sends.
    pub(super) sends: Option<(u32, u32)>,
    /// Messages one after another that must have arrived before it is done.
    pub(super) hops: usize,
}

/// A collective as steps of thread blocks, which wait for messages and for one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Operation that it carries out; `None` where it is none of the usual ones.
    pub(super) op: Option<CollectiveOp>,
    pub(super) ranks: u32,
    /// Chunks of the buffer, of equal size.
    pub(super) chunks: u32,
    pub(super) protocol: Protocol,
    /// Sizes of the buffer, in bytes, for which a library takes it.
    pub(super) sizes: RangeInclusive<u64>,
    /// Steps, each after those that it waits for.
    pub(super) steps: Vec<PlayedStep>,
    /// Rounds from the first to the last message of a thread block, the longest spans.
    pub(super) spans: Vec<Range<usize>>,
}

impl Program {
    /// Rounds of messages, where each goes as early as it can.
    pub(super) fn rounds(&self) -> usize {
        let arrived = self.steps.iter().filter(|step| step.arrival.is_some());
        arrived.map(|step| step.hops).max().unwrap_or_default()
    }

    /// Protocol that the program is written for.
    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether a library takes it for a buffer of this size.
    pub(super) fn is_for(&self, buffer: Bytes) -> bool {
        self.sizes.contains(&buffer.get())
    }
}

impl Messages for Program {
    /// A message goes in the round after the last that it waits for.
    fn by_round(&self) -> Box<dyn Iterator<Item = RoundMessages> + '_> {
        let mut rounds = vec![RoundMessages::new(); self.rounds()];
        for step in &self.steps {
            if let Some((to, chunks)) = step.sends {
                *rounds[step.hops].entry((step.rank, to)).or_default() += f64::from(chunks);
            }
        }
        Box::new(rounds.into_iter())
    }

    fn chunk_of_buffer(&self) -> f64 {
        1.0 / f64::from(self.chunks)
    }

    fn pieces(&self, chunk: Volume, protocol: Protocol) -> Option<Pieces<'_>> {
        let count = libm::ceil(chunk.get() / piece_bytes(protocol)).max(1.0);
        let spans = &self.spans;
        Some(Pieces { count, spans })
    }

    fn slowest_chain(&self, delay: &mut dyn FnMut(u32, u32) -> Seconds) -> Seconds {
        let mut done: Vec<Seconds> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let before = step.before.iter().flatten().map(|before| done[*before]);
            let mut ready = before.fold(Seconds::ZERO, Seconds::max);
            if let Some(sender) = step.arrival {
                ready = ready.max(done[sender] + delay(self.steps[sender].rank, step.rank));
            }
            done.push(ready);
        }
        done.into_iter().fold(Seconds::ZERO, Seconds::max)
    }
}

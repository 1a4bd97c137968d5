//! Contents of the buffers: whose contributions are in each chunk.

use std::rc::Rc;

use crate::collective::op::CollectiveOp;
use crate::collective::schedule::fault::{ScheduleFileFault, StepName};
use crate::collective::schedule::msccl::xml::{Algorithm, Buffer, Place, Sizes};

/// Sum of one chunk of the inputs of some ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    /// Place in the inputs; `None` of a sum over several.
    chunk: Option<u32>,
    /// Ranks, as bits.
    ranks: Vec<u64>,
}

impl Sum {
    fn of(chunk: u32, rank: u32, ranks: u32) -> Self {
        let mut bits = vec![0; ranks.div_ceil(64) as usize];
        bits[rank as usize / 64] |= 1 << (rank % 64);
        Self {
            chunk: Some(chunk),
            ranks: bits,
        }
    }

    fn has(&self, rank: u32) -> bool {
        self.ranks[rank as usize / 64] >> (rank % 64) & 1 == 1
    }

    fn count(&self) -> u32 {
        self.ranks.iter().map(|word| word.count_ones()).sum()
    }

    /// The only rank, if it is one.
    fn only(&self) -> Option<u32> {
        let word = self.ranks.iter().position(|word| *word != 0)?;
        let rank = word as u32 * 64 + self.ranks[word].trailing_zeros();
        (self.count() == 1).then_some(rank)
    }
}

/// Contents that an operation promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    AllReduce,
    ReduceScatter,
    AllGather,
    AllToAll,
    /// Everyone has what this rank gave.
    BroadcastFrom(u32),
    /// Each rank has what the one before gave.
    FromPrevious,
    /// Each rank has what the one after gave.
    FromNext,
}

/// Where a GPU's buffers begin among all chunks.
#[derive(Clone, Copy, Debug)]
struct Starts {
    input: usize,
    output: usize,
    scratch: usize,
}

/// Contents of all buffers of all GPUs.
pub(super) struct Contents {
    op: Option<CollectiveOp>,
    ranks: u32,
    chunks: u32,
    sizes: Vec<Sizes>,
    starts: Vec<Starts>,
    /// Contents of each chunk, with the step that left them.
    held: Vec<Option<(Rc<Sum>, Option<StepName>)>>,
}

impl Contents {
    /// Contents at the start, where each input has the contributions of its rank alone.
    pub(super) fn of(algorithm: &Algorithm, in_place: bool) -> Self {
        let mut contents = Self {
            op: algorithm.op,
            ranks: algorithm.ranks,
            chunks: algorithm.chunks,
            sizes: Vec::new(),
            starts: Vec::new(),
            held: Vec::new(),
        };
        for (declared, rank) in algorithm.buffers.iter().zip(0..) {
            contents.lay_out(*declared, rank, in_place);
        }
        for rank in 0..contents.ranks {
            for chunk in 0..contents.input(rank) {
                let own = Rc::new(Sum::of(chunk, rank, contents.ranks));
                let at = contents.starts[rank as usize].input + chunk as usize;
                contents.held[at] = Some((own, None));
            }
        }
        contents
    }

    /// Chunks of one rank's share.
    const fn share(&self) -> u32 {
        self.chunks / self.ranks
    }

    /// Chunks that a rank gives.
    fn input(&self, rank: u32) -> u32 {
        match self.op {
            Some(CollectiveOp::AllGather) => self.share(),
            Some(
                CollectiveOp::AllReduce
                | CollectiveOp::ReduceScatter
                | CollectiveOp::AllToAll
                | CollectiveOp::Broadcast
                | CollectiveOp::SendRecv,
            ) => self.chunks,
            None => self.sizes[rank as usize].input,
        }
    }

    /// Gives a GPU's buffers their place; in place the smaller of input and output lies in the other.
    fn lay_out(&mut self, declared: Sizes, rank: u32, in_place: bool) {
        let (chunks, share) = (self.chunks, self.share());
        let start = self.held.len();
        let mut sizes = declared;
        let both = declared.input.max(declared.output).max(chunks);
        let (input, output, end) = match (self.op, in_place) {
            (
                Some(CollectiveOp::AllReduce | CollectiveOp::AllToAll | CollectiveOp::Broadcast),
                true,
            ) => {
                (sizes.input, sizes.output) = (both, both);
                (start, start, start + both as usize)
            }
            (Some(CollectiveOp::AllGather), true) => {
                (sizes.input, sizes.output) = (share, both);
                let input = start + (rank * share) as usize;
                (input, start, start + both as usize)
            }
            (Some(CollectiveOp::ReduceScatter), true) => {
                (sizes.input, sizes.output) = (both, share);
                let output = start + (rank * share) as usize;
                (start, output, start + both as usize)
            }
            // A custom collective has the buffers that it declares.
            (op, _) => {
                if op.is_some() {
                    (sizes.input, sizes.output) = (both, both);
                }
                let output = start + sizes.input as usize;
                (start, output, output + sizes.output as usize)
            }
        };
        self.held.resize(end + sizes.scratch as usize, None);
        self.sizes.push(sizes);
        self.starts.push(Starts {
            input,
            output,
            scratch: end,
        });
    }

    fn size(&self, rank: u32, buffer: Buffer) -> u32 {
        let sizes = self.sizes[rank as usize];
        match buffer {
            Buffer::Input => sizes.input,
            Buffer::Output => sizes.output,
            Buffer::Scratch => sizes.scratch,
        }
    }

    /// Index of the first of `count` chunks of a buffer.
    fn index(&self, rank: u32, place: Place, count: u32) -> Result<usize, String> {
        let Place { buffer, offset } = place;
        let size = self.size(rank, buffer);
        if offset.saturating_add(count) > size {
            let last = offset.saturating_add(count - 1);
            return Err(format!(
                "buffer `{buffer}` has {size} chunks, not chunk {last}"
            ));
        }
        let starts = self.starts[rank as usize];
        let start = match buffer {
            Buffer::Input => starts.input,
            Buffer::Output => starts.output,
            Buffer::Scratch => starts.scratch,
        };
        Ok(start + offset as usize)
    }

    /// Contents of `count` chunks of a buffer.
    ///
    /// # Errors
    /// If they are not there, or nothing is in one of them.
    pub(super) fn read(&self, rank: u32, place: Place, count: u32) -> Result<Vec<Rc<Sum>>, String> {
        let start = self.index(rank, place, count)?;
        let chunks = self.held[start..][..count as usize].iter();
        let read = chunks.zip(place.offset..).map(|(held, chunk)| {
            let (sum, _) = held.as_ref().ok_or_else(|| {
                let buffer = place.buffer;
                format!("it takes chunk {chunk} of `{buffer}`, where nothing has been put yet")
            })?;
            Ok(Rc::clone(sum))
        });
        read.collect()
    }

    /// Puts chunks into a buffer.
    ///
    /// # Errors
    /// If they are not there.
    pub(super) fn write(
        &mut self,
        by: StepName,
        place: Place,
        sums: &[Rc<Sum>],
    ) -> Result<(), String> {
        let start = self.index(by.gpu, place, sums.len() as u32)?;
        for (held, sum) in self.held[start..].iter_mut().zip(sums) {
            *held = Some((Rc::clone(sum), Some(by)));
        }
        Ok(())
    }

    /// Sum of chunks, each with its counterpart.
    ///
    /// # Errors
    /// If a contribution would count twice, or chunks of different places are added where the operation
    /// adds none.
    pub(super) fn add(&self, to: &mut [Rc<Sum>], from: &[Rc<Sum>]) -> Result<(), String> {
        for (to, from) in to.iter_mut().zip(from) {
            if to.chunk == from.chunk {
                let mut words = to.ranks.iter().zip(&from.ranks).zip(0_u32..);
                if let Some(((a, b), word)) = words.find(|((a, b), _)| *a & *b != 0) {
                    let rank = word * 64 + (a & b).trailing_zeros();
                    return Err(format!("it counts the contribution of gpu {rank} twice"));
                }
            } else if let (Some(a), Some(b), Some(op)) = (to.chunk, from.chunk, self.op) {
                return Err(format!(
                    "it adds chunks {a} and {b} of the inputs; {op} never does"
                ));
            }
            let words = to.ranks.iter().zip(&from.ranks);
            let sum = Sum {
                chunk: to.chunk.filter(|chunk| from.chunk == Some(*chunk)),
                ranks: words.map(|(a, b)| a | b).collect(),
            };
            *to = Rc::new(sum);
        }
        Ok(())
    }

    /// The operation that has been carried out: the stated one, or of a custom collective what its
    /// outputs show.
    ///
    /// # Errors
    /// If the stated one has not been.
    pub(super) fn carried_out(&self) -> Result<Option<CollectiveOp>, ScheduleFileFault> {
        if let Some(op) = self.op {
            let mut goals = self.goals(op).into_iter();
            let first = goals.next().map_or(Ok(()), |goal| self.check(goal));
            if first.is_err() && !goals.any(|goal| self.check(goal).is_ok()) {
                first?;
            }
            return Ok(Some(op));
        }
        let shared = self.chunks.is_multiple_of(self.ranks);
        let shown = CollectiveOp::ALL.iter().copied().find(|op| {
            let shares = matches!(
                op,
                CollectiveOp::AllGather | CollectiveOp::ReduceScatter | CollectiveOp::AllToAll
            );
            let mut goals = self.goals(*op).into_iter();
            (shared || !shares) && self.ranks > 1 && goals.any(|goal| self.check(goal).is_ok())
        });
        Ok(shown)
    }

    /// Ways in which an operation may be carried out.
    fn goals(&self, op: CollectiveOp) -> Vec<Goal> {
        match op {
            CollectiveOp::AllReduce => vec![Goal::AllReduce],
            CollectiveOp::ReduceScatter => vec![Goal::ReduceScatter],
            CollectiveOp::AllGather => vec![Goal::AllGather],
            CollectiveOp::AllToAll => vec![Goal::AllToAll],
            CollectiveOp::Broadcast => {
                // Whose buffer it is, any rank but the root shows.
                let first = Place {
                    buffer: Buffer::Output,
                    offset: 0,
                };
                let shown = (0..self.ranks.min(2)).rev().filter_map(|rank| {
                    let sums = self.read(rank, first, 1).ok()?;
                    sums[0].only()
                });
                let mut roots: Vec<_> = shown.map(Goal::BroadcastFrom).collect();
                roots.push(Goal::BroadcastFrom(0));
                roots
            }
            CollectiveOp::SendRecv => vec![Goal::FromPrevious, Goal::FromNext],
        }
    }

    /// Place in the inputs of what a rank must hold in a chunk of its output, and the rank whose it
    /// is, `None` of the sum over all.
    fn wanted(&self, goal: Goal, rank: u32, offset: u32) -> Option<(u32, Option<u32>)> {
        let share = self.share();
        match goal {
            Goal::AllReduce => Some((offset, None)),
            Goal::ReduceScatter => (offset < share).then(|| (rank * share + offset, None)),
            Goal::AllGather => Some((offset % share, Some(offset / share))),
            Goal::AllToAll => Some((rank * share + offset % share, Some(offset / share))),
            Goal::BroadcastFrom(root) => (rank != root).then_some((offset, Some(root))),
            Goal::FromPrevious => (rank > 0).then(|| (offset, Some(rank - 1))),
            Goal::FromNext => (rank + 1 < self.ranks).then_some((offset, Some(rank + 1))),
        }
    }

    fn check(&self, goal: Goal) -> Result<(), ScheduleFileFault> {
        for rank in 0..self.ranks {
            for offset in 0..self.chunks {
                if let Some((chunk, of)) = self.wanted(goal, rank, offset)
                    && let Some(sentence) = self.differs(rank, offset, chunk, of)
                {
                    return Err(ScheduleFileFault::End {
                        gpu: rank,
                        sentence,
                    });
                }
            }
        }
        Ok(())
    }

    /// How a chunk of the output differs from what it must hold.
    fn differs(&self, rank: u32, offset: u32, chunk: u32, of: Option<u32>) -> Option<String> {
        let place = Place {
            buffer: Buffer::Output,
            offset,
        };
        let held = self.index(rank, place, 1).ok();
        let Some((sum, by)) = held.and_then(|held| self.held[held].as_ref()) else {
            return Some(format!("chunk {offset} of its output is never written"));
        };
        let contributors = of.map_or(0..self.ranks, |one| one..one + 1);
        let count = contributors.len() as u32;
        let missing = contributors.into_iter().find(|one| !sum.has(*one));
        let fault = match missing {
            Some(missing) => format!("lacks the contribution of gpu {missing}"),
            None if sum.count() > count => "has contributions that do not belong there".to_owned(),
            None if sum.chunk != Some(chunk) => {
                let held = sum
                    .chunk
                    .map_or("several chunks".to_owned(), |held| format!("chunk {held}"));
                format!("has {held} of the inputs, not chunk {chunk}")
            }
            None => return None,
        };
        let by = by.map_or(String::new(), |by| {
            format!(", as threadblock {}, step {} leaves it", by.block, by.step)
        });
        Some(format!("chunk {offset} of its output {fault}{by}"))
    }
}

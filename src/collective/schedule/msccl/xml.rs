//! Elements `algo`, `gpu`, `tb` and `step`.

use std::ops::RangeInclusive;

use roxmltree::{Document, Node};

use crate::closed_set;
use crate::collective::op::{CollectiveOp, Protocol};
use crate::collective::schedule::fault::{ScheduleFileFault, StepName, at_line};

closed_set! {
    /// Kind of a step.
    pub(super) enum StepType: "step type" {
        /// Sends.
        Send = "s",
        /// Receives.
        Receive = "r",
        /// Copies from one buffer to another.
        Copy = "cpy",
        /// Adds from one buffer to another.
        Reduce = "re",
        /// Receives, adds its own, keeps the sum.
        ReceiveReduceCopy = "rrc",
        /// Receives, keeps it and sends it on.
        ReceiveCopySend = "rcs",
        /// Receives, adds its own, sends the sum on.
        ReceiveReduceSend = "rrs",
        /// Receives, adds its own, keeps the sum and sends it on.
        ReceiveReduceCopySend = "rrcs",
        /// Only waits.
        Nop = "nop",
    }
}

impl StepType {
    pub(super) const fn receives(self) -> bool {
        match self {
            Self::Receive
            | Self::ReceiveReduceCopy
            | Self::ReceiveCopySend
            | Self::ReceiveReduceSend
            | Self::ReceiveReduceCopySend => true,
            Self::Send | Self::Copy | Self::Reduce | Self::Nop => false,
        }
    }

    pub(super) const fn sends(self) -> bool {
        match self {
            Self::Send
            | Self::ReceiveCopySend
            | Self::ReceiveReduceSend
            | Self::ReceiveReduceCopySend => true,
            Self::Receive | Self::Copy | Self::Reduce | Self::ReceiveReduceCopy | Self::Nop => {
                false
            }
        }
    }

    /// Whether it takes what is at its source.
    pub(super) const fn reads(self) -> bool {
        match self {
            Self::Send
            | Self::Copy
            | Self::Reduce
            | Self::ReceiveReduceCopy
            | Self::ReceiveReduceSend
            | Self::ReceiveReduceCopySend => true,
            Self::Receive | Self::ReceiveCopySend | Self::Nop => false,
        }
    }

    /// Whether it leaves something at its target.
    pub(super) const fn writes(self) -> bool {
        match self {
            Self::Receive
            | Self::Copy
            | Self::Reduce
            | Self::ReceiveReduceCopy
            | Self::ReceiveCopySend
            | Self::ReceiveReduceCopySend => true,
            Self::Send | Self::ReceiveReduceSend | Self::Nop => false,
        }
    }
}

closed_set! {
    /// Buffer of a GPU.
    pub(super) enum Buffer: "buffer" {
        /// Data that the GPU gives.
        Input = "i",
        /// Data that the GPU ends with.
        Output = "o",
        /// Room for what is neither.
        Scratch = "s",
    }
}

/// First chunk of a step in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) buffer: Buffer,
    pub(super) offset: u32,
}

/// One `step`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kind: StepType,
    /// Where it reads, if it does.
    pub(super) source: Option<Place>,
    /// Where it writes, if it does.
    pub(super) target: Option<Place>,
    /// Chunks.
    pub(super) count: u32,
    /// Thread block of the same GPU, and its step, that must be done.
    pub(super) waits_for: Option<(u32, u32)>,
    /// Whether other thread blocks are told that it is done.
    pub(super) is_told: bool,
}

/// One `tb`: steps one after another, with one peer each way.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) gpu: u32,
    pub(super) id: u32,
    pub(super) send: Option<u32>,
    pub(super) receive: Option<u32>,
    pub(super) channel: u32,
    pub(super) steps: Vec<Step>,
}

impl Block {
    /// Name of a step.
    pub(super) const fn name(&self, step: usize) -> StepName {
        StepName {
            gpu: self.gpu,
            block: self.id,
            step: step as u32,
        }
    }
}

/// Chunks of a GPU's buffers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) input: u32,
    pub(super) output: u32,
    pub(super) scratch: u32,
}

/// One `algo`.
#[derive(Clone, Debug)]
pub(super) struct Algorithm {
    /// Operation; `None` of `custom`.
    pub(super) op: Option<CollectiveOp>,
    pub(super) ranks: u32,
    /// Chunks of the larger of input and output.
    pub(super) chunks: u32,
    pub(super) protocol: Protocol,
    pub(super) in_place: bool,
    pub(super) out_of_place: bool,
    /// Sizes of the buffer, in bytes, for which it is meant.
    pub(super) sizes: RangeInclusive<u64>,
    /// Buffers of each GPU.
    pub(super) buffers: Vec<Sizes>,
    pub(super) blocks: Vec<Block>,
}

/// Most ranks.
const RANKS_MAX: i64 = 4096;
/// Most chunks of a buffer.
const CHUNKS_MAX: i64 = 1 << 20;
/// Most words that the contributions in all chunks of all GPUs take while a schedule is played.
const WORDS_MAX: u64 = 1 << 24;
/// Most chunks that all steps move.
const MOVED_MAX: u64 = 1 << 22;

/// An element with its line.
#[derive(Clone, Copy)]
struct Element<'a>(Node<'a, 'a>);

impl Element<'_> {
    fn fault(self, message: impl Into<String>) -> ScheduleFileFault {
        let place = self.0.document().text_pos_at(self.0.range().start);
        at_line(place.row, message)
    }

    fn children(self, name: &'static str) -> impl Iterator<Item = Self> {
        let named = move |node: &Node<'_, '_>| node.has_tag_name(name);
        self.0.children().filter(named).map(Self)
    }

    /// A whole number, `default` where it is not stated.
    fn number(
        self,
        key: &str,
        default: Option<i64>,
        range: RangeInclusive<i64>,
    ) -> Result<i64, ScheduleFileFault> {
        let (first, last) = (range.start(), range.end());
        let expected = format!("`{key}` is a whole number, {first} to {last}");
        let Some(text) = self.0.attribute(key) else {
            return default.ok_or_else(|| self.fault(format!("{expected}; it is missing")));
        };
        let parsed = text.trim().parse().ok();
        parsed
            .filter(|value| range.contains(value))
            .ok_or_else(|| self.fault(format!("{expected}, not `{text}`")))
    }

    fn flag(self, key: &str, default: bool) -> Result<bool, ScheduleFileFault> {
        let value = self.number(key, Some(i64::from(default)), 0..=1)?;
        Ok(value == 1)
    }
}

/// Reads an `algo`.
///
/// # Errors
/// If an element is missing, names what is not there, or is too large to be checked.
pub(super) fn read(text: &str) -> Result<Algorithm, ScheduleFileFault> {
    let document =
        Document::parse(text).map_err(|error| at_line(error.pos().row, error.to_string()))?;
    let root = Element(document.root_element());
    if !root.0.has_tag_name("algo") {
        return Err(root.fault("expected an `algo` element of MSCCL"));
    }
    let op = operation(root)?;
    let ranks = root.number("ngpus", None, 1..=RANKS_MAX)?;
    let mut algorithm = Algorithm {
        op,
        ranks: ranks as u32,
        chunks: root.number("nchunksperloop", None, 1..=CHUNKS_MAX)? as u32,
        protocol: protocol(root)?,
        in_place: root.flag("inplace", false)?,
        out_of_place: false,
        sizes: sizes(root)?,
        buffers: vec![Sizes::default(); ranks as usize],
        blocks: Vec::new(),
    };
    algorithm.out_of_place = root.flag("outofplace", !algorithm.in_place)?;
    if let Some(
        op @ (CollectiveOp::AllGather | CollectiveOp::ReduceScatter | CollectiveOp::AllToAll),
    ) = op
        && !algorithm.chunks.is_multiple_of(algorithm.ranks)
    {
        let chunks = algorithm.chunks;
        let message =
            format!("{op} over {ranks} ranks has {chunks} chunks; it needs a multiple of {ranks}");
        return Err(root.fault(message));
    }
    let mut seen = vec![false; ranks as usize];
    for gpu in root.children("gpu") {
        let id = gpu.number("id", None, 0..=ranks - 1)? as u32;
        if std::mem::replace(&mut seen[id as usize], true) {
            return Err(gpu.fault(format!("gpu {id} is there twice")));
        }
        algorithm.buffers[id as usize] = Sizes {
            input: gpu.number("i_chunks", Some(0), 0..=CHUNKS_MAX)? as u32,
            output: gpu.number("o_chunks", Some(0), 0..=CHUNKS_MAX)? as u32,
            scratch: gpu.number("s_chunks", Some(0), 0..=CHUNKS_MAX)? as u32,
        };
        for block in gpu.children("tb") {
            let block = read_block(block, id, &algorithm)?;
            algorithm.blocks.push(block);
        }
    }
    algorithm.blocks.sort_by_key(|block| block.gpu);
    check_size(root, &algorithm)?;
    Ok(algorithm)
}

/// The operation of `coll`; `None` of `custom`.
fn operation(root: Element<'_>) -> Result<Option<CollectiveOp>, ScheduleFileFault> {
    match root.0.attribute("coll").unwrap_or_default() {
        "allreduce" => Ok(Some(CollectiveOp::AllReduce)),
        "allgather" => Ok(Some(CollectiveOp::AllGather)),
        "reduce_scatter" | "reducescatter" => Ok(Some(CollectiveOp::ReduceScatter)),
        "alltoall" => Ok(Some(CollectiveOp::AllToAll)),
        "broadcast" => Ok(Some(CollectiveOp::Broadcast)),
        "alltonext" => Ok(Some(CollectiveOp::SendRecv)),
        "custom" => Ok(None),
        other => Err(root.fault(format!(
            "`coll` is `{other}`; expected `allreduce`, `allgather`, `reduce_scatter`, `alltoall`, `alltonext`, `broadcast` or `custom`"
        ))),
    }
}

fn protocol(root: Element<'_>) -> Result<Protocol, ScheduleFileFault> {
    match root.0.attribute("proto").unwrap_or("Simple") {
        "Simple" => Ok(Protocol::Simple),
        "LL" => Ok(Protocol::Ll),
        "LL128" => Ok(Protocol::Ll128),
        other => {
            let message = format!("`proto` is `{other}`; expected `Simple`, `LL` or `LL128`");
            Err(root.fault(message))
        }
    }
}

/// Sizes between `minBytes` and `maxBytes`, which is 0 where there is no limit.
fn sizes(root: Element<'_>) -> Result<RangeInclusive<u64>, ScheduleFileFault> {
    let least = root.number("minBytes", Some(0), 0..=i64::MAX)? as u64;
    let most = root.number("maxBytes", Some(0), 0..=i64::MAX)? as u64;
    let most = if most == 0 { u64::MAX } else { most };
    if least > most {
        return Err(root.fault(format!("`minBytes` is {least}, `maxBytes` only {most}")));
    }
    Ok(least..=most)
}

fn read_block(
    element: Element<'_>,
    gpu: u32,
    algorithm: &Algorithm,
) -> Result<Block, ScheduleFileFault> {
    let ranks = i64::from(algorithm.ranks);
    let peer = |key: &str| {
        let peer = element.number(key, Some(-1), -1..=ranks - 1)?;
        if peer == i64::from(gpu) {
            return Err(element.fault(format!("`{key}` is the GPU itself, {gpu}")));
        }
        Ok(u32::try_from(peer).ok())
    };
    let mut block = Block {
        gpu,
        id: element.number("id", None, 0..=i64::from(u16::MAX))? as u32,
        send: peer("send")?,
        receive: peer("recv")?,
        // A block that only copies may have channel -1.
        channel: element
            .number("chan", Some(0), -1..=i64::from(u16::MAX))?
            .max(0) as u32,
        steps: Vec::new(),
    };
    let others = algorithm.blocks.iter().rev();
    let mut of_gpu = others.take_while(|other| other.gpu == gpu);
    if of_gpu.any(|other| other.id == block.id) {
        let message = format!("gpu {gpu} has thread block {} twice", block.id);
        return Err(element.fault(message));
    }
    for step in element.children("step") {
        let read = read_step(step, &block)?;
        block.steps.push(read);
    }
    Ok(block)
}

fn read_step(element: Element<'_>, block: &Block) -> Result<Step, ScheduleFileFault> {
    let at = block.name(block.steps.len());
    let fault = |sentence: String| ScheduleFileFault::Step { at, sentence };
    let number = element.number("s", Some(i64::from(at.step)), 0..=i64::MAX)?;
    if number != i64::from(at.step) {
        return Err(fault(format!("its number `s` is {number}")));
    }
    let kind = element.0.attribute("type").unwrap_or_default();
    let kind: StepType = kind.parse().map_err(|error| fault(format!("{error}")))?;
    let peers = [
        (kind.sends(), block.send, "sends", "send"),
        (kind.receives(), block.receive, "receives", "recv"),
    ];
    for (needed, peer, does, key) in peers {
        if needed && peer.is_none() {
            return Err(fault(format!(
                "it {does}, but its thread block has no `{key}`"
            )));
        }
    }
    let place = |needed: bool, buffer: &str, offset: &str| {
        let read = || {
            let name = element.0.attribute(buffer).unwrap_or_default();
            let buffer = name.parse().map_err(|error| fault(format!("{error}")))?;
            let offset = element.number(offset, None, 0..=CHUNKS_MAX)? as u32;
            Ok::<Place, ScheduleFileFault>(Place { buffer, offset })
        };
        needed.then(read).transpose()
    };
    let least = i64::from(kind != StepType::Nop);
    let depends = element.number("depid", Some(-1), -1..=i64::from(u16::MAX))?;
    let waits_for = match u32::try_from(depends) {
        Ok(other) => Some((other, element.number("deps", None, 0..=CHUNKS_MAX)? as u32)),
        Err(_) => None,
    };
    Ok(Step {
        kind,
        source: place(kind.reads(), "srcbuf", "srcoff")?,
        target: place(kind.writes(), "dstbuf", "dstoff")?,
        count: element.number("cnt", Some(least), least..=CHUNKS_MAX)? as u32,
        waits_for,
        is_told: element.flag("hasdep", false)? && kind != StepType::Nop,
    })
}

/// Whether a schedule is small enough to be played.
fn check_size(root: Element<'_>, algorithm: &Algorithm) -> Result<(), ScheduleFileFault> {
    let Algorithm { ranks, chunks, .. } = algorithm;
    let places = algorithm.buffers.iter().map(|sizes| {
        let given = [sizes.input, sizes.output].map(|size| u64::from(size.max(*chunks)));
        given[0] + given[1] + u64::from(sizes.scratch)
    });
    let words = places.sum::<u64>() * u64::from(ranks.div_ceil(64));
    let steps = algorithm.blocks.iter().flat_map(|block| &block.steps);
    let moved = steps.map(|step| u64::from(step.count)).sum::<u64>();
    if words > WORDS_MAX || moved > MOVED_MAX {
        let message = format!(
            "{ranks} ranks with {chunks} chunks are too many to be checked; take fewer chunks"
        );
        return Err(root.fault(message));
    }
    Ok(())
}

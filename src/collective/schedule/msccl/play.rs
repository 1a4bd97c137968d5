//! The thread blocks at work: each goes on as far as it can, until all are done or wait for each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use crate::collective::op::Protocol;
use crate::collective::schedule::fault::{ScheduleFileFault, StepName};
use crate::collective::schedule::msccl::contents::{Contents, Sum};
use crate::collective::schedule::msccl::xml::{Algorithm, Block, Step, StepType};
use crate::collective::schedule::program::{PlayedStep, Program};

/// Messages that a sender may be ahead of its receiver on one connection.
///
/// A connection has 8 slots (`NCCL_STEPS`). A message of Simple takes 4 of them
/// (`MSCCL_CHUNKSTEPS`), one of LL and LL128 takes one.
const fn slots(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Simple => 2,
        Protocol::Ll | Protocol::Ll128 | Protocol::Ideal => 8,
    }
}

/// A message on its way.
struct Message {
    /// The step that sent it, among those played.
    sent: usize,
    chunks: Vec<Rc<Sum>>,
}

/// A connection of one channel from one GPU to another.
#[derive(Default)]
struct Connection {
    /// Thread block that sends.
    sender: Option<usize>,
    /// Thread block that receives.
    receiver: Option<usize>,
    waiting: VecDeque<Message>,
    /// Receiving steps so far, among those played.
    received: Vec<usize>,
}

/// A thread block at work.
struct ActiveBlock<'a> {
    block: &'a Block,
    /// Next step.
    next: usize,
    /// Last step among those played.
    last: Option<usize>,
    /// Connections that it sends and receives over.
    out: Option<usize>,
    into: Option<usize>,
    /// For each step the number of steps after which others are told that it is done; none where they
    /// never are.
    told: Vec<Option<usize>>,
    /// Played step of each of its steps.
    played: Vec<usize>,
    /// Thread blocks that wait for one of its steps.
    waiters: Vec<usize>,
}

/// Event that a thread block waits for.
#[derive(Clone, Copy)]
enum Wait {
    /// A step of another block of the GPU.
    Step(usize),
    /// A message on a connection.
    Message(usize),
    /// Room on a connection.
    Room(usize),
}

/// Order in which thread blocks that could go on do. A schedule allows all: what it does must not
/// depend on them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Whether the last block that could go on does, not the first.
    last_first: bool,
    /// Whether a block goes on by one step at a time, not as far as it can.
    step_by_step: bool,
}

impl Order {
    const fn new(last_first: bool, step_by_step: bool) -> Self {
        Self {
            last_first,
            step_by_step,
        }
    }

    /// Every order that is tried.
    pub(super) const ALL: &'static [Self] = &[
        Self::new(false, false),
        Self::new(false, true),
        Self::new(true, false),
        Self::new(true, true),
    ];
}

struct Player<'a> {
    blocks: Vec<ActiveBlock<'a>>,
    connections: Vec<Connection>,
    contents: Contents,
    slots: usize,
    played: Vec<PlayedStep>,
}

/// Carries a schedule out, with the output in the place of the input or not.
///
/// # Errors
/// If a step cannot be carried out, or the GPUs end without what the operation promises.
pub(super) fn play(
    algorithm: &Algorithm,
    in_place: bool,
    order: Order,
) -> Result<Program, ScheduleFileFault> {
    let mut player = Player::of(algorithm, in_place)?;
    player.run(order)?;
    player.check_connections()?;
    Ok(Program {
        spans: player.spans(),
        op: player.contents.carried_out()?,
        ranks: algorithm.ranks,
        chunks: algorithm.chunks,
        protocol: algorithm.protocol,
        sizes: algorithm.sizes.clone(),
        steps: player.played,
    })
}

fn fault(at: StepName, sentence: impl Into<String>) -> ScheduleFileFault {
    ScheduleFileFault::Step {
        at,
        sentence: sentence.into(),
    }
}

impl<'a> Player<'a> {
    fn of(algorithm: &'a Algorithm, in_place: bool) -> Result<Self, ScheduleFileFault> {
        let mut player = Self {
            blocks: algorithm.blocks.iter().map(ActiveBlock::of).collect(),
            connections: Vec::new(),
            contents: Contents::of(algorithm, in_place),
            slots: slots(algorithm.protocol),
            played: Vec::new(),
        };
        player.connect()?;
        Ok(player)
    }

    /// Joins the blocks that send with those that receive.
    fn connect(&mut self) -> Result<(), ScheduleFileFault> {
        let mut known: BTreeMap<(u32, u32, u32), usize> = BTreeMap::new();
        for index in 0..self.blocks.len() {
            let block = self.blocks[index].block;
            let of_kind = |does: fn(StepType) -> bool| {
                let step = block.steps.iter().position(|step| does(step.kind));
                step.map(|step| block.name(step))
            };
            let ends = [
                (
                    of_kind(StepType::sends),
                    block.send.map(|to| (block.gpu, to)),
                ),
                (
                    of_kind(StepType::receives),
                    block.receive.map(|from| (from, block.gpu)),
                ),
            ];
            for (end, sends) in ends.into_iter().zip([true, false]) {
                let (Some(step), Some((from, to))) = end else {
                    continue;
                };
                let at = *known.entry((from, to, block.channel)).or_insert_with(|| {
                    self.connections.push(Connection::default());
                    self.connections.len() - 1
                });
                let connection = &mut self.connections[at];
                let (active, connection, does) = if sends {
                    (
                        &mut self.blocks[index].out,
                        &mut connection.sender,
                        "sends to",
                    )
                } else {
                    (
                        &mut self.blocks[index].into,
                        &mut connection.receiver,
                        "receives from",
                    )
                };
                *active = Some(at);
                if let Some(other) = connection.replace(index) {
                    let peer = if sends { to } else { from };
                    let (other, channel) = (self.blocks[other].block.id, block.channel);
                    let sentence = format!(
                        "threadblock {other} {does} gpu {peer} on channel {channel} already"
                    );
                    return Err(fault(step, sentence));
                }
            }
        }
        Ok(())
    }

    /// Carries out every step.
    fn run(&mut self, order: Order) -> Result<(), ScheduleFileFault> {
        let mut ready: VecDeque<usize> = (0..self.blocks.len()).collect();
        let next = |ready: &mut VecDeque<usize>| {
            if order.last_first {
                ready.pop_back()
            } else {
                ready.pop_front()
            }
        };
        while let Some(active) = next(&mut ready) {
            while self.blocks[active].step().is_some() {
                if let Some(wait) = self.wait(active)? {
                    self.await_step(active, wait);
                    break;
                }
                self.carry_out(active, &mut ready)?;
                if order.step_by_step {
                    // Blocks that it has woken come before it.
                    if order.last_first {
                        ready.push_front(active);
                    } else {
                        ready.push_back(active);
                    }
                    break;
                }
            }
        }
        let stuck = self
            .blocks
            .iter()
            .position(|active| active.step().is_some());
        stuck.map_or(Ok(()), |active| Err(self.deadlock(active)))
    }

    /// Wakes a block when another has gone on, if it waits for a step of that.
    fn await_step(&mut self, active: usize, wait: Wait) {
        if let Wait::Step(other) = wait
            && !self.blocks[other].waiters.contains(&active)
        {
            self.blocks[other].waiters.push(active);
        }
    }

    /// Rounds from the first to the last message of each thread block.
    fn spans(&self) -> Vec<Range<usize>> {
        let of_block = |active: &ActiveBlock<'_>| {
            let rounds = active.played.iter().flat_map(|step| {
                let step = &self.played[*step];
                let sent = step.sends.map(|_| step.hops);
                let arrived = step.arrival.map(|sender| self.played[sender].hops);
                sent.into_iter().chain(arrived)
            });
            let rounds: BTreeSet<usize> = rounds.collect();
            Some(*rounds.first()?..*rounds.last()? + 1)
        };
        let spans: Vec<_> = self.blocks.iter().filter_map(of_block).collect();
        let within = |span: &Range<usize>, other: &Range<usize>| {
            other.start <= span.start && span.end <= other.end
        };
        let mut longest: Vec<Range<usize>> = Vec::new();
        for span in spans {
            if !longest.iter().any(|other| within(&span, other)) {
                longest.retain(|other| !within(other, &span));
                longest.push(span);
            }
        }
        longest
    }

    /// Event that the next step of a block waits for.
    fn wait(&self, active: usize) -> Result<Option<Wait>, ScheduleFileFault> {
        let ActiveBlock {
            block,
            next,
            out,
            into,
            ..
        } = &self.blocks[active];
        let step = &block.steps[*next];
        if let Some((other, awaited)) = step.waits_for {
            let at = block.name(*next);
            let (other, done) = self.awaited(at, other, awaited)?;
            if self.blocks[other].next < done {
                return Ok(Some(Wait::Step(other)));
            }
        }
        if let (true, Some(into)) = (step.kind.receives(), into)
            && self.connections[*into].waiting.is_empty()
        {
            return Ok(Some(Wait::Message(*into)));
        }
        if let (true, Some(out)) = (step.kind.sends(), out)
            && self.connections[*out].waiting.len() >= self.slots
        {
            return Ok(Some(Wait::Room(*out)));
        }
        Ok(None)
    }

    /// The block that a step waits for, and how many of its steps must be done.
    fn awaited(
        &self,
        at: StepName,
        block: u32,
        step: u32,
    ) -> Result<(usize, usize), ScheduleFileFault> {
        let of_gpu = self
            .blocks
            .partition_point(|active| active.block.gpu < at.gpu);
        let mut of_gpu = self.blocks[of_gpu..].iter().zip(of_gpu..);
        let found = of_gpu
            .by_ref()
            .take_while(|(active, _)| active.block.gpu == at.gpu)
            .find(|(active, _)| active.block.id == block);
        let awaited = format!("it waits for threadblock {block}, step {step}");
        let Some((active, index)) = found else {
            return Err(fault(
                at,
                format!("{awaited}; the gpu has no such threadblock"),
            ));
        };
        match active.told.get(step as usize) {
            None => Err(fault(
                at,
                format!("{awaited}; it has only {}", active.told.len()),
            )),
            Some(None) => Err(fault(
                at,
                format!("{awaited}, which tells nobody that it is done (`hasdep` is 0)"),
            )),
            Some(Some(done)) => Ok((index, *done)),
        }
    }

    /// Carries out the next step of a block, and wakes those that wait for it.
    fn carry_out(
        &mut self,
        active: usize,
        ready: &mut VecDeque<usize>,
    ) -> Result<(), ScheduleFileFault> {
        let ActiveBlock {
            block,
            next,
            last,
            out,
            into,
            ..
        } = self.blocks[active];
        let (step, at) = (&block.steps[next], block.name(next));
        let number = self.played.len();
        let mut played = PlayedStep {
            rank: block.gpu,
            before: [last, None, None],
            arrival: None,
            sends: None,
            hops: 0,
        };
        if let Some((other, awaited)) = step.waits_for {
            let (other, done) = self.awaited(at, other, awaited)?;
            played.before[1] = Some(self.blocks[other].played[done - 1]);
        }
        let mut arrived = None;
        if let (true, Some(into)) = (step.kind.receives(), into) {
            let connection = &mut self.connections[into];
            let message = connection
                .waiting
                .pop_front()
                .expect("a message has arrived");
            connection.received.push(number);
            ready.extend(connection.sender);
            played.arrival = Some(message.sent);
            arrived = Some(message.chunks);
        }
        let chunks = self
            .compute(block.gpu, step, arrived)
            .and_then(|chunks| {
                if let Some(target) = step.target {
                    self.contents.write(at, target, &chunks)?;
                }
                Ok(chunks)
            })
            .map_err(|sentence| fault(at, sentence))?;
        if let (true, Some(out), Some(to)) = (step.kind.sends(), out, block.send) {
            let connection = &mut self.connections[out];
            let before = connection.received.len() + connection.waiting.len();
            let freed = before.checked_sub(self.slots);
            played.before[2] = freed.map(|freed| connection.received[freed]);
            connection.waiting.push_back(Message {
                sent: number,
                chunks,
            });
            ready.extend(connection.receiver);
            played.sends = Some((to, step.count));
        }
        self.finish(active, played);
        ready.append(&mut self.blocks[active].waiters.drain(..).collect());
        Ok(())
    }

    /// Chunks that a step writes or sends.
    fn compute(
        &self,
        gpu: u32,
        step: &Step,
        arrived: Option<Vec<Rc<Sum>>>,
    ) -> Result<Vec<Rc<Sum>>, String> {
        if let Some(chunks) = &arrived
            && chunks.len() != step.count as usize
        {
            let (count, sent) = (step.count, chunks.len());
            return Err(format!("it receives {count} chunks, {sent} are sent"));
        }
        let own = step
            .source
            .map(|source| self.contents.read(gpu, source, step.count));
        let mut parts = arrived.into_iter().chain(own.transpose()?);
        let mut chunks = parts.next().unwrap_or_default();
        if let Some(own) = parts.next() {
            self.contents.add(&mut chunks, &own)?;
        }
        if let (StepType::Reduce, Some(target)) = (step.kind, step.target) {
            let there = self.contents.read(gpu, target, step.count)?;
            self.contents.add(&mut chunks, &there)?;
        }
        Ok(chunks)
    }

    /// Records a step that has been carried out.
    fn finish(&mut self, active: usize, mut step: PlayedStep) {
        let before = step.before.iter().flatten();
        let waited = before.map(|before| self.played[*before].hops).max();
        let arrived = step.arrival.map(|sent| self.played[sent].hops + 1);
        step.hops = waited.max(arrived).unwrap_or_default();
        let number = self.played.len();
        let active = &mut self.blocks[active];
        active.played.push(number);
        active.last = Some(number);
        active.next += 1;
        self.played.push(step);
    }

    /// Whether every message has been received.
    fn check_connections(&self) -> Result<(), ScheduleFileFault> {
        for connection in &self.connections {
            let (Some(sender), false) = (connection.sender, connection.waiting.is_empty()) else {
                continue;
            };
            let block = self.blocks[sender].block;
            let mut sends = (0..block.steps.len()).filter(|step| block.steps[*step].kind.sends());
            let lost = sends.nth(connection.received.len()).unwrap_or_default();
            let peer = block.send.unwrap_or_default();
            let sentence = format!("gpu {peer} never receives what it sends");
            return Err(fault(block.name(lost), sentence));
        }
        Ok(())
    }

    /// The circle of steps that wait for each other, or the wait for what never comes, at the end of the
    /// waits of a block.
    fn deadlock(&self, active: usize) -> ScheduleFileFault {
        let mut chain = vec![active];
        loop {
            let active = chain[chain.len() - 1];
            let ActiveBlock { block, next, .. } = &self.blocks[active];
            let at = block.name(*next);
            let wait = match self.wait(active) {
                Ok(wait) => wait.expect("it is stuck"),
                Err(fault) => return fault,
            };
            let (other, never) = match wait {
                Wait::Step(other) => (Some(other), String::new()),
                Wait::Message(connection) => {
                    let from = block.receive.unwrap_or_default();
                    let never = format!("it waits for a message that gpu {from} never sends");
                    (self.connections[connection].sender, never)
                }
                Wait::Room(connection) => {
                    let to = block.send.unwrap_or_default();
                    let slots = self.slots;
                    let never = format!(
                        "it waits for room; gpu {to} never receives the {slots} messages before"
                    );
                    (self.connections[connection].receiver, never)
                }
            };
            let other = other.filter(|other| self.blocks[*other].step().is_some());
            let Some(other) = other else {
                return fault(at, never);
            };
            if let Some(start) = chain.iter().position(|member| *member == other) {
                return self.circle(&chain[start..]);
            }
            chain.push(other);
        }
    }

    fn circle(&self, members: &[usize]) -> ScheduleFileFault {
        if let [only] = members {
            let ActiveBlock { block, next, .. } = &self.blocks[*only];
            let sentence = "deadlock: it waits for its own threadblock";
            return fault(block.name(*next), sentence);
        }
        let name = |member: &usize| {
            let active = &self.blocks[*member];
            active.block.name(active.next)
        };
        let shown = members.iter().skip(1).take(8).map(name);
        let shown: Vec<_> = shown
            .map(|name| format!("waits for {name}, which "))
            .collect();
        let rest = match members.len().saturating_sub(9) {
            0 => String::new(),
            rest => format!("waits for {rest} others, of which the last "),
        };
        let waits = shown.concat();
        fault(
            name(&members[0]),
            format!("deadlock: it {waits}{rest}waits for the first"),
        )
    }
}

impl<'a> ActiveBlock<'a> {
    fn of(block: &'a Block) -> Self {
        let mut told = vec![None; block.steps.len()];
        let mut next = None;
        for number in (0..block.steps.len()).rev() {
            if block.steps[number].is_told {
                next = Some(number + 1);
            }
            told[number] = next;
        }
        Self {
            block,
            next: 0,
            last: None,
            out: None,
            into: None,
            told,
            played: Vec::new(),
            waiters: Vec::new(),
        }
    }

    fn step(&self) -> Option<&'a Step> {
        self.block.steps.get(self.next)
    }
}

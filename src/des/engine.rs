//! Tasks on serial streams, bound by dependencies, played in time order.

use crate::des::link::{LinkLoads, SharedLinks};
use crate::des::queue::EventQueue;
use crate::halt;
use crate::units::{SimDuration, SimTime};

/// One unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u32);

/// A serial queue: its tasks run one after another in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl TaskId {
    /// Index among the tasks of the engine, in the order in which they were added.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

const NONE: u32 = u32::MAX;

/// Events between two looks whether the simulation is to end: some milliseconds.
const EVENTS_BETWEEN_CHECKS: u64 = 1 << 16;

/// Last thing that a task waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing: it was ready when its stream was.
    Stream,
    /// A dependency, which ended `lag` before the task could start.
    Dependency {
        /// The task it depends on.
        on: TaskId,
        /// The delay of the dependency itself.
        lag: SimDuration,
    },
    /// The host, which had not issued it yet.
    Host,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    stream: u32,
    work: SimDuration,
    issue: SimDuration,
    waits_for_arrival: bool,
    /// Index among the flows; `NONE` of a task that uses no link.
    flow: u32,
    unmet: u32,
    first_edge: u32,
    next_in_stream: u32,
    ready: SimTime,
    gate: Gate,
    start: SimTime,
    end: SimTime,
    issued: SimTime,
    host_wait: SimDuration,
}

/// Use of the links by a communication, after a latency during which it uses none.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    load: LinkLoads,
    latency: SimDuration,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    to: u32,
    lag: SimDuration,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    device: u32,
    head: u32,
    tail: u32,
    free: SimTime,
    host: SimTime,
    busy: bool,
}

#[derive(Clone, Copy, Debug)]
struct Communication {
    task: u32,
    remaining: f64,
    rate: f64,
    since: SimTime,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Join(u32),
    Leave { task: u32, epoch: u32 },
}

#[derive(Clone, Debug, Default)]
struct Device {
    flows: Vec<Communication>,
    epoch: u32,
}

/// Plays tasks on streams.
///
/// A task starts when all its dependencies have ended (each plus its lag), the task before it on the
/// stream has ended, and the host has begun to issue it. It ends `work` later, or when the host has
/// issued all of it, whichever is later. The host of a stream issues its tasks one after another and
/// runs ahead, except before a task that [waits for arrival](Engine::add_issued_task).
///
/// Communications that carry a [`LinkLoads`] share the links of their device while they overlap.
///
/// Only they need the order of time. What else can run is played at once, from a worklist: it starts no earlier than
/// what it follows, so that no communication comes behind the queue.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    tasks: Vec<Task>,
    edges: Vec<Edge>,
    streams: Vec<Stream>,
    devices: Vec<Device>,
    queue: EventQueue<Event>,
    ready: Vec<u32>,
    links: SharedLinks,
    flows: Vec<Flow>,
    events: u64,
}

impl Engine {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.tasks.clear();
        self.edges.clear();
        self.streams.clear();
        self.queue.clear();
        self.ready.clear();
        self.devices.clear();
        self.flows.clear();
        self.events = 0;
    }

    /// Adds a stream of a device; streams of one device share its links.
    pub fn add_stream(&mut self, device: u32) -> StreamId {
        let device_count = device as usize + 1;
        if self.devices.len() < device_count {
            self.devices.resize_with(device_count, Device::default);
        }
        let id = self.streams.len() as u32;
        let stream = Stream {
            device,
            head: NONE,
            tail: NONE,
            free: SimTime::ZERO,
            host: SimTime::ZERO,
            busy: false,
        };
        self.streams.push(stream);
        StreamId(id)
    }

    /// Adds a task behind the others of its stream.
    pub fn add_task(&mut self, stream: StreamId, work: SimDuration) -> TaskId {
        self.add_issued_task(stream, work, SimDuration::ZERO, false)
    }

    /// Adds a task that the host needs `issue` to launch. With `waits_for_arrival` the host begins
    /// only when the task's dependencies have ended: it was synchronised and lost its run-ahead.
    pub(crate) fn add_issued_task(
        &mut self,
        stream: StreamId,
        work: SimDuration,
        issue: SimDuration,
        waits_for_arrival: bool,
    ) -> TaskId {
        let id = self.tasks.len() as u32;
        self.tasks.push(Task {
            stream: stream.0,
            work,
            issue,
            waits_for_arrival,
            flow: NONE,
            unmet: 0,
            first_edge: NONE,
            next_in_stream: NONE,
            ready: SimTime::ZERO,
            gate: Gate::Stream,
            start: SimTime::ZERO,
            end: SimTime::ZERO,
            issued: SimTime::ZERO,
            host_wait: SimDuration::ZERO,
        });
        let queue = &mut self.streams[stream.0 as usize];
        if queue.tail == NONE {
            queue.head = id;
        } else {
            self.tasks[queue.tail as usize].next_in_stream = id;
        }
        queue.tail = id;
        TaskId(id)
    }

    /// Adds a communication that takes `work` when alone, `latency` of it without using any link.
    pub(crate) fn add_communication(
        &mut self,
        stream: StreamId,
        work: SimDuration,
        latency: SimDuration,
        load: LinkLoads,
    ) -> TaskId {
        let id = self.add_task(stream, work);
        if load.uses_links() && work > latency {
            self.tasks[id.0 as usize].flow = self.flows.len() as u32;
            self.flows.push(Flow { load, latency });
        }
        id
    }

    /// Lets the host need `issue` to launch a task that was added without.
    pub(crate) fn set_issue(&mut self, task: TaskId, issue: SimDuration) {
        self.tasks[task.0 as usize].issue = issue;
    }

    /// Lets `after` wait for the end of `before`, and `lag` longer.
    pub fn add_dependency(&mut self, before: TaskId, after: TaskId, lag: SimDuration) {
        let id = self.edges.len() as u32;
        let from = &mut self.tasks[before.0 as usize];
        self.edges.push(Edge {
            to: after.0,
            lag,
            next: from.first_edge,
        });
        from.first_edge = id;
        self.tasks[after.0 as usize].unmet += 1;
    }

    /// Plays all tasks and gives the end of the last one.
    ///
    /// # Panics
    /// If dependencies and stream order form a cycle: the caller built a schedule that deadlocks.
    pub fn run(&mut self) -> SimTime {
        let mut ended = 0;
        for stream in 0..self.streams.len() as u32 {
            self.start_head(stream);
        }
        loop {
            while let Some(task) = self.ready.pop() {
                ended += 1;
                self.events += 1;
                if self.events.is_multiple_of(EVENTS_BETWEEN_CHECKS) {
                    halt::check();
                }
                self.finish(task);
            }
            let Some((now, event)) = self.queue.pop() else {
                break;
            };
            self.events += 1;
            match event {
                Event::Join(task) => self.join(task, now),
                Event::Leave { task, epoch } => {
                    let device = self.device_of(task);
                    if self.devices[device].epoch == epoch {
                        self.leave(task, now);
                    }
                }
            }
        }
        assert!(
            ended == self.tasks.len(),
            "the schedule deadlocks: {ended} of {} tasks ran",
            self.tasks.len()
        );
        self.tasks
            .iter()
            .map(|task| task.end)
            .max()
            .unwrap_or(SimTime::ZERO)
    }

    /// All tasks, in the order in which they were added.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..self.tasks.len() as u32).map(TaskId)
    }

    /// When a task started.
    pub(crate) fn start(&self, task: TaskId) -> SimTime {
        self.tasks[task.0 as usize].start
    }

    /// When a task ended.
    pub(crate) fn end(&self, task: TaskId) -> SimTime {
        self.tasks[task.0 as usize].end
    }

    /// Last thing that a task waited for.
    pub(crate) fn gate(&self, task: TaskId) -> Gate {
        self.tasks[task.0 as usize].gate
    }

    /// How much longer than its work a task took because the host was still issuing it.
    pub(crate) fn host_wait(&self, task: TaskId) -> SimDuration {
        self.tasks[task.0 as usize].host_wait
    }

    /// When the host had issued all of a task.
    pub(crate) fn issued(&self, task: TaskId) -> SimTime {
        self.tasks[task.0 as usize].issued
    }

    /// Whether the host, running ahead, held a task back; not where it was synchronised before.
    pub(crate) fn was_late(&self, task: TaskId) -> bool {
        let task = &self.tasks[task.0 as usize];
        let waited = task.host_wait > SimDuration::ZERO;
        task.gate == Gate::Host || waited && task.issued != task.ready + task.issue
    }

    /// Events handled so far: ends of tasks, and flows that joined or left.
    pub fn events(&self) -> u64 {
        self.events
    }

    fn device_of(&self, task: u32) -> usize {
        self.streams[self.tasks[task as usize].stream as usize].device as usize
    }

    /// Starts the head of a stream if nothing holds it back.
    fn start_head(&mut self, stream_id: u32) {
        let stream = &mut self.streams[stream_id as usize];
        if stream.busy || stream.head == NONE {
            return;
        }
        let id = stream.head;
        let task = &mut self.tasks[id as usize];
        if task.unmet > 0 {
            return;
        }
        stream.busy = true;
        if task.waits_for_arrival {
            stream.host = stream.host.max(task.ready);
        }
        let issued_from = stream.host;
        stream.host = issued_from + task.issue;
        let start = stream.free.max(task.ready);
        if task.ready <= stream.free {
            task.gate = Gate::Stream;
        }
        if issued_from > start {
            task.gate = Gate::Host;
        }
        task.start = start.max(issued_from);
        let end = task.start + task.work;
        task.issued = stream.host;
        task.end = end.max(task.issued);
        task.host_wait = task.end - end;
        if task.flow == NONE {
            self.ready.push(id);
        } else {
            let joins = task.start + self.flows[task.flow as usize].latency;
            self.queue.push(joins, Event::Join(id));
        }
    }

    fn finish(&mut self, id: u32) {
        let Task {
            end,
            stream: stream_id,
            first_edge,
            next_in_stream,
            ..
        } = self.tasks[id as usize];
        let stream = &mut self.streams[stream_id as usize];
        stream.busy = false;
        stream.free = end;
        stream.head = next_in_stream;
        self.start_head(stream_id);
        let mut edge = first_edge;
        while edge != NONE {
            let Edge { to, lag, next } = self.edges[edge as usize];
            let after = &mut self.tasks[to as usize];
            after.unmet -= 1;
            let arrives = end + lag;
            if arrives > after.ready {
                after.ready = arrives;
                after.gate = Gate::Dependency {
                    on: TaskId(id),
                    lag,
                };
            }
            if after.unmet == 0 && self.streams[after.stream as usize].head == to {
                let stream_of_after = after.stream;
                self.start_head(stream_of_after);
            }
            edge = next;
        }
    }

    /// A flow begins to use the links of its device.
    fn join(&mut self, id: u32, now: SimTime) {
        let task = self.tasks[id as usize];
        let device = self.device_of(id);
        self.advance(device, now);
        let latency = self.flows[task.flow as usize].latency;
        let remaining = (task.work - latency).as_picos() as f64;
        self.devices[device].flows.push(Communication {
            task: id,
            remaining,
            rate: 0.0,
            since: now,
        });
        self.share(device, now);
    }

    /// A flow has sent its last byte. Its task ends, or goes on until the host has issued all of it.
    fn leave(&mut self, id: u32, now: SimTime) {
        let device = self.device_of(id);
        self.advance(device, now);
        self.devices[device].flows.retain(|flow| flow.task != id);
        let task = &mut self.tasks[id as usize];
        task.end = now.max(task.issued);
        task.host_wait = task.end - now;
        self.ready.push(id);
        self.share(device, now);
    }

    fn advance(&mut self, device: usize, now: SimTime) {
        for flow in &mut self.devices[device].flows {
            let elapsed = (now - flow.since).as_picos() as f64;
            flow.remaining = (flow.remaining - elapsed * flow.rate).max(0.0);
            flow.since = now;
        }
    }

    /// Solves the rates anew and announces the next flow to leave.
    fn share(&mut self, device: usize, now: SimTime) {
        let Device { flows, epoch } = &mut self.devices[device];
        *epoch += 1;
        if flows.is_empty() {
            return;
        }
        let loads = flows.iter().map(|flow| {
            let flow = self.tasks[flow.task as usize].flow;
            self.flows[flow as usize].load
        });
        let rates = self.links.rates(loads);
        let leaves = flows.iter_mut().zip(rates).map(|(flow, &rate)| {
            flow.rate = rate;
            let left = SimDuration::from_picos(libm::ceil(flow.remaining / rate) as u64);
            (now + left, flow.task)
        });
        if let Some((at, task)) = leaves.min_by_key(|(at, _)| *at) {
            let epoch = *epoch;
            self.queue.push(at, Event::Leave { task, epoch });
        }
    }
}

#[cfg(test)]
mod tests;

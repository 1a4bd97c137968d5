//! Tasks of a step on the engine, and the attribution of a device's time to the parts of the step.

use crate::closed_set;
use crate::des::{Engine, Gate, LinkLoads, StreamId, TaskId};
use crate::simulation::training::effort::Effort;
use crate::simulation::{Infeasible, StepPart, TimeShares};
use crate::units::{SimDuration, SimTime};

closed_set! {
    /// Streams of one pipeline stage.
    pub(crate) enum Track: "track" {
        /// Kernels, and everything that kernels wait for.
        Compute = "compute",
        /// Data-parallel communication overlapped with them.
        Communication = "communication",
        /// Sends to other stages overlapped with them.
        Sends = "sends",
    }
}

closed_set! {
    /// Kind of a task, and of the slice that shows it.
    pub(crate) enum SliceKind: "slice" {
        /// Forward pass of one microbatch through one chunk of layers.
        Forward = "forward",
        /// Backward pass of one microbatch through one chunk of layers.
        Backward = "backward",
        /// Send to another stage.
        Send = "send",
        /// Gathering of parameters or reduction of gradients.
        Replication = "replication",
        /// The optimizer's kernels.
        Optimizer = "optimizer",
        /// The host's work between steps.
        Host = "host",
    }
}

/// A microbatch at a virtual stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MicrobatchAt {
    pub(super) microbatch: u32,
    pub(super) virtual_stage: u32,
}

/// First and last task of a pass of one microbatch through one virtual stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) first: TaskId,
    pub(super) last: TaskId,
    /// Time from the end of the last task until the next stage has what it sends, beyond the tasks themselves.
    pub(super) lag: SimDuration,
}

impl Ends {
    pub(super) const fn of(first: TaskId, last: TaskId) -> Self {
        Self {
            first,
            last,
            lag: SimDuration::ZERO,
        }
    }

    /// A pass that goes on with more tasks, or begins with them.
    pub(super) fn extended(so_far: Option<Self>, more: Self) -> Self {
        Self::of(so_far.map_or(more.first, |ends| ends.first), more.last)
    }
}

/// Description of a task: its kind, place and parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) kind: SliceKind,
    pub(super) device: u32,
    pub(super) track: Track,
    /// Parts of the step, by their place in the timeline.
    parts: PartsAt,
    /// Time of communications that its kernels hide.
    pub(super) hidden: SimDuration,
    /// Microbatch and virtual stage; `None` for what belongs to the whole step.
    pub(super) works_on: Option<MicrobatchAt>,
}

/// Place of a task's parts in a timeline; tasks with the same parts share it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartsAt(u32);

/// Tasks with their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    pub(super) engine: Engine,
    parts: Vec<TimeShares>,
    /// One per task, in the order of the engine.
    labels: Vec<Label>,
    /// Microbatch that the tasks that are added now work on.
    works_on: Option<MicrobatchAt>,
    streams: Vec<DeviceStreams>,
    /// Sends that are no tasks: each goes on for a time from the end of the pass that it follows.
    lags: Vec<(TaskId, SimDuration)>,
    /// Limits of the point; they outlive a step.
    pub(super) effort: Effort,
}

/// Streams of one device, and the tasks of its compute stream in order.
#[derive(Clone, Debug)]
struct DeviceStreams {
    compute: StreamId,
    communication: StreamId,
    /// Sends to both neighbours leave by the same NIC, one after the other.
    sends: StreamId,
    on_compute: Vec<TaskId>,
}

/// Times of one device in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DeviceTimes {
    pub(super) shares: TimeShares,
    pub(super) forward: SimDuration,
    pub(super) backward: SimDuration,
    /// Time during which any communication of the device was under way, hidden or exposed.
    pub(super) comm_busy: SimDuration,
}

impl Timeline {
    /// Removes all tasks and creates `devices` devices.
    pub(super) fn reset(&mut self, devices: u32) {
        self.engine.clear();
        self.labels.clear();
        self.parts.clear();
        self.parts.push(TimeShares::default());
        self.works_on = None;
        self.streams.clear();
        self.lags.clear();
        for device in 0..devices {
            let compute = self.engine.add_stream(device);
            let communication = self.engine.add_stream(device);
            let sends = self.engine.add_stream(device);
            self.streams.push(DeviceStreams {
                compute,
                communication,
                sends,
                on_compute: Vec::new(),
            });
        }
    }

    /// Checks that the tasks added so far can be held and played.
    ///
    /// # Errors
    /// If they would take more memory or events than they may.
    pub(super) fn check_tasks(&mut self) -> Result<(), Infeasible> {
        self.effort.check_tasks(self.labels.len())
    }

    /// Sets the microbatch and virtual stage of the tasks added from now on.
    pub(super) fn works_on(&mut self, works_on: Option<MicrobatchAt>) {
        self.works_on = works_on;
    }

    /// Keeps parts that several tasks may have.
    pub(super) fn keep(&mut self, parts: TimeShares) -> PartsAt {
        self.parts.push(parts);
        PartsAt(self.parts.len() as u32 - 1)
    }

    /// Parts of a task.
    pub(super) fn parts(&self, label: &Label) -> &TimeShares {
        &self.parts[label.parts.0 as usize]
    }

    /// Every task with its label, in the order in which they were added.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (TaskId, &Label)> {
        self.engine.tasks().zip(&self.labels)
    }

    /// Label of a task.
    pub(super) fn label_of(&self, task: TaskId) -> &Label {
        &self.labels[task.index()]
    }

    fn label(&mut self, kind: SliceKind, device: u32, track: Track, parts: PartsAt) {
        self.labels.push(Label {
            kind,
            device,
            track,
            parts,
            hidden: SimDuration::ZERO,
            works_on: self.works_on,
        });
    }

    /// Parts of what is beside the compute stream: none.
    const fn nothing() -> PartsAt {
        PartsAt(0)
    }

    /// Says that the kernels of a task hide communications of so long.
    pub(super) fn hides(&mut self, task: TaskId, hidden: SimDuration) {
        self.labels[task.index()].hidden = hidden;
    }

    /// Says that a send of so long, which is no task, follows a pass.
    pub(super) fn lags(&mut self, behind: TaskId, send: SimDuration) {
        self.lags.push((behind, send));
    }

    /// Adds a task to the compute stream of a device; it lasts as long as its parts.
    pub(super) fn compute(
        &mut self,
        device: u32,
        kind: SliceKind,
        parts: TimeShares,
        issue: SimDuration,
        synchronised: bool,
    ) -> TaskId {
        let kept = (self.keep(parts), parts.total());
        self.compute_kept(device, kind, kept, issue, synchronised)
    }

    /// Adds a task with parts that are kept, and their total, to the compute stream of a device.
    pub(super) fn compute_kept(
        &mut self,
        device: u32,
        kind: SliceKind,
        (parts, lasts): (PartsAt, SimDuration),
        issue: SimDuration,
        synchronised: bool,
    ) -> TaskId {
        let streams = &mut self.streams[device as usize];
        let task = self
            .engine
            .add_issued_task(streams.compute, lasts, issue, synchronised);
        streams.on_compute.push(task);
        self.label(kind, device, Track::Compute, parts);
        task
    }

    /// Adds a task that needs no issue by the host to the compute stream of a device.
    pub(super) fn wait(&mut self, device: u32, kind: SliceKind, parts: TimeShares) -> TaskId {
        self.compute(device, kind, parts, SimDuration::ZERO, false)
    }

    /// Lets a task wait for the end of another.
    pub(super) fn follow(&mut self, before: TaskId, task: TaskId) {
        self.engine.add_dependency(before, task, SimDuration::ZERO);
    }

    /// Adds an exposed communication to the compute stream of a device. It lasts as long as its parts, or longer
    /// while overlapped communications share its links.
    pub(super) fn exposed(
        &mut self,
        device: u32,
        kind: SliceKind,
        (parts, alone): (PartsAt, SimDuration),
        load: LinkLoads,
    ) -> TaskId {
        let streams = &mut self.streams[device as usize];
        let task = self
            .engine
            .add_communication(streams.compute, alone, SimDuration::ZERO, load);
        streams.on_compute.push(task);
        self.label(kind, device, Track::Compute, parts);
        task
    }

    /// Adds a data-parallel communication that is overlapped with compute.
    pub(super) fn communication(
        &mut self,
        device: u32,
        time: SimDuration,
        latency: SimDuration,
        load: LinkLoads,
    ) -> TaskId {
        let stream = self.streams[device as usize].communication;
        let task = self.engine.add_communication(stream, time, latency, load);
        let parts = Self::nothing();
        self.label(SliceKind::Replication, device, Track::Communication, parts);
        task
    }

    /// Adds a send that is overlapped with compute. With a load it shares the links of its device with other
    /// communications.
    pub(super) fn send(&mut self, device: u32, time: SimDuration, load: LinkLoads) -> TaskId {
        let stream = self.streams[device as usize].sends;
        let task = self
            .engine
            .add_communication(stream, time, SimDuration::ZERO, load);
        let parts = Self::nothing();
        self.label(SliceKind::Send, device, Track::Sends, parts);
        task
    }

    /// Times up to `end` of the critical device, whose compute stream was busy longest.
    pub(super) fn critical(&self, end: SimTime) -> DeviceTimes {
        self.times_to(busiest(&self.busy()), end)
    }

    /// Times of a device up to `end`: every moment belongs to one part of the step.
    pub(super) fn times_to(&self, device: usize, end: SimTime) -> DeviceTimes {
        let tasks = &self.streams[device].on_compute;
        self.times(device, tasks, (SimTime::ZERO, end))
    }

    /// Times of a device from the end of one task of its compute stream to the end of a later one.
    ///
    /// # Panics
    /// If they are no tasks of that stream.
    pub(super) fn times_between(&self, device: usize, tasks: (TaskId, TaskId)) -> DeviceTimes {
        let stream = &self.streams[device].on_compute;
        let place = |task: TaskId| {
            let found = stream.binary_search(&task);
            found.expect("tasks of a stream are added in its order")
        };
        let between = place(tasks.0) + 1..=place(tasks.1);
        let ends = (self.engine.end(tasks.0), self.engine.end(tasks.1));
        self.times(device, &stream[between], ends)
    }

    /// Tasks of the compute stream of a device, in its order.
    pub(super) fn on_compute(&self, device: usize) -> &[TaskId] {
        &self.streams[device].on_compute
    }

    /// Time for which the compute stream of each device was busy.
    pub(super) fn busy(&self) -> Vec<SimDuration> {
        let busy = |streams: &DeviceStreams| -> SimDuration {
            streams.on_compute.iter().map(|&task| self.span(task)).sum()
        };
        self.streams.iter().map(busy).collect()
    }

    /// Time from the start of a task to its end.
    pub(super) fn span(&self, task: TaskId) -> SimDuration {
        self.engine.end(task) - self.engine.start(task)
    }

    /// Assigns every moment of a device from one time to another, between which it does `tasks`, to one part of the step.
    fn times(
        &self,
        device: usize,
        tasks: &[TaskId],
        (from, to): (SimTime, SimTime),
    ) -> DeviceTimes {
        let mut times = DeviceTimes::default();
        let mut stretches = Vec::with_capacity(2 * tasks.len());
        let mut now = from;
        for &task in tasks {
            let label = self.labels[task.index()];
            let (start, ended) = (self.engine.start(task), self.engine.end(task));
            let waited_for = self.gap_parts(task, start - now);
            times.shares += &waited_for;
            let communicates = waited_for.exposed_communication();
            stretches.push(Stretch {
                starts: now + (start - now - communicates),
                ends: start,
                communicates,
            });
            let parts = self.parts(&label);
            times.shares += parts;
            let waited = self.engine.host_wait(task);
            times.shares[StepPart::Overhead] += waited;
            let shared = self.span(task).saturating_sub(parts.total() + waited);
            times.shares[largest_communication(parts)] += shared;
            stretches.push(Stretch {
                starts: start,
                ends: ended,
                communicates: parts.exposed_communication() + shared + label.hidden,
            });
            match label.kind {
                SliceKind::Forward => times.forward += self.span(task),
                SliceKind::Backward => times.backward += self.span(task),
                SliceKind::Replication
                | SliceKind::Send
                | SliceKind::Optimizer
                | SliceKind::Host => {}
            }
            now = ended;
        }
        times.shares[StepPart::Bubble] += to - now;
        times.comm_busy = union(self.beside_compute(device, (from, to)), &stretches);
        times
    }

    /// Start and end of every communication of a device that is not on its compute stream, as far as they lie between
    /// two times.
    fn beside_compute(
        &self,
        device: usize,
        (from, to): (SimTime, SimTime),
    ) -> Vec<(SimTime, SimTime)> {
        let of_device = |task: TaskId| self.labels[task.index()].device as usize == device;
        let queued = self.tasks().filter_map(|(task, label)| {
            let beside = label.track != Track::Compute && label.device as usize == device;
            beside.then(|| (self.engine.start(task), self.engine.end(task)))
        });
        let lags = self.lags.iter().filter(|(behind, _)| of_device(*behind));
        let lags = lags.map(|&(behind, send)| {
            let sent = self.engine.end(behind);
            (sent, sent + send)
        });
        let clipped = |(start, end): (SimTime, SimTime)| (start.max(from), end.min(to));
        let all = queued.chain(lags).map(clipped);
        all.filter(|(start, end)| start < end).collect()
    }

    /// Parts of the step that a gap before a task of the compute stream belongs to.
    fn gap_parts(&self, task: TaskId, gap: SimDuration) -> TimeShares {
        let mut shares = TimeShares::default();
        match self.engine.gate(task) {
            Gate::Host => shares[StepPart::Overhead] += gap,
            Gate::Stream => shares[StepPart::Bubble] += gap,
            Gate::Dependency { on, lag } => {
                let sent = gap.min(lag);
                shares[StepPart::PpComm] += sent;
                let waited = gap - sent;
                let (part, communicating) = match self.labels[on.index()].kind {
                    SliceKind::Forward
                    | SliceKind::Backward
                    | SliceKind::Optimizer
                    | SliceKind::Host => (StepPart::Bubble, SimDuration::ZERO),
                    // Another stage's communication cannot begin before that stage is done computing: what is
                    // waited for beyond the communication itself is that stage's work.
                    SliceKind::Replication => {
                        let own =
                            self.labels[on.index()].device == self.labels[task.index()].device;
                        let longest = if own { waited } else { self.span(on) };
                        (StepPart::DpComm, waited.min(longest))
                    }
                    SliceKind::Send => (StepPart::PpComm, waited.min(self.span(on))),
                };
                shares[part] += communicating;
                shares[StepPart::Bubble] += waited - communicating;
            }
        }
        shares
    }
}

/// The first of the devices that were busy longest.
pub(super) fn busiest(busy: &[SimDuration]) -> usize {
    let mut most = 0;
    for (device, time) in busy.iter().enumerate() {
        if *time > busy[most] {
            most = device;
        }
    }
    most
}

/// Stretch of a compute stream that communicates for a part of its time.
struct Stretch {
    starts: SimTime,
    ends: SimTime,
    /// Time of its communications, which are spread evenly over it.
    communicates: SimDuration,
}

/// Time during which anything communicates: communications `beside` a compute stream, or stretches of that stream,
/// one after another.
fn union(mut beside: Vec<(SimTime, SimTime)>, stretches: &[Stretch]) -> SimDuration {
    // Few runs that are sorted already.
    beside.sort();
    let mut busy = SimDuration::ZERO;
    // Intervals without overlap.
    let mut apart: Vec<(SimTime, SimTime)> = Vec::with_capacity(beside.len());
    for (start, end) in beside {
        let from = apart.last().map_or(start, |last| start.max(last.1));
        if end > from {
            busy += end - from;
            apart.push((from, end));
        }
    }
    let mut next = 0;
    for stretch in stretches {
        while apart
            .get(next)
            .is_some_and(|(_, end)| *end <= stretch.starts)
        {
            next += 1;
        }
        let meets = apart[next..]
            .iter()
            .take_while(|(start, _)| *start < stretch.ends);
        let covered: SimDuration = meets
            .map(|&(start, end)| end.min(stretch.ends) - start.max(stretch.starts))
            .sum();
        busy += alone(stretch, covered);
    }
    busy
}

/// Time for which a stretch communicates while nothing `covered` it, rounded up.
fn alone(stretch: &Stretch, covered: SimDuration) -> SimDuration {
    let lasts = stretch.ends - stretch.starts;
    if lasts == SimDuration::ZERO {
        return SimDuration::ZERO;
    }
    let picos = |time: SimDuration| u128::from(time.as_picos());
    let communicates = picos(lasts - covered) * picos(stretch.communicates.min(lasts));
    SimDuration::from_picos(communicates.div_ceil(picos(lasts)) as u64)
}

/// Largest of the communication parts of a pass; the first of equals.
fn largest_communication(parts: &TimeShares) -> StepPart {
    // `max_by_key` gives the last of equals.
    [
        StepPart::PpComm,
        StepPart::EpComm,
        StepPart::CpComm,
        StepPart::TpComm,
    ]
    .into_iter()
    .max_by_key(|&part| parts[part])
    .expect("there are four kinds")
}

#[cfg(test)]
mod tests {
    use super::*;

    // A reduction of 10 µs and 10 µs of tensor-parallel traffic behind 4 µs of kernels fill the same
    // NICs. The reduction has sent 4 µs of its 10 when the traffic joins; its other 6 take 12 µs at half
    // the rate, the traffic has sent 6 by then and ends alone: 4 + 12 + 4 = 20 µs instead of 14.
    #[test]
    fn traffic_of_the_layers_and_gradients_share_the_links_while_both_run() {
        let us = SimDuration::from_micros;
        let mut timeline = Timeline::default();
        timeline.reset(1);
        let kernels = TimeShares::from([(StepPart::Compute, us(4))]);
        let traffic = TimeShares::from([(StepPart::TpComm, us(10))]);
        let all_nics = LinkLoads {
            scale_up: 0.0,
            scale_out: 1.0,
        };
        timeline.communication(0, us(10), SimDuration::ZERO, all_nics);
        timeline.compute(0, SliceKind::Backward, kernels, SimDuration::ZERO, false);
        let kept = (timeline.keep(traffic), traffic.total());
        timeline.exposed(0, SliceKind::Backward, kept, all_nics);
        let end = timeline.engine.run();
        assert_eq!(end - SimTime::ZERO, us(20));
        let device = timeline.critical(end);
        assert_eq!(device.shares[StepPart::Compute], us(4));
        assert_eq!(device.shares[StepPart::TpComm], us(16));
        assert_eq!(device.shares.total(), us(20));
        // The reduction from 0 to 16 and the traffic from 4 to 20 µs: at no time nothing was under way.
        assert_eq!(device.comm_busy, us(20));
    }

    // Beside the stream: 0 to 4 and 2 to 6 µs, which is 6 together, and 10 to 12. On it: 4 to 8 communicates for 2 of
    // its 4 µs, half of which lie in the 2 µs until 6; 8 to 11 communicates all the time, 1 µs of it beside another;
    // 12 to 13 never. 6 + 2 + 1 + 2 = 11.
    #[test]
    fn communications_that_overlap_count_once() {
        let us = SimDuration::from_micros;
        let at = |time| SimTime::ZERO + us(time);
        let beside = vec![(at(10), at(12)), (at(0), at(4)), (at(2), at(6))];
        let stretch = |starts, ends, communicates| Stretch {
            starts: at(starts),
            ends: at(ends),
            communicates: us(communicates),
        };
        let stream = [stretch(4, 8, 2), stretch(8, 11, 3), stretch(12, 13, 0)];
        assert_eq!(union(beside, &stream), us(11));
        assert_eq!(union(Vec::new(), &[stretch(0, 5, 9)]), us(5));
    }
}

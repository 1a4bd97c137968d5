//! Tasks of a step on the engine, and the attribution of a device's time to the parts of the step.

use crate::closed_set;
use crate::des::{Engine, Gate, LinkLoads, StreamId, TaskId};
use crate::simulation::{StepPart, TimeShares};
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
    pub(super) parts: TimeShares,
    /// Microbatch and virtual stage; `None` for what belongs to the whole step.
    pub(super) works_on: Option<MicrobatchAt>,
}

/// Tasks with their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    pub(super) engine: Engine,
    /// One per task, in the order of the engine.
    labels: Vec<Label>,
    /// Microbatch that the tasks that are added now work on.
    works_on: Option<MicrobatchAt>,
    streams: Vec<DeviceStreams>,
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
    pub(super) replication_busy: SimDuration,
}

impl Timeline {
    /// Removes all tasks and creates `devices` devices.
    pub(super) fn reset(&mut self, devices: u32) {
        self.engine.clear();
        self.labels.clear();
        self.works_on = None;
        self.streams.clear();
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

    /// Sets the microbatch and virtual stage of the tasks added from now on.
    pub(super) fn works_on(&mut self, works_on: Option<MicrobatchAt>) {
        self.works_on = works_on;
    }

    /// Every task with its label, in the order in which they were added.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (TaskId, &Label)> {
        self.engine.tasks().zip(&self.labels)
    }

    fn label(&mut self, kind: SliceKind, device: u32, track: Track, parts: TimeShares) {
        self.labels.push(Label {
            kind,
            device,
            track,
            parts,
            works_on: self.works_on,
        });
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
        let streams = &mut self.streams[device as usize];
        let task = self
            .engine
            .add_issued_task(streams.compute, parts.total(), issue, synchronised);
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
        parts: TimeShares,
        load: LinkLoads,
    ) -> TaskId {
        let streams = &mut self.streams[device as usize];
        let alone = parts.total();
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
        let parts = TimeShares::default();
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
        self.label(SliceKind::Send, device, Track::Sends, TimeShares::default());
        task
    }

    /// Times up to `end` of the critical device, whose compute stream was busy longest.
    pub(super) fn critical(&self, end: SimTime) -> DeviceTimes {
        let busy = |streams: &DeviceStreams| -> SimDuration {
            streams.on_compute.iter().map(|&task| self.span(task)).sum()
        };
        let mut most = (SimDuration::ZERO, 0);
        for (device, streams) in self.streams.iter().enumerate() {
            let now = busy(streams);
            if now > most.0 || device == 0 {
                most = (now, device);
            }
        }
        self.account(most.1, end)
    }

    fn span(&self, task: TaskId) -> SimDuration {
        self.engine.end(task) - self.engine.start(task)
    }

    /// Assigns every moment of a device to one part of the step.
    fn account(&self, device: usize, end: SimTime) -> DeviceTimes {
        let mut times = DeviceTimes::default();
        let mut now = SimTime::ZERO;
        for &task in &self.streams[device].on_compute {
            let label = self.labels[task.index()];
            let gap = self.engine.start(task) - now;
            if gap > SimDuration::ZERO {
                self.account_gap(&mut times.shares, task, gap);
            }
            times.shares += &label.parts;
            let waited = self.engine.host_wait(task);
            times.shares[StepPart::Overhead] += waited;
            let shared = self.span(task).saturating_sub(label.parts.total() + waited);
            times.shares[largest_communication(&label.parts)] += shared;
            match label.kind {
                SliceKind::Forward => times.forward += self.span(task),
                SliceKind::Backward => times.backward += self.span(task),
                SliceKind::Replication => times.replication_busy += self.span(task),
                SliceKind::Send | SliceKind::Optimizer | SliceKind::Host => {}
            }
            now = self.engine.end(task);
        }
        times.shares[StepPart::Bubble] += end - now;
        for (task, label) in self.tasks() {
            if label.device as usize == device && label.track == Track::Communication {
                times.replication_busy += self.span(task);
            }
        }
        times
    }

    fn account_gap(&self, shares: &mut TimeShares, task: TaskId, gap: SimDuration) {
        match self.engine.gate(task) {
            Gate::Host => shares[StepPart::Overhead] += gap,
            Gate::Stream => shares[StepPart::Bubble] += gap,
            Gate::Dependency { on, lag } => {
                let sent = gap.min(lag);
                shares[StepPart::PpComm] += sent;
                let waited = gap - sent;
                match self.labels[on.index()].kind {
                    SliceKind::Forward
                    | SliceKind::Backward
                    | SliceKind::Optimizer
                    | SliceKind::Host => {
                        shares[StepPart::Bubble] += waited;
                    }
                    // Another stage's communication cannot begin before that stage is done computing: what is
                    // waited for beyond the communication itself is that stage's work.
                    SliceKind::Replication => {
                        let own =
                            self.labels[on.index()].device == self.labels[task.index()].device;
                        let communicating = if own {
                            waited
                        } else {
                            waited.min(self.span(on))
                        };
                        shares[StepPart::DpComm] += communicating;
                        shares[StepPart::Bubble] += waited - communicating;
                    }
                    SliceKind::Send => {
                        let sending = waited.min(self.span(on));
                        shares[StepPart::PpComm] += sending;
                        shares[StepPart::Bubble] += waited - sending;
                    }
                }
            }
        }
    }
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
        timeline.exposed(0, SliceKind::Backward, traffic, all_nics);
        let end = timeline.engine.run();
        assert_eq!(end - SimTime::ZERO, us(20));
        let device = timeline.critical(end);
        assert_eq!(device.shares[StepPart::Compute], us(4));
        assert_eq!(device.shares[StepPart::TpComm], us(16));
        assert_eq!(device.replication_busy, us(16));
        assert_eq!(device.shares.total(), us(20));
    }
}

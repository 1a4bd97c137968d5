//! Tasks of a step on the engine, and which cause every moment of a device has.

use crate::des::{Engine, Gate, StreamId, TaskId};
use crate::simulation::TimeShares;
use crate::simulation::training::trace::Track;
use crate::units::{SimDuration, SimTime};

/// What a task is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Kernels of a forward pass.
    Forward,
    /// Kernels of a backward pass.
    Backward,
    /// A send between stages.
    Send,
    /// Data-parallel communication.
    Replication,
    /// The optimizer.
    Optimizer,
    /// The host.
    Host,
}

/// The microbatch that a task works on, and through which virtual stage it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) microbatch: u32,
    pub(super) place: u32,
}

/// A task's cause, and how its time divides where it has several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) cause: Cause,
    pub(super) device: u32,
    pub(super) track: Track,
    pub(super) parts: TimeShares,
    /// What it works on; `None` for what belongs to the whole step.
    pub(super) passage: Option<Passage>,
}

/// Tasks with their causes.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    pub(super) engine: Engine,
    /// One per task, in the order of the engine.
    labels: Vec<Label>,
    /// What the tasks that are added now work on.
    passage: Option<Passage>,
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

/// What one device did during the step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DeviceTimes {
    pub(super) shares: TimeShares,
    pub(super) forward: SimDuration,
    pub(super) backward: SimDuration,
    pub(super) replication_busy: SimDuration,
}

impl Timeline {
    /// Forgets all tasks and makes `devices` devices.
    pub(super) fn reset(&mut self, devices: u32) {
        self.engine.clear();
        self.labels.clear();
        self.passage = None;
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

    /// Says what the tasks that follow work on.
    pub(super) fn works_on(&mut self, passage: Option<Passage>) {
        self.passage = passage;
    }

    /// Every task with its label, in the order in which they were added.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (TaskId, &Label)> {
        self.engine.tasks().zip(&self.labels)
    }

    fn label(&mut self, cause: Cause, device: u32, track: Track, parts: TimeShares) {
        self.labels.push(Label {
            cause,
            device,
            track,
            parts,
            passage: self.passage,
        });
    }

    /// Adds a task to the compute stream of a device; it lasts as long as its parts.
    pub(super) fn compute(
        &mut self,
        device: u32,
        cause: Cause,
        parts: TimeShares,
        issue: SimDuration,
        synchronised: bool,
    ) -> TaskId {
        let streams = &mut self.streams[device as usize];
        let task = self
            .engine
            .add_issued_task(streams.compute, parts.total(), issue, synchronised);
        streams.on_compute.push(task);
        self.label(cause, device, Track::Compute, parts);
        task
    }

    /// Adds a communication to the compute stream of a device that shares its links with those
    /// beside: it lasts as long as its parts, or longer while they share.
    pub(super) fn exposed(
        &mut self,
        device: u32,
        cause: Cause,
        parts: TimeShares,
        load: [f64; 2],
    ) -> TaskId {
        let streams = &mut self.streams[device as usize];
        let alone = parts.total();
        let task = self
            .engine
            .add_communication(streams.compute, alone, SimDuration::ZERO, load);
        streams.on_compute.push(task);
        self.label(cause, device, Track::Compute, parts);
        task
    }

    /// Adds a data-parallel communication that runs beside compute.
    pub(super) fn communication(
        &mut self,
        device: u32,
        time: SimDuration,
        latency: SimDuration,
        load: [f64; 2],
    ) -> TaskId {
        let stream = self.streams[device as usize].communication;
        let task = self.engine.add_communication(stream, time, latency, load);
        let parts = TimeShares::default();
        self.label(Cause::Replication, device, Track::Communication, parts);
        task
    }

    /// Adds a send that runs beside compute. With a load it shares the links of its device with other
    /// communications.
    pub(super) fn send(&mut self, device: u32, time: SimDuration, load: [f64; 2]) -> TaskId {
        let stream = self.streams[device as usize].sends;
        let task = self
            .engine
            .add_communication(stream, time, SimDuration::ZERO, load);
        self.label(Cause::Send, device, Track::Sends, TimeShares::default());
        task
    }

    /// The device whose compute stream was busy longest, and what it did up to `end`.
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

    /// Gives every moment of a device its one cause.
    fn account(&self, device: usize, end: SimTime) -> DeviceTimes {
        let mut times = DeviceTimes::default();
        let mut now = SimTime::ZERO;
        for &task in &self.streams[device].on_compute {
            let label = self.labels[task.index()];
            let gap = self.engine.start(task) - now;
            if gap > SimDuration::ZERO {
                self.explain_gap(&mut times.shares, task, gap);
            }
            times.shares += label.parts;
            let waited = self.engine.host_wait(task);
            times.shares.overhead += waited;
            let shared = self.span(task).saturating_sub(label.parts.total() + waited);
            *times.shares.communication_of(&label.parts) += shared;
            match label.cause {
                Cause::Forward => times.forward += self.span(task),
                Cause::Backward => times.backward += self.span(task),
                Cause::Replication => times.replication_busy += self.span(task),
                Cause::Send | Cause::Optimizer | Cause::Host => {}
            }
            now = self.engine.end(task);
        }
        times.shares.bubble += end - now;
        for (task, label) in self.tasks() {
            if label.device as usize == device && label.track == Track::Communication {
                times.replication_busy += self.span(task);
            }
        }
        times
    }

    fn explain_gap(&self, shares: &mut TimeShares, task: TaskId, gap: SimDuration) {
        match self.engine.gate(task) {
            Gate::Host => shares.overhead += gap,
            Gate::Stream => shares.bubble += gap,
            Gate::Dependency { on, lag } => {
                let sent = gap.min(lag);
                shares.pp_comm += sent;
                let waited = gap - sent;
                match self.labels[on.index()].cause {
                    Cause::Forward | Cause::Backward | Cause::Optimizer | Cause::Host => {
                        shares.bubble += waited;
                    }
                    // Another stage's communication cannot begin before that stage is done computing: what is
                    // waited for beyond the communication itself is that stage's work.
                    Cause::Replication => {
                        let own =
                            self.labels[on.index()].device == self.labels[task.index()].device;
                        let communicating = if own {
                            waited
                        } else {
                            waited.min(self.span(on))
                        };
                        shares.dp_comm += communicating;
                        shares.bubble += waited - communicating;
                    }
                    Cause::Send => {
                        let sending = waited.min(self.span(on));
                        shares.pp_comm += sending;
                        shares.bubble += waited - sending;
                    }
                }
            }
        }
    }
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
        let kernels = TimeShares {
            compute: us(4),
            ..TimeShares::default()
        };
        let traffic = TimeShares {
            tp_comm: us(10),
            ..TimeShares::default()
        };
        timeline.communication(0, us(10), SimDuration::ZERO, [0.0, 1.0]);
        timeline.compute(0, Cause::Backward, kernels, SimDuration::ZERO, false);
        timeline.exposed(0, Cause::Backward, traffic, [0.0, 1.0]);
        let end = timeline.engine.run();
        assert_eq!(end - SimTime::ZERO, us(20));
        let device = timeline.critical(end);
        assert_eq!(device.shares.compute, us(4));
        assert_eq!(device.shares.tp_comm, us(16));
        assert_eq!(device.replication_busy, us(16));
        assert_eq!(device.shares.total(), us(20));
    }
}

//! The engine against times worked out by hand, and every device as the ranks that it stands for.

use super::*;

/// A communication that takes all links inside the domains.
const SCALE_UP: LinkLoads = LinkLoads {
    scale_up: 1.0,
    scale_out: 0.0,
};

impl Engine {
    /// Copy of all tasks with every device as so many ranks. `work` is what a rank spends on a task;
    /// the ranks of one `group` start a task together, once the last of them could.
    pub(crate) fn unfolded(
        &self,
        ranks: u32,
        work: impl Fn(TaskId, u32) -> SimDuration,
        group: impl Fn(TaskId, u32) -> Option<u32>,
    ) -> Self {
        let mut all = Self::default();
        for stream in &self.streams {
            for rank in 0..ranks {
                all.add_stream(stream.device * ranks + rank);
            }
        }
        // Of each task and rank: what others must end before, and what ends with it.
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for (id, task) in self.tasks().zip(&self.tasks) {
            let mut gates: Vec<(u32, TaskId)> = Vec::new();
            for rank in 0..ranks {
                let stream = StreamId(task.stream * ranks + rank);
                let arrival = group(id, rank).map(|group| {
                    let arrival = all.add_task(stream, SimDuration::ZERO);
                    let known = gates.iter().find(|(known, _)| *known == group);
                    let gate = if let Some((_, gate)) = known {
                        *gate
                    } else {
                        let own = all.add_stream(0);
                        let gate = all.add_task(own, SimDuration::ZERO);
                        gates.push((group, gate));
                        gate
                    };
                    all.add_dependency(arrival, gate, SimDuration::ZERO);
                    (arrival, gate)
                });
                let flow = self
                    .flows
                    .get(task.flow as usize)
                    .copied()
                    .unwrap_or_default();
                let copy = all.add_communication(stream, work(id, rank), flow.latency, flow.load);
                let made = &mut all.tasks[copy.index()];
                made.issue = task.issue;
                made.waits_for_arrival = task.waits_for_arrival;
                if let Some((_, gate)) = arrival {
                    all.add_dependency(gate, copy, SimDuration::ZERO);
                }
                begins.push(arrival.map_or(copy, |(arrival, _)| arrival));
                ends.push(copy);
            }
        }
        for (place, task) in self.tasks.iter().enumerate() {
            let mut edge = task.first_edge;
            while edge != NONE {
                let Edge { to, lag, next } = self.edges[edge as usize];
                for rank in 0..ranks as usize {
                    let before = ends[place * ranks as usize + rank];
                    let after = begins[to as usize * ranks as usize + rank];
                    all.add_dependency(before, after, lag);
                }
                edge = next;
            }
        }
        all
    }

    /// The work of a task.
    pub(crate) fn work(&self, task: TaskId) -> SimDuration {
        self.tasks[task.index()].work
    }
}

fn us(n: u64) -> SimDuration {
    SimDuration::from_micros(n)
}

// Stream 0: a (2 µs), then b (3 µs) which also waits for c (4 µs on stream 1) plus 1 µs:
// b starts at max(2, 4 + 1) = 5 and ends at 8.
#[test]
fn a_task_waits_for_its_stream_and_its_dependencies() {
    let mut engine = Engine::default();
    let (first, second) = (engine.add_stream(0), engine.add_stream(1));
    let a = engine.add_task(first, us(2));
    let b = engine.add_task(first, us(3));
    let c = engine.add_task(second, us(4));
    engine.add_dependency(c, b, us(1));
    assert_eq!(engine.run().as_picos(), us(8).as_picos());
    assert_eq!(engine.end(a).as_picos(), us(2).as_picos());
    assert_eq!(engine.gate(b), Gate::Dependency { on: c, lag: us(1) });
}

// Three kernels of 1 µs that take 4 µs each to issue: the GPU follows the host, 12 µs.
#[test]
fn a_slow_host_decides_when_tasks_end() {
    let mut engine = Engine::default();
    let stream = engine.add_stream(0);
    for _ in 0..3 {
        engine.add_issued_task(stream, us(1), us(4), false);
    }
    assert_eq!(engine.run().as_picos(), us(12).as_picos());
}

// The host runs ahead of a long task: 10 µs + 1 µs, issuing (4 µs each) is hidden.
// With synchronisation the second is issued from 10 µs on and ends at 14 µs.
#[test]
fn a_synchronisation_loses_the_run_ahead() {
    for (synchronised, expected) in [(false, 11), (true, 14)] {
        let mut engine = Engine::default();
        let (stream, other) = (engine.add_stream(0), engine.add_stream(0));
        let long = engine.add_issued_task(other, us(10), us(4), false);
        let short = engine.add_issued_task(stream, us(1), us(4), synchronised);
        engine.add_dependency(long, short, SimDuration::ZERO);
        assert_eq!(engine.run().as_picos(), us(expected).as_picos());
    }
}

// Two communications of 10 µs that each fill the links: both need 20 µs when they start together.
// The second alone after 2 µs latency each: flows share from 2 µs on, 8 µs of work each at half
// speed end at 2 + 16 = 18 µs.
#[test]
fn communications_of_one_device_share_its_links() {
    let mut engine = Engine::default();
    let (left, right) = (engine.add_stream(0), engine.add_stream(0));
    let a = engine.add_communication(left, us(10), us(2), SCALE_UP);
    let b = engine.add_communication(right, us(10), us(2), SCALE_UP);
    assert_eq!(engine.run().as_picos(), us(18).as_picos());
    assert_eq!(engine.end(a), engine.end(b));
}

// On different devices they do not meet.
#[test]
fn communications_of_different_devices_do_not_share() {
    let mut engine = Engine::default();
    let (left, right) = (engine.add_stream(0), engine.add_stream(1));
    engine.add_communication(left, us(10), us(2), SCALE_UP);
    engine.add_communication(right, us(10), us(2), SCALE_UP);
    assert_eq!(engine.run().as_picos(), us(10).as_picos());
}

#[test]
#[should_panic(expected = "deadlocks")]
fn a_cycle_is_named_as_a_deadlock() {
    let mut engine = Engine::default();
    let stream = engine.add_stream(0);
    let first = engine.add_task(stream, us(1));
    let second = engine.add_task(stream, us(1));
    engine.add_dependency(second, first, SimDuration::ZERO);
    engine.run();
}

// The host needs 30 µs to launch a communication of 10 µs, alone or beside another of 4 µs: it ends with the host at
// 30 µs, of which 20 (18 where the other slowed it by 2) are the host's, and the links are free from 10 (12) µs on.
#[test]
fn a_communication_ends_no_earlier_than_the_host_has_issued_it() {
    for (other, waits) in [(0, 20), (2, 18)] {
        let mut engine = Engine::default();
        let (left, right) = (engine.add_stream(0), engine.add_stream(0));
        let long = engine.add_communication(left, us(10), SimDuration::ZERO, SCALE_UP);
        engine.set_issue(long, us(30));
        let short = engine.add_communication(right, us(other), SimDuration::ZERO, SCALE_UP);
        assert_eq!(engine.run().as_picos(), us(30).as_picos());
        assert_eq!(engine.host_wait(long), us(waits));
        // Both send at half of the links until the short one is done.
        assert_eq!(engine.end(short) - SimTime::ZERO, us(2 * other));
    }
}

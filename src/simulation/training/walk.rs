//! Ends of a step's stages from one walk over all passes, as if nothing shared a link.
//!
//! What the player gives the engine depends on nothing but the order of each stage, so one walk over the passes finds
//! when each ends, each behind the stage before it, the host and its parameters; reductions and gathers in their
//! queue. Communications that share links only take longer, and nothing that waits for them starts earlier: the walk
//! never ends after the step.

use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_play::GATHERS_IN_FLIGHT;
use crate::simulation::training::schedule::{Pass, StagePass};
use crate::simulation::training::stage_times::{
    Around, StageClass, StageTimes, in_order, index_of,
};

/// Ends of one stage's work, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StageEnds {
    /// Last pass.
    pub(super) passes: f64,
    /// Last overlapped reduction; 0 where there is none.
    pub(super) reductions: f64,
}

/// Ends of the stages of a layout that makes its passes in this order.
pub(super) fn stages(
    costs: &StepCosts<'_>,
    times: &StageTimes,
    passes: &[StagePass],
) -> Vec<StageEnds> {
    let mut walk = Walk::of(costs, times);
    for pass in passes {
        walk.pass(*pass);
    }
    walk.streams
        .iter()
        .map(|stream| StageEnds {
            passes: stream.free,
            reductions: stream.reduced,
        })
        .collect()
}

/// Times of one stage so far, in seconds.
#[derive(Clone, Debug, Default)]
struct Stream {
    /// End of the last pass.
    free: f64,
    /// When the host has issued it.
    host: f64,
    /// End of the last gather or reduction.
    queue: f64,
    /// End of the last reduction.
    reduced: f64,
    /// Ends of the last sharded groups of layers, the latest last.
    groups: [f64; GATHERS_IN_FLIGHT],
}

struct Walk<'a> {
    times: &'a StageTimes,
    streams: Vec<Stream>,
    /// Stage of each virtual stage.
    stage_of: Vec<u32>,
    /// When what a pass puts out has arrived, `[virtual stage × microbatch]`.
    forward: Vec<f64>,
    backward: Vec<f64>,
    microbatches: usize,
    synchronised: bool,
    connected: bool,
    /// Seconds of a send, for which the sender waits or not.
    send: f64,
    waits_for_sends: bool,
}

impl<'a> Walk<'a> {
    fn of(costs: &StepCosts<'_>, times: &'a StageTimes) -> Self {
        let layout = costs.layout;
        let microbatches = layout.microbatches as usize;
        let stages = times.class_of.len();
        let passes = stages * microbatches;
        let several = layout.pp > 1;
        let waits_for_sends = several && !costs.overlap.pipeline;
        Self {
            times,
            streams: vec![Stream::default(); layout.pp as usize],
            stage_of: (0..layout.pp).cycle().take(stages).collect(),
            forward: vec![0.0; passes],
            backward: vec![0.0; passes],
            microbatches,
            synchronised: waits_for_sends,
            connected: costs.waits_for_stages(),
            send: if several { times.send } else { 0.0 },
            waits_for_sends,
        }
    }

    fn pass(&mut self, pass: StagePass) {
        let virtual_stage = pass.virtual_stage as usize;
        let last = self.stage_of.len() - 1;
        let at = virtual_stage * self.microbatches + pass.microbatch as usize;
        let (fed_by, sends) = match pass.pass {
            Pass::Forward if virtual_stage > 0 => {
                (self.forward[at - self.microbatches], virtual_stage < last)
            }
            Pass::Backward | Pass::BackwardInput if virtual_stage < last => {
                (self.backward[at + self.microbatches], virtual_stage > 0)
            }
            Pass::Forward => (0.0, virtual_stage < last),
            Pass::Backward | Pass::BackwardInput => (0.0, virtual_stage > 0),
            Pass::BackwardWeight => (0.0, false),
        };
        let ready = if self.connected { fed_by } else { 0.0 };
        let class = self.times.class(virtual_stage);
        let is_last = pass.microbatch as usize + 1 == self.microbatches;
        let around = self.times.around(pass.pass, pass.microbatch == 0, is_last);
        let stream = &mut self.streams[self.stage_of[virtual_stage] as usize];
        if around.waits_for_gather {
            stream.free += class.gather;
        }
        if self.synchronised {
            stream.host = stream.host.max(ready);
        }
        let mut end = if around.gathers || around.reduces {
            stream.in_buckets(self.times, class, (pass.pass, is_last), around, ready)
        } else {
            let work = &class.whole[index_of(pass.pass)];
            stream.run(ready, work.seconds[usize::from(is_last)], work.issue)
        };
        if sends {
            end += self.send;
            if self.waits_for_sends {
                stream.free = end;
            }
        }
        match pass.pass {
            Pass::Forward => self.forward[at] = end,
            Pass::Backward | Pass::BackwardInput => self.backward[at] = end,
            Pass::BackwardWeight => {}
        }
        if around.waits_for_reduction {
            stream.free += class.reduction;
        }
    }
}

impl Stream {
    /// End of kernels that are ready then.
    fn run(&mut self, ready: f64, seconds: f64, issue: f64) -> f64 {
        let start = self.free.max(ready).max(self.host);
        self.host += issue;
        self.free = (start + seconds).max(self.host);
        self.free
    }

    /// End of a gather, once few enough are in flight.
    fn gather(&mut self, seconds: f64) -> f64 {
        self.queue = self.queue.max(self.groups[0]) + seconds;
        self.queue
    }

    /// End of a pass that is ready then, bucket by bucket.
    fn in_buckets(
        &mut self,
        times: &StageTimes,
        class: &StageClass,
        (pass, last): (Pass, bool),
        around: Around,
        ready: f64,
    ) -> f64 {
        let count = class.buckets.len();
        let bucket = |at: usize| &class.buckets[in_order(at, count, pass)];
        let mut gathered = 0.0;
        if around.gathers {
            gathered = self.gather(bucket(0).gather);
        }
        let mut end = 0.0;
        for at in 0..count {
            let seconds = times.bucket_seconds(bucket(at), pass, last, (around, at > 0));
            let ready = if at == 0 {
                ready.max(gathered)
            } else {
                gathered
            };
            end = self.run(ready, seconds, StageTimes::bucket_issue(bucket(at), pass));
            if times.sharded {
                self.groups.rotate_left(1);
                self.groups[GATHERS_IN_FLIGHT - 1] = end;
            }
            if around.gathers && at + 1 < count {
                gathered = self.gather(bucket(at + 1).gather);
            }
            if around.reduces {
                self.queue = self.queue.max(end) + bucket(at).reduction;
                self.reduced = self.queue;
            }
        }
        end
    }
}

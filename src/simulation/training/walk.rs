//! Ends of a step's stages from one walk over all passes, as if nothing shared a link.
//!
//! What the player gives the engine depends on nothing but the order of each stage, so one walk over the passes finds
//! when each ends, each behind the stage before it, the host and its parameters; reductions and gathers in their
//! queue. Communications that share links only take longer, and nothing that waits for them starts earlier: the walk
//! never ends after the step.

use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::data_parallel_play::GATHERS_IN_FLIGHT;
use crate::simulation::training::schedule::{Pass, Placement, StagePass};
use crate::simulation::training::stage_times::{
    Around, PASSES, StageClass, StageTimes, Work, in_order, index_of,
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
    let mut rest = passes;
    while let [pass, behind @ ..] = rest {
        rest = behind;
        if walk.run_alone(*pass) {
            continue;
        }
        let visit = walk.visit(*pass);
        let ready = walk.ready(visit.pass, visit.at);
        if pass.beside_next
            && let [next, behind @ ..] = rest
        {
            rest = behind;
            let next = walk.visit(*next);
            // Both begin when both can, and end together.
            let ready = ready.max(walk.ready(next.pass, next.at));
            walk.run(&visit, ready);
            let end = walk.run(&next, ready);
            walk.hand_on(&visit, end);
            walk.hand_on(&next, end);
        } else {
            let end = walk.run(&visit, ready);
            walk.hand_on(&visit, end);
        }
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

/// A pass of one class of stages by itself, where nothing is gathered or reduced beside or around it.
#[derive(Clone, Copy, Debug)]
struct Alone {
    seconds: f64,
    issue: f64,
}

/// Passes of a class by kind, and by whether the microbatch is the first and the last.
type PassesAlone = [[Option<Alone>; 4]; 4];

fn alone(times: &StageTimes, class: &StageClass) -> PassesAlone {
    PASSES.map(|pass| {
        let Work { seconds, issue, .. } = class.whole[index_of(pass)];
        let of = |first: bool, last: bool| {
            let beside = times.around(pass, first, last).any();
            (!beside).then_some(Alone {
                seconds: seconds[usize::from(last)],
                issue,
            })
        };
        [
            of(false, false),
            of(true, false),
            of(false, true),
            of(true, true),
        ]
    })
}

/// Place of a virtual stage.
#[derive(Clone, Copy, Debug)]
struct Place {
    stage: usize,
    class: usize,
    /// Whether its activations go to another stage, and its gradients.
    sends_on: bool,
    sends_back: bool,
}

impl Place {
    fn all(placement: Placement, times: &StageTimes) -> Vec<Self> {
        let count = times.class_of.len() as u32;
        let of = |at: u32| Self {
            stage: placement.stage(at) as usize,
            class: times.class_of[at as usize] as usize,
            sends_on: at + 1 < count && placement.crosses(at),
            sends_back: at > 0 && placement.crosses(at - 1),
        };
        (0..count).map(of).collect()
    }
}

/// A pass with what is looked up for it.
struct Visit<'a> {
    pass: Pass,
    /// Place in `[virtual stage × microbatch]`.
    at: usize,
    place: Place,
    class: &'a StageClass,
    around: Around,
    is_last: bool,
}

struct Walk<'a> {
    times: &'a StageTimes,
    streams: Vec<Stream>,
    /// Places of the virtual stages.
    places: Vec<Place>,
    /// By class.
    alone: Vec<PassesAlone>,
    /// When a forward pass has its input, `[virtual stage × microbatch]`, with a row behind the last stage.
    forward: Vec<f64>,
    /// When what a backward pass put out has arrived, `[virtual stage × microbatch]`, with a row behind the last stage.
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
        let passes = (times.class_of.len() + 1) * microbatches;
        let several = layout.pp > 1;
        let waits_for_sends = several && !costs.overlap.pipeline;
        Self {
            times,
            streams: vec![Stream::default(); layout.pp as usize],
            places: Place::all(Placement::of(layout), times),
            alone: (times.classes.iter())
                .map(|class| alone(times, class))
                .collect(),
            forward: vec![0.0; passes],
            backward: vec![0.0; passes],
            microbatches,
            synchronised: waits_for_sends,
            connected: costs.waits_for_stages(),
            send: if several { times.send } else { 0.0 },
            waits_for_sends,
        }
    }

    /// Whether a pass is the first, and the last, of its stage.
    fn ends(&self, pass: StagePass) -> (bool, bool) {
        let behind = pass.microbatch as usize + 1;
        (behind == 1, behind == self.microbatches)
    }

    fn visit(&self, pass: StagePass) -> Visit<'a> {
        let (first, last) = self.ends(pass);
        let virtual_stage = pass.virtual_stage as usize;
        let place = self.places[virtual_stage];
        Visit {
            pass: pass.pass,
            at: virtual_stage * self.microbatches + pass.microbatch as usize,
            place,
            class: &self.times.classes[place.class],
            around: self.times.around(pass.pass, first, last),
            is_last: last,
        }
    }

    /// Runs a pass where no other runs beside it, and nothing is gathered or reduced; false where that is not so.
    fn run_alone(&mut self, pass: StagePass) -> bool {
        let (first, last) = self.ends(pass);
        let virtual_stage = pass.virtual_stage as usize;
        let place = self.places[virtual_stage];
        let known = &self.alone[place.class][index_of(pass.pass)];
        let Some(work) = known[usize::from(first) + 2 * usize::from(last)] else {
            return false;
        };
        if pass.beside_next {
            return false;
        }
        let at = virtual_stage * self.microbatches + pass.microbatch as usize;
        let ready = self.ready(pass.pass, at);
        let stream = &mut self.streams[place.stage];
        if self.synchronised {
            stream.host = stream.host.max(ready);
        }
        let end = stream.run(ready, work.seconds, work.issue);
        self.send(pass.pass, at, place, end);
        true
    }

    /// When a pass has what it waits for from other virtual stages.
    fn ready(&self, pass: Pass, at: usize) -> f64 {
        match pass {
            Pass::Forward => self.forward[at],
            Pass::Backward | Pass::BackwardInput => self.backward[at + self.microbatches],
            Pass::BackwardWeight => 0.0,
        }
    }

    /// End of a pass that is ready then.
    fn run(&mut self, visit: &Visit<'a>, ready: f64) -> f64 {
        let Visit {
            pass,
            class,
            around,
            is_last,
            ..
        } = *visit;
        let stream = &mut self.streams[visit.place.stage];
        if around.waits_for_gather {
            stream.free += class.gather;
        }
        if self.synchronised {
            stream.host = stream.host.max(ready);
        }
        if around.gathers || around.reduces {
            stream.in_buckets(self.times, class, (pass, is_last), around, ready)
        } else {
            let work = &class.whole[index_of(pass)];
            stream.run(ready, work.seconds[usize::from(is_last)], work.issue)
        }
    }

    /// Sends what a pass made that ended then.
    fn send(&mut self, pass: Pass, at: usize, place: Place, mut end: f64) {
        let (sends, made, to) = match pass {
            Pass::Forward => (place.sends_on, &mut self.forward, at + self.microbatches),
            Pass::Backward | Pass::BackwardInput => (place.sends_back, &mut self.backward, at),
            Pass::BackwardWeight => return,
        };
        if sends && self.waits_for_sends {
            // Behind the sends before it.
            let stream = &mut self.streams[place.stage];
            end = end.max(stream.free) + self.send;
            stream.free = end;
        } else if sends {
            end += self.send;
        }
        if self.connected {
            made[to] = end;
        }
    }

    /// Sends what a pass made that ended then, and reduces its gradients where that is waited for.
    fn hand_on(&mut self, visit: &Visit<'a>, end: f64) {
        self.send(visit.pass, visit.at, visit.place, end);
        if visit.around.waits_for_reduction {
            self.streams[visit.place.stage].free += visit.class.reduction;
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
            gathered = self.gather(bucket(0).gathers.of(pass));
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
                gathered = self.gather(bucket(at + 1).gathers.of(pass));
            }
            if around.reduces {
                self.queue = self.queue.max(end) + bucket(at).reduction;
                self.reduced = self.queue;
            }
        }
        end
    }
}

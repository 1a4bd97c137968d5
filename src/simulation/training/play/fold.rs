//! Steps of many microbatches, folded: played with few, where the others only repeat.
//!
//! Between the first passes and the last ones the schedule repeats with every group of microbatches. Play is a
//! function of its state alone: streams, tasks that run or are ready, flows under way. Where that state at one moment
//! is the state `every` earlier with each task the one of the next group, whatever follows repeats too, each group
//! `every` later, and any number of groups may be put between. So a step of `n` groups is the one of few groups, and
//! `every` for each that it lacks, to the picosecond.

use std::iter::zip;
use std::ops::Range;

use crate::des::TaskId;
use crate::simulation::training::costs::StepCosts;
use crate::simulation::training::play::{PlayOptions, Step};
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::{self, Period, PipelineSize};
use crate::simulation::training::timeline::{DeviceTimes, Label, Timeline, Track, busiest};
use crate::simulation::{Infeasible, StepPart};
use crate::units::{SimDuration, SimTime};

/// Lengths of the folded step that are tried, in shortest ones.
const LENGTHS: [u32; 2] = [1, 4];
/// Times that a folded step goes into the whole one at least.
const LEAST_FOLDS: u32 = 2;
/// Groups behind the shortest step at which its groups may be as large as those of the whole one.
const MORE_GROUPS: u32 = 8;

impl StepCosts<'_> {
    /// The step, played with fewer microbatches; `None` where there are few, or where they do not repeat.
    ///
    /// # Errors
    /// If a requested collective cannot run on this network.
    pub(super) fn folded(
        &self,
        pricing: &mut Pricing,
        timeline: &mut Timeline,
        slowdown: &[f64],
    ) -> Result<Option<Step>, Infeasible> {
        for length in LENGTHS {
            let Some(fold) = Fold::of(self, length) else {
                break;
            };
            let mut short = self.clone();
            short.microbatches = fold.microbatches;
            let options = PlayOptions {
                apart: fold.last_compared(),
                ..PlayOptions::with(slowdown)
            };
            let mut played = short.build(pricing, timeline, options)?.run();
            if let Some(repeated) = Repeated::of(timeline, &fold, self.send.time) {
                let mut device = timeline.times_to(repeated.device, played.end);
                device.add(&repeated.times, fold.lacks);
                played.end = played.end + repeated.every * fold.lacks;
                let repeated = played.of_apart;
                played.sums.add(&repeated, fold.lacks);
                return Ok(Some(Step::of(self.layout, &played, device)));
            }
        }
        Ok(None)
    }
}

/// A step that is played in place of one of more groups of microbatches.
#[derive(Clone, Copy, Debug)]
struct Fold {
    /// Microbatches of a group.
    group: u32,
    microbatches: u32,
    /// Groups that the whole step has more.
    lacks: u64,
    /// First of the groups that are compared; those before it have the first passes.
    first: u32,
    /// The group behind the last of them; the last passes are of those from it on.
    behind: u32,
}

impl Fold {
    /// The step `length` times as long as the shortest one; `None` where it saves too little.
    fn of(costs: &StepCosts, length: u32) -> Option<Self> {
        let pipeline = |microbatches: u32| PipelineSize {
            stages: costs.layout.pp,
            chunks: costs.layout.vpp,
            microbatches,
        };
        let period =
            |microbatches: u32| schedule::period(costs.layout.schedule, pipeline(microbatches));
        let whole = period(costs.microbatches)?;
        let Period {
            microbatches: group,
            reach,
        } = whole;
        let (groups, rest) = (costs.microbatches / group, costs.microbatches % group);
        let ahead = length.checked_mul(reach)?.checked_add(1)?;
        let compared = ahead.checked_add(2)?;
        let least = ahead.checked_mul(2)?.checked_add(compared)?;
        // A pipeline of other length may be grouped otherwise.
        let short = (least..least.checked_add(MORE_GROUPS)?)
            .take_while(|short| u64::from(*short) * u64::from(LEAST_FOLDS) <= u64::from(groups))
            .find(|short| period(short * group + rest) == Some(whole))?;
        Some(Self {
            group,
            microbatches: short * group + rest,
            lacks: u64::from(groups - short),
            first: ahead,
            behind: ahead + compared,
        })
    }

    /// Microbatches of the last group that is compared.
    fn last_compared(&self) -> Range<u32> {
        (self.behind - 1) * self.group..self.behind * self.group
    }
}

/// Groups of microbatches of which each is played as the one before, `every` later.
struct Repeated {
    every: SimDuration,
    /// The critical device of the whole step.
    device: usize,
    /// Times of that device during `every`.
    times: DeviceTimes,
}

impl Repeated {
    /// Compares groups of a step that was played; `None` where they do not repeat, or where others may reach into
    /// them. `lag` is the longest delay between tasks.
    fn of(timeline: &Timeline, fold: &Fold, lag: SimDuration) -> Option<Self> {
        let groups = Groups::of(timeline, fold);
        let [.., last, next] = &groups.compared[..] else {
            return None;
        };
        let ends = |task: TaskId| timeline.engine.end(task);
        let every = ends(*next.first()?) - ends(*last.first()?);
        // From here on, for `every`, only tasks that are compared run, and nothing else is waited for.
        let from = groups.before + lag;
        if from + every > groups.behind? || !groups.repeat(timeline, every) {
            return None;
        }
        let mut busy = timeline.busy();
        for &task in next {
            let label = timeline.label_of(task);
            if label.track == Track::Compute {
                busy[label.device as usize] += timeline.span(task) * fold.lacks;
            }
        }
        let device = busiest(&busy);
        let on_compute = timeline.on_compute(device);
        let task = *on_compute.iter().find(|task| ends(**task) > from)?;
        let after = groups.next(task)?;
        (ends(after) <= groups.behind?).then(|| Self {
            every,
            device,
            times: timeline.times_between(device, (task, after)),
        })
    }
}

/// Tasks of a step by group of microbatches.
struct Groups {
    /// Tasks of each group that is compared, in one order.
    compared: Vec<Vec<TaskId>>,
    /// End of all tasks of the groups before them.
    before: SimTime,
    /// Start of the first task behind them.
    behind: Option<SimTime>,
    /// Whether the host holds any task back, from the first group that is compared.
    is_late: bool,
}

impl Groups {
    fn of(timeline: &Timeline, fold: &Fold) -> Self {
        let mut groups = Self {
            compared: vec![Vec::new(); (fold.behind - fold.first) as usize],
            before: SimTime::ZERO,
            behind: None,
            is_late: false,
        };
        for (task, label) in timeline.tasks() {
            // What follows all passes is of no group.
            let group = (label.works_on).map_or(u32::MAX, |at| at.microbatch / fold.group);
            if group < fold.first {
                groups.before = groups.before.max(timeline.engine.end(task));
                continue;
            }
            groups.is_late |= timeline.engine.was_late(task);
            if group < fold.behind {
                groups.compared[(group - fold.first) as usize].push(task);
            } else {
                let starts = timeline.engine.start(task);
                let known = groups.behind.unwrap_or(starts);
                groups.behind = Some(known.min(starts));
            }
        }
        groups
    }

    /// Whether each group is played as the one before, `every` later.
    fn repeat(&self, timeline: &Timeline, every: SimDuration) -> bool {
        let repeats = |pair: &[Vec<TaskId>]| {
            pair[0].len() == pair[1].len()
                && zip(&pair[0], &pair[1])
                    .all(|(&task, &next)| is_repeated(timeline, (task, next), every, self.is_late))
        };
        self.compared.windows(2).all(repeats)
    }

    /// Task of the next group that is as a task.
    fn next(&self, task: TaskId) -> Option<TaskId> {
        let mut pairs = self.compared.windows(2);
        pairs.find_map(|pair| {
            let place = pair[0].iter().position(|it| *it == task)?;
            pair[1].get(place).copied()
        })
    }
}

/// Whether a task of the next group is played as a task was, `every` later. Where no task `is_late` the host may run
/// further ahead with each group, since it is not waited for.
fn is_repeated(
    timeline: &Timeline,
    (task, next): (TaskId, TaskId),
    every: SimDuration,
    is_late: bool,
) -> bool {
    let (one, other) = (timeline.label_of(task), timeline.label_of(next));
    let place = |label: &Label| {
        let stage = label.works_on.map(|at| at.virtual_stage);
        (label.kind, label.device, label.track, label.hidden, stage)
    };
    let engine = &timeline.engine;
    let (expected, issued) = (engine.issued(task) + every, engine.issued(next));
    place(one) == place(other)
        && timeline.parts(one) == timeline.parts(other)
        && engine.start(task) + every == engine.start(next)
        && engine.end(task) + every == engine.end(next)
        && (issued == expected || !is_late && issued < expected)
}

impl DeviceTimes {
    /// Adds times of the device, so many times.
    fn add(&mut self, other: &Self, times: u64) {
        for &part in StepPart::ALL {
            self.shares[part] += other.shares[part] * times;
        }
        self.forward += other.forward * times;
        self.backward += other.backward * times;
        self.comm_busy += other.comm_busy * times;
    }
}

//! A point of a run simulated again exactly as it ran: the start of every change.

use crate::analysis::{LayoutUsed, SizePoint};
use crate::simulation::{
    LayoutRequest, Scenario, Scratch, StepReport, TrainingScenario, ZeroGroup, guarded,
    simulate_training,
};
use crate::spec::{GridPoint, Spec};
use crate::stack::ZeroStage;

/// Relative difference up to which a time reproduces that of the row.
const SAME: f64 = 1e-9;

/// A point whose simulation reproduced the time of its row.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    /// The point with the layout that ran, nothing of it left to choose.
    pub(super) pinned: TrainingScenario,
    /// Whether the spec leaves anything of the layout to choose.
    pub(super) chosen: bool,
    /// The ZeRO stage that the spec asks for.
    pub(super) asked_zero: Option<ZeroStage>,
    /// The step as simulated.
    pub(super) step: StepReport,
    /// Factor by which measured runs correct its times.
    pub(super) correction: f64,
}

impl Replay {
    /// Simulates a row again; `None` where it did not run, where this version does not reproduce its time, and on several
    /// types of GPU, which no layout alone pins.
    pub(super) fn of(spec: &Spec, row: &SizePoint, scratch: &mut Scratch) -> Option<Self> {
        let used = row.measured?.layout;
        Self::with_layout(spec, row, |asked| as_used(asked, &used), scratch)
    }

    /// Simulates a row that ran with another layout than its spec gives.
    pub(super) fn with_layout(
        spec: &Spec,
        row: &SizePoint,
        layout: impl Fn(&LayoutRequest) -> LayoutRequest,
        scratch: &mut Scratch,
    ) -> Option<Self> {
        let measured = row.measured?;
        let mut scenario = scenario(spec, row).filter(|scenario| scenario.pools.is_empty())?;
        let chosen = leaves_to_choose(&scenario);
        let asked_zero = scenario.layout.zero;
        scenario.layout = layout(&scenario.layout);
        let step = simulated(&scenario, scratch)?;
        let corrected = spec.measured().correct(&scenario, step.clone());
        let again = corrected.step_time().as_secs_f64();
        if (again / measured.step_time_s - 1.0).abs() > SAME {
            return None;
        }
        scenario.layout = LayoutRequest::pinned(&step.layout);
        Some(Self {
            pinned: scenario,
            chosen,
            asked_zero,
            step,
            correction: corrected.correction_factor(),
        })
    }

    /// Seconds per sample as simulated.
    pub(super) fn seconds_per_sample(&self) -> f64 {
        per_sample(&self.pinned, &self.step)
    }
}

/// The step of a scenario; `None` where it cannot run, or the simulator crashes on it.
pub(super) fn simulated(scenario: &TrainingScenario, scratch: &mut Scratch) -> Option<StepReport> {
    let step = guarded(scratch, |scratch| simulate_training(scenario, scratch));
    step.ok()?.ok()
}

/// Seconds per sample of a step.
pub(super) fn per_sample(scenario: &TrainingScenario, step: &StepReport) -> f64 {
    step.step_time().as_secs_f64() / f64::from(scenario.workload.global_batch)
}

/// The point of a row; `None` where its plan has no such point.
pub(super) fn point(spec: &Spec, row: &SizePoint) -> Option<GridPoint> {
    let is_there = row.point < spec.plan().len();
    is_there.then(|| spec.plan().point(row.point))
}

/// The training scenario of a row; `None` where its plan has no such point.
pub(super) fn scenario(spec: &Spec, row: &SizePoint) -> Option<TrainingScenario> {
    match spec.plan().scenario(&point(spec, row)?).ok()? {
        Scenario::Training(training) => Some(*training),
        Scenario::Collective(_) => None,
    }
}

/// Whether the simulator chooses anything of a layout.
fn leaves_to_choose(scenario: &TrainingScenario) -> bool {
    let request = &scenario.layout;
    let counts = [
        request.micro_batch,
        request.tp,
        request.pp,
        request.cp,
        request.ep,
        request.etp,
        request.vpp,
    ];
    counts.iter().any(Option::is_none)
        || request.zero.is_none()
        || request.zero == Some(ZeroStage::Z3)
            && request.zero_group.is_none()
            && scenario.stack.offers.hybrid_sharding
        || request.recompute.is_none()
        || request.schedule.is_none()
        || request.sequence_parallel.is_none()
}

/// The group that shared a row's shards; `None` where parameters were whole or the row does not say.
fn used_group(used: &LayoutUsed) -> Option<ZeroGroup> {
    let (group, ranks) = (used.zero_group?, used.dp? * used.cp?);
    Some(if group < ranks {
        ZeroGroup::Ranks(group)
    } else {
        ZeroGroup::Replicas
    })
}

/// A request with the groups that a row says ran. What the rows do not hold (the split into stages, the
/// schedule, what is recomputed) follows from them as it did then.
fn as_used(asked: &LayoutRequest, used: &LayoutUsed) -> LayoutRequest {
    let stage = |number: u32| number.to_string().parse().ok();
    LayoutRequest {
        micro_batch: used.micro_batch.or(asked.micro_batch),
        tp: used.tp.or(asked.tp),
        pp: used.pp.or(asked.pp),
        cp: used.cp.or(asked.cp),
        ep: used.ep.or(asked.ep),
        etp: used.etp.or(asked.etp),
        vpp: used.vpp.or(asked.vpp),
        zero: used.zero.and_then(stage).or(asked.zero),
        zero_group: used_group(used).or(asked.zero_group),
        ..asked.clone()
    }
}

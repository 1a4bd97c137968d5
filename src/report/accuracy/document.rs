//! Judged cases and their errors as JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::listing::unit_of;
use super::words::kind_title;
use crate::hardware::Precision;
use crate::interval::{Quantity, UnseenErrors, unseen};
use crate::measured::Score;
use crate::simulation::TrainingScenario;
use crate::validation::{
    Assessment, CaseStatus, ErrorSummary, FittedConstant, GroupErrors, Judged, KindAssessment,
    MissedCase, NamedError, Ranking, ScalingErrors,
};

/// Cases and errors of `sweep validate`.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ValidateDocument<'a> {
    /// Every case with its measured and its simulated value.
    cases: Vec<CaseRow<'a>>,
    /// Errors by kind of measurement.
    errors: Vec<KindErrors<'a>>,
    /// Errors of measured runs that no constant has seen, by quantity and family.
    unseen: Vec<Unseen>,
    /// Number of the constants that were fitted.
    fitted_constants: usize,
    fitted: &'a [FittedConstant],
}

/// A measured case.
#[derive(JsonSchema, Serialize)]
struct CaseRow<'a> {
    id: &'a str,
    /// Measured time; null of memory, and where it did not run.
    measured_s: Option<f64>,
    /// Simulated time.
    predicted_s: Option<f64>,
    /// Measured peak of memory.
    measured_gib: Option<f64>,
    /// Simulated peak of memory.
    predicted_gib: Option<f64>,
    /// Predicted over measured − 1.
    relative_error: Option<f64>,
    status: CaseStatus,
    /// Why it is not predicted.
    reason: Option<&'a str>,
    /// Weight in the error table.
    score: Score,
    /// Model family, or the operation of a collective.
    family: &'a str,
    gpu: &'a str,
    /// Document that published it.
    source: &'a str,
    /// Common origin of several documents.
    lineage: &'a str,
    /// Software stack that it was simulated with; size class of a collective.
    stack: &'a str,
    /// Whether layout, micro batch and recomputation are all stated.
    stated: bool,
    /// The training run; null of other cases.
    run: Option<RunFeatures>,
}

/// Features of a training run; null what the row does not state.
#[derive(JsonSchema, Serialize)]
struct RunFeatures {
    precision: Precision,
    parameters: u64,
    gpus: u32,
    tp: Option<u32>,
    pp: Option<u32>,
    cp: Option<u32>,
    ep: Option<u32>,
}

/// Errors of the cases of one kind.
#[derive(JsonSchema, Serialize)]
struct KindErrors<'a> {
    /// The kind of measurement, in words.
    kind: &'static str,
    /// Cases, scored or not.
    cases: usize,
    /// Errors of named subsets.
    subsets: BTreeMap<&'a str, GroupRow>,
    /// Errors of the scored cases, by grouping and group.
    by: BTreeMap<&'a str, BTreeMap<&'a str, GroupRow>>,
    /// Mean error per lineage, averaged over lineages.
    mean_over_lineages: Option<f64>,
    /// Share of the cases that ran which are predicted infeasible.
    judged_infeasible: Option<f64>,
    /// Cases that ran out of memory and are predicted to fit.
    judged_feasible: usize,
    /// The scored cases with the largest errors, worst first.
    worst: &'a [NamedError],
    missed: &'a [MissedCase],
    scaling: &'a [ScalingErrors],
    rankings: &'a [Ranking],
}

/// Errors of a group of cases; null where it has no case with a prediction and a measurement.
#[derive(JsonSchema, Serialize)]
struct GroupRow {
    /// Cases with a prediction and a measurement.
    count: usize,
    /// Cases wrongly predicted to run or not to run, and unsupported ones.
    misses: usize,
    /// Median of |predicted/measured − 1|.
    median: Option<f64>,
    /// Mean of |predicted/measured − 1|.
    mean: Option<f64>,
    /// 90th percentile of |predicted/measured − 1|.
    p90: Option<f64>,
    /// Mean of predicted/measured − 1.
    bias: Option<f64>,
    /// Mean of |ln(predicted/measured)|.
    log_mean: Option<f64>,
    /// That mean as a factor less 1.
    geometric_mean: Option<f64>,
}

impl GroupRow {
    fn of(errors: &ErrorSummary) -> Self {
        let some = |value: f64| (errors.count > 0).then_some(value);
        Self {
            count: errors.count,
            misses: errors.misses,
            median: some(errors.median),
            mean: some(errors.mean),
            p90: some(errors.p90),
            bias: some(errors.bias),
            log_mean: some(errors.log_mean),
            geometric_mean: some(errors.geometric_mean()),
        }
    }
}

/// Errors of runs that no constant has seen, with what their intervals hold.
#[derive(JsonSchema, Serialize)]
struct Unseen {
    quantity: Quantity,
    family: &'static str,
    /// Common origins of their sources.
    lineages: usize,
    errors: ErrorSummary,
    /// Runs that have an interval, made of the errors of other lineages.
    with_interval: usize,
    /// Those of them that were measured inside it.
    inside_interval: usize,
    /// Median of half the interval's width, as a factor less 1.
    interval_half_width: f64,
}

impl<'a> ValidateDocument<'a> {
    /// The cases and the error table.
    pub(crate) fn new(judged: &'a [Judged], assessment: &'a Assessment) -> Self {
        Self {
            cases: judged.iter().map(case).collect(),
            errors: assessment.kinds.iter().map(kind_errors).collect(),
            unseen: unseen().iter().map(of_unseen).collect(),
            fitted_constants: assessment.fitted.len(),
            fitted: &assessment.fitted,
        }
    }
}

fn of_unseen(unseen: &UnseenErrors) -> Unseen {
    Unseen {
        quantity: unseen.quantity,
        family: unseen.family,
        lineages: unseen.lineages,
        errors: ErrorSummary::of_errors(&unseen.errors),
        with_interval: unseen.with_interval,
        inside_interval: unseen.inside,
        interval_half_width: unseen.half_width,
    }
}

fn case(judged: &Judged) -> CaseRow<'_> {
    let (case, result) = (&judged.case, &judged.result);
    let is_memory = unit_of(case.kind) == "gib";
    let in_s = |value: Option<f64>| value.filter(|_| !is_memory);
    let in_gib = |value: Option<f64>| value.filter(|_| is_memory);
    CaseRow {
        id: &case.id,
        measured_s: in_s(case.measured),
        predicted_s: in_s(result.predicted),
        measured_gib: in_gib(case.measured),
        predicted_gib: in_gib(result.predicted),
        relative_error: judged.relative_error(),
        status: result.status,
        reason: result.reason.as_deref(),
        score: case.score,
        family: &case.groups.family,
        gpu: &case.groups.gpu,
        source: &case.groups.source,
        lineage: &case.groups.lineage,
        stack: &case.groups.stack,
        stated: case.groups.stated,
        run: case.training().map(run),
    }
}

fn run(scenario: &TrainingScenario) -> RunFeatures {
    let layout = &scenario.layout;
    RunFeatures {
        precision: scenario.workload.precision,
        parameters: scenario.model.parameters().without_mtp(),
        gpus: scenario.gpus,
        tp: layout.tp,
        pp: layout.pp,
        cp: layout.cp,
        ep: layout.ep,
    }
}

fn group_rows(groups: &[GroupErrors]) -> BTreeMap<&str, GroupRow> {
    let groups = groups.iter();
    groups
        .map(|group| (group.name.as_str(), GroupRow::of(&group.errors)))
        .collect()
}

fn kind_errors(kind: &KindAssessment) -> KindErrors<'_> {
    let by = kind.groupings.iter();
    KindErrors {
        kind: kind_title(kind.kind),
        cases: kind.cases,
        subsets: group_rows(&kind.subsets),
        by: by
            .map(|(name, groups)| (*name, group_rows(groups)))
            .collect(),
        mean_over_lineages: kind.mean_over_lineages,
        judged_infeasible: kind.judged_infeasible,
        judged_feasible: kind.judged_feasible,
        worst: &kind.worst,
        missed: &kind.missed,
        scaling: &kind.scaling,
        rankings: &kind.rankings,
    }
}

//! Errors of judged cases: by subset, by group, by case.

use crate::catalog::Catalog;
use schemars::JsonSchema;
use serde::Serialize;

use super::case::{CaseStatus, Judged};
use super::errors::{ErrorSummary, GroupErrors, by_group, mean_over_groups};
use super::fitted::{FittedConstant, fitted_constants};
use super::series::{Ranking, ScalingErrors, rankings, scaling_errors};
use crate::measured::{CaseKind, Score};

/// Cases named as the worst of their kind.
const WORST: usize = 10;

/// Errors of everything that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Errors by kind of measurement, for those that occur, in the order of [`CaseKind`].
    pub kinds: Vec<KindAssessment>,
    /// Constants that were fitted to measured steps.
    pub fitted: Vec<FittedConstant>,
}

/// Errors of all cases of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindAssessment {
    /// The kind of measurement.
    pub kind: CaseKind,
    /// Number of cases, scored or not.
    pub cases: usize,
    /// Errors of named subsets.
    pub subsets: Vec<GroupErrors>,
    /// Errors of the scored cases by grouping: name of the grouping, and one entry per group.
    pub groupings: Vec<(&'static str, Vec<GroupErrors>)>,
    /// Mean error per lineage, averaged over lineages; of language models alone where steps are measured. `None`
    /// where nothing is compared.
    pub mean_over_lineages: Option<f64>,
    /// The scored cases with the largest errors, worst first.
    pub worst: Vec<NamedError>,
    /// Cases wrongly predicted to run or not to run, and unsupported ones.
    pub missed: Vec<MissedCase>,
    /// Share of the cases that ran which are predicted infeasible; `None` where none ran.
    pub judged_infeasible: Option<f64>,
    /// Cases that ran out of memory and are predicted to fit.
    pub judged_feasible: usize,
    /// Errors of scaling efficiency by model family.
    pub scaling: Vec<ScalingErrors>,
    /// Rankings of alternative layouts.
    pub rankings: Vec<Ranking>,
}

/// A case and its error.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct NamedError {
    /// Name of the case.
    pub id: String,
    /// Seconds or GiB.
    pub measured: f64,
    /// Seconds or GiB.
    pub predicted: f64,
    /// Predicted over measured − 1.
    #[serde(rename = "relative_error")]
    pub error: f64,
}

/// A case that was not predicted.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct MissedCase {
    /// Name of the case.
    pub id: String,
    /// Status of its simulation.
    pub status: CaseStatus,
    /// Reason of the miss.
    pub reason: String,
}

impl Assessment {
    /// Errors of judged cases, with the fitted constants of the catalogue.
    pub fn of(judged: &[Judged], catalog: &Catalog) -> Self {
        let kinds = CaseKind::ALL.iter().filter_map(|kind| {
            let cases: Vec<Judged> = judged
                .iter()
                .filter(|judged| judged.case.kind == *kind)
                .cloned()
                .collect();
            (!cases.is_empty()).then(|| KindAssessment::of(*kind, &cases))
        });
        Self {
            kinds: kinds.collect(),
            fitted: fitted_constants(catalog),
        }
    }
}

impl KindAssessment {
    fn of(kind: CaseKind, cases: &[Judged]) -> Self {
        let scored: Vec<&Judged> = cases.iter().filter(|judged| judged.is_scored()).collect();
        let language: Vec<&Judged> = scored
            .iter()
            .copied()
            .filter(|judged| kind != CaseKind::Step || is_language_model(judged))
            .collect();
        let ran = cases.iter().filter(|judged| judged.case.ran).count();
        let infeasible = cases
            .iter()
            .filter(|judged| {
                let refused = [CaseStatus::Infeasible, CaseStatus::OverMemory];
                judged.case.ran && refused.contains(&judged.result.status)
            })
            .count();
        Self {
            kind,
            cases: cases.len(),
            subsets: subsets(kind, cases),
            groupings: vec![
                ("family", by_group(&scored, |j| &j.case.groups.family)),
                ("gpu", by_group(&scored, |j| &j.case.groups.gpu)),
                ("source", by_group(&scored, |j| &j.case.groups.source)),
                ("lineage", by_group(&scored, |j| &j.case.groups.lineage)),
                ("stack", by_group(&scored, |j| &j.case.groups.stack)),
            ],
            mean_over_lineages: mean_over_groups(&by_group(&language, |j| &j.case.groups.lineage)),
            worst: worst(&scored),
            missed: missed(cases),
            judged_infeasible: (ran > 0).then(|| infeasible as f64 / ran as f64),
            judged_feasible: cases
                .iter()
                .filter(|j| j.is_scored() && !j.case.ran && j.result.status == CaseStatus::Ok)
                .count(),
            scaling: scaling_errors(cases),
            rankings: rankings(cases),
        }
    }
}

fn is_language_model(judged: &Judged) -> bool {
    matches!(judged.case.groups.family.as_str(), "decoder" | "moe")
}

/// Name of a subset, and whether a case belongs to it.
type Subset = (&'static str, fn(&Judged) -> bool);

const fn named_subsets(kind: CaseKind) -> &'static [Subset] {
    match kind {
        CaseKind::Step => &[
            ("all scored", Judged::is_scored),
            ("language models", |j| j.is_scored() && is_language_model(j)),
            ("language models, layout stated", |j| {
                j.is_scored() && is_language_model(j) && j.case.groups.stated
            }),
            ("language models, layout not stated", |j| {
                j.is_scored() && is_language_model(j) && !j.case.groups.stated
            }),
            ("encoder and cnn", |j| {
                j.is_scored() && matches!(j.case.groups.family.as_str(), "encoder" | "cnn")
            }),
            ("noisy, reported apart", |j| j.case.score == Score::Noisy),
        ],
        CaseKind::Collective => &[
            ("all scored", Judged::is_scored),
            ("1 MiB and above", |j| {
                j.is_scored() && j.case.groups.stack == "1 MiB and above"
            }),
            ("below 1 MiB", |j| {
                j.is_scored() && j.case.groups.stack == "below 1 MiB"
            }),
            ("h100-sxm, one node, all-reduce", |j| {
                let groups = &j.case.groups;
                let one_node = groups.gpu == "h100-sxm" && j.case.nodes == Some(1);
                j.is_scored() && one_node && groups.family == "all-reduce"
            }),
        ],
        CaseKind::Memory | CaseKind::IdealCollective | CaseKind::Flow => {
            &[("all scored", Judged::is_scored)]
        }
    }
}

fn subsets(kind: CaseKind, cases: &[Judged]) -> Vec<GroupErrors> {
    named_subsets(kind)
        .iter()
        .map(|(name, holds)| GroupErrors {
            name: (*name).to_owned(),
            errors: ErrorSummary::of(cases.iter().filter(|judged| holds(judged))),
        })
        .filter(|group| group.errors.count + group.errors.misses > 0)
        .collect()
}

fn worst(scored: &[&Judged]) -> Vec<NamedError> {
    let mut errors: Vec<NamedError> = scored
        .iter()
        .filter_map(|judged| {
            Some(NamedError {
                id: judged.case.id.clone(),
                measured: judged.case.measured?,
                predicted: judged.result.predicted?,
                error: judged.relative_error()?,
            })
        })
        .collect();
    errors.sort_by(|a, b| b.error.abs().total_cmp(&a.error.abs()));
    errors.truncate(WORST);
    errors
}

fn missed(cases: &[Judged]) -> Vec<MissedCase> {
    cases
        .iter()
        .filter(|judged| judged.is_miss() && judged.case.score != Score::Unscored)
        .map(|judged| MissedCase {
            id: judged.case.id.clone(),
            status: judged.result.status,
            reason: judged
                .result
                .reason
                .clone()
                .unwrap_or_else(|| "judged to run, but it ran out of memory".to_owned()),
        })
        .collect()
}

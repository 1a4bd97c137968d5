//! What a set of judged cases says about the model.

use crate::catalog::{Catalog, Kind};
use crate::collective;

use super::case::{CaseStatus, Judged, Score};
use super::errors::{ErrorSummary, GroupErrors, by_group, mean_over_groups};
use super::series::{Ranking, ScalingErrors, rankings, scaling_errors};
use super::table::CaseKind;

/// Cases named as the worst of their kind.
const WORST: usize = 10;

/// Errors of everything that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// One part per kind of measurement that occurs, in the order of [`CaseKind`].
    pub kinds: Vec<KindAssessment>,
    /// Constants that were fitted to measured steps.
    pub fitted: Vec<FittedConstant>,
}

/// Errors of all cases of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindAssessment {
    /// What was measured.
    pub kind: CaseKind,
    /// Cases of the file, scored or not.
    pub cases: usize,
    /// Named subsets.
    pub subsets: Vec<GroupErrors>,
    /// Scored cases by grouping: its name, and its groups.
    pub groupings: Vec<(&'static str, Vec<GroupErrors>)>,
    /// Mean over lineages of the mean error; language models alone where steps are measured.
    pub mean_over_lineages: f64,
    /// The scored cases with the largest errors, worst first.
    pub worst: Vec<NamedError>,
    /// Cases that were judged wrongly to run or not to run, or could not be simulated.
    pub missed: Vec<MissedCase>,
    /// Share of the cases that ran and are judged infeasible.
    pub judged_infeasible: f64,
    /// Cases that did not fit and are judged to.
    pub judged_feasible: usize,
    /// Scaling efficiency by family.
    pub scaling: Vec<ScalingErrors>,
    /// Sets of alternative layouts.
    pub rankings: Vec<Ranking>,
}

/// A case by name with its error.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedError {
    /// The case.
    pub id: String,
    /// Seconds or GiB.
    pub measured: f64,
    /// Seconds or GiB.
    pub predicted: f64,
    /// Predicted over measured − 1.
    pub error: f64,
}

/// A case that was not predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct MissedCase {
    /// The case.
    pub id: String,
    /// How it ended.
    pub status: CaseStatus,
    /// Why.
    pub reason: String,
}

/// A constant that was fitted instead of measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FittedConstant {
    /// Where it stands first: `stacks/megatron-2021`; `collectives` for those of their cost.
    pub entry: String,
    /// Its key: `host.step`.
    pub key: String,
    /// Its value as text.
    pub value: String,
}

/// How the source of a fitted constant begins.
pub const FITTED: &str = "fitted";

/// Every constant of the catalogue whose source says that it was fitted, and those of the collectives'
/// cost; one that entries inherit counts once.
pub fn fitted_constants(catalog: &Catalog) -> Vec<FittedConstant> {
    let mut found: Vec<FittedConstant> = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        for name in catalog.names(kind) {
            let Some(entry) = catalog.entry(kind, name) else {
                continue;
            };
            for (key, value) in leaves("", &entry.table) {
                let is_fitted = entry
                    .source(&key)
                    .is_some_and(|source| source.starts_with(FITTED));
                let is_number = matches!(value, toml::Value::Integer(_) | toml::Value::Float(_))
                    || value.as_str().is_some_and(starts_with_digit);
                let value = value.to_string();
                let inherited = || {
                    found.iter().any(|other| {
                        (&other.key, &other.value) == (&key, &value)
                            && other.entry.starts_with(kind.as_str())
                    })
                };
                if is_fitted && is_number && !inherited() {
                    found.push(FittedConstant {
                        entry: format!("{kind}/{name}"),
                        key,
                        value,
                    });
                }
            }
        }
    }
    found.extend(
        collective::fitted_constants().map(|(key, value)| FittedConstant {
            entry: "collectives".to_owned(),
            key,
            value: value.to_string(),
        }),
    );
    found.sort();
    found
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn leaves<'a>(above: &str, table: &'a toml::Table) -> Vec<(String, &'a toml::Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        match value {
            toml::Value::Table(inner) => found.extend(leaves(&path, inner)),
            _ => found.push((path, value)),
        }
    }
    found
}

impl Assessment {
    /// Errors of judged cases, with the catalogue's fitted constants.
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
        let subsets = subsets(kind, cases);
        let language: Vec<&Judged> = match kind {
            CaseKind::Step => scored
                .iter()
                .copied()
                .filter(|judged| is_language_model(judged))
                .collect(),
            CaseKind::Memory
            | CaseKind::Collective
            | CaseKind::IdealCollective
            | CaseKind::Flow => scored.clone(),
        };
        let ran = cases.iter().filter(|judged| judged.case.ran).count();
        let infeasible = cases
            .iter()
            .filter(|judged| judged.case.ran && judged.result.status == CaseStatus::Infeasible)
            .count();
        Self {
            kind,
            cases: cases.len(),
            subsets,
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
            judged_infeasible: if ran == 0 {
                0.0
            } else {
                infeasible as f64 / ran as f64
            },
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

fn subsets(kind: CaseKind, cases: &[Judged]) -> Vec<GroupErrors> {
    let subset = |name: &str, holds: &dyn Fn(&Judged) -> bool| GroupErrors {
        name: name.to_owned(),
        errors: ErrorSummary::of(cases.iter().filter(|judged| holds(judged))),
    };
    let mut subsets = vec![subset("all scored", &Judged::is_scored)];
    match kind {
        CaseKind::Step => {
            let language = |j: &Judged| j.is_scored() && is_language_model(j);
            subsets.push(subset("language models", &language));
            subsets.push(subset("language models, layout stated", &|j| {
                language(j) && j.case.groups.stated
            }));
            subsets.push(subset("language models, layout not stated", &|j| {
                language(j) && !j.case.groups.stated
            }));
            subsets.push(subset("encoder and cnn", &|j| {
                j.is_scored() && matches!(j.case.groups.family.as_str(), "encoder" | "cnn")
            }));
            subsets.push(subset("noisy, reported apart", &|j| {
                j.case.score == Score::Noisy
            }));
        }
        CaseKind::Collective => {
            for class in ["1 MiB and above", "below 1 MiB"] {
                subsets.push(subset(class, &|j| {
                    j.is_scored() && j.case.groups.stack == class
                }));
            }
            subsets.push(subset("h100-sxm, one node, all-reduce", &|j| {
                let groups = &j.case.groups;
                let one_node = groups.gpu == "h100-sxm" && j.case.gpus <= 8;
                j.is_scored() && one_node && groups.family == "all-reduce"
            }));
        }
        CaseKind::Memory | CaseKind::IdealCollective | CaseKind::Flow => {}
    }
    subsets.retain(|group| group.errors.count + group.errors.misses > 0);
    subsets
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

//! Bus bandwidth of collective studies, by operation, job, algorithm and size.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::collective_runs::{AUTO, CollectiveRun};
use super::gathered_curves::{GatheredCurve, GatheredJob};
use super::nothing::nothing_ran;
use super::transfer_reader::TransferReader;
use crate::record::Counts;

/// Findings of one or several collective studies.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Collectives {
    /// Points by status.
    pub counts: Counts,
    /// One infeasible row of each kind of reason, in words.
    pub examples: BTreeMap<String, String>,
    /// The jobs, by operation and place in the order of the rows, then by rising number of GPUs.
    pub jobs: Vec<CollectiveJob>,
    /// Reason for an empty result.
    pub nothing: Option<String>,
    /// Whether curves have so many sizes that some were left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_thinned: bool,
}

/// One operation on one job, by all algorithms.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct CollectiveJob {
    /// Operation.
    pub op: String,
    /// Cluster, and what else of the cluster the study varies: `dgx-h100 fat-tree`; empty where
    /// nothing does.
    pub place: String,
    /// GPUs.
    pub gpus: u64,
    /// Curves by requested algorithm, in the order of the rows.
    pub curves: Vec<AlgorithmCurve>,
}

/// Runs of one algorithm on one job.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct AlgorithmCurve {
    /// Requested algorithm; [`AUTO`] where the library chooses.
    pub collective: String,
    /// The fastest run of each size, by rising size; of over 1,024 sizes of some, spread evenly over each doubling.
    pub runs: Vec<CollectiveRun>,
}

impl Collectives {
    /// The jobs of each operation.
    pub(crate) fn by_op(&self) -> impl Iterator<Item = &[CollectiveJob]> {
        self.jobs.chunk_by(|a, b| a.op == b.op)
    }

    /// The largest job of each operation and place.
    pub(crate) fn largest(&self) -> impl Iterator<Item = &CollectiveJob> {
        self.by_op().flat_map(largest)
    }
}

/// The largest job of each place, of one operation's jobs.
pub(crate) fn largest(jobs: &[CollectiveJob]) -> impl Iterator<Item = &CollectiveJob> {
    jobs.chunk_by(|a, b| a.place == b.place)
        .filter_map(<[CollectiveJob]>::last)
}

impl CollectiveJob {
    /// The fastest run of each size over all algorithms, by size.
    pub(crate) fn fastest(&self) -> Vec<&CollectiveRun> {
        let mut best: BTreeMap<u64, &CollectiveRun> = BTreeMap::new();
        for run in self.curves.iter().flat_map(|curve| &curve.runs) {
            let there = best.entry(run.size_bytes).or_insert(run);
            if run.time_s < there.time_s {
                *there = run;
            }
        }
        best.into_values().collect()
    }

    /// Curves of algorithms that were requested by name.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &AlgorithmCurve> {
        self.curves.iter().filter(|curve| curve.collective != AUTO)
    }
}

/// Findings of gathered rows. Where several files hold the same communication, the name of its run
/// tells them apart: `runs` has one for each file.
pub(super) fn collectives(reader: TransferReader, runs: &[String]) -> Collectives {
    let names = reader.places.names();
    let apart = runs.len() > 1 && repeated(reader.curves.jobs());
    let place = |job: &GatheredJob| -> String {
        let name = &names[job.place];
        let run = &runs[job.source as usize];
        match (apart, name.is_empty()) {
            (false, _) => name.clone(),
            (true, true) => run.clone(),
            (true, false) => format!("{run} {name}"),
        }
    };
    let curves = reader.curves.jobs().iter().flat_map(|job| &job.curves);
    Collectives {
        nothing: nothing_ran(&reader.counts, ""),
        is_thinned: curves.into_iter().any(|(_, curve)| curve.is_thinned()),
        jobs: jobs(reader.curves.into_jobs(), place),
        counts: reader.counts,
        examples: reader.examples,
    }
}

/// Whether two files hold the same communication.
fn repeated(jobs: &[GatheredJob]) -> bool {
    let mut seen: BTreeMap<_, Vec<&GatheredCurve>> = BTreeMap::new();
    let curves = jobs.iter().flat_map(|job| {
        let curves = job.curves.iter();
        curves.map(move |(name, curve)| ((&job.op, job.place, job.gpus, name), curve))
    });
    // A job has a curve of a name once in each file.
    curves.into_iter().any(|(what, curve)| {
        let others = seen.entry(what).or_default();
        let is_repeated = others
            .iter()
            .any(|other| curve.runs().any(|run| other.has(run.size_bytes)));
        others.push(curve);
        is_repeated
    })
}

/// The jobs of all files, by operation and place in the order of the rows, then by number of GPUs.
fn jobs(gathered: Vec<GatheredJob>, place: impl Fn(&GatheredJob) -> String) -> Vec<CollectiveJob> {
    let (mut ops, mut places) = (BTreeMap::new(), BTreeMap::new());
    let mut found: BTreeMap<(usize, usize, u64), (String, GatheredJob)> = BTreeMap::new();
    for job in gathered {
        let place = place(&job);
        let next = ops.len();
        let op_order = *ops.entry(Arc::clone(&job.op)).or_insert(next);
        let next = places.len();
        let place_order = *places.entry(place.clone()).or_insert(next);
        match found.entry((op_order, place_order, job.gpus)) {
            Entry::Vacant(vacant) => {
                vacant.insert((place, job));
            }
            // The same job in another file, with other algorithms or sizes.
            Entry::Occupied(mut known) => {
                for (collective, curve) in job.curves {
                    let whole = known.get_mut().1.curve(collective);
                    curve.into_runs().for_each(|run| whole.add(run));
                }
            }
        }
    }
    let found = found.into_values();
    found.map(|(place, job)| finished(place, job)).collect()
}

fn finished(place: String, job: GatheredJob) -> CollectiveJob {
    CollectiveJob {
        op: job.op.as_ref().to_owned(),
        place,
        gpus: job.gpus,
        curves: (job.curves.into_iter())
            .map(|(collective, curve)| AlgorithmCurve {
                collective: collective.as_ref().to_owned(),
                runs: curve.into_runs().collect(),
            })
            .collect(),
    }
}

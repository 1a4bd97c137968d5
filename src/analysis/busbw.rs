//! Bus bandwidth of collective studies, by operation, job, algorithm and size.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::collective_runs::{AUTO, CollectiveRun, Transfer, TransferReader};
use super::findings::nothing_ran;
use crate::record::Counts;

/// Findings of one or several collective studies.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Collectives {
    /// Points by status.
    pub counts: Counts,
    /// One infeasible row of each kind of reason, in words.
    pub examples: BTreeMap<String, String>,
    /// The jobs, by operation and place in the order of the rows, then by rising number of GPUs.
    pub jobs: Vec<CollectiveJob>,
    /// Reason for an empty result.
    pub nothing: Option<String>,
}

/// One operation on one job, by all algorithms.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlgorithmCurve {
    /// Requested algorithm; [`AUTO`] where the library chooses.
    pub collective: String,
    /// The fastest run of each size, by rising size.
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
    let apart = runs.len() > 1 && repeated(&reader.transfers);
    let place = |transfer: &Transfer| -> String {
        let name = &names[transfer.place];
        let run = &runs[transfer.run.source as usize];
        match (apart, name.is_empty()) {
            (false, _) => name.clone(),
            (true, true) => run.clone(),
            (true, false) => format!("{run} {name}"),
        }
    };
    Collectives {
        nothing: nothing_ran(&reader.counts, ""),
        jobs: jobs(reader.transfers, place),
        counts: reader.counts,
        examples: reader.examples,
    }
}

/// Whether two files hold the same communication.
fn repeated(transfers: &[Transfer]) -> bool {
    let mut sources: BTreeMap<_, u32> = BTreeMap::new();
    transfers.iter().any(|it| {
        let what = (&it.op, it.place, it.gpus, &it.collective, it.run.size_bytes);
        *sources.entry(what).or_insert(it.run.source) != it.run.source
    })
}

/// A job under construction: its curves with the fastest run of each size.
struct Gathered {
    op: Arc<str>,
    place: String,
    curves: Vec<(Arc<str>, BTreeMap<u64, CollectiveRun>)>,
}

fn jobs(transfers: Vec<Transfer>, place: impl Fn(&Transfer) -> String) -> Vec<CollectiveJob> {
    let (mut ops, mut places) = (BTreeMap::new(), BTreeMap::new());
    let mut found: BTreeMap<(usize, usize, u64), Gathered> = BTreeMap::new();
    for transfer in transfers {
        let place = place(&transfer);
        let next = ops.len();
        let op_order = *ops.entry(Arc::clone(&transfer.op)).or_insert(next);
        let next = places.len();
        let place_order = *places.entry(place.clone()).or_insert(next);
        let job = found
            .entry((op_order, place_order, transfer.gpus))
            .or_insert_with(|| Gathered {
                op: transfer.op,
                place,
                curves: Vec::new(),
            });
        job.add(transfer.collective, transfer.run);
    }
    found
        .into_iter()
        .map(|((_, _, gpus), job)| job.finish(gpus))
        .collect()
}

impl Gathered {
    fn add(&mut self, collective: Arc<str>, run: CollectiveRun) {
        let known = self.curves.iter().position(|(name, _)| *name == collective);
        let curve = known.unwrap_or_else(|| {
            self.curves.push((collective, BTreeMap::new()));
            self.curves.len() - 1
        });
        let sizes = &mut self.curves[curve].1;
        match sizes.get(&run.size_bytes) {
            Some(best) if best.time_s <= run.time_s => {}
            Some(_) | None => {
                sizes.insert(run.size_bytes, run);
            }
        }
    }

    fn finish(self, gpus: u64) -> CollectiveJob {
        CollectiveJob {
            op: self.op.as_ref().to_owned(),
            place: self.place,
            gpus,
            curves: self
                .curves
                .into_iter()
                .map(|(collective, sizes)| AlgorithmCurve {
                    collective: collective.as_ref().to_owned(),
                    runs: sizes.into_values().collect(),
                })
                .collect(),
        }
    }
}

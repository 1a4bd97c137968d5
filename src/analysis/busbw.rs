//! A collective study: for each job and operation what every algorithm reaches by size.

use std::collections::BTreeMap;

use super::transfers::Transfers;

/// One run of an algorithm.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveRun {
    /// Bytes, as nccl-tests counts them.
    pub size: f64,
    /// Algorithm that carried it.
    pub used: String,
    /// Its time in seconds.
    pub time_s: f64,
    /// Its bus bandwidth in bytes per second.
    pub busbw: f64,
}

/// What one algorithm reaches on one job.
#[derive(Clone, Debug, PartialEq)]
pub struct AlgorithmCurve {
    /// The algorithm that was asked for; `auto` where the library chooses.
    pub asked: String,
    /// Its runs by size, the fastest protocol of each.
    pub runs: Vec<CollectiveRun>,
}

/// One operation on one job, by all algorithms.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveJob {
    /// Cluster, and what else of the cluster the study varies: `dgx-h100 fat-tree`.
    pub place: String,
    /// Operation.
    pub op: String,
    /// GPUs.
    pub gpus: u64,
    /// By the algorithm that was asked for.
    pub curves: Vec<AlgorithmCurve>,
}

impl CollectiveJob {
    /// The fastest run of each size over all algorithms, by size.
    pub fn fastest(&self) -> Vec<&CollectiveRun> {
        let mut best: BTreeMap<u64, &CollectiveRun> = BTreeMap::new();
        for run in self.curves.iter().flat_map(|curve| &curve.runs) {
            let there = best.entry(run.size as u64).or_insert(run);
            if run.time_s < there.time_s {
                *there = run;
            }
        }
        best.into_values().collect()
    }

    /// Algorithms that were asked for by name and ran.
    pub fn asked(&self) -> impl Iterator<Item = &AlgorithmCurve> {
        self.curves.iter().filter(|curve| curve.asked != AUTO)
    }
}

/// What the library's own choice is called.
pub const AUTO: &str = "auto";

/// The jobs of a collective study, in the order of operations, places and GPUs.
pub fn collective_jobs(transfers: &Transfers) -> Vec<CollectiveJob> {
    let mut found: BTreeMap<(&str, &str, u64), BTreeMap<&str, BySize>> = BTreeMap::new();
    for transfer in &transfers.ran {
        let key = (transfer.op.as_str(), transfer.place.as_str(), transfer.gpus);
        let algorithms = found.entry(key).or_default();
        let sizes = algorithms.entry(&transfer.algorithm).or_default();
        let run = CollectiveRun {
            size: transfer.size,
            used: transfer.used.clone(),
            time_s: transfer.time_s,
            busbw: transfer.busbw,
        };
        match sizes.get(&(transfer.size as u64)) {
            Some(best) if best.time_s <= run.time_s => {}
            _ => {
                sizes.insert(transfer.size as u64, run);
            }
        }
    }
    let jobs = found
        .into_iter()
        .map(|((op, place, gpus), algorithms)| CollectiveJob {
            place: place.to_owned(),
            op: op.to_owned(),
            gpus,
            curves: algorithms
                .into_iter()
                .map(|(asked, sizes)| AlgorithmCurve {
                    asked: asked.to_owned(),
                    runs: sizes.into_values().collect(),
                })
                .collect(),
        });
    jobs.collect()
}

/// The fastest run of each size.
type BySize = BTreeMap<u64, CollectiveRun>;

//! A collective study: for each cluster, operation and number of GPUs the fastest algorithm by size.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::FilesError;
use super::input::Rows;
use crate::record::{Column, PointsReader, columns};
use crate::spec::StudyKind;

/// The fastest run of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct FastestRun {
    /// Bytes, as nccl-tests counts them.
    pub size: f64,
    /// Algorithm that carried it.
    pub algorithm: String,
    /// Its time in seconds.
    pub time_s: f64,
    /// Its bus bandwidth in bytes per second.
    pub busbw: f64,
}

/// The fastest runs of one operation on one job.
#[derive(Clone, Debug, PartialEq)]
pub struct BusbwCurve {
    /// Cluster, or the GPU where the study leaves the cluster to it.
    pub place: String,
    /// Operation.
    pub op: String,
    /// GPUs.
    pub gpus: u64,
    /// By size.
    pub fastest: Vec<FastestRun>,
}

/// The curves of a collective study's `points.parquet`, in the order of places, operations and GPUs.
///
/// # Errors
/// If the file cannot be read, or is not of a collective study.
pub fn busbw_curves(file: &Path) -> Result<Vec<BusbwCurve>, FilesError> {
    let names = ["gpu", "cluster", "op", "size"];
    let inputs = names.map(|name| columns::find(StudyKind::Collective, name).copied());
    let wanted: Vec<Column> = inputs
        .into_iter()
        .flatten()
        .chain([
            columns::GPUS,
            columns::TIME_S,
            columns::BUSBW_BYTES_PER_S,
            columns::COLLECTIVE_USED,
        ])
        .collect();
    let [gpu, cluster, op, size, gpus, time, busbw, used] = wanted[..] else {
        return Ok(Vec::new());
    };
    let name = file.display().to_string();
    let mut found: BTreeMap<(String, String, u64), BTreeMap<u64, FastestRun>> = BTreeMap::new();
    for batch in PointsReader::open(file)?.read(&wanted)? {
        let rows = Rows {
            file: &name,
            batch: &batch,
        };
        let (gpu, cluster, op) = (rows.text(&gpu)?, rows.text(&cluster)?, rows.text(&op)?);
        let (size, gpus, used) = (
            rows.numbers(&size)?,
            rows.numbers(&gpus)?,
            rows.text(&used)?,
        );
        let (time, busbw) = (rows.numbers(&time)?, rows.numbers(&busbw)?);
        for row in 0..rows.len() {
            let (Some(time_s), Some(size)) = (time.get(row), size.get(row)) else {
                continue;
            };
            let text =
                |name: Option<&std::sync::Arc<str>>| name.map_or("", |name| &**name).to_owned();
            let place = text(cluster.get(row).or_else(|| gpu.get(row)));
            let key = (
                place,
                text(op.get(row)),
                gpus.get(row).unwrap_or(0.0) as u64,
            );
            let run = FastestRun {
                size,
                algorithm: text(used.get(row)),
                time_s,
                busbw: busbw.get(row).unwrap_or(0.0),
            };
            let sizes = found.entry(key).or_default();
            match sizes.get(&(size as u64)) {
                Some(best) if best.time_s <= time_s => {}
                _ => {
                    sizes.insert(size as u64, run);
                }
            }
        }
    }
    let curves = found
        .into_iter()
        .map(|((place, op, gpus), sizes)| BusbwCurve {
            place,
            op,
            gpus,
            fastest: sizes.into_values().collect(),
        });
    Ok(curves.collect())
}

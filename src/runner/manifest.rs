//! `manifest.json`: spec, program, machine, counts and checksums of a run.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::closed_set;
use crate::document::Document;
use crate::files::{is_entry, is_table, read_entry};
use crate::record::provenance::SCHEMA_VERSION;
use crate::record::{Counts, FileDigest, Provenance, WriteError, digest, table_files};
use crate::runner::clock;
use crate::runner::folder::{RunFolder, has_digest, names};
use crate::runner::host::Host;
use crate::runner::run::RunSummary;
use crate::runner::wall_time::{WallTimeReport, WallTimes};

closed_set! {
    /// Whether a run is complete.
    pub(crate) enum RunState: "state of a run" {
        /// Every point has its row.
        Complete = "complete",
        /// A signal or `--fail-fast` ended it; what was finished lies in `parts/`.
        Interrupted = "interrupted",
    }
}

/// Files of a run besides its manifest, which names those that are there.
pub(super) const RESULTS: [&str; 4] = [names::POINTS, names::SCALING, names::REPORT, names::SPEC];

/// Spec, program, machine, counts and checksums of a run.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Manifest {
    /// Name of the spec.
    pub name: String,
    /// Kind of study.
    pub study: &'static str,
    /// Version of the columns of the result files.
    pub schema_version: u32,
    /// BLAKE3 hash of `spec.toml`.
    pub spec_hash: String,
    /// Version of the program.
    pub version: &'static str,
    /// Build of the program, by its sources.
    pub build: &'static str,
    /// Revision that it was built from.
    pub revision: &'static str,
    /// The command line.
    pub command: Vec<String>,
    /// BLAKE3 hash of the catalogue.
    pub catalog_hash: String,
    /// Seed of the draws; the first one where it is an axis.
    pub seed: u64,
    /// The machine.
    pub host: Host,
    /// Threads that simulated, or that joined shards.
    pub threads: usize,
    /// Whether the run is complete.
    pub state: RunState,
    /// Points by how they ended.
    #[serde(serialize_with = "counts")]
    #[schemars(with = "WrittenCounts")]
    pub counts: Counts,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC.
    pub finished: String,
    /// Wall time per point.
    pub wall_time_per_point: WallTimeReport,
    /// Every file besides this one.
    pub files: BTreeMap<String, FileDigest>,
}

/// Counts under the names that they have in `manifest.json`.
#[derive(JsonSchema, Serialize)]
struct WrittenCounts<'a> {
    /// All points.
    points: u64,
    /// Points that ran.
    ok: u64,
    /// Points that cannot run.
    infeasible: u64,
    /// Points on which the simulator failed.
    crashed: u64,
    /// Infeasible points by the kind of their reason.
    infeasible_by_reason: &'a BTreeMap<String, u64>,
}

fn counts<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    let written = WrittenCounts {
        points: counts.points(),
        ok: counts.ok,
        infeasible: counts.infeasible,
        crashed: counts.crashed,
        infeasible_by_reason: &counts.reasons,
    };
    written.serialize(serializer)
}

/// Facts of a run that its summary does not hold.
#[derive(Clone, Debug)]
pub(crate) struct RunFacts {
    /// Seed of the draws.
    pub seed: u64,
    /// Threads that simulated.
    pub threads: usize,
    /// When the run began, in UTC.
    pub started: String,
}

impl Manifest {
    /// The manifest of a run folder, with checksums of all its files.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn of(
        folder: &RunFolder,
        provenance: &Provenance,
        summary: &RunSummary,
        facts: RunFacts,
    ) -> io::Result<Self> {
        let files = file_entries(folder)?;
        Ok(Self {
            name: provenance.spec_name.clone(),
            study: provenance.study.as_str(),
            schema_version: SCHEMA_VERSION,
            spec_hash: provenance.spec_hash(),
            version: Provenance::version(),
            build: Provenance::build(),
            revision: Provenance::revision(),
            command: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            catalog_hash: provenance.catalog_hash.clone(),
            seed: facts.seed,
            host: Host::this(),
            threads: facts.threads,
            state: if summary.complete {
                RunState::Complete
            } else {
                RunState::Interrupted
            },
            counts: summary.counts.clone(),
            started: facts.started,
            finished: clock::now_utc(),
            wall_time_per_point: summary.wall_times.report(),
            files,
        })
    }

    /// Writes the manifest into its folder.
    ///
    /// # Errors
    /// If the file system refuses.
    ///
    /// # Panics
    /// Never: every field can be written as JSON.
    pub(crate) fn write(&self, folder: &RunFolder) -> Result<(), WriteError> {
        let document = Document::Manifest.of(self);
        folder.add(names::MANIFEST, format!("{document:#}\n").as_bytes())
    }
}

/// The manifest of an earlier, unfinished part of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Earlier {
    /// When it began, in UTC.
    pub started: Option<String>,
    /// Wall time of the points that it finished.
    pub wall_times: WallTimes,
    /// BLAKE3 hash of its `points.parquet`, in hex.
    pub points: Option<String>,
    /// BLAKE3 hash of its spec, in hex.
    spec_hash: Option<String>,
}

impl Earlier {
    /// Reads the manifest; empty where there is none, as after a killed process.
    pub(crate) fn of(folder: &RunFolder) -> Self {
        let text = read_entry(&folder.manifest()).unwrap_or_default();
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let mut earlier = Self {
            started: manifest["started"].as_str().map(str::to_owned),
            points: manifest["files"][names::POINTS]["blake3"]
                .as_str()
                .map(str::to_owned),
            spec_hash: manifest["spec_hash"].as_str().map(str::to_owned),
            ..Self::default()
        };
        let buckets = &manifest["wall_time_per_point"]["histogram"];
        for bucket in buckets.as_array().into_iter().flatten() {
            if let (Some(micros), Some(points)) =
                (bucket["up_to_us"].as_u64(), bucket["points"].as_u64())
            {
                earlier.wall_times.add_many(micros, points);
            }
        }
        earlier
    }

    /// The same where it is of this spec; empty of a result that is replaced.
    pub(crate) fn of_spec(self, spec_hash: &str) -> Self {
        if self.spec_hash.as_deref() == Some(spec_hash) {
            self
        } else {
            Self::default()
        }
    }
}

/// Whether a folder's table is not the one that its manifest states. Beside parts it may be a newer one, whose manifest is
/// not yet written.
pub(crate) fn has_damaged_table(folder: &RunFolder) -> bool {
    let stated = Earlier::of(folder).points;
    let is_alone = || folder.part_files().unwrap_or_default().is_empty();
    stated.is_some() && !has_digest(&folder.points(), stated.as_deref()) && is_alone()
}

/// Takes damaged files of a folder that are about to be removed out of its manifest, if it names any: it is then that of an interrupted
/// run, and of a damaged table names no file.
///
/// # Errors
/// If the manifest cannot be written.
pub(super) fn forget_files(folder: &RunFolder, removed: &[PathBuf]) -> Result<(), WriteError> {
    let text = read_entry(&folder.manifest()).unwrap_or_default();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(files) = manifest.get_mut("files").and_then(|it| it.as_object_mut()) else {
        return Ok(());
    };
    let removed = removed
        .iter()
        .filter_map(|path| path.strip_prefix(folder.path()).ok()?.to_str());
    let removed: Vec<&str> = removed.filter(|name| files.contains_key(*name)).collect();
    if removed.is_empty() {
        return Ok(());
    }
    let is_of_table = |name: &str| name.split('/').next() == Some(names::POINTS);
    let loses_table = removed.iter().any(|name| is_of_table(name));
    files.retain(|name, _| {
        let is_lost = loses_table && is_of_table(name);
        !is_lost && !removed.contains(&name.as_str())
    });
    manifest["state"] = json!(RunState::Interrupted.as_str());
    folder.add(names::MANIFEST, format!("{manifest:#}\n").as_bytes())
}

/// Updates the checksums of findings in a folder's manifest, if any, after they were rewritten.
///
/// # Errors
/// If a file cannot be read or the manifest cannot be written.
pub(crate) fn refresh_files(folder: &RunFolder) -> Result<(), WriteError> {
    let path = folder.manifest();
    let refused = |source| WriteError::new(&path, source);
    if !is_entry(&path) {
        return Ok(());
    }
    let text = read_entry(&path).map_err(refused)?;
    let mut manifest: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| refused(error.into()))?;
    for name in [names::SCALING, names::REPORT] {
        let path = folder.path().join(name);
        let Some(files) = manifest["files"].as_object_mut() else {
            break;
        };
        if is_entry(&path) {
            files.insert(name.to_owned(), json!(digest(&path).map_err(refused)?));
        } else {
            files.remove(name);
        }
    }
    folder.add(names::MANIFEST, format!("{manifest:#}\n").as_bytes())
}

fn file_entries(folder: &RunFolder) -> io::Result<BTreeMap<String, FileDigest>> {
    let mut files = BTreeMap::new();
    for name in RESULTS {
        let path = folder.path().join(name);
        if is_table(&path) {
            files.insert(name.to_owned(), digest(&path)?);
        }
    }
    if folder.points().is_dir() {
        for path in table_files(&folder.points())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(format!("{}/{name}", names::POINTS), digest(&path)?);
        }
    }
    // Parts beside a whole table are about to be removed.
    let parts = if folder.holds_table() {
        Vec::new()
    } else {
        folder.part_files().unwrap_or_default()
    };
    for path in parts {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.insert(format!("{}/{name}", names::PARTS), digest(&path)?);
    }
    Ok(files)
}

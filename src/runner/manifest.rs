//! `manifest.json`: what was run, by which program, where, and what came of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;

use serde::Serialize;

use crate::closed_set;
use crate::record::{PointStatus, Provenance, WriteError};
use crate::runner::folder::{RunFolder, names};
use crate::runner::wall_time::{WallTimeReport, WallTimes};
use crate::runner::{RunSummary, clock};
use crate::simulation::ReasonKind;

closed_set! {
    /// How far a run came.
    pub enum RunState: "state of a run" {
        /// Every point has its row.
        Complete = "complete",
        /// A signal or `--fail-fast` ended it; what was finished lies in `parts/`.
        Interrupted = "interrupted",
    }
}

/// Points by how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All points that were played.
    pub points: u64,
    /// Those that ran.
    pub ok: u64,
    /// Those that cannot run.
    pub infeasible: u64,
    /// Those that the simulator failed on.
    pub crashed: u64,
    /// Those that cannot run, by kind of reason.
    pub infeasible_by_reason: BTreeMap<String, u64>,
}

impl Counts {
    /// Counts one row; an infeasible one by the kind of its reason.
    pub fn add(&mut self, status: PointStatus, kind: Option<ReasonKind>) {
        self.points += 1;
        match status {
            PointStatus::Ok => self.ok += 1,
            PointStatus::Infeasible => {
                self.infeasible += 1;
                let by_kind = &mut self.infeasible_by_reason;
                *by_kind
                    .entry(kind.map_or_else(String::new, |kind| kind.to_string()))
                    .or_default() += 1;
            }
            PointStatus::Crashed => self.crashed += 1,
        }
    }
}

/// The machine that a run was made on.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its operating system and processor architecture.
    pub platform: String,
    /// Its processor.
    pub cpu: Option<String>,
    /// Threads that it runs at once.
    pub cpus: usize,
}

impl Host {
    /// This machine.
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            name: read("/proc/sys/kernel/hostname")
                .map(|text| text.trim().to_owned())
                .or_else(|| std::env::var("HOSTNAME").ok())
                .unwrap_or_default(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: read("/proc/cpuinfo").and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("model name"))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            }),
            cpus: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// A file of the run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 hash of it, in hex.
    pub blake3: String,
}

/// What was run, by which program, where, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Name of the spec.
    pub name: String,
    /// Kind of study.
    pub study: &'static str,
    /// BLAKE3 hash of `spec.toml`.
    pub spec_hash: String,
    /// Version of the program.
    pub version: &'static str,
    /// BLAKE3 hash of the catalogue.
    pub catalog_hash: String,
    /// Seed of the draws; the first one where it is an axis.
    pub seed: u64,
    /// The machine.
    pub host: Host,
    /// Threads that simulated, or that joined what shards had.
    pub threads: usize,
    /// How far the run came.
    pub state: RunState,
    /// Points by how they ended.
    pub counts: Counts,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC.
    pub finished: String,
    /// Wall time per point.
    pub wall_time_per_point: WallTimeReport,
    /// Every file besides this one.
    pub files: BTreeMap<String, FileEntry>,
}

/// What a manifest is told beside the summary.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// Seed of the draws.
    pub seed: u64,
    /// Threads that simulated.
    pub threads: usize,
    /// When the run began, in UTC.
    pub started: String,
}

impl Manifest {
    /// Takes stock of a run folder, with checksums of all its files.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn of(
        folder: &RunFolder,
        provenance: &Provenance,
        summary: &RunSummary,
        facts: RunFacts,
    ) -> io::Result<Self> {
        let files = file_entries(folder)?;
        Ok(Self {
            name: provenance.spec_name.clone(),
            study: provenance.study.as_str(),
            spec_hash: provenance.spec_hash(),
            version: Provenance::version(),
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

    /// Puts it into its folder.
    ///
    /// # Errors
    /// If the file system refuses.
    ///
    /// # Panics
    /// Never: every part of it can be written as JSON.
    pub fn write(&self, folder: &RunFolder) -> Result<(), WriteError> {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest has only text keys");
        text.push('\n');
        folder.add(names::MANIFEST, text.as_bytes())
    }
}

/// What the manifest of a run that was begun before says of it.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// When it began, in UTC.
    pub started: Option<String>,
    /// Wall time of the points that it finished.
    pub wall_times: WallTimes,
}

impl Earlier {
    /// Reads it, as far as it is there: a process that was killed has left none.
    pub fn of(folder: &RunFolder) -> Self {
        let text = fs::read_to_string(folder.manifest()).unwrap_or_default();
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let mut earlier = Self {
            started: manifest["started"].as_str().map(str::to_owned),
            ..Self::default()
        };
        let buckets = &manifest["wall_time_per_point"]["histogram"];
        for bucket in buckets.as_array().into_iter().flatten() {
            if let (Some(micros), Some(points)) = (bucket[0].as_u64(), bucket[1].as_u64()) {
                earlier.wall_times.add_many(micros, points);
            }
        }
        earlier
    }
}

/// Takes the checksums of a folder's manifest anew, where it has one: findings were rewritten.
///
/// # Errors
/// If a file cannot be read or the manifest cannot be written.
pub fn refresh_files(folder: &RunFolder) -> Result<(), WriteError> {
    let path = folder.manifest();
    let refused = |source| WriteError::Io {
        path: path.clone(),
        source,
    };
    if !path.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(&path).map_err(refused)?;
    let mut manifest: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| refused(error.into()))?;
    let files = file_entries(folder).map_err(refused)?;
    manifest["files"] = serde_json::json!(files);
    folder.add(names::MANIFEST, format!("{manifest:#}\n").as_bytes())
}

fn file_entries(folder: &RunFolder) -> io::Result<BTreeMap<String, FileEntry>> {
    let mut files = BTreeMap::new();
    for name in [names::POINTS, names::SCALING, names::REPORT, names::SPEC] {
        let path = folder.path().join(name);
        if path.is_file() {
            files.insert(name.to_owned(), file_entry(&path)?);
        }
    }
    Ok(files)
}

fn file_entry(path: &Path) -> io::Result<FileEntry> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(FileEntry {
        bytes: hasher.count(),
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

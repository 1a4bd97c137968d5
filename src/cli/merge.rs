//! `sweep merge`.

use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::cli::conclusion::{Done, conclude};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::run_source::RunSource;
use crate::cli::spec_args::{points, provenance, threads};
use crate::cli::terminal::{Format, Stderr};
use crate::record::Provenance;
use crate::runner::{
    Earlier, RunFolder, RunSummary, ShardError, Shards, WallTimes, clock, folder::names,
};
use crate::spec::{Portion, Spec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders that `sweep run --shard K/N` wrote, all N of them
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<PathBuf>,
    /// Run folder to write
    #[arg(short, long, value_name = "RUN")]
    out: PathBuf,
    /// Replace the result that the run folder holds
    #[arg(long)]
    overwrite: bool,
    /// Format of the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let folders = args
        .shards
        .iter()
        .map(|path| shard_folder(path))
        .collect::<Result<Vec<_>, _>>()?;
    if folders
        .iter()
        .any(|shard| same_place(shard.path(), &args.out))
    {
        let out = args.out.display();
        return Err(Failure::usage(format!(
            "`{out}` is one of the shards; name another folder with --out"
        )));
    }
    let shards = Shards::of(&folders, &Catalog::hash()).map_err(|error| failure(&error))?;
    let spec = RunSource::new(&args.shards[0])?.spec(stderr)?;
    let spec = spec.ok_or_else(|| {
        let path = args.shards[0].display();
        Failure::io(format!(
            "shard `{path}` has no spec.toml, which says what its points are"
        ))
    })?;
    let portion = Portion {
        limit: shards.limit(),
        shard: None,
    };
    let provenance = provenance(&spec, portion);
    let folder = RunFolder::claim(&args.out, args.overwrite).map_err(Failure::io)?;
    let done = join(&shards, &folders, &spec, &folder, &provenance)?;
    conclude(&done, args.format)
}

fn shard_folder(path: &Path) -> Result<RunFolder, Failure> {
    if path.is_dir() {
        Ok(RunFolder::existing(path))
    } else {
        Err(Failure::io(format!(
            "`{}` is no folder; name those that `sweep run --shard` wrote",
            path.display()
        )))
    }
}

/// Whether two paths lead to one folder.
fn same_place(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Joins the points and the manifests of the shards.
fn join<'a>(
    shards: &Shards,
    folders: &[RunFolder],
    spec: &'a Spec,
    folder: &'a RunFolder,
    provenance: &'a Provenance,
) -> Result<Done<'a>, Failure> {
    let counts = shards
        .join(folder, provenance, points(spec, provenance.portion))
        .map_err(|error| failure(&error))?;
    folder.clear_beside(&[names::POINTS]).map_err(Failure::io)?;
    folder
        .add(names::SPEC, provenance.spec.as_bytes())
        .map_err(Failure::io)?;
    let mut wall_times = WallTimes::default();
    let mut started = clock::now_utc();
    for shard in folders.iter().map(Earlier::of) {
        wall_times.add_all(&shard.wall_times);
        // UTC times of one form: the earlier one sorts first.
        started = shard.started.map_or(started.clone(), |it| it.min(started));
    }
    let summary = RunSummary {
        counts,
        wall_times,
        crashes: Vec::new(),
        interrupted: None,
        complete: true,
    };
    Ok(Done {
        spec,
        folder,
        provenance,
        summary,
        started,
        threads: threads(None),
    })
}

fn failure(error: &ShardError) -> Failure {
    match error {
        ShardError::Read(_)
        | ShardError::Join(_)
        | ShardError::Write(_)
        | ShardError::Damaged { .. } => Failure::io(error),
        ShardError::Unfinished { .. }
        | ShardError::NoShard { .. }
        | ShardError::Differ { .. }
        | ShardError::Program { .. }
        | ShardError::Spec { .. }
        | ShardError::Twice { .. }
        | ShardError::Missing { .. }
        | ShardError::Points { .. } => Failure::usage(error),
    }
}

//! Shards joined into the run that one machine would have written.

use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::commands::conclusion::{Conclusion, Done};
use crate::commands::failure::Failure;
use crate::commands::points::{points, provenance, threads};
use crate::commands::run_source::RunSource;
use crate::record::Provenance;
use crate::runner::{
    Earlier, RunFolder, RunSummary, ShardError, Shards, WallTimes, clock, folder::names,
};
use crate::spec::Spec;

/// Joins the folders of shards into the run folder that one machine would have written, and returns what `concluded`
/// makes of it.
///
/// # Errors
/// If shards are missing, belong to different runs, or a file cannot be read or written.
pub fn merge<T>(
    shards: &[PathBuf],
    out: &Path,
    overwrite: bool,
    concluded: impl FnOnce(Conclusion<'_>) -> T,
) -> Result<T, Failure> {
    let paths = shards;
    let folders = paths
        .iter()
        .map(|path| shard_folder(path))
        .collect::<Result<Vec<_>, _>>()?;
    if folders.iter().any(|shard| same_place(shard.path(), out)) {
        let out = out.display();
        return Err(Failure::usage(format!(
            "`{out}` is one of the shards; name another folder with --out"
        )));
    }
    let shards = Shards::of(&folders, &Catalog::hash()).map_err(|error| failure(&error))?;
    let Some(first) = paths.first() else {
        return Err(Failure::usage("no shard is named"));
    };
    let spec = RunSource::new(first)?.spec()?;
    let spec = spec.ok_or_else(|| {
        let path = first.display();
        Failure::io(format!(
            "shard `{path}` has no spec.toml, which says what its points are"
        ))
    })?;
    let provenance = provenance(&spec, shards.portion());
    let folder = RunFolder::claim(out, overwrite).map_err(Failure::io)?;
    let done = join(&shards, &folders, &spec, folder, provenance)?;
    Ok(concluded(done.conclude()?))
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
    folder: RunFolder,
    provenance: Provenance,
) -> Result<Done<'a>, Failure> {
    let counts = shards
        .join(&folder, &provenance, points(spec, provenance.portion))
        .map_err(|error| failure(&error))?;
    folder.remove_parts().map_err(Failure::io)?;
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
        earlier: Earlier::default(),
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

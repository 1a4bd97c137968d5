//! End of a run or a merge: findings, manifest, summary and exit status.

use std::num::NonZeroUsize;

use serde_json::json;

use crate::analysis::StudyFindings;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::findings::{Results, find, question, summary, with_findings, write_findings};
use crate::cli::spec_args::points;
use crate::cli::terminal::Format;
use crate::record::{Counts, Provenance};
use crate::report::counts_line;
use crate::runner::manifest::RunFacts;
use crate::runner::{Manifest, RunFolder, RunSummary, Signal};
use crate::spec::{Axis, Spec};

/// A run folder whose points were simulated or joined.
pub(super) struct Done<'a> {
    pub(super) spec: &'a Spec,
    pub(super) folder: &'a RunFolder,
    pub(super) provenance: &'a Provenance,
    pub(super) summary: RunSummary,
    pub(super) started: String,
    pub(super) threads: NonZeroUsize,
}

/// Analyses a whole run, writes the files beside its points, and prints the summary.
pub(super) fn conclude(done: &Done<'_>, format: Format) -> Result<ExitStatus, Failure> {
    let found = analyse(done)?;
    let manifest = manifest(done)?;
    format.print(
        || match &found {
            Some(found) => summary(found, question(done.spec)),
            None => partial(done.folder, done.provenance, &manifest.counts),
        },
        || {
            let value = json!({"folder": done.folder.path(), "manifest": manifest});
            with_findings(value, found.as_ref())
        },
    )?;
    Ok(match done.summary.interrupted {
        // A signal after the last point changed nothing.
        Some(Signal::Interrupt) if !done.summary.complete => ExitStatus::Interrupted,
        Some(Signal::Terminate) if !done.summary.complete => ExitStatus::Terminated,
        Some(_) | None if done.summary.counts.crashed > 0 => ExitStatus::Finding,
        Some(_) | None => ExitStatus::Success,
    })
}

/// The findings of a whole run; `None` of a shard or a stopped run, whose curves would lack points.
fn analyse(done: &Done<'_>) -> Result<Option<StudyFindings>, Failure> {
    if !done.summary.complete || done.provenance.portion.shard.is_some() {
        return Ok(None);
    }
    let points = done.folder.points();
    let results = Results {
        files: &[&points],
        specs: &[Some(done.spec)],
        settings: &done.spec.analysis,
        axis: Axis::Gpus,
        threads: done.threads,
    };
    let found = find(&results)?;
    let charts = results.charts()?;
    let question = question(done.spec);
    write_findings(done.folder, done.provenance, &found, &charts, question)?;
    Ok(Some(found))
}

fn manifest(done: &Done<'_>) -> Result<Manifest, Failure> {
    let first = points(done.spec, done.provenance.portion).next();
    let facts = RunFacts {
        seed: first.and_then(|point| point.int(Axis::Seed)).unwrap_or(0),
        threads: done.threads.get(),
        started: done.started.clone(),
    };
    let manifest = Manifest::of(done.folder, done.provenance, &done.summary, facts);
    let manifest = manifest.map_err(|error| {
        let (name, folder) = (&done.spec.name, done.folder.path().display());
        Failure::io(format!(
            "cannot read back the results of {name} in `{folder}`: {error}"
        ))
    })?;
    manifest.write(done.folder).map_err(Failure::io)?;
    if done.summary.complete {
        // Not before: they stand for a table whose digest no manifest holds.
        done.folder.remove_parts().map_err(Failure::io)?;
    }
    Ok(manifest)
}

/// Counts of a shard or a stopped run: `12 points: 10 ran, 2 infeasible (memory 2) in results/llm`.
fn partial(folder: &RunFolder, provenance: &Provenance, counts: &Counts) -> String {
    let shard = provenance.portion.shard;
    let shard = shard.map_or_else(String::new, |shard| format!("shard {shard}: "));
    format!(
        "{shard}{} in {}\n",
        counts_line(counts),
        folder.path().display()
    )
}

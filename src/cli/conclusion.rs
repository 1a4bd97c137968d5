//! What follows the points of a run, played or joined: findings, manifest, summary.

use std::num::NonZeroUsize;

use serde_json::json;

use crate::analysis::StudyFindings;
use crate::cli::Failure;
use crate::cli::findings::{Results, find, question, summary, write_findings};
use crate::cli::list::Format;
use crate::record::{Counts, Provenance};
use crate::runner::manifest::RunFacts;
use crate::runner::{Manifest, RunFolder, RunSummary};
use crate::spec::{Axis, Spec};

/// What came of the points, and when they were begun.
pub(super) struct Done {
    pub(super) summary: RunSummary,
    pub(super) started: String,
    pub(super) seed: u64,
    pub(super) threads: NonZeroUsize,
}

/// Analyses a whole run, writes everything that stands beside its points, and gives the summary.
pub(super) fn conclude(
    spec: &Spec,
    folder: &RunFolder,
    provenance: &Provenance,
    done: &Done,
    format: Format,
) -> Result<String, Failure> {
    let found = findings(spec, folder, provenance, done)?;
    let manifest = manifest(spec, folder, provenance, done)?;
    Ok(match format {
        Format::Text => match &found {
            Some(found) => summary(found, question(spec)),
            None => partial(folder, provenance, &manifest.counts),
        },
        Format::Json => json_summary(folder, &manifest, found.as_ref()),
    })
}

/// The findings of a whole run; a part of the points would make curves of what is not there.
fn findings(
    spec: &Spec,
    folder: &RunFolder,
    provenance: &Provenance,
    done: &Done,
) -> Result<Option<StudyFindings>, Failure> {
    if !done.summary.complete || provenance.portion.shard.is_some() {
        return Ok(None);
    }
    let found = find(&Results {
        files: &[&folder.points()],
        specs: &[Some(spec)],
        settings: &spec.analysis,
        size_axis: Axis::Gpus,
        threads: done.threads,
    })?;
    write_findings(folder, provenance, &found, question(spec))?;
    Ok(Some(found))
}

fn manifest(
    spec: &Spec,
    folder: &RunFolder,
    provenance: &Provenance,
    done: &Done,
) -> Result<Manifest, Failure> {
    let facts = RunFacts {
        seed: done.seed,
        threads: done.threads.get(),
        started: done.started.clone(),
    };
    let manifest = Manifest::of(folder, provenance, &done.summary, facts).map_err(|error| {
        Failure::io(format!(
            "cannot read back the results of {} in `{}`: {error}",
            spec.name,
            folder.path().display()
        ))
    })?;
    manifest.write(folder).map_err(Failure::io)?;
    Ok(manifest)
}

/// How the points of a run ended that was stopped, or of a shard:
/// `12 points: 10 ok, 2 infeasible (memory 2) in results/llm`.
fn partial(folder: &RunFolder, provenance: &Provenance, counts: &Counts) -> String {
    let mut text = provenance
        .portion
        .shard
        .map_or_else(String::new, |shard| format!("shard {shard}: "));
    text.push_str(&format!("{} points: {} ok", counts.points(), counts.ok));
    if counts.infeasible > 0 {
        let reasons: Vec<String> = counts
            .reasons
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        text.push_str(&format!(
            ", {} infeasible ({})",
            counts.infeasible,
            reasons.join(", ")
        ));
    }
    if counts.crashed > 0 {
        text.push_str(&format!(", {} crashed", counts.crashed));
    }
    format!("{text} in {}\n", folder.path().display())
}

fn json_summary(folder: &RunFolder, manifest: &Manifest, found: Option<&StudyFindings>) -> String {
    let value = json!({
        "folder": folder.path(),
        "manifest": manifest,
        "findings": found.and_then(StudyFindings::training),
        "collectives": found.and_then(StudyFindings::collective),
    });
    format!("{value:#}\n")
}

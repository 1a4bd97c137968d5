//! End of a run or a merge: findings, manifest and summary.

use std::num::NonZeroUsize;

use serde_json::Value;

use crate::analysis::StudyFindings;
use crate::commands::detail::Detail;
use crate::commands::failure::Failure;
use crate::commands::findings::{Results, Told, find, question, trusted, write_findings};
use crate::commands::findings_document::{FindingsDocument, RunDocument};
use crate::commands::points::first_points;
use crate::document::Document;
use crate::record::{Counts, Provenance};
use crate::report::counts_line;
use crate::runner::manifest::RunFacts;
use crate::runner::{Earlier, Manifest, RunFolder, RunSummary, Signal};
use crate::spec::{Axis, Spec};

/// A run folder whose points were simulated or joined.
#[derive(Debug)]
pub struct Done<'a> {
    pub(super) spec: &'a Spec,
    pub(crate) folder: RunFolder,
    pub(super) provenance: Provenance,
    pub(crate) summary: RunSummary,
    /// Result that an earlier run of the folder left.
    pub(super) earlier: Earlier,
    pub(super) started: String,
    pub(super) threads: NonZeroUsize,
}

impl<'a> Done<'a> {
    /// Analyses a whole run and writes the files beside its points.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn conclude(mut self) -> Result<Conclusion<'a>, Failure> {
        self.summary.wall_times.add_all(&self.earlier.wall_times);
        let found = self.analyse()?;
        let manifest = self.manifest()?;
        Ok(Conclusion {
            done: self,
            found,
            manifest,
        })
    }

    /// The findings of a whole run; `None` of a shard or a stopped run, whose curves would lack points.
    fn analyse(&self) -> Result<Option<StudyFindings>, Failure> {
        if !self.summary.complete {
            return Ok(None);
        }
        if self.provenance.portion.shard.is_some() {
            self.folder.remove_findings().map_err(Failure::io)?;
            return Ok(None);
        }
        let points = self.folder.points();
        let results = Results {
            files: &[&points],
            specs: &[Some(self.spec)],
            settings: &self.spec.analysis,
            axis: Axis::Gpus,
            threads: self.threads,
        };
        let found = find(&results)?;
        if !matches!(found, StudyFindings::Training(_)) {
            self.folder.remove_scaling().map_err(Failure::io)?;
        }
        let charts = results.charts()?;
        let question = question(self.spec);
        let trust = trusted(&found, results.specs)?;
        let (folder, origin) = (&self.folder, &self.provenance);
        write_findings(folder, origin, &found, &charts, question, trust.as_ref())?;
        Ok(Some(found))
    }

    fn manifest(&self) -> Result<Manifest, Failure> {
        // Where `where` drops all points at the beginning, the first one that it could keep.
        let first = first_points(self.spec, self.provenance.portion, 1).pop();
        let first = first.unwrap_or_else(|| self.spec.plan().point(0));
        let facts = RunFacts {
            seed: first.int(Axis::Seed).unwrap_or(0),
            threads: self.threads.get(),
            started: self.started.clone(),
        };
        let manifest = Manifest::of(&self.folder, &self.provenance, &self.summary, facts);
        let manifest = manifest.map_err(|error| {
            let (name, folder) = (&self.spec.name, self.folder.path().display());
            Failure::io(format!(
                "cannot read back the results of {name} in `{folder}`: {error}"
            ))
        })?;
        if !self.summary.complete && self.folder.holds_table() {
            // A result that is not yet replaced keeps its own.
            return Ok(manifest);
        }
        manifest.write(&self.folder).map_err(Failure::io)?;
        if self.summary.complete {
            // Not before: they stand for a table whose digest no manifest holds.
            self.folder.remove_parts().map_err(Failure::io)?;
        }
        Ok(manifest)
    }
}

/// A run folder that is finished, or as far as a signal let it.
#[derive(Debug)]
pub struct Conclusion<'a> {
    done: Done<'a>,
    found: Option<StudyFindings>,
    manifest: Manifest,
}

impl Conclusion<'_> {
    /// The findings for people; of a shard or a stopped run its counts.
    ///
    /// # Errors
    /// If the spec has not the points of the findings.
    pub fn text(&self, detail: Detail) -> Result<String, Failure> {
        let Done {
            spec,
            folder,
            provenance,
            ..
        } = &self.done;
        let Some(found) = &self.found else {
            return Ok(partial(folder, provenance, &self.manifest.counts));
        };
        let told = Told {
            found,
            specs: &[Some(*spec)],
            question: question(spec),
            folder: Some(folder.path()),
        };
        told.text(detail)
    }

    /// Folder, manifest and findings for programs, `clustersweep.run/1`.
    pub fn json(&self) -> Value {
        let folder = &self.done.folder;
        let found = self.found.as_ref();
        Document::Run.of(&RunDocument {
            folder: folder.path(),
            manifest: &self.manifest,
            found: found.map_or_else(FindingsDocument::default, |found| {
                FindingsDocument::new(found, [folder.points()])
            }),
        })
    }

    /// Signal that ended the run before its last point.
    pub(crate) fn stopped_by(&self) -> Option<Signal> {
        // A signal after the last point changed nothing.
        let summary = &self.done.summary;
        summary.interrupted.filter(|_| !summary.complete)
    }

    /// Whether every point has a row.
    pub fn is_complete(&self) -> bool {
        self.done.summary.complete
    }

    /// Whether the simulator crashed on a point.
    pub fn has_crashed(&self) -> bool {
        self.done.summary.counts.crashed > 0
    }
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

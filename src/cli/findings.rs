//! The findings of runs of either kind: found, written beside the points, and summed up.

use std::num::NonZeroUsize;
use std::path::Path;

use crate::analysis::{
    BreakdownStatus, FilesError, Findings, StudyFindings, analyse_files, scaling_batches,
    scaling_schema,
};
use crate::cli::Failure;
use crate::record::{Provenance, TableWriter, short_hash};
use crate::report;
use crate::runner::{RunFolder, folder::names};
use crate::spec::{AnalysisSettings, Axis, Spec};
use crate::whatif::{Questions, run_questions};

/// The question that a spec answers, where it says so.
pub(super) fn question(spec: &Spec) -> Option<&str> {
    Some(spec.description.as_str()).filter(|text| !text.is_empty())
}

/// Series besides those of the summary whose breakdown is asked about.
const BROKEN_BESIDES: usize = 20;

/// Files of results to analyse together.
pub(super) struct Results<'a> {
    /// The files.
    pub(super) files: &'a [&'a Path],
    /// Their specs, in the same order, where they have one.
    pub(super) specs: &'a [Option<&'a Spec>],
    /// How the findings are made.
    pub(super) settings: &'a AnalysisSettings,
    /// What training scales over.
    pub(super) size_axis: Axis,
    /// Threads that simulate.
    pub(super) threads: NonZeroUsize,
}

/// What results say; about training also what simulating points again does.
pub(super) fn find(results: &Results<'_>) -> Result<StudyFindings, Failure> {
    let (files, settings) = (results.files, results.settings);
    let mut found =
        analyse_files(files, settings, results.size_axis).map_err(|error| match error {
            FilesError::Read(ref fault) if !fault.is_impossible_value() => Failure::io(error),
            FilesError::Read(_) | FilesError::Kinds { .. } => Failure::usage(error),
        })?;
    if let StudyFindings::Training(findings) = &mut found {
        simulate_again(findings, results.specs, settings, results.threads);
    }
    Ok(found)
}

/// Adds to findings what simulating points again says: about every series and about the points of those that
/// the summary shows. `specs` are those of the files analysed, in their order.
fn simulate_again(
    findings: &mut Findings,
    specs: &[Option<&Spec>],
    settings: &AnalysisSettings,
    threads: NonZeroUsize,
) {
    let shown: Vec<u32> = report::answer::select(findings)
        .series
        .iter()
        .map(|series| series.number)
        .collect();
    let broken = findings
        .series
        .iter()
        .filter(|series| series.breakdown.status == BreakdownStatus::Confirmed)
        .map(|series| series.number)
        .filter(|number| !shown.contains(number))
        .take(BROKEN_BESIDES);
    let broken: Vec<u32> = broken.collect();
    let questions = Questions {
        specs,
        settings,
        shown: &shown,
        broken: &broken,
    };
    run_questions(findings, &questions, threads);
}

/// Puts `report.html` into a folder, and `scaling.parquet` where training scales.
pub(super) fn write_findings(
    folder: &RunFolder,
    provenance: &Provenance,
    found: &StudyFindings,
    question: Option<&str>,
) -> Result<(), Failure> {
    let origin = origin(provenance);
    let heading = report::Heading {
        name: &provenance.spec_name,
        question: question.unwrap_or_default(),
        origin: &origin,
    };
    let page = match found {
        StudyFindings::Training(findings) => {
            write_scaling(folder, provenance, findings)?;
            report::page(findings, &heading)
        }
        StudyFindings::Collective(found) => report::collective_page(found, &heading),
    };
    folder
        .add(names::REPORT, page.as_bytes())
        .map_err(Failure::io)
}

fn write_scaling(
    folder: &RunFolder,
    provenance: &Provenance,
    findings: &Findings,
) -> Result<(), Failure> {
    let schema = scaling_schema(provenance);
    let mut writer =
        TableWriter::create(&folder.scaling(), &schema, provenance).map_err(Failure::io)?;
    for batch in scaling_batches(&schema, findings) {
        writer.write(&batch).map_err(Failure::io)?;
    }
    writer.finish().map_err(Failure::io)
}

/// The findings on the screen.
pub(super) fn summary(found: &StudyFindings, question: Option<&str>) -> String {
    match found {
        StudyFindings::Training(findings) => report::summary(findings, question),
        StudyFindings::Collective(found) => report::busbw_summary(found, question),
    }
}

/// Where results come from, in words for the foot of a page.
fn origin(provenance: &Provenance) -> String {
    format!(
        "clustersweep {}, spec {}, catalogue {}",
        Provenance::version(),
        short_hash(&provenance.spec_hash()),
        short_hash(&provenance.catalog_hash)
    )
}

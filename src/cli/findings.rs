//! The findings of a run: points simulated again, tables and page written.

use std::num::NonZeroUsize;

use crate::analysis::{BreakdownStatus, Findings, scaling_batches, scaling_schema};
use crate::cli::Failure;
use crate::record::{Provenance, TableWriter};
use crate::report;
use crate::runner::{RunFolder, folder::names};
use crate::spec::{AnalysisSettings, Spec};
use crate::whatif::{Questions, deepen};

/// The question that a spec answers, where it says so.
pub(super) fn question(spec: &Spec) -> Option<&str> {
    Some(spec.description.as_str()).filter(|text| !text.is_empty())
}

/// Series besides those of the summary whose breakdown is asked about.
const BROKEN_BESIDES: usize = 20;

/// Adds to findings what simulating points again says: about every series and about the points of those that
/// the summary shows. `specs` are those of the files analysed, in their order.
pub(super) fn simulate_again(
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
    deepen(findings, &questions, threads);
}

/// Puts `scaling.parquet` and `report.html` into a folder.
pub(super) fn write_findings(
    folder: &RunFolder,
    provenance: &Provenance,
    findings: &Findings,
    question: Option<&str>,
) -> Result<(), Failure> {
    let schema = scaling_schema(provenance);
    let mut writer =
        TableWriter::create(&folder.scaling(), &schema, provenance).map_err(Failure::io)?;
    for batch in scaling_batches(&schema, findings) {
        writer.write(&batch).map_err(Failure::io)?;
    }
    writer.finish().map_err(Failure::io)?;
    let origin = origin(provenance);
    let page = report::page(findings, &heading(provenance, &origin, question));
    folder
        .add(names::REPORT, page.as_bytes())
        .map_err(Failure::io)
}

/// Where results come from, in words for the foot of a page.
pub(super) fn origin(provenance: &Provenance) -> String {
    format!(
        "clustersweep {}, spec {}, catalogue {}",
        Provenance::version(),
        short_hash(&provenance.spec_hash()),
        short_hash(&provenance.catalog_hash)
    )
}

/// What stands on a page besides the findings.
pub(super) fn heading<'a>(
    provenance: &'a Provenance,
    origin: &'a str,
    question: Option<&'a str>,
) -> report::Heading<'a> {
    report::Heading {
        name: &provenance.spec_name,
        question: question.unwrap_or_default(),
        origin,
    }
}

/// Enough of a hash to tell two apart.
fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

//! Findings of runs of either kind: computed, written beside the points, and summed up.

use std::num::NonZeroUsize;
use std::path::Path;

use crate::analysis::{
    ChartValues, FilesError, Findings, Margin, SizePoint, StudyFindings, analyse_files,
    chart_values, scaling_batches, scaling_schema,
};
use crate::commands::detail::Detail;
use crate::commands::failure::Failure;
use crate::commands::points::grid_point;
use crate::commands::trust;
use crate::record::{Provenance, TableWriter, short_hash};
use crate::report;
use crate::report::brief::{Brief, trust_words};
use crate::report::planned::Trust;
use crate::runner::{RunFolder, folder::names};
use crate::simulation::Scenario;
use crate::spec::{AnalysisSettings, Axis, Metric, Spec};
use crate::validation::{covering, measured_over_predicted};
use crate::whatif::{Questions, run_questions};

/// The question of a spec: its description, unless that is empty.
pub(super) fn question(spec: &Spec) -> Option<&str> {
    Some(spec.description.as_str()).filter(|text| !text.is_empty())
}

/// Most series beyond those of the summary whose breakdown is re-simulated.
const BROKEN_BESIDES: usize = 20;

/// Files of results to analyse together.
pub(super) struct Results<'a> {
    /// The files.
    pub(super) files: &'a [&'a Path],
    /// Their specs, in the same order, where they have one.
    pub(super) specs: &'a [Option<&'a Spec>],
    /// Settings of the analysis.
    pub(super) settings: &'a AnalysisSettings,
    /// Resource that training scales over, or axis whose values are compared.
    pub(super) axis: Axis,
    /// Threads that simulate.
    pub(super) threads: NonZeroUsize,
}

impl Results<'_> {
    /// Metrics of the first run's spec.
    fn metrics(&self) -> &[Metric] {
        let first = self.specs.first().copied().flatten();
        first.map_or(&[], |spec| &spec.metrics)
    }

    /// Charts of the first run's spec with their values.
    pub(super) fn charts(&self) -> Result<Vec<ChartValues>, Failure> {
        let first = self.specs.first().copied().flatten();
        let charts = first.map_or(&[][..], |spec| &spec.charts);
        chart_values(self.files, self.metrics(), charts).map_err(Failure::io)
    }
}

/// How far the first choice can be trusted; `None` where nothing scales.
///
/// # Errors
/// If a spec has not the point of the choice.
pub(super) fn trusted(
    found: &StudyFindings,
    specs: &[Option<&Spec>],
) -> Result<Option<Trust>, Failure> {
    let findings = found.training();
    log::info!("holding the first choice against measured runs");
    Ok(findings
        .map(|it| trust::of_first_choice(it, specs))
        .transpose()?
        .flatten())
}

/// Findings of results; those of training include re-simulated points.
pub(super) fn find(results: &Results<'_>) -> Result<StudyFindings, Failure> {
    for path in results.files {
        log::info!(path:% = path.display(); "reading rows");
    }
    let metrics = results.metrics();
    let found = analyse_files(results.files, results.settings, metrics, results.axis);
    let mut found = found.map_err(|error| match error {
        FilesError::Read(ref fault) if !fault.is_impossible_value() => Failure::io(error),
        FilesError::Read(_) | FilesError::Kinds { .. } => Failure::usage(error),
    })?;
    if let StudyFindings::Training(findings) = &mut found {
        judge(findings, results);
        let series = findings.series.len();
        log::info!(series; "simulating again: causes of breakdowns, frozen layouts, changes that would help");
        re_simulate(findings, results);
    }
    Ok(found)
}

/// Holds the rows against the limits of the question, with the margin that its confidence asks for.
fn judge(findings: &mut Findings, results: &Results<'_>) {
    let Some(confidence) = findings.question.confidence else {
        findings.judge(|_| None);
        return;
    };
    let family = |row: &SizePoint| {
        let spec = (*results.specs.get(row.source as usize)?)?;
        let point = grid_point(spec, row.point).ok()?;
        match spec.plan().scenario(&point).ok()? {
            Scenario::Training(scenario) => Some(scenario.model.family),
            Scenario::Collective(_) => None,
        }
    };
    findings.judge(|series| {
        let family = series.sizes.iter().find_map(|size| family(&size.point))?;
        let ratios = measured_over_predicted(family);
        Some(Margin {
            family: family.to_string(),
            cases: ratios.len(),
            factor: covering(&ratios, confidence)?,
        })
    });
}

/// Adds re-simulated points to findings: frozen curves of every series, and changes that would help the series
/// that the summary shows.
fn re_simulate(findings: &mut Findings, results: &Results<'_>) {
    let shown = findings.selection().series.into_iter();
    let shown: Vec<u32> = shown.map(|series| series.number).collect();
    let broken = (findings.series.iter())
        .filter(|series| series.breakdown.confirmed_size().is_some())
        .map(|series| series.number)
        .filter(|number| !shown.contains(number))
        .take(BROKEN_BESIDES);
    let broken: Vec<u32> = broken.collect();
    let questions = Questions {
        specs: results.specs,
        settings: results.settings,
        shown: &shown,
        broken: &broken,
    };
    run_questions(findings, &questions, results.threads);
}

/// Puts `report.html` with the charts of the spec into a folder, and `scaling.parquet` where training scales.
pub(super) fn write_findings(
    folder: &RunFolder,
    provenance: &Provenance,
    found: &StudyFindings,
    charts: &[ChartValues],
    question: Option<&str>,
    trust: Option<&Trust>,
) -> Result<(), Failure> {
    let origin = origin(provenance);
    let trust = trust.map(trust_words).unwrap_or_default();
    let heading = report::Heading {
        name: &provenance.spec_name,
        question: question.unwrap_or_default(),
        origin: &origin,
        trust: &trust,
    };
    let page = match found {
        StudyFindings::Training(findings) => {
            write_scaling(folder, provenance, findings)?;
            report::page(findings, charts, &heading)
        }
        StudyFindings::Comparison(found) => report::comparison_page(found, charts, &heading),
        StudyFindings::Collective(found) => report::collective_page(found, charts, &heading),
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
    for batch in scaling_batches(provenance, &schema, findings) {
        writer.write(&batch).map_err(Failure::io)?;
    }
    writer.finish().map_err(Failure::io)
}

/// Findings that are told on the screen.
pub(super) struct Told<'a> {
    pub(super) found: &'a StudyFindings,
    /// Specs of the files that were analysed, where they have one.
    pub(super) specs: &'a [Option<&'a Spec>],
    pub(super) question: Option<&'a str>,
    /// Folder of the run; `None` of files that lie in none.
    pub(super) folder: Option<&'a Path>,
}

impl Told<'_> {
    /// The findings for people.
    ///
    /// # Errors
    /// If a spec has not the points of the findings.
    pub(super) fn text(&self, detail: Detail) -> Result<String, Failure> {
        let question = self.question;
        let findings = match self.found {
            StudyFindings::Training(findings) => findings,
            StudyFindings::Comparison(found) => {
                return Ok(report::comparison_summary(found, question));
            }
            StudyFindings::Collective(found) => {
                return Ok(match detail {
                    Detail::Brief { .. } => report::busbw_summary(found, question, self.folder),
                    Detail::Full => report::busbw_details(found, question),
                });
            }
        };
        let Detail::Brief { room } = detail else {
            return Ok(report::summary(findings, question));
        };
        let trust = trust::of_first_choice(findings, self.specs)?;
        let brief = Brief {
            findings,
            question,
            trust: trust.as_ref(),
            folder: self.folder,
            room,
        };
        Ok(brief.text())
    }
}

/// The answer to the study's question, in sentences.
pub(super) fn answer(found: &StudyFindings) -> Vec<String> {
    match found {
        StudyFindings::Training(findings) => report::answer_sentences(findings),
        StudyFindings::Comparison(found) => report::comparison_sentences(found),
        StudyFindings::Collective(found) => report::busbw_sentences(found),
    }
}

/// Provenance in words, for the foot of a page.
fn origin(provenance: &Provenance) -> String {
    format!(
        "clustersweep {}, spec {}, catalogue {}",
        Provenance::version(),
        short_hash(&provenance.spec_hash()),
        short_hash(&provenance.catalog_hash)
    )
}

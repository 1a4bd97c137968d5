//! Runs analysed: scaling, breakdown points and bottlenecks, or bus bandwidths.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::Value;

use crate::analysis::{ChartValues, StudyFindings, scaling_batches, scaling_schema};
use crate::commands::analyze_target::{Target, create_folder};
use crate::commands::detail::Detail;
use crate::commands::efficiency_gate::EfficiencyGate;
use crate::commands::failure::Failure;
use crate::commands::findings::{Results, Told, answer, find, question, trusted, write_findings};
use crate::commands::findings_document::{AnalyzeDocument, FindingsDocument};
use crate::commands::named_output::refuse_files_of_run;
use crate::commands::points::{provenance, threads};
use crate::commands::run_source::RunSource;
use crate::document::Document;
use crate::record::provenance::keys;
use crate::record::{PointsReader, Provenance, write_atomically};
use crate::report;
#[cfg(feature = "png")]
use crate::report::chart::Rasteriser;
use crate::runner::{RunFolder, manifest};
use crate::spec::{Axis, Spec, StudyKind};

/// Runs to analyse, and how.
#[derive(Clone, Debug, Default)]
pub struct AnalysisRequest {
    /// Run folders or `points.parquet` files, at least one; several are analysed together.
    pub runs: Vec<PathBuf>,
    /// Resource to scale over in place of the GPUs, or another axis whose values to compare.
    pub x: Option<String>,
    /// Scaling efficiency under which a series counts as broken, in place of the spec's.
    pub threshold: Option<f64>,
    /// Scaling efficiency that every size is held against.
    pub fail_below: Option<f64>,
    /// Series that are held against it, each filter `AXIS=VALUE[,VALUE…]`; all where there is none.
    pub series: Vec<String>,
}

/// Findings of runs.
#[derive(Debug)]
pub struct Analysis {
    sources: Vec<RunSource>,
    spec: Option<Spec>,
    origin: Provenance,
    found: StudyFindings,
    charts: Vec<ChartValues>,
    /// Difference from the analysis of the run itself, for the name of a folder.
    apart: Option<String>,
    gate: Option<EfficiencyGate>,
}

impl Analysis {
    /// Analyses runs together.
    ///
    /// # Errors
    /// If a run cannot be read, runs have nothing in common, or are asked what they cannot tell.
    pub fn of(request: &AnalysisRequest) -> Result<Self, Failure> {
        let sources = request
            .runs
            .iter()
            .map(|path| RunSource::with_sound_rows(path));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let specs = sources.iter().map(RunSource::spec);
        let mut specs = specs.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = sources.first() else {
            return Err(Failure::usage("no run is named"));
        };
        let files: Vec<&Path> = sources.iter().map(|it| it.points.as_path()).collect();
        let spec = specs[0].as_ref();
        let mut settings = spec.map(|spec| spec.analysis.clone()).unwrap_or_default();
        if let Some(threshold) = request.threshold {
            settings.efficiency_threshold = threshold;
        }
        let axis = axis(request.x.as_deref())?;
        let gate = |least| EfficiencyGate::of(least, &request.series);
        let gate = request.fail_below.map(gate).transpose()?;
        let given: Vec<Option<&Spec>> = specs.iter().map(Option::as_ref).collect();
        let results = Results {
            files: &files,
            specs: &given,
            settings: &settings,
            axis,
            threads: threads(None),
        };
        let found = find(&results)?;
        let charts = results.charts()?;
        refuse_scaling(request, &found)?;
        if let (Some(gate), Some(findings)) = (&gate, found.training()) {
            // A filter that keeps nothing is told before anything is written.
            gate.below(findings)?;
        }
        let apart = match (found.comparison(), request.x.is_some(), request.threshold) {
            (Some(comparison), ..) => Some(format!("by-{}", comparison.axis)),
            (None, true, _) => Some(format!("over-{axis}")),
            (None, false, Some(threshold)) => Some(format!("threshold-{threshold}")),
            (None, false, None) => None,
        };
        Ok(Self {
            origin: origin(&first.points, spec)?,
            spec: specs.swap_remove(0),
            sources,
            found,
            charts,
            apart,
            gate,
        })
    }

    fn question(&self) -> Option<&str> {
        self.spec.as_ref().and_then(question)
    }

    /// The findings for people.
    ///
    /// # Errors
    /// If the spec has not the points of the findings.
    pub fn text(&self, detail: Detail) -> Result<String, Failure> {
        let first = &self.sources[0];
        let folder = first.folder.as_ref().map(RunFolder::path);
        let told = Told {
            found: &self.found,
            specs: &[self.spec.as_ref()],
            question: self.question(),
            folder,
        };
        told.text(detail)
    }

    /// The findings for programs, `clustersweep.analyze/1`; `folder` is the one that they were written into.
    pub fn json(&self, folder: Option<&Path>) -> Value {
        let files = self.sources.iter().map(|source| &source.points);
        Document::Analyze.of(&AnalyzeDocument {
            folder,
            found: FindingsDocument::new(&self.found, files),
        })
    }

    /// The answer to the study's question in sentences.
    pub fn answer(&self) -> Vec<String> {
        answer(&self.found)
    }

    /// Rows of `scaling.parquet`; none where nothing scales.
    pub fn scaling(&self) -> Vec<RecordBatch> {
        let schema = scaling_schema(&self.origin);
        let findings = self.found.training();
        let batches = findings.map(|it| scaling_batches(&self.origin, &schema, it).collect());
        batches.unwrap_or_default()
    }

    /// Doubts: a shard, whose curves lack points.
    pub(crate) fn warnings(&self) -> Option<String> {
        let first = self.sources.first()?;
        let (_, shard) = (self.spec.as_ref()?, self.origin.portion.shard?);
        Some(format!(
            "`{}` is shard {shard}: its curves lack the points of the others; `sweep merge` joins them",
            first.points.display()
        ))
    }

    /// The sizes that are less efficient than the request allows, in words; `None` where there is none.
    ///
    /// # Errors
    /// If the request names series that are not there.
    pub(crate) fn below(&self) -> Result<Option<String>, Failure> {
        match (self.found.training(), &self.gate) {
            (Some(findings), Some(gate)) => gate.below(findings),
            (None, _) | (_, None) => Ok(None),
        }
    }

    /// Whether the findings go beside a run and not into its folder, unless another folder is asked for.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart.is_some() || self.sources.len() > 1 || self.sources[0].folder.is_none()
    }

    /// Writes `report.html` and `scaling.parquet`, into `out` or where they belong, and returns the folder.
    ///
    /// # Errors
    /// If the folder holds another run, or the file system refuses.
    pub fn write(&self, out: Option<&Path>) -> Result<PathBuf, Failure> {
        let target = Target {
            sources: &self.sources,
            out,
            apart: self.apart.clone(),
        };
        let folder = target.folder()?;
        let (found, charts) = (&self.found, &self.charts);
        let trust = trusted(found, &[self.spec.as_ref()])?;
        let (origin, question) = (&self.origin, self.question());
        write_findings(&folder, origin, found, charts, question, trust.as_ref())?;
        manifest::refresh_files(&folder).map_err(Failure::io)?;
        Ok(folder.path().to_owned())
    }

    /// Writes each chart into a folder, as SVG and PNG.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn write_plots(&self, directory: &Path) -> Result<(), Failure> {
        write_plots(directory, &self.found, &self.charts)
    }
}

/// Refuses options about scaling where nothing scales: in a collective study, and in a comparison.
fn refuse_scaling(request: &AnalysisRequest, found: &StudyFindings) -> Result<(), Failure> {
    let run = request.runs[0].display();
    let scaling = [
        ("--fail-below", request.fail_below),
        ("--threshold", request.threshold),
    ];
    let asked = scaling
        .iter()
        .find_map(|(option, value)| Some((option, (*value)?)));
    match (found, &request.x, asked) {
        (StudyFindings::Collective(_), Some(axis), _) => Err(Failure::usage(format!(
            "`{run}` is a collective study, whose size is that of its messages, so `--x {axis}` has nothing to \
             choose; leave it out"
        ))),
        (StudyFindings::Collective(_), None, Some((option, least))) => {
            Err(Failure::usage(format!(
                "`{run}` is a collective study, which has no scaling efficiency to hold against `{option} {least}`; \
             leave it out, or hold two runs against each other with `sweep diff`"
            )))
        }
        (StudyFindings::Comparison(comparison), _, Some((option, least))) => {
            let axis = comparison.axis;
            Err(Failure::usage(format!(
                "`{axis}` is no resource to scale over, so there is no scaling efficiency to hold against `{option} \
                 {least}`; leave it out"
            )))
        }
        (StudyFindings::Collective(_) | StudyFindings::Comparison(_), _, None)
        | (StudyFindings::Training(_), ..) => Ok(()),
    }
}

/// The axis of `--x`: one of training.
fn axis(name: Option<&str>) -> Result<Axis, Failure> {
    let Some(name) = name else {
        return Ok(Axis::Gpus);
    };
    let axis: Axis = name.parse().map_err(Failure::usage)?;
    if axis.belongs_to(StudyKind::Training) {
        Ok(axis)
    } else {
        Err(Failure::usage(format!(
            "axis `{axis}` belongs to collective studies, which have no scaling"
        )))
    }
}

/// Writes each chart as SVG, and as PNG where this program draws them.
fn write_plots(
    directory: &Path,
    found: &StudyFindings,
    charts: &[ChartValues],
) -> Result<(), Failure> {
    let mut plots = match found {
        StudyFindings::Training(findings) => report::plots(findings),
        StudyFindings::Comparison(_) => Vec::new(),
        StudyFindings::Collective(found) => report::collective_plots(found),
    };
    plots.extend(report::custom_plots(charts));
    refuse_files_of_run(directory)?;
    create_folder(directory)?;
    #[cfg(feature = "png")]
    let rasteriser = Rasteriser::default();
    for (name, drawing) in plots {
        let svg = drawing.file();
        let write = |extension: &str, bytes: &[u8]| {
            let path = directory.join(format!("{name}.{extension}"));
            write_atomically(&path, bytes).map_err(Failure::io)
        };
        write("svg", svg.as_bytes())?;
        #[cfg(feature = "png")]
        write("png", &rasteriser.png(&svg).map_err(Failure::io)?)?;
    }
    Ok(())
}

/// The provenance of a file: that of its spec, or what the file records, which is little when another
/// program has rewritten it.
fn origin(points: &Path, spec: Option<&Spec>) -> Result<Provenance, Failure> {
    let reader = PointsReader::open(points).map_err(Failure::io)?;
    let portion = reader.portion();
    let recorded = |key| reader.metadata(key).unwrap_or_default().to_owned();
    Ok(match spec {
        Some(spec) => provenance(spec, portion),
        None => Provenance {
            study: reader.kind(),
            spec_name: recorded(keys::SPEC_NAME),
            spec: recorded(keys::SPEC),
            catalog_hash: recorded(keys::CATALOG_HASH),
            metrics: Arc::default(),
            portion,
        },
    })
}

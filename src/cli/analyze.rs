//! `sweep analyze`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::analysis::{ChartValues, Findings, StudyFindings};
use crate::cli::analyze_target::{Analysed, create_folder};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::findings::{Results, find, question, summary, with_findings, write_findings};
use crate::cli::fraction::share;
use crate::cli::run_source::RunSource;
use crate::cli::spec_args::{provenance, threads};
use crate::cli::terminal::{self, Format, Stderr};
use crate::record::provenance::keys;
use crate::record::{PointsReader, Provenance, write_atomically};
use crate::report;
#[cfg(feature = "png")]
use crate::report::chart::Rasteriser;
use crate::runner::manifest;
use crate::spec::{Axis, Portion, Spec, StudyKind};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folders or points.parquet files; several are analysed together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder for the findings [default: the run's own; beside it for bare files, several runs, --x and --threshold]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resource to scale over in place of the GPUs (nodes, gpus_per_node, nic_gbit_per_s), or another axis whose values
    /// to compare; training studies only
    #[arg(long, value_name = "AXIS")]
    x: Option<String>,
    /// Scaling efficiency under which a series counts as broken, 0.8 or 80% [default: the spec's]
    #[arg(long, value_name = "EFFICIENCY", value_parser = share)]
    threshold: Option<f64>,
    /// Exit with code 1 when the scaling efficiency of any size is below this, 0.8 or 80%; training studies only
    #[arg(long, value_name = "EFFICIENCY", value_parser = share)]
    fail_below: Option<f64>,
    /// Also write each chart into this folder as SVG and PNG, as wide as a column of print
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Format of the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let sources = args
        .runs
        .iter()
        .map(|path| RunSource::new(path))
        .collect::<Result<Vec<_>, _>>()?;
    let specs = sources
        .iter()
        .map(|source| source.spec(stderr))
        .collect::<Result<Vec<_>, _>>()?;
    let (first, spec) = (&sources[0], specs[0].as_ref());
    let files: Vec<&Path> = sources.iter().map(|it| it.points.as_path()).collect();
    let mut settings = spec.map(|spec| spec.analysis.clone()).unwrap_or_default();
    if let Some(threshold) = args.threshold {
        settings.efficiency_threshold = threshold;
    }
    let axis = axis(args.x.as_deref())?;
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
    refuse_scaling(args, &found)?;

    let apart = match (found.comparison(), args.x.is_some(), args.threshold) {
        (Some(comparison), ..) => Some(format!("by-{}", comparison.axis)),
        (None, true, _) => Some(format!("over-{axis}")),
        (None, false, Some(threshold)) => Some(format!("threshold-{threshold}")),
        (None, false, None) => None,
    };
    let analysed = Analysed {
        sources: &sources,
        out: args.out.as_deref(),
        apart,
    };
    let folder = analysed.folder()?;
    if analysed.apart.is_some() || sources.len() > 1 {
        terminal::log(&format!("findings are in {}", folder.path().display()));
    }
    let origin = origin(&first.points, spec)?;
    let question = spec.and_then(question);
    write_findings(&folder, &origin, &found, &charts, question)?;
    manifest::refresh_files(&folder).map_err(Failure::io)?;
    if let Some(directory) = &args.plots {
        write_plots(directory, &found, &charts)?;
    }

    args.format.print(
        || summary(&found, question),
        || with_findings(json!({"folder": folder.path()}), Some(&found)),
    )?;
    Ok(match (args.fail_below, found.training()) {
        (Some(least), Some(findings)) if fails(findings, least) => ExitStatus::Finding,
        _ => ExitStatus::Success,
    })
}

/// Refuses options about scaling where nothing scales: in a collective study, and in a comparison.
fn refuse_scaling(args: &Args, found: &StudyFindings) -> Result<(), Failure> {
    let run = args.runs[0].display();
    let scaling = [
        ("--fail-below", args.fail_below),
        ("--threshold", args.threshold),
    ];
    let asked = scaling
        .iter()
        .find_map(|(option, value)| Some((option, (*value)?)));
    match (found, &args.x, asked) {
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

/// Whether a size is less efficient than allowed; the least efficient is reported on stderr.
fn fails(findings: &Findings, least: f64) -> bool {
    let series = findings.series.iter();
    let sizes = series.flat_map(|series| series.sizes.iter().map(move |size| (series, size)));
    let efficiencies = sizes.filter_map(|(series, size)| {
        let efficiency = size.efficiency?.of_baseline;
        (efficiency < least).then_some((efficiency, series, size))
    });
    let low: Vec<_> = efficiencies.collect();
    let worst = low.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((efficiency, series, size)) = worst {
        let (name, gpus) = (series.label(&findings.varied), size.point.gpus);
        terminal::log(&format!(
            "{} sizes are less than {:.0}% efficient; the least is {name} at {gpus} GPUs with {:.0}%",
            low.len(),
            100.0 * least,
            100.0 * efficiency
        ));
    }
    worst.is_some()
}

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
    #[cfg(not(feature = "png"))]
    terminal::log("charts are SVG only: this program was built without the feature `png`");
    Ok(())
}

/// The provenance of a file: that of its spec, or what the file records, which is little when another
/// program has rewritten it. Warns of a shard, whose curves lack points.
fn origin(points: &Path, spec: Option<&Spec>) -> Result<Provenance, Failure> {
    let reader = PointsReader::open(points).map_err(Failure::io)?;
    let portion = Portion {
        limit: reader.metadata(keys::LIMIT).and_then(|it| it.parse().ok()),
        shard: reader.metadata(keys::SHARD).and_then(|it| it.parse().ok()),
    };
    if let (Some(_), Some(shard)) = (spec, portion.shard) {
        terminal::log(&format!(
            "`{}` is shard {shard}: its curves lack the points of the others; `sweep merge` joins them",
            points.display()
        ));
    }
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

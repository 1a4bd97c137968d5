//! `sweep analyze`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::analysis::{Findings, StudyFindings};
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
use crate::runner::{RunFolder, manifest};
use crate::spec::{Axis, ColumnType, Portion, Spec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folders or points.parquet files; several are analysed together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder for the findings of bare files or several runs [default: beside the first]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Numeric axis to scale over in place of the GPUs; training studies only
    #[arg(long, value_name = "AXIS")]
    x: Option<String>,
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
    let found = find(&Results {
        files: &files,
        specs: &specs.iter().map(Option::as_ref).collect::<Vec<_>>(),
        settings: &spec.map(|spec| spec.analysis.clone()).unwrap_or_default(),
        size_axis: size_axis(args.x.as_deref())?,
        threads: threads(None),
    })?;
    if found.collective().is_some() {
        refuse_scaling(args)?;
    }

    let folder = target(args, first)?;
    let origin = origin(&first.points, spec)?;
    let question = spec.and_then(question);
    write_findings(&folder, &origin, &found, question)?;
    manifest::refresh_files(&folder).map_err(Failure::io)?;
    if let Some(directory) = &args.plots {
        write_plots(directory, &found)?;
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

/// Refuses options about scaling, which a collective study does not have.
fn refuse_scaling(args: &Args) -> Result<(), Failure> {
    let run = args.runs[0].display();
    if let Some(axis) = &args.x {
        return Err(Failure::usage(format!(
            "`{run}` is a collective study, whose size is that of its messages, so `--x {axis}` has nothing to \
             choose; leave it out"
        )));
    }
    if let Some(least) = args.fail_below {
        return Err(Failure::usage(format!(
            "`{run}` is a collective study, which has no scaling efficiency to hold against `--fail-below {least}`; \
             leave it out, or hold two runs against each other with `sweep diff`"
        )));
    }
    Ok(())
}

/// The axis of `--x`, which has to be numeric.
fn size_axis(name: Option<&str>) -> Result<Axis, Failure> {
    let Some(name) = name else {
        return Ok(Axis::Gpus);
    };
    let axis: Axis = name.parse().map_err(Failure::usage)?;
    match axis.info().domain.column_type() {
        ColumnType::Int | ColumnType::Real => Ok(axis),
        ColumnType::Text | ColumnType::Bool => Err(Failure::usage(format!(
            "axis `{axis}` holds no numbers, so it cannot be the size; try nic_gbit_per_s, seq_len or global_batch"
        ))),
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

fn write_plots(directory: &Path, found: &StudyFindings) -> Result<(), Failure> {
    let plots = match found {
        StudyFindings::Training(findings) => report::plots(findings),
        StudyFindings::Collective(found) => report::collective_plots(found),
    };
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

fn create_folder(path: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot create `{}`: {error}", path.display()));
    fs::create_dir_all(path).map_err(failed)
}

/// The folder asked for, the run's own, or the one that the first file lies in.
fn target(args: &Args, first: &RunSource) -> Result<RunFolder, Failure> {
    let path = match (&args.out, &first.folder) {
        (Some(out), _) => {
            create_folder(out)?;
            out.clone()
        }
        (None, Some(folder)) if args.runs.len() == 1 => return Ok(folder.clone()),
        (None, Some(folder)) => parent(folder.path()),
        (None, None) => parent(&first.points),
    };
    Ok(RunFolder::existing(&path))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
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
            portion,
        },
    })
}

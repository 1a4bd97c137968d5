//! `sweep analyze`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::analysis::{Findings, StudyFindings};
use crate::cli::findings::{Results, find, question, summary, write_findings};
use crate::cli::list::Format;
use crate::cli::run::threads;
use crate::cli::run_source::RunSource;
use crate::cli::spec_args::provenance;
use crate::cli::terminal::{self, Stderr};
use crate::cli::{ExitStatus, Failure};
use crate::record::provenance::keys;
use crate::record::{PointsReader, Provenance, write_atomically};
use crate::report;
use crate::report::chart::Rasteriser;
use crate::runner::{RunFolder, manifest};
use crate::spec::{Axis, ColumnType, Portion};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run folders, or bare points.parquet files; several are analysed together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the findings of bare files and of several runs go [default: beside the first]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Numeric axis to take as the size in place of the GPUs; training studies only
    #[arg(long, value_name = "AXIS")]
    x: Option<String>,
    /// End with exit code 1 when any size of any series is less efficient than this; training studies only
    #[arg(long, value_name = "EFFICIENCY")]
    fail_below: Option<f64>,
    /// Write each chart as SVG and PNG too, as wide as a column of print
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// How to print the summary
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
    let origin = match spec {
        Some(spec) => provenance(spec, recorded_portion(&first.points)?),
        None => recorded_provenance(&first.points)?,
    };
    let question = spec.and_then(question);
    write_findings(&folder, &origin, &found, question)?;
    manifest::refresh_files(&folder).map_err(Failure::io)?;
    if let Some(directory) = &args.plots {
        write_plots(directory, &found)?;
    }

    let text = match args.format {
        Format::Text => summary(&found, question),
        Format::Json => format!(
            "{:#}\n",
            json!({
                "folder": folder.path(),
                "findings": found.training(),
                "collectives": found.collective(),
            })
        ),
    };
    terminal::print(&text)?;
    Ok(match (args.fail_below, found.training()) {
        (Some(least), Some(findings)) if fails(findings, least) => ExitStatus::Finding,
        _ => ExitStatus::Success,
    })
}

/// Communications scale over nothing, so what chooses or judges the scaling is a mistake there.
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

/// The axis of `--x`, which has to hold numbers.
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

/// Whether a size is less efficient than allowed; that is told on stderr, worst first.
fn fails(findings: &Findings, least: f64) -> bool {
    let mut low: Vec<(f64, String)> = findings
        .series
        .iter()
        .flat_map(|series| {
            series.sizes.iter().filter_map(|size| {
                let efficiency = size.efficiency?.of_baseline;
                (efficiency < least).then(|| {
                    let name = series.label(&findings.varied);
                    (efficiency, format!("{name} at {} GPUs", size.point.gpus))
                })
            })
        })
        .collect();
    low.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((efficiency, what)) = low.first() {
        terminal::log(&format!(
            "{} sizes are less than {:.0}% efficient; the least is {what} with {:.0}%",
            low.len(),
            100.0 * least,
            100.0 * efficiency
        ));
    }
    !low.is_empty()
}

fn write_plots(directory: &Path, found: &StudyFindings) -> Result<(), Failure> {
    let plots = match found {
        StudyFindings::Training(findings) => report::plots(findings),
        StudyFindings::Collective(found) => report::collective_plots(found),
    };
    fs::create_dir_all(directory).map_err(|error| {
        Failure::io(format!("cannot create `{}`: {error}", directory.display()))
    })?;
    let rasteriser = Rasteriser::default();
    for (name, drawing) in plots {
        let svg = drawing.file();
        let png = rasteriser.png(&svg).map_err(Failure::io)?;
        write_atomically(&directory.join(format!("{name}.svg")), svg.as_bytes())
            .map_err(Failure::io)?;
        write_atomically(&directory.join(format!("{name}.png")), &png).map_err(Failure::io)?;
    }
    Ok(())
}

/// The run's own folder, the one asked for, or the one that the first file lies in.
fn target(args: &Args, first: &RunSource) -> Result<RunFolder, Failure> {
    let path = match (&args.out, &first.folder) {
        (Some(out), _) => {
            fs::create_dir_all(out).map_err(|error| {
                Failure::io(format!("cannot create `{}`: {error}", out.display()))
            })?;
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

/// Which of its spec's points a file holds. A shard's curves are those of a part, which is told.
fn recorded_portion(points: &Path) -> Result<Portion, Failure> {
    let portion = portion_of(&PointsReader::open(points).map_err(Failure::io)?);
    if let Some(shard) = portion.shard {
        terminal::log(&format!(
            "`{}` is shard {shard}: its curves lack the points of the others; `sweep merge` joins them",
            points.display()
        ));
    }
    Ok(portion)
}

fn portion_of(reader: &PointsReader) -> Portion {
    Portion {
        limit: reader.metadata(keys::LIMIT).and_then(|it| it.parse().ok()),
        shard: reader.metadata(keys::SHARD).and_then(|it| it.parse().ok()),
    }
}

/// What a file says about where it comes from; little, when another program has rewritten it.
fn recorded_provenance(points: &Path) -> Result<Provenance, Failure> {
    let reader = PointsReader::open(points).map_err(Failure::io)?;
    let recorded = |key| reader.metadata(key).unwrap_or_default().to_owned();
    Ok(Provenance {
        study: reader.kind(),
        spec_name: recorded(keys::SPEC_NAME),
        spec: recorded(keys::SPEC),
        catalog_hash: recorded(keys::CATALOG_HASH),
        portion: portion_of(&reader),
    })
}

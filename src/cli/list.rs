//! `sweep list`: what a spec can name, with values and sources.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::catalog::{Catalog, Kind};
use crate::cli::spec_args::spec_failure;
use crate::cli::table::{Align, Table};
use crate::cli::terminal::{self, Stderr};
use crate::cli::{ExitStatus, Failure, named};
use crate::closed_set::nearest;
use crate::data_table::quantity::Dollars;
use crate::hardware::Precision;
use crate::record::{Column, columns};
use crate::spec::{AXES, AxisInfo, ColumnType, CustomKind, Domain, Overrides, Spec, StudyKind};
use crate::units::{FlopRate, Power};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to list
    what: What,
    /// Only these, each value with its source
    names: Vec<String>,
    /// A spec whose own tables are listed too
    #[arg(long, value_name = "SPEC")]
    spec: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Gpus,
    Models,
    Clusters,
    Stacks,
    Collectives,
    Topologies,
    Axes,
    Columns,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) fn run(args: &Args, stderr: Stderr) -> Result<ExitStatus, Failure> {
    let spec = match &args.spec {
        Some(path) => Some(
            Spec::load(path, &Overrides::default())
                .map_err(|error| spec_failure(&error, stderr))?,
        ),
        None => None,
    };
    let known = spec
        .as_ref()
        .map_or(Catalog::builtin(), |spec| &**spec.catalog());
    let listing = match args.what {
        What::Gpus => catalog(known, Kind::Gpus, &args.names)?,
        What::Models => catalog(known, Kind::Models, &args.names)?,
        What::Clusters => catalog(known, Kind::Clusters, &args.names)?,
        What::Stacks => catalog(known, Kind::Stacks, &args.names)?,
        What::Collectives => named::listing(CustomKind::Collectives, spec.as_ref(), &args.names)?,
        What::Topologies => named::listing(CustomKind::Topologies, spec.as_ref(), &args.names)?,
        What::Axes => axes(&args.names)?,
        What::Columns => all_columns(&args.names)?,
    };
    let text = match args.format {
        Format::Text => listing.text,
        Format::Json => {
            let mut text = format!("{:#}", Value::Array(listing.json));
            text.push('\n');
            text
        }
    };
    terminal::print(&text)?;
    Ok(ExitStatus::Success)
}

/// The same list for people and for programs.
pub(super) struct Listing {
    pub(super) text: String,
    pub(super) json: Vec<Value>,
}

/// Whether a name is to be listed; no names ask for all.
pub(super) fn asked(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// Refuses names that are not there.
pub(super) fn check_names<'a>(
    what: &str,
    names: &[String],
    known: &(impl Iterator<Item = &'a str> + Clone),
) -> Result<(), Failure> {
    for name in names {
        if !known.clone().any(|it| it == name) {
            let hint = nearest(name, known.clone())
                .map(|it| format!("; did you mean `{it}`?"))
                .unwrap_or_default();
            return Err(Failure::usage(format!("unknown {what} `{name}`{hint}")));
        }
    }
    Ok(())
}

fn catalog(catalog: &Catalog, kind: Kind, names: &[String]) -> Result<Listing, Failure> {
    let known = catalog.names(kind);
    check_names(kind.singular(), names, &known.iter().copied())?;
    let wanted: Vec<&str> = known
        .into_iter()
        .filter(|name| asked(names, name))
        .collect();
    let json = wanted
        .iter()
        .map(|name| {
            let values = values(catalog, kind, name);
            let fields: serde_json::Map<String, Value> = values
                .into_iter()
                .map(|(key, value, source)| (key, json!({"value": value, "source": source})))
                .collect();
            json!({"name": name, "values": fields})
        })
        .collect();
    let text = if names.is_empty() {
        overview(catalog, kind, &wanted)
    } else {
        in_full(catalog, kind, &wanted)
    };
    Ok(Listing { text, json })
}

/// Every key of an entry with its value and where that is from, tables as `peaks.bf16`.
fn values(catalog: &Catalog, kind: Kind, name: &str) -> Vec<(String, toml::Value, String)> {
    catalog
        .values(kind, name)
        .into_iter()
        .map(|it| {
            let source = it.source.unwrap_or_default().to_owned();
            (it.key.path.clone(), it.value.clone(), source)
        })
        .collect()
}

/// Each entry with all its keys.
fn in_full(catalog: &Catalog, kind: Kind, names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        let mut table = Table::new(&[
            ("KEY", Align::Left),
            ("VALUE", Align::Left),
            ("SOURCE", Align::Left),
        ]);
        for (key, value, source) in values(catalog, kind, name) {
            table.row(vec![key, value.to_string(), source]);
        }
        text.push_str(&format!("{} {name}\n{}\n", kind.singular(), table.render()));
    }
    text
}

/// One line per entry with what tells them apart.
fn overview(catalog: &Catalog, kind: Kind, names: &[&str]) -> String {
    let (table, plural) = match kind {
        Kind::Gpus => (gpus(catalog, names), "gpus"),
        Kind::Models => (models(catalog, names), "models"),
        Kind::Clusters => (clusters(catalog, names), "clusters"),
        Kind::Stacks => (stacks(catalog, names), "stacks"),
    };
    format!(
        "{}\nEvery value with its source: sweep list {plural} NAME, or --format json.\n",
        table.render()
    )
}

fn gpus(catalog: &Catalog, names: &[&str]) -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("MEMORY", Align::Right),
        ("GB/S", Align::Right),
        ("BF16 TFLOP/S", Align::Right),
        ("FP8", Align::Right),
        ("WATTS", Align::Right),
        ("USD/H", Align::Right),
        ("CLUSTER", Align::Left),
    ]);
    let or_dash = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    for name in names {
        let gpu = &catalog.gpus[*name];
        let peak = |precision| gpu.peaks.get(precision).map(FlopRate::as_tflops);
        table.row(vec![
            gpu.name.clone(),
            gpu.memory.to_string(),
            format!("{:.0}", gpu.memory_bandwidth.as_bytes_per_s() / 1e9),
            or_dash(peak(Precision::Bf16), 0),
            or_dash(peak(Precision::Fp8), 0),
            or_dash(gpu.power.map(Power::as_watts), 0),
            or_dash(gpu.price_per_hour.map(Dollars::usd), 2),
            gpu.cluster.clone(),
        ]);
    }
    table
}

fn models(catalog: &Catalog, names: &[&str]) -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("FAMILY", Align::Left),
        ("PARAMETERS", Align::Right),
        ("SEQ_LEN", Align::Right),
        ("TITLE", Align::Left),
    ]);
    for name in names {
        let model = &catalog.models[*name];
        table.row(vec![
            model.name.clone(),
            model.family.to_string(),
            billions(model.parameters().without_mtp() as f64),
            model.seq_len().to_string(),
            model.title.clone(),
        ]);
    }
    table
}

/// `8.03 B`, `345 M`.
fn billions(count: f64) -> String {
    if count >= 1e9 {
        format!("{:.2} B", count / 1e9)
    } else {
        format!("{:.0} M", count / 1e6)
    }
}

fn clusters(catalog: &Catalog, names: &[&str]) -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("GPUS", Align::Right),
        ("SCALE-UP", Align::Left),
        ("GB/S", Align::Right),
        ("NICS", Align::Right),
        ("GBIT/S", Align::Right),
        ("TOPOLOGY", Align::Left),
        ("TITLE", Align::Left),
    ]);
    for name in names {
        let cluster = &catalog.clusters[*name];
        table.row(vec![
            cluster.name.clone(),
            cluster.gpus_per_node.to_string(),
            cluster.scale_up.kind.to_string(),
            format!("{:.0}", cluster.scale_up.bandwidth.as_bytes_per_s() / 1e9),
            cluster.nics_per_node.to_string(),
            format!("{:.0}", cluster.nic_bandwidth.as_gbit_per_s()),
            cluster.fabric.topology.to_string(),
            cluster.title.clone(),
        ]);
    }
    table
}

fn stacks(catalog: &Catalog, names: &[&str]) -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("YEARS", Align::Left),
        ("FRAMEWORKS", Align::Left),
        ("TITLE", Align::Left),
    ]);
    for name in names {
        let stack = &catalog.stacks[*name];
        table.row(vec![
            stack.name.clone(),
            format!("{}-{}", stack.years[0], stack.years[1]),
            stack.frameworks.join(", "),
            stack.title.clone(),
        ]);
    }
    table
}

fn axes(names: &[String]) -> Result<Listing, Failure> {
    check_names("axis", names, &AXES.iter().map(|info| info.axis.as_str()))?;
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("GROUP", Align::Left),
        ("VALUES", Align::Left),
        ("DEFAULT", Align::Left),
        ("MEANING", Align::Left),
    ]);
    let mut json = Vec::new();
    for info in AXES.iter().filter(|info| asked(names, info.axis.as_str())) {
        table.row(vec![
            info.axis.to_string(),
            info.group.to_string(),
            domain(info),
            info.default.words(),
            info.doc.to_owned(),
        ]);
        json.push(json!({
            "name": info.axis.as_str(),
            "group": info.group.as_str(),
            "unit": info.unit,
            "values": domain(info),
            "auto": info.takes_auto(),
            "default": Some(info.default.words()).filter(|words| !words.is_empty()),
            "studies": info.studies.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
            "meaning": info.doc,
        }));
    }
    Ok(Listing {
        text: table.render(),
        json,
    })
}

/// The values of an axis in words.
fn domain(info: &AxisInfo) -> String {
    match info.domain {
        Domain::Catalog(kind) => format!("a name of `sweep list {kind}`"),
        Domain::Closed(names) => names.join(" "),
        Domain::Custom(kind) => format!("{}, or one of [{kind}]", kind.built_in().join(" ")),
        Domain::Int { min, max: u64::MAX } => format!("{min} and up"),
        Domain::Int { min, max } => format!("{min} to {max}"),
        Domain::Real { min, max } => format!("{min} to {max}, real"),
        Domain::Bool => "true false".to_owned(),
        Domain::Size => "bytes with a unit: \"64 MiB\"".to_owned(),
        Domain::Stages => "layers of each stage: \"4,6×14,5\"".to_owned(),
    }
}

const fn type_name(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Text => "text",
        ColumnType::Int => "u64",
        ColumnType::Real => "f64",
        ColumnType::Bool => "bool",
    }
}

fn all_columns(names: &[String]) -> Result<Listing, Failure> {
    let all = StudyKind::ALL
        .iter()
        .flat_map(|kind| columns::table(*kind).iter().map(|column| (*kind, column)));
    check_names("column", names, &all.clone().map(|(_, column)| column.name))?;
    let mut text = String::new();
    let mut json = Vec::new();
    for kind in StudyKind::ALL {
        let wanted: Vec<&Column> = columns::table(*kind)
            .iter()
            .filter(|column| asked(names, column.name))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("TYPE", Align::Left),
            ("UNIT", Align::Left),
            ("GROUP", Align::Left),
            ("MEANING", Align::Left),
        ]);
        for column in wanted {
            let type_name = type_name(column.column_type());
            table.row(vec![
                column.name.to_owned(),
                type_name.to_owned(),
                column.unit.to_owned(),
                column.group.to_string(),
                column.doc.to_owned(),
            ]);
            json.push(json!({
                "study": kind.as_str(),
                "name": column.name,
                "type": type_name,
                "unit": column.unit,
                "group": column.group.as_str(),
                "meaning": column.doc,
            }));
        }
        text.push_str(&format!(
            "points.parquet of a {kind} study\n{}\n",
            table.render()
        ));
    }
    Ok(Listing { text, json })
}

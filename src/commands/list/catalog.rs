//! `sweep list gpus|models|clusters|stacks`: catalogue entries with values and sources.

use std::fmt::Display;

use itertools::Itertools;
use serde_json::json;

use super::entry::{CatalogEntry, Entry, SourcedValue};
use super::listed::Listed;
use super::listing::{Listing, wanted};
use crate::catalog::{Catalog, Kind};
use crate::commands::failure::Failure;
use crate::data_table::quantity::Dollars;
use crate::hardware::{Evidence, Precision};
use crate::report::prices::usual_prices_words;
use crate::report::text::{Table, Text};
use crate::units::{FlopRate, Power};

/// Entries of the catalogue: an overview, or every value of the entries asked for.
pub(super) fn listing(catalog: &Catalog, kind: Kind, names: &[String]) -> Result<Listing, Failure> {
    let names: Vec<String> = names
        .iter()
        .map(|name| catalog.named(kind, name).unwrap_or(name).to_owned())
        .collect();
    let names_of_kind = catalog.names(kind);
    let wanted = wanted(kind.singular(), &names, names_of_kind, |name| name)?;
    let entry = |name: &&str| {
        let values = catalog.values(kind, name).into_iter();
        let values = values.map(|it| {
            let value = SourcedValue {
                value: json!(it.value),
                source: it.source.unwrap_or_default().to_owned(),
            };
            (it.key.path.clone(), value)
        });
        Entry::Catalog(CatalogEntry {
            name: (*name).to_owned(),
            aliases: aliases(catalog, kind, name).to_vec(),
            values: values.collect(),
        })
    };
    let entries = wanted.iter().map(entry).collect();
    let text = if names.is_empty() {
        overview(catalog, kind, &wanted)
    } else {
        in_full(catalog, kind, &wanted)
    };
    let what = match kind {
        Kind::Gpus => Listed::Gpus,
        Kind::Models => Listed::Models,
        Kind::Clusters => Listed::Clusters,
        Kind::Stacks => Listed::Stacks,
        Kind::Prices => Listed::Prices,
    };
    Ok(Listing {
        text,
        what,
        entries,
    })
}

/// Further names of an entry.
fn aliases<'a>(catalog: &'a Catalog, kind: Kind, name: &str) -> &'a [String] {
    catalog
        .entry(kind, name)
        .map_or(&[], |entry| &entry.aliases)
}

/// Each entry with all its keys, tables as `peaks.bf16`.
fn in_full(catalog: &Catalog, kind: Kind, names: &[&str]) -> String {
    let mut text = Text::default();
    for name in names {
        let mut sources: Vec<&str> = Vec::new();
        let mut rows: Vec<[String; 3]> = Vec::new();
        for it in catalog.values(kind, name) {
            let number = it.source.map(|source| numbered(&mut sources, source));
            let number = number.map_or_else(String::new, |number| format!("[{number}]"));
            match it.value.as_table() {
                Some(entries) => rows.extend(entries.iter().map(|(key, value)| {
                    let key = format!("{}.{key}", it.key.path);
                    [key, value.to_string(), number.clone()]
                })),
                None => rows.push([it.key.path.clone(), it.value.to_string(), number]),
            }
        }
        let table = of_values(rows);
        let also = match aliases(catalog, kind, name) {
            [] => String::new(),
            aliases => format!(" (also {})", aliases.join(", ")),
        };
        writeln!(text, "{} {name}{also}", kind.singular());
        let warning = match kind {
            Kind::Gpus => catalog.gpus[*name].unmeasured(),
            Kind::Models => catalog.models[*name].unmeasured(),
            Kind::Clusters | Kind::Stacks | Kind::Prices => None,
        };
        if let Some(warning) = warning {
            text.wrap(&warning, "", "");
        }
        writeln!(text, "{}", table.render());
        for (place, source) in sources.iter().enumerate() {
            text.wrap(&format!("[{}] {source}", place + 1), "", "    ");
        }
        writeln!(text);
    }
    text.finish()
}

/// Keys with their values and the numbers of their sources, in 80 columns.
fn of_values(rows: Vec<[String; 3]>) -> Table {
    let mut table = Table::folding(&["KEY", "VALUE", ">SOURCE"], 1);
    for row in rows {
        table.row(row);
    }
    table
}

/// Number of a source, from 1 on in the order in which they are named; each is numbered once.
fn numbered<'a>(sources: &mut Vec<&'a str>, source: &'a str) -> usize {
    let known = sources.iter().position(|it| *it == source);
    let place = known.unwrap_or_else(|| {
        sources.push(source);
        sources.len() - 1
    });
    place + 1
}

/// One line per entry with the values that tell entries apart.
fn overview(catalog: &Catalog, kind: Kind, names: &[&str]) -> String {
    let mut table = match kind {
        Kind::Gpus => Table::new(&[
            "NAME", ">MEMORY", ">GB/S", ">BF16", ">FP8", ">WATTS", ">USD/H", "CLUSTER",
        ]),
        Kind::Models => Table::new(&["NAME", "FAMILY", ">PARAMETERS", ">ACTIVE", ">SEQ_LEN"]),
        Kind::Clusters => Table::new(&[
            "NAME", ">GPUS", ">DOMAIN", "SCALE-UP", ">GB/S", ">NICS", ">GBIT/S", "TOPOLOGY",
        ]),
        Kind::Stacks => Table::fixed(&[
            ("NAME", 18),
            ("YEARS", 9),
            ("GROUPS", 8),
            ("SCHEDULES", 13),
            ("ZERO", 7),
            ("TITLE", 20),
        ]),
        Kind::Prices => Table::new(&["NAME", "DATE", "TERM", ">GPUS", "TITLE"]),
    };
    for name in names {
        table.row(match kind {
            Kind::Gpus => gpu(catalog, name),
            Kind::Models => model(catalog, name),
            Kind::Clusters => cluster(catalog, name),
            Kind::Stacks => stack(catalog, name),
            Kind::Prices => price_list(catalog, name),
        });
    }
    let mut text = Text::default();
    writeln!(text, "{}", table.render());
    if kind == Kind::Gpus {
        gpu_notes(&mut text, catalog, names);
    }
    let values = format!("Every value with its source: sweep list {kind} NAME, or --format json.");
    text.wrap(&values, "", "");
    text.finish()
}

/// Units of the overview of GPUs, and which of them were not measured.
fn gpu_notes(text: &mut Text, catalog: &Catalog, names: &[&str]) {
    text.wrap("BF16 and FP8 are dense peaks in TFLOP/s.", "", "");
    for evidence in [Evidence::Derived, Evidence::Announced] {
        let of = names
            .iter()
            .filter(|name| catalog.gpus[**name].evidence == evidence);
        let of: Vec<&str> = of.copied().collect();
        let words = match evidence {
            Evidence::Derived => "Nothing was measured on these, their rates are their family's",
            Evidence::Measured | Evidence::Announced => "Announced, not on sale",
        };
        if !of.is_empty() {
            text.wrap(&format!("{words}: {}.", of.join(", ")), "", "  ");
        }
    }
    text.wrap(&usual_prices_words(), "", "");
}

fn gpu(catalog: &Catalog, name: &str) -> Vec<String> {
    let gpu = &catalog.gpus[name];
    let or_dash = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let peak = |precision| gpu.peaks.get(precision).map(FlopRate::as_tflops);
    vec![
        gpu.name.clone(),
        gpu.memory.to_string(),
        format!("{:.0}", gpu.memory_bandwidth.as_bytes_per_s() / 1e9),
        or_dash(peak(Precision::Bf16), 0),
        or_dash(peak(Precision::Fp8), 0),
        or_dash(gpu.power.map(Power::as_watts), 0),
        or_dash(gpu.price_per_hour.map(Dollars::usd), 2),
        gpu.cluster.clone(),
    ]
}

fn model(catalog: &Catalog, name: &str) -> Vec<String> {
    let model = &catalog.models[name];
    let parameters = model.parameters();
    let (all, active) = (parameters.without_mtp(), parameters.active());
    let count = |parameters: u64| {
        let parameters = parameters as f64;
        // What would be 1000 M is 1.00 B.
        if parameters >= 999.5e6 {
            format!("{:.2} B", parameters / 1e9)
        } else {
            format!("{:.0} M", parameters / 1e6)
        }
    };
    vec![
        model.name.clone(),
        model.family.to_string(),
        count(all),
        if active < all {
            count(active)
        } else {
            String::new()
        },
        model.seq_len().to_string(),
    ]
}

fn cluster(catalog: &Catalog, name: &str) -> Vec<String> {
    let cluster = &catalog.clusters[name];
    vec![
        cluster.name.clone(),
        cluster.gpus_per_node.to_string(),
        cluster.domain_gpus.to_string(),
        cluster.scale_up.kind.to_string(),
        format!("{:.0}", cluster.scale_up.bandwidth.as_bytes_per_s() / 1e9),
        cluster.nics_per_node.to_string(),
        format!("{:.0}", cluster.nic_bandwidth.as_gbit_per_s()),
        cluster.fabric.topology.to_string(),
    ]
}

fn price_list(catalog: &Catalog, name: &str) -> Vec<String> {
    let list = &catalog.prices[name];
    vec![
        list.name.clone(),
        list.date
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string),
        list.term.to_string(),
        list.prices.len().to_string(),
        list.title.clone(),
    ]
}

fn stack(catalog: &Catalog, name: &str) -> Vec<String> {
    let stack = &catalog.stacks[name];
    vec![
        stack.name.clone(),
        format!("{}-{}", stack.years[0], stack.years[1]),
        in_words(&stack.offers.groups),
        in_words(&stack.offers.schedules),
        in_words(&stack.offers.zero),
        stack.title.clone(),
    ]
}

/// Values that a stack offers on an axis.
fn in_words<T: Display>(offered: &[T]) -> String {
    if offered.is_empty() {
        "-".to_owned()
    } else {
        offered.iter().join(" ")
    }
}

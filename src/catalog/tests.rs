//! What holds for every entry of the catalogue, and what a spec's tables may say.

use super::*;

fn overlaid(text: &str) -> Result<Catalog, Vec<CatalogFault>> {
    overlay(Catalog::builtin(), &text.parse().expect("valid TOML"))
}

fn faults(text: &str) -> Vec<String> {
    overlaid(text)
        .expect_err("the tables have faults")
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_file_in_data_is_in_the_list() {
    for kind in Kind::ALL {
        let folder = format!("{}/data/{kind}", env!("CARGO_MANIFEST_DIR"));
        let mut there: Vec<String> = std::fs::read_dir(&folder)
            .expect("the folder exists")
            .map(|file| {
                file.expect("a readable entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        there.sort();
        let mut listed: Vec<String> = files::FILES
            .iter()
            .filter(|file| file.kind == *kind)
            .map(|file| format!("{}.toml", file.name))
            .collect();
        listed.sort();
        assert_eq!(there, listed, "{folder}");
    }
}

#[test]
fn a_base_changes_only_what_is_given() {
    let text = "[gpus.quiet]\nbase = \"h100-sxm\"\npower = \"500 W\"";
    let catalog = overlaid(text).expect("no faults");
    let (preset, own) = (&catalog.gpus["h100-sxm"], &catalog.gpus["quiet"]);
    assert_eq!(own.title, "quiet");
    assert_eq!(own.memory, preset.memory);
    assert_eq!(own.power, Some(crate::units::Power::watts(500.0)));
    assert_eq!(own.price, preset.price);
}

#[test]
fn a_preset_changed_under_its_own_name_keeps_the_rest() {
    let catalog =
        overlaid("[gpus.\"h100-sxm\"]\nprice_per_hour = \"2.50 USD\"").expect("no faults");
    let gpu = &catalog.gpus["h100-sxm"];
    let price = gpu.price.as_ref().expect("a price");
    assert!((price.usd_per_hour - 2.5).abs() < 1e-12);
    assert_eq!(price.date, "");
    assert_eq!(gpu.title, Catalog::builtin().gpus["h100-sxm"].title);
    let entry = catalog.entry(Kind::Gpus, "h100-sxm").expect("an entry");
    assert_eq!(entry.source("price_per_hour"), Some("given in the spec"));
}

#[test]
fn bases_may_form_a_chain_in_any_order_but_no_circle() {
    let chain = "[gpus.c]\nbase = \"b\"\n[gpus.b]\nbase = \"h100-sxm\"\npower = \"500 W\"";
    let catalog = overlaid(chain).expect("no faults");
    assert_eq!(catalog.gpus["c"].power, catalog.gpus["b"].power);
    let circle = faults("[gpus.c]\nbase = \"b\"\n[gpus.b]\nbase = \"c\"");
    assert_eq!(circle, ["gpus.b.base: `base` goes in a circle: c → b → c"]);
}

#[test]
fn all_faults_are_reported_at_once_with_the_nearest_name() {
    let found = faults(
        "[gpus.x]\nbase = \"h100-smx\"\n\
         [gpus.y]\nbase = \"h100-sxm\"\nmemry = \"1 GiB\"\nmemory = 80\nsms = 0\npower = \"-1 W\"\npeaks.bf61 = \"1 TFLOP/s\"\n\
         [clusters.z]\nbase = \"dgx-h100\"\nscale_up.kind = \"nvswich\"\ndomain_gpus = 12\n",
    );
    let expected = [
        "clusters.z.scale_up.kind: unknown name `nvswich`",
        "gpus.y.memry: unknown key `memry` (did you mean `memory`?)",
        "gpus.y.memory: `80` has no unit",
        "gpus.y.sms: `0` is out of range",
        "gpus.y.power: `-1 W` is out of range",
        "gpus.y.peaks.bf61: unknown key `bf61` (did you mean `bf16`?)",
        "gpus.x.base: unknown GPU `h100-smx` (did you mean `h100-sxm`?)",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (fault, start) in found.iter().zip(expected) {
        assert!(fault.starts_with(start), "{fault} / {start}");
    }
}

#[test]
fn a_new_entry_must_say_all_that_is_required() {
    let found = faults("[clusters.mine]\ngpus_per_node = 4");
    assert!(
        found
            .iter()
            .any(|fault| fault.starts_with("clusters.mine: `scale_up.bandwidth` is missing")),
        "{found:#?}"
    );
}

#[test]
fn entries_of_another_form_are_refused_without_a_panic() {
    for text in [
        "gpus = 3",
        "gpus = [1]",
        "[gpus]\nx = 3",
        "[gpus.x]\nbase = 3",
        "[gpus.\"\"]\nbase = \"h100-sxm\"",
        "[gpus.x]\nbase = \"h100-sxm\"\npeaks = 3",
        "[gpus.x]\nbase = \"h100-sxm\"\nmemory.size = 3",
        "[gpus.x]\nbase = \"h100-sxm\"\n\"peaks.bf16\" = \"1 TFLOP/s\"",
        "[gpus.x]\nbase = \"h100-sxm\"\nmemory_bandwidth = nan",
        "[gpus.x]\nbase = \"h100-sxm\"\nmemory_fraction = nan",
        "[gpus.x]\nbase = \"h100-sxm\"\nmemory = \"0 GiB\"",
        "[gpus.x]\nbase = \"h100-sxm\"\nsources = 3",
        "[gpus.x]\nbase = \"h100-sxm\"\ncluster = \"dgx-h101\"",
        "[models.x]\nbase = \"llama3-8b\"\nlayers = 4294967295",
        "[models.x]\nbase = \"llama3-8b\"\nhidden = 4294967295\nffn_hidden = 4294967295",
        "[models.x]\nbase = \"llama3-8b\"\nheads = 3\nkv_heads = 2",
        "[models.x]\nbase = \"llama3-8b\"\nexperts = 8",
        "[models.x]\nfamily = \"cnn\"\nlayers = 3",
        "[models.x]\nfamily = \"moe\"\nlayers = 3",
        "[stacks.x]\nbase = \"current\"\nyears = [2025]",
        "[stacks.x]\nbase = \"current\"\nyears = [2026, 2025]",
    ] {
        assert!(!faults(text).is_empty(), "{text}");
    }
}

#[test]
fn the_hash_is_64_hexadecimal_digits() {
    let hash = Catalog::hash();
    assert_eq!(hash.len(), 64);
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()));
}

/// A value's key, for messages.
fn each_entry(mut check: impl FnMut(Kind, &str, &Entry)) {
    for kind in Kind::ALL {
        for name in Catalog::builtin().names(*kind) {
            let entry = Catalog::builtin().entry(*kind, name).expect("listed");
            check(*kind, name, entry);
        }
    }
}

#[test]
fn every_value_has_a_source_and_every_source_a_value() {
    each_entry(|kind, name, entry| {
        for path in overlay::leaves(&entry.table) {
            // A title is a name, not a figure.
            let source = entry.source(&path).unwrap_or_default();
            assert!(
                path == "title" || !source.is_empty(),
                "{kind}.{name}.{path} has no source"
            );
            assert_ne!(source, "given in the spec", "{kind}.{name}.{path}");
        }
    });
    for file in files::FILES {
        let table: toml::Table = file.text.parse().expect("it parsed before");
        let entry = Catalog::builtin()
            .entry(file.kind, file.name)
            .expect("listed");
        let empty = toml::Table::new();
        let sources = table
            .get("sources")
            .and_then(toml::Value::as_table)
            .unwrap_or(&empty);
        for path in overlay::leaves(sources) {
            let path = path.replace('"', "");
            let found = key::lookup(&entry.table, &path);
            assert!(
                found.is_some(),
                "{}/{}: `{path}` has a source but no value",
                file.kind,
                file.name
            );
        }
    }
}

// Published counts are held to 1%, or to half a unit of their last printed digit where that is more:
// "13 billion" may be anything from 12.5 to 13.5.
#[test]
fn every_model_has_as_many_parameters_as_published() {
    let mut far = Vec::new();
    each_entry(|kind, name, entry| {
        if kind != Kind::Models {
            return;
        }
        let text = entry.table["published_parameters"].as_str().expect("text");
        let published: quantity::ParameterCount = text.parse().expect("checked");
        let count = Catalog::builtin().models[name].parameters().without_mtp() as f64;
        let slack = published.rounding.max(0.01 * published.count);
        if (count - published.count).abs() > slack {
            far.push(format!("{name}: {count} / {text}"));
        }
    });
    assert!(far.is_empty(), "{far:#?}");
}

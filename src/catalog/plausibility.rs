//! Checks of every entry of the catalogue, so that a new one is tested the day it is added.

use super::*;
use crate::data_table::quantity::ParameterCount;
use crate::hardware::{Evidence, Precision, ScaleUpKind};
use crate::model::{self, Shard};
use crate::spelling::{nearest, plain};

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
            let found = check::lookup(&entry.table, &path);
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
        let published: ParameterCount = text.parse().expect("checked");
        let count = Catalog::builtin().models[name].parameters().without_mtp() as f64;
        let slack = published.rounding.max(0.01 * published.count);
        if (count - published.count).abs() > slack {
            far.push(format!("{name}: {count} / {text}"));
        }
    });
    assert!(far.is_empty(), "{far:#?}");
}

// Exact sizes of published checkpoints. DeepSeek-V3 stores one balancing bias per expert and expert layer besides
// (256·58).
#[test]
fn parameters_agree_with_checkpoints_to_the_last_one() {
    let checkpoints: [(&str, u64); 17] = [
        ("gpt2-small", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("bloom-176b", 176_247_271_424),
        ("llama2-7b", 6_738_415_616),
        ("llama2-13b", 13_015_864_320),
        ("llama2-70b", 68_976_648_192),
        ("llama3-8b", 8_030_261_248),
        ("llama3-70b", 70_553_706_496),
        ("mixtral-8x7b", 46_702_792_704),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("gpt-oss-120b", 116_829_156_672),
        ("deepseek-v3", 671_026_419_200 - 256 * 58),
        ("llava-1.5-7b", 7_063_427_072),
        ("llava-1.5-13b", 13_350_839_296),
        ("qwen2.5-vl-7b", 8_292_166_656),
    ];
    for (name, size) in checkpoints {
        let count = Catalog::builtin().models[name].parameters().without_mtp();
        assert_eq!(count, size, "{name}");
    }
}

#[test]
fn lowering_finds_every_parameter_of_every_model() {
    let shard = Shard::whole(128);
    for (name, model) in &Catalog::builtin().models {
        let lowered = model::lower(model, &shard);
        let layers = lowered
            .sequence
            .iter()
            .map(|at| &lowered.layer_kinds[usize::from(*at)]);
        let held: u64 = layers
            .chain([&lowered.embedding, &lowered.head])
            .map(|layer| layer.parameters.dense + layer.parameters.expert)
            .sum();
        assert_eq!(held, model.parameters().without_mtp(), "{name}");
    }
}

// Publications differ in whether the embedding counts as active; the count without it and the count
// with it enclose the published one, 5% apart for rounding.
#[test]
fn the_active_parameters_enclose_the_published_count() {
    each_entry(|kind, name, entry| {
        let Some(text) = entry.table.get("published_active_parameters") else {
            return;
        };
        assert_eq!(kind, Kind::Models);
        let text = text.as_str().expect("text");
        let published: ParameterCount = text.parse().expect("checked");
        let count = Catalog::builtin().models[name].parameters();
        let least = count.active() - count.embedding;
        assert!(
            0.95 * least as f64 <= published.count,
            "{name}: {least} / {text}"
        );
        assert!(
            published.count <= 1.05 * count.active() as f64,
            "{name}: {count:?} / {text}"
        );
    });
}

// A format with fewer bits is never slower on the same matrix units.
#[test]
fn peaks_rise_with_fewer_bits() {
    for (name, gpu) in &Catalog::builtin().gpus {
        let order = [
            Precision::Fp32,
            Precision::Tf32,
            Precision::Bf16,
            Precision::Fp8,
            Precision::MxFp8,
            Precision::NvFp4,
        ];
        let rates: Vec<f64> = order
            .iter()
            .filter_map(|precision| Some(gpu.peaks.get(*precision)?.as_tflops()))
            .collect();
        assert!(rates.is_sorted(), "{name}: {rates:?}");
        if let (Some(half), Some(brain)) = (
            gpu.peaks.get(Precision::Fp16),
            gpu.peaks.get(Precision::Bf16),
        ) {
            assert_eq!(half, brain, "{name}");
        }
    }
}

// From V100 to TPU v6e the 16-bit peak over the memory bandwidth lies between 110 and 560 FLOP per byte,
// bandwidth over memory between 15 and 77 per second, and power, where it is published, between 0.4 and 5 W per
// TFLOP/s: a slip of a unit is a factor of 8 or 1000.
#[test]
fn a_gpu_is_balanced_as_gpus_are() {
    for (name, gpu) in &Catalog::builtin().gpus {
        let peak = gpu
            .peaks
            .get(gpu.default_precision())
            .expect("a 16-bit peak")
            .as_flops_per_s();
        let bandwidth = gpu.memory_bandwidth.as_bytes_per_s();
        let intensity = peak / bandwidth;
        assert!(
            (100.0..600.0).contains(&intensity),
            "{name}: {intensity} FLOP/B"
        );
        let sweeps = bandwidth / gpu.memory.as_f64();
        assert!(
            (10.0..80.0).contains(&sweeps),
            "{name}: {sweeps} sweeps of the memory per second"
        );
        if let Some(power) = gpu.power {
            let watts = power.as_watts() / (peak / 1e12);
            assert!((0.3..6.0).contains(&watts), "{name}: {watts} W per TFLOP/s");
        }
    }
}

#[test]
fn kernels_stay_below_the_data_sheet() {
    for (name, gpu) in &Catalog::builtin().gpus {
        for precision in gpu.peaks.0.keys() {
            let rate = gpu.rates.gemm[precision];
            assert!(
                rate.sustained <= 1.0 && rate.ceiling <= 1.0,
                "{name}: {rate:?}"
            );
        }
        for (kernel, rate) in &gpu.rates.attention {
            assert!(
                rate.forward <= 1.0 && rate.backward <= 1.0,
                "{name}: {kernel}"
            );
        }
    }
}

// Prices of several providers or dates cannot be compared: those of the presets lie in lists, not with the GPUs.
// A newer generation rents for more on the same list.
#[test]
fn every_price_is_of_one_list_and_newer_gpus_cost_more() {
    let catalog = Catalog::builtin();
    each_entry(|kind, name, entry| {
        let has_price = entry.table.contains_key("price_per_hour");
        assert!(kind != Kind::Gpus || !has_price, "{name}");
    });
    let order = [
        "v100-16gb-sxm",
        "a100-80gb-sxm",
        "h100-sxm",
        "h200-sxm",
        "b200",
        "b300",
    ];
    let with_less_memory = [&order[..1], &["a100-40gb-sxm"], &order[1..]].concat();
    for (name, list) in &catalog.prices {
        assert!(list.date.is_some(), "{name}");
        let prices = with_less_memory
            .iter()
            .filter_map(|gpu| catalog.rent(name, gpu));
        let prices: Vec<f64> = prices.map(|rent| rent.of_each(8).usd()).collect();
        assert!(prices.len() > 1 && prices.is_sorted(), "{name}: {prices:?}");
    }
    let own: Vec<&str> = catalog
        .gpus
        .iter()
        .filter(|(_, gpu)| gpu.price_per_hour.is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(own.len(), order.len(), "{own:?}");
}

/// GPUs of one die, each with its sustained rate of products over that of the first.
///
/// Blackwell: best bf16 products of 1,822 (GB200), 1,769 (B300) and 1,745 TFLOP/s (B200); four training
/// steps that run alike on GB200 and GB300 take 1.048, 1.133, 1.192 and 1.202 times as long there, 1.162
/// in the median. H100 PCIe: 499.5 of 703 TFLOP/s, both measured in bf16; A100 PCIe likewise 234 of 254.
/// MI325X: best products of 784.9 over 668.4 TFLOP/s.
const DIES: &[&[(&str, f64)]] = &[
    &[
        ("b200", 1.0),
        ("b300", 1.014),
        ("gb200", 1.044),
        ("gb300", 1.044 * 1.162),
    ],
    &[
        ("h100-sxm", 1.0),
        ("h200-sxm", 1.0),
        ("h800", 1.0),
        ("h100-pcie", 0.710),
    ],
    &[
        ("a100-80gb-sxm", 1.0),
        ("a100-40gb-sxm", 1.0),
        ("a100-80gb-pcie", 0.9225),
    ],
    &[("v100-16gb-sxm", 1.0), ("v100-32gb-sxm", 1.0)],
    &[("mi300x", 1.0), ("mi325x", 1.174)],
];

// What two GPUs of a die differ by is the same in every format: a rate that was not measured is its
// sibling's times that. Two rates that were both measured, the H100's and the H200's in fp8, are 1.2% apart.
#[test]
fn gpus_of_one_die_differ_alike_in_every_format() {
    let gpus = &Catalog::builtin().gpus;
    let sustained = |name: &str, format: Precision| {
        let peak = gpus[name].peaks.get(format)?.as_tflops();
        Some(peak * gpus[name].rates.gemm[&format].sustained)
    };
    let pairs = DIES
        .iter()
        .flat_map(|die| die.iter().flat_map(|a| die.iter().map(move |b| (a, b))));
    for (a, b) in pairs {
        for &format in Precision::ALL {
            let rates = sustained(a.0, format).zip(sustained(b.0, format));
            let Some((rate, other)) = rates else { continue };
            let apart = (other / rate) / (b.1 / a.1);
            let names = (a.0, b.0);
            assert!(
                (apart - 1.0).abs() < 0.0125,
                "{names:?} in {format}: {other} over {rate}"
            );
        }
    }
}

// What is derived or announced says so in its sources, and what was measured does not.
#[test]
fn a_gpu_without_measurements_says_so() {
    each_entry(|kind, name, entry| {
        if kind != Kind::Gpus {
            return;
        }
        let gpu = &Catalog::builtin().gpus[name];
        let products = entry.source("gemm").unwrap_or_default();
        let nothing =
            products.contains("nothing was measured on it") || products.contains("no measurement");
        assert_eq!(
            gpu.evidence != Evidence::Measured,
            nothing,
            "{name}: {products}"
        );
        assert_eq!(gpu.unmeasured().is_some(), nothing, "{name}");
    });
}

#[test]
fn every_gpu_comes_in_a_cluster_that_is_there() {
    let catalog = Catalog::builtin();
    for (name, gpu) in &catalog.gpus {
        assert!(
            catalog.clusters.contains_key(&gpu.cluster),
            "{name}: {}",
            gpu.cluster
        );
    }
}

// Links inside a server are faster than the network behind it, or nobody would build the server; only
// PCIe cards with a NIC each come near.
#[test]
fn the_network_is_slower_than_the_links_inside() {
    for (name, cluster) in &Catalog::builtin().clusters {
        let inside = cluster.scale_up.bandwidth.as_bytes_per_s();
        let outside = cluster.nic_bandwidth_per_gpu().as_bytes_per_s();
        let slack = if cluster.scale_up.kind == ScaleUpKind::Pcie {
            1.7
        } else {
            1.0
        };
        assert!(
            outside <= inside * slack,
            "{name}: {inside} inside, {outside} outside"
        );
    }
}

#[test]
fn names_are_lower_case_and_far_enough_apart_to_be_typed() {
    each_entry(|kind, name, _| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(name.chars().all(plain), "{kind}: {name}");
        assert_eq!(nearest(name, Catalog::builtin().names(kind)), Some(name));
    });
}

// A name stands for itself, and an alias for its entry alone, however both are written.
#[test]
fn every_name_and_alias_names_one_entry() {
    each_entry(|kind, name, entry| {
        let spellings = entry.aliases.iter().map(String::as_str).chain([name]);
        for spelling in spellings {
            for typed in [
                spelling.to_owned(),
                spelling.to_uppercase(),
                plain(spelling),
            ] {
                let found = Catalog::builtin().named(kind, &typed);
                assert_eq!(found, Some(name), "{kind}: {typed}");
            }
        }
    });
}

#[test]
fn values_come_with_their_meaning_and_source() {
    let values = Catalog::builtin().values(Kind::Gpus, "h100-sxm");
    let memory = values
        .iter()
        .find(|value| value.key.path == "memory")
        .expect("given");
    assert_eq!(memory.value.as_str(), Some("84942979072 B"));
    assert!(
        memory
            .source
            .is_some_and(|source| source.contains("driver"))
    );
    assert!(values.iter().any(|value| value.key.path == "peaks.bf16"));
    assert!(Catalog::builtin().values(Kind::Gpus, "h1000").is_empty());
}

#[test]
fn a_file_in_data_is_a_preset_by_being_there() {
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
        let known = Catalog::builtin().names(*kind);
        let mut listed: Vec<String> = known.iter().map(|name| format!("{name}.toml")).collect();
        listed.sort();
        assert_eq!(there, listed, "{folder}");
    }
}

#[test]
fn the_hash_is_64_hexadecimal_digits() {
    let hash = Catalog::hash();
    assert_eq!(hash.len(), 64);
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()));
}

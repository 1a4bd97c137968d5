//! Tables of a spec laid over the catalogue.

use super::*;

mod flops;
mod models;

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
fn a_base_changes_only_what_is_given() {
    let text = "[gpus.quiet]\nbase = \"h100-sxm\"\npower = \"500 W\"";
    let catalog = overlaid(text).expect("no faults");
    let (preset, own) = (&catalog.gpus["h100-sxm"], &catalog.gpus["quiet"]);
    assert_eq!(own.title, "quiet");
    assert_eq!(own.memory, preset.memory);
    assert_eq!(own.power, Some(crate::units::Power::watts(500.0)));
    assert_eq!(own.price_per_hour, preset.price_per_hour);
}

#[test]
fn a_preset_changed_under_its_own_name_keeps_the_rest() {
    let catalog =
        overlaid("[gpus.\"h100-sxm\"]\nprice_per_hour = \"2.50 USD\"").expect("no faults");
    let gpu = &catalog.gpus["h100-sxm"];
    let price = gpu.price_per_hour.expect("a price");
    assert!((price.usd() - 2.5).abs() < 1e-12);
    assert_eq!(gpu.price_date, None);
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
        "clusters.z.domain_gpus: a domain of 12 GPUs is not made of whole nodes of 8",
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
            .any(|fault| fault.starts_with("clusters.mine: ")
                && fault.contains("`scale_up.bandwidth`")
                && fault.contains("are missing")),
        "{found:#?}"
    );
}

// Keys one by one, keys that are missing and values that contradict one another come together; what would follow from a
// fault, a missing `heads` from a misspelt one or a `kv_heads` held against the base's `heads`, does not.
#[test]
fn all_faults_of_a_table_come_at_once() {
    let cases: [(&str, &[&str]); 5] = [
        (
            "family = \"decoder\"\nlayers = \"many\"\nhidden = 64\nheadz = 4\nvocab = 1000\nexperts = 8",
            &[
                "m.experts: `experts` belongs to family = \"moe\"",
                "m.headz: unknown key",
                "m.layers: expected a whole number",
                "m: `seq_len` is missing",
            ],
        ),
        (
            "base = \"llama3-8b\"\nlayers = 0\nheads = 31\nkv_heads = 7",
            &[
                "m.kv_heads: `kv_heads` = 7 does not divide",
                "m.layers: `0` is out of range",
                "m: `hidden` = 4096 is not a multiple",
            ],
        ),
        (
            "base = \"llama3-8b\"\nheads = \"x\"\nkv_heads = 7",
            &["m.heads: expected a whole number"],
        ),
        // Whatever transformer over tokens it is.
        (
            "layers = 2\nhidden = 64\nheads = 4\nvocab = 1000",
            &["m: `family` and `seq_len` are missing"],
        ),
        (
            "family = \"decodr\"\nlayers = 2\nhidden = 64\nheads = 0\nvocab = 1000",
            &[
                "m.family: unknown name `decodr`",
                "m.heads: `0` is out of range",
                "m: `seq_len` is missing",
            ],
        ),
    ];
    for (lines, expected) in cases {
        let mut found = faults(&format!("[models.m]\n{lines}"));
        found.sort();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (fault, start) in found.iter().zip(expected) {
            assert!(
                fault.starts_with(&format!("models.{start}")),
                "{fault} / {start}"
            );
        }
    }
}

// The GPU's cluster is there, only faulty: one fault, not two.
#[test]
fn a_fault_is_reported_once() {
    let found = faults(
        "[gpus.g]\nbase = \"h100-sxm\"\ncluster = \"mine\"\n\
         [clusters.mine]\nbase = \"dgx-h100\"\nnics_per_node = 0",
    );
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn changing_a_model_drops_what_does_not_hold_any_more() {
    let text = "[models.half]\nbase = \"deepseek-v3\"\nlayers = 30\n\
                [models.dense]\nbase = \"mixtral-8x7b\"\nfamily = \"decoder\"\n\
                [models.plain]\nbase = \"deepseek-v3\"\nattention = \"mha\"";
    let catalog = overlaid(text).expect("no faults");
    let half = catalog.entry(Kind::Models, "half").expect("an entry");
    assert!(!half.table.contains_key("published_parameters"));
    let dense = catalog.models["dense"]
        .transformer()
        .expect("a transformer");
    assert_eq!((dense.moe, dense.ffn_hidden), (None, 14336));
    let plain = catalog.models["plain"]
        .transformer()
        .expect("a transformer");
    assert_eq!((plain.mla, plain.head_dim), (None, 56));
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
        "[models.x]\nbase = \"llama3-8b\"\nheads = 4294967295\nkv_heads = 4294967295\nhead_dim = 4294967295",
        "[models.x]\nbase = \"llama3-8b\"\nhidden = 16777216\nlayers = 100000",
        "[models.x]\nbase = \"llama3-8b\"\nheads = 3\nkv_heads = 2",
        "[models.x]\nbase = \"llama3-8b\"\nexperts = 8",
        "[models.x]\nfamily = \"cnn\"\nlayers = 3",
        "[models.x]\nfamily = \"moe\"\nlayers = 3",
        "[gpus.x]\nbase = \"h100-sxm\"\nmemory_bandwidth = \"1e-300 GB/s\"",
        "[gpus.x]\nbase = \"h100-sxm\"\nmemory = \"10000000 TiB\"",
        "[gpus.x]\nbase = \"h100-sxm\"\npeaks.bf16 = \"1e300 PFLOP/s\"",
        "[gpus.x]\nbase = \"h100-sxm\"\nkernel_floor = \"2 h\"",
        "[clusters.x]\nbase = \"dgx-h100\"\ngpus_per_node = 4294967295",
        "[models.x]\nbase = \"resnet50\"\nblocks = [1, 1, 1, 4294967295]",
        "[stacks.x]\nbase = \"current\"\nyears = [2025]",
        "[stacks.x]\nbase = \"current\"\nyears = [2026, 2025]",
    ] {
        assert!(!faults(text).is_empty(), "{text}");
    }
}

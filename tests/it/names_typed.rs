//! Names as people type them: accepted where they fit one preset, else suggestions.

use serde_json::Value;

use crate::desk::Desk;

fn spec(gpu: &str, model: &str, rest: &str) -> String {
    format!("[grid]\ngpu = \"{gpu}\"\nmodel = \"{model}\"\nnodes = 1\nglobal_batch = 8\n{rest}")
}

// What runs is the spec with the presets' names in it, so that rows and later runs have those.
#[test]
fn an_alias_is_accepted_and_the_row_holds_the_presets_name() {
    for (gpu, model, topology, names) in [
        (
            "a6000",
            "gpt2",
            "FatTree",
            ["rtx-a6000", "gpt2-small", "fat-tree"],
        ),
        (
            "MI300",
            "llama-3-70b",
            "3D-torus",
            ["mi300x", "llama3-70b", "torus3d"],
        ),
        (
            "H100_SXM",
            "meta-llama/Llama-3-8B",
            "clos",
            ["h100-sxm", "llama3-8b", "fat-tree"],
        ),
    ] {
        let desk = Desk::new();
        let text = spec(gpu, model, &format!("topology = \"{topology}\"\n"));
        desk.write("names.toml", text);
        desk.sweep(&["run", "names.toml", "-o", "run"])
            .expect_code(0);
        let resolved = String::from_utf8(desk.read("run/spec.toml")).unwrap();
        for name in names {
            assert!(resolved.contains(&format!("[\"{name}\"]")), "{resolved}");
        }
        let explained = desk
            .sweep(&["explain", "run", "0", "--format", "json"])
            .expect_code(0);
        let point: Value = serde_json::from_str(&explained.stdout).unwrap();
        let text = point.to_string();
        assert!(text.contains(&format!("\"{}\"", names[0])), "{text}");
    }
}

// Instances of AWS, Google Cloud, Azure, OCI and CoreWeave as their consoles spell them.
#[test]
fn clusters_are_found_by_the_names_of_instances() {
    let instances = [
        ("p3dn.24xlarge", "aws-p3dn"),
        ("p4d.24xlarge", "aws-p4d"),
        ("p4de.24xlarge", "aws-p4d"),
        ("p5.48xlarge", "aws-p5"),
        ("p5e.48xlarge", "aws-p5"),
        ("p5en.48xlarge", "aws-p5en"),
        ("p6-b200.48xlarge", "aws-p6-b200"),
        ("p6-b300.48xlarge", "aws-p6-b300"),
        ("p6e-gb200.36xlarge", "aws-p6e-gb200"),
        ("p6e-gb300.36xlarge", "aws-p6e-gb300"),
        ("trn2.48xlarge", "aws-trn2"),
        ("a2-ultragpu-8g", "gcp-a2"),
        ("a3-highgpu-8g", "gcp-a3-high"),
        ("a3-megagpu-8g", "gcp-a3-mega"),
        ("a3-ultragpu-8g", "gcp-a3-ultra"),
        ("a4-highgpu-8g", "gcp-a4"),
        ("a4x-highgpu-4g", "gcp-a4x"),
        ("a4x-maxgpu-4g-metal", "gcp-a4x-max"),
        ("ct6e-standard-8t", "tpu-v6e-pod"),
        ("ct5p-hightpu-4t", "tpu-v5p-pod"),
        ("tpu7x-standard-4t", "tpu7x-pod"),
        ("Standard_ND40rs_v2", "azure-nd40rs-v2"),
        ("Standard_ND96asr_v4", "azure-nd-a100-v4"),
        ("Standard_ND96amsr_A100_v4", "azure-nd-a100-v4"),
        ("Standard_ND96isr_H100_v5", "azure-nd-h100-v5"),
        ("Standard_ND96isr_H200_v5", "azure-nd-h200-v5"),
        ("Standard_ND96isr_MI300X_v5", "azure-nd-mi300x"),
        ("Standard_ND128isr_NDR_GB200_v6", "azure-nd-gb200-v6"),
        ("Standard_ND128isr_GB300_v6", "azure-nd-gb300-v6"),
        ("BM.GPU4.8", "oci-a100"),
        ("BM.GPU.A100-v2.8", "oci-a100"),
        ("BM.GPU.H100.8", "oci-h100"),
        ("BM.GPU.H200.8", "oci-h200"),
        ("BM.GPU.B200.8", "oci-b200"),
        ("BM.GPU.B300.8", "oci-b300"),
        ("BM.GPU.GB200.4", "oci-gb200"),
        ("BM.GPU.GB300.4", "oci-gb300"),
        ("BM.GPU.MI300X.8", "oci-mi300x"),
        ("BM.GPU.MI355X.8", "oci-mi355x"),
        ("gd-8xh100ib-i128", "coreweave-h100"),
        ("gd-8xh200ib-i128", "coreweave-h200"),
        ("b200-8x", "coreweave-b200"),
        ("gb200-4x", "coreweave-gb200"),
        ("gb300-4x", "coreweave-gb300"),
    ];
    let desk = Desk::new();
    let listed = desk
        .sweep(&["list", "clusters", "--format", "json"])
        .expect_code(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let entries = listed["entries"].as_array().unwrap().iter();
    let names: Vec<&str> = entries.filter_map(|it| it["name"].as_str()).collect();
    for (instance, cluster) in instances {
        assert!(names.contains(&cluster), "{cluster}");
        let shown = desk.sweep(&["list", "clusters", instance]).expect_code(0);
        let first = shown.stdout.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("cluster {cluster} "))
                || first == format!("cluster {cluster}"),
            "{instance}: {first}"
        );
    }
}

#[test]
fn a_clause_a_base_and_the_command_line_take_aliases_too() {
    let desk = Desk::new();
    let own = "[gpus.mine]\nbase = \"mi300\"\ncluster = \"MI300X_node\"\n";
    let text = format!(
        "where = \"model == 'gpt2'\"\n{}{own}",
        spec("mine", "gpt2", "")
    );
    desk.write("names.toml", text);
    desk.sweep(&["plan", "names.toml", "--set", "cluster=P5"])
        .expect_code(0);
    let listed = desk.sweep(&["list", "gpus", "a6000"]).expect_code(0);
    assert!(
        listed.stdout.contains("GPU rtx-a6000 (also a6000"),
        "{}",
        listed.stdout
    );
    desk.sweep(&["list", "topologies", "fattree"])
        .expect_code(0);
}

// The names that go on where the typed one ends come first; H800, one edit away, is another product.
#[test]
fn a_name_of_several_presets_is_refused_with_all_of_them() {
    let desk = Desk::new();
    for (gpu, hint) in [
        ("h100", "did you mean `h100-sxm` or `h100-pcie`?"),
        (
            "a100",
            "did you mean `a100-40gb-sxm`, `a100-80gb-sxm` or `a100-80gb-pcie`?",
        ),
        ("h1000", "did you mean `h100-sxm`?"),
        ("h900", "`sweep list gpus` shows them"),
    ] {
        desk.write("names.toml", spec(gpu, "llama3-8b", ""));
        desk.sweep(&["plan", "names.toml"])
            .expect_code(2)
            .expect_stderr(&[&format!("unknown GPU `{gpu}`"), hint, ":2:7"]);
    }
}

// An alias of the catalogue gives way to a name of the spec, and two entries cannot share one.
#[test]
fn a_specs_own_name_wins_and_its_aliases_are_its_own() {
    let desk = Desk::new();
    let own = "[gpus.a6000]\nbase = \"l40s\"\naliases = [\"my card\"]\n";
    desk.write("names.toml", spec("My-Card", "gpt2", own));
    desk.sweep(&["run", "names.toml", "-o", "run"])
        .expect_code(0);
    let resolved = String::from_utf8(desk.read("run/spec.toml")).unwrap();
    assert!(resolved.contains("gpu = [\"a6000\"]"), "{resolved}");

    let taken = "[gpus.mine]\nbase = \"l40s\"\naliases = [\"mi300\"]\n";
    desk.write("taken.toml", spec("mine", "gpt2", taken));
    desk.sweep(&["plan", "taken.toml"])
        .expect_code(2)
        .expect_stderr(&["alias `mi300` names `mi300x` already", ":8:1"]);
}

//! Whole specs, from text to points.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::simulation::{Infeasible, Scenario, Scratch, simulate_training};
use crate::stack::ZeroStage;
use crate::units::Bytes;

fn spec(text: &str) -> Spec {
    spec_with(text, &Overrides::default())
}

fn spec_with(text: &str, overrides: &Overrides) -> Spec {
    Spec::parse("test.toml", text, Syntax::Toml, overrides)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn set(arguments: &[&str]) -> Overrides {
    Overrides {
        set: arguments
            .iter()
            .map(|text| Overrides::set_argument(text))
            .collect(),
        where_clauses: Vec::new(),
    }
}

/// Axis values of all kept points, one line each.
fn listed(spec: &Spec, axes: &[Axis]) -> String {
    let plan = spec.plan();
    let mut text = String::new();
    for point in plan.kept(0..plan.len()) {
        let values: Vec<String> = axes
            .iter()
            .map(|axis| {
                point
                    .value(*axis)
                    .map_or("-".to_owned(), ToString::to_string)
            })
            .collect();
        writeln!(text, "{} {}", point.index, values.join(" ")).expect("a text takes all");
    }
    text
}

const BASE: &str = "
[grid]
gpu = 'h100-sxm'
nodes = [1, 2]
model = 'llama3-8b'
global_batch = 64
";

#[test]
fn axes_vary_in_the_order_of_the_file_zips_after_the_grid_points_last() {
    // nodes slowest, then tp, then the zip; the two points come last. tp defaults to auto.
    let spec = spec(
        "
        [grid]
        gpu = 'h100-sxm'
        nodes = { from = 1, to = 2, times = 2 }
        tp = [1, 'auto']
        model = 'llama3-8b'
        global_batch = 64
        [[zip]]
        seq_len = [4096, 8192]
        micro_batch = [2, 1]
        [[point]]
        gpu = 'h100-sxm'
        gpus = 4
        model = 'llama3-8b'
        batch_per_gpu = 2
        [[point]]
        gpu = 'h100-sxm'
        gpus = 16
        model = 'llama3-70b'
        global_batch = 8
        tp = 8
        ",
    );
    let axes = [
        Axis::Nodes,
        Axis::Gpus,
        Axis::Tp,
        Axis::SeqLen,
        Axis::MicroBatch,
    ];
    insta::assert_snapshot!(listed(&spec, &axes), @r"
    0 1 8 1 4096 2
    1 1 8 1 8192 1
    2 1 8 auto 4096 2
    3 1 8 auto 8192 1
    4 2 16 1 4096 2
    5 2 16 1 8192 1
    6 2 16 auto 4096 2
    7 2 16 auto 8192 1
    8 1 4 auto 8192 auto
    9 2 16 8 8192 auto
    ");
    assert_eq!(
        spec.plan().varied(),
        [
            Axis::Nodes,
            Axis::Tp,
            Axis::Model,
            Axis::GlobalBatch,
            Axis::SeqLen,
            Axis::MicroBatch,
            Axis::Gpus,
            Axis::BatchPerGpu,
        ]
    );
}

#[test]
fn several_grids_are_united_in_order_each_with_every_zip() {
    let spec = spec(
        "
        [[grid]]
        gpu = 'h100-sxm'
        nodes = 1
        [[grid]]
        gpu = ['a100-80gb-sxm', 'b200']
        nodes = 4
        [[zip]]
        model = ['llama3-8b', 'llama3-70b']
        global_batch = [64, 128]
        ",
    );
    insta::assert_snapshot!(listed(&spec, &[Axis::Gpu, Axis::Nodes, Axis::Model, Axis::GlobalBatch]), @r"
    0 h100-sxm 1 llama3-8b 64
    1 h100-sxm 1 llama3-70b 128
    2 a100-80gb-sxm 4 llama3-8b 64
    3 a100-80gb-sxm 4 llama3-70b 128
    4 b200 4 llama3-8b 64
    5 b200 4 llama3-70b 128
    ");
}

#[test]
fn where_leaves_the_numbers_of_points_as_they_are() {
    // Of nodes 1, 2, 4, 8 (8 to 64 GPUs) the clauses leave 2 and 4: numbers 1 and 2.
    let spec = spec(
        "
        where = ['gpus > 8', 'gpus * gpu.memory_gib < 64 * 79']
        [grid]
        gpu = 'h100-sxm'
        nodes = { from = 1, to = 8, times = 2 }
        model = 'llama3-8b'
        batch_per_gpu = 4
        ",
    );
    insta::assert_snapshot!(listed(&spec, &[Axis::Nodes]), @r"
    1 2
    2 4
    ");
    assert_eq!(spec.plan().len(), 4);
}

#[test]
fn a_billion_points_are_opened_and_counted_without_being_walked() {
    // 1,000 · 1,000 · 1,000 points. The clause reads nodes alone, so 1,000 looks are enough to count
    // exactly: nodes > 900 keeps 100 of 1,000, that is a tenth of all.
    let spec = spec(
        "
        where = 'nodes > 900'
        [grid]
        gpu = 'h100-sxm'
        model = 'llama3-8b'
        nodes = { from = 1, to = 1000, step = 1 }
        global_batch = { from = 1, to = 1000, step = 1 }
        seed = { from = 0, to = 999, step = 1 }
        ",
    );
    let plan = spec.plan();
    assert_eq!(plan.len(), 1_000_000_000);
    let tally = plan.tally(1_000);
    assert_eq!(tally.kept, 100_000_000);
    assert_eq!(tally.dropped, [("nodes > 900".to_owned(), 900_000_000)]);
    assert!(tally.exact);
    // 123,456,789 in the order of the file: seed fastest.
    let point = plan.point(123_456_789);
    assert_eq!(point.int(Axis::Nodes), Some(124));
    assert_eq!(point.int(Axis::GlobalBatch), Some(457));
    assert_eq!(point.int(Axis::Seed), Some(789));
}

#[test]
fn a_count_from_a_sample_says_so() {
    // 10⁶ points, every axis read; 1,000 looks. Half of all have nodes > batch, give or take.
    let spec = spec(
        "
        where = 'nodes > global_batch'
        [grid]
        gpu = 'h100-sxm'
        model = 'llama3-8b'
        nodes = { from = 1, to = 1000, step = 1 }
        global_batch = { from = 1, to = 1000, step = 1 }
        ",
    );
    let tally = spec.plan().tally(1_000);
    assert!(!tally.exact);
    assert!((400_000..600_000).contains(&tally.kept), "{tally:?}");
}

#[test]
fn defaults_come_from_the_model_the_gpu_and_its_cluster() {
    let spec = spec(
        "
        [grid]
        gpu = ['v100-32gb-sxm', 'h100-sxm']
        nodes = 1
        model = ['resnet50', 'llama3-8b']
        global_batch = 64
        ",
    );
    let catalog = spec.catalog();
    for index in 0..4 {
        let point = spec.plan().point(index);
        let gpu = &catalog.gpus[point.text(Axis::Gpu).expect("given")];
        assert_eq!(point.text(Axis::Cluster), Some(gpu.cluster.as_str()));
        // V100 has no bf16.
        let precision = if index < 2 { "fp16" } else { "bf16" };
        assert_eq!(point.text(Axis::Precision), Some(precision));
        assert_eq!(point.text(Axis::Stack), Some("current"));
        assert_eq!(point.value(Axis::Tp), Some(&AxisValue::Auto));
        assert_eq!(point.int(Axis::Etp), Some(1));
        assert_eq!(point.value(Axis::Dp), None);
        // Images have no length.
        let seq_len = if index % 2 == 0 { None } else { Some(8192) };
        assert_eq!(point.int(Axis::SeqLen), seq_len);
        assert_eq!(point.value(Axis::Size), None);
    }
}

#[test]
fn yaml_and_json_say_the_same_as_toml() {
    let toml = spec(
        "
        name = 'same'
        where = ['nodes > 1']
        [grid]
        gpu = ['h100-sxm', 'b200']
        nodes = { from = 1, to = 4, times = 2 }
        model = 'llama3-8b'
        global_batch = 64
        overlap_dp = [true, 'auto']
        [defaults]
        variability = 0.5
        ",
    );
    let yaml = "
name: same
where: [nodes > 1]
grid:
  gpu: [h100-sxm, b200]
  nodes: {from: 1, to: 4, times: 2}
  model: llama3-8b
  global_batch: 64
  overlap_dp: [true, auto]
defaults:
  variability: 0.5
";
    let json = r#"{"name": "same", "where": ["nodes > 1"],
        "grid": {"gpu": ["h100-sxm", "b200"], "nodes": {"from": 1, "to": 4, "times": 2},
                 "model": "llama3-8b", "global_batch": 64, "overlap_dp": [true, "auto"]},
        "defaults": {"variability": 0.5}}"#;
    for (syntax, text) in [(Syntax::Yaml, yaml), (Syntax::Json, json)] {
        let other = Spec::parse("test", text, syntax, &Overrides::default())
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(other.resolved_text(), toml.resolved_text());
        assert_eq!(other.hash(), toml.hash());
    }
}

fn faults(text: &str, syntax: Syntax) -> String {
    let result = Spec::parse("test", text, syntax, &Overrides::default());
    result.expect_err("the text has faults").to_string()
}

#[test]
fn faults_of_yaml_and_json_name_the_path() {
    let yaml =
        "grid:\n  gpu: h100-sxm\n  nodes: [1, 2, 0]\n  model: llama3-8b\n  global_batch: 8\n";
    insta::assert_snapshot!(faults(yaml, Syntax::Yaml), @r"
    error: nodes = 0 is out of range
     --> test:3:17
      |
    3 |   nodes: [1, 2, 0]
      |                 ^
      |
      = note: at `grid.nodes[2]`
      = help: `nodes` is a whole number from 1 to 1000000
    ");
    let json =
        r#"{"grid": {"gpu": "h100-sxm", "nodes": 1, "model": "llama3-8b", "global_bach": 8}}"#;
    insta::assert_snapshot!(faults(json, Syntax::Json), @r#"
    error: unknown axis `global_bach`
     --> test:1:64
      |
    1 | {"grid": {"gpu": "h100-sxm", "nodes": 1, "model": "llama3-8b", "global_bach": 8}}
      |                                                                ^^^^^^^^^^^^^
      |
      = note: at `grid.global_bach`
      = help: did you mean `global_batch`?
    "#);
    for (text, syntax) in [
        ("{\"grid\": {", Syntax::Json),
        ("{\"grid\": {\"gpu\": 1, \"gpu\": 2}}", Syntax::Json),
        ("grid: [", Syntax::Yaml),
        ("a: 1\na: 2\n", Syntax::Yaml),
        ("[1, 2]", Syntax::Json),
        ("", Syntax::Yaml),
    ] {
        assert!(faults(text, syntax).starts_with("error: "), "{text}");
    }
}

// One cause each, however often it shows: a preset that is not there, numbers in quotes, an axis twice over
// in a zip that three grids share, a header left out, clauses that together keep nothing.
#[test]
fn one_cause_is_one_message() {
    let point = "[[point]]\ngpu = 'h1000'\nnodes = 1\nmodel = 'llama3-8b'\nglobal_batch = 1\n";
    let grid = "[[grid]]\ngpu = 'h100-sxm'\nmodel = 'llama3-8b'\nglobal_batch = 8\n";
    let zip = "[[zip]]\nnodes = [1, 2]\ngpus = [8, 16]\n";
    let outside = "gpu = 'h100-sxm'\nnodes = 1\nmodel = 'llama3-8b'\nglobal_batch = 8\n";
    let wheres = "where = ['gpus > 1000', 'nodes > 100', \"gpu == 'b200'\"]\n";
    for (text, said) in [
        (
            format!(
                "where = \"gpu != 'h1000'\"\n{}[gpus.mine]\nbase = 'h1000'\n",
                point.repeat(60)
            ),
            "unknown GPU `h1000`",
        ),
        (
            BASE.replace("nodes = [1, 2]", "nodes = ['1', '2', '4', '8']"),
            "not text `1`",
        ),
        (
            BASE.replace("nodes = [1, 2]", "nodes = [0, -1, 2_000_000]"),
            "nodes = 0 is out of range",
        ),
        (
            format!("{}{zip}", grid.repeat(3)),
            "`nodes` and `gpus` are both given",
        ),
        (
            outside.to_owned(),
            "unknown keys `gpu`, `nodes`, `model`, `global_batch`",
        ),
        (format!("{wheres}{BASE}"), "`where` drops every point"),
        (
            "[grid]\ngpu = 'h100-sxm'\nnodes = 1\nop = 'broadcast'\nsize = '8 B'\nprotocol = 'll'\n".to_owned(),
            "axis `op` does not belong to a training study",
        ),
        (
            format!("{}[models.big]\nfamily = 'decoder'\n", BASE.replace("llama3-8b", "big")),
            "`heads`, `vocab` and `seq_len` are missing",
        ),
        (BASE.replace("[1, 2]", "[1, 2"), "this `[` is never closed"),
    ] {
        let message = faults(&text, Syntax::Toml);
        assert_eq!(message.matches("error: ").count(), 1, "{message}");
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn the_headroom_of_the_memory_is_a_fraction_and_stays_in_the_resolved_text() {
    let headroom = |spec: &Spec| spec.analysis.thresholds.memory_headroom;
    assert!((headroom(&spec(BASE)) - 0.05).abs() < 1e-12);
    let given = spec(&format!(
        "memory_headroom = 0.1\n{BASE}[analysis]\ntokens = 1e9\n"
    ));
    assert!((headroom(&given) - 0.1).abs() < 1e-12);
    assert!((headroom(&spec(&given.resolved_text())) - 0.1).abs() < 1e-12);
    for wrong in ["1", "-0.1", "'5%'", "nan"] {
        let message = faults(&format!("memory_headroom = {wrong}\n{BASE}"), Syntax::Toml);
        assert!(
            message.contains("`memory_headroom` is a number from 0, under 1"),
            "{message}"
        );
    }
}

#[test]
fn deep_nesting_is_a_fault_in_every_syntax() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    // One message: what the parser says about the brackets behind its limit helps no one.
    let message = faults(&format!("x = {deep}"), Syntax::Toml);
    assert_eq!(message.matches("nested too deeply").count(), 1, "{message}");
    assert!(!message.contains("unclosed"), "{message}");
    for syntax in [Syntax::Json, Syntax::Yaml] {
        let message = faults(&deep, syntax);
        assert!(
            ["nest", "depth", "recurs"]
                .iter()
                .any(|word| message.contains(word)),
            "{message}"
        );
    }
}

#[test]
fn set_replaces_an_axis_where_it_stands() {
    let text = format!("{BASE}\n[defaults]\nprecision = 'bf16'\n");
    let changed = spec_with(&text, &set(&["nodes=4,8", "precision=fp8"]));
    insta::assert_snapshot!(listed(&changed, &[Axis::Nodes, Axis::Precision]), @r"
    0 4 fp8
    1 8 fp8
    ");
    // A twin takes the place of the other; a default with two values becomes the fastest axis.
    let changed = spec_with(&text, &set(&["gpus=2,4", "precision=fp8,bf16"]));
    insta::assert_snapshot!(listed(&changed, &[Axis::Gpus, Axis::Precision]), @r"
    0 2 fp8
    1 2 bf16
    2 4 fp8
    3 4 bf16
    ");
    // Ranges and quoted values in TOML's notation; commas of stages belong to the value.
    let arguments = [
        "nodes={ from = 1, to = 4, times = 2 }",
        "layers_per_stage=15,17",
        "tp='auto'",
    ];
    let changed = spec_with(&text, &set(&arguments));
    insta::assert_snapshot!(listed(&changed, &[Axis::Nodes, Axis::LayersPerStage]), @r"
    0 1 15,17
    1 2 15,17
    2 4 15,17
    ");
}

#[test]
fn faults_of_the_command_line_are_shown_like_those_of_a_file() {
    let text = format!("{BASE}\n[[zip]]\ntp = [1, 2]\npp = [2, 1]\n");
    let overrides = Overrides {
        where_clauses: vec!["nodes >> 1".to_owned()],
        ..set(&["tp=4", "nodes=1,two", "nodez=1", "gpu=", "nodes"])
    };
    let error = Spec::parse("test.toml", &text, Syntax::Toml, &overrides).expect_err("five faults");
    insta::assert_snapshot!(error.to_string(), @r"
    error: axis `tp` is zipped in test.toml (line 9)
     --> --set:1:1
      |
    1 | tp=4
      | ^^
      |
      = help: --set replaces a grid axis or a default; change the zip in the spec

    error: `nodes` is a whole number from 1 to 1000000, not text `two`
     --> --set:1:9
      |
    1 | nodes=1,two
      |         ^^^

    error: unknown axis `nodez`
     --> --set:1:1
      |
    1 | nodez=1
      | ^^^^^
      |
      = help: did you mean `nodes`?
      = help: write --set AXIS=VALUE[,VALUE…]

    error: a value of `gpu` is missing
     --> --set:1:5
      |
    1 | gpu=
      |     ^

    error: a value of `nodes` is missing
     --> --set:1:7
      |
    1 | nodes=
      |       ^

    error: unexpected `>`
     --> --where:1:8
      |
    1 | nodes >> 1
      |        ^
    ");
}

#[test]
fn the_resolved_text_runs_by_itself_and_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write(
        "hardware.toml",
        "[gpus.quiet]\nbase = 'h100-sxm'\npower = '500 W'\n[defaults]\ntp = 2\n",
    );
    write(
        "more.yaml",
        "include: hardware.toml\nanalysis: {efficiency_threshold: 0.9}\n",
    );
    write(
        "spec.toml",
        "
        name = 'whole'
        description = 'is it \"whole\"?'
        include = ['more.yaml', 'hardware.toml']
        where = ['variability >= 0.2']
        [grid]
        gpu = ['quiet', 'h100-sxm']
        nodes = { from = 1, to = 9, step = 2 }
        variability = { from = 0.0, to = 0.3, step = 0.1 }
        model = 'tiny'
        global_batch = 64
        [[zip]]
        bucket_mib = [1.5, 'auto']
        [[point]]
        gpu = 'quiet'
        gpus = 3
        model = 'tiny'
        global_batch = 3
        variability = 1
        [models.tiny]
        base = 'llama3-8b'
        layers = 2
        [analysis]
        tokens = 1e12
        restart_time = '90 s'
        checkpoint_size = '12 GB'
        checkpoint_bandwidth = '1.1 GB/s'
        ",
    );
    let overrides = Overrides {
        where_clauses: vec!["nodes < 9".to_owned()],
        ..set(&["global_batch=128"])
    };
    let path = folder.path().join("spec.toml");
    let first = Spec::load(&path, &overrides).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        first.analysis.efficiency_threshold.to_bits(),
        0.9_f64.to_bits()
    );
    // 2 · 5 · 4 · 2 points and one; with nodes < 9 and variability 0.2 or 0.3: 2 · 4 · 2 · 2 and one.
    assert_eq!(first.plan().len(), 81);
    assert_eq!(first.plan().kept(0..81).count(), 33);

    let again = spec(&first.resolved_text());
    assert_eq!(again.resolved_text(), first.resolved_text());
    assert_eq!(again.analysis, first.analysis);
    assert_eq!(again.hash(), first.hash());
    for index in 0..81 {
        assert_eq!(again.plan().point(index), first.plan().point(index));
    }
    assert_eq!(again.catalog().gpus, first.catalog().gpus);
    assert_eq!(again.catalog().models, first.catalog().models);
}

#[test]
fn files_that_are_no_spec_are_refused_with_one_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let load = |name: &str| Spec::load(&path(name), &Overrides::default()).expect_err("no spec");

    assert!(matches!(load("missing.toml"), SpecError::Read { .. }));
    assert!(matches!(load("."), SpecError::Read { .. }));
    std::fs::write(path("bytes.toml"), b"name = 'a'\nx = \xff\n").expect("a file");
    let error = load("bytes.toml").to_string();
    assert!(
        error.contains("not UTF-8: byte 0xff") && error.contains(":2:5"),
        "{error}"
    );
    // 5 MiB of comment.
    std::fs::write(path("large.toml"), "#".repeat(5 << 20)).expect("a file");
    assert!(load("large.toml").to_string().contains("at most 4 MiB"));
    // Two files that include each other.
    std::fs::write(path("a.toml"), "include = 'b.toml'\n").expect("a file");
    std::fs::write(path("b.toml"), "include = 'a.toml'\n").expect("a file");
    let error = load("a.toml").to_string();
    assert!(
        error.contains("`a.toml` includes itself") && error.contains("b.toml:1:11"),
        "{error}"
    );
    // What is wrong in an included file is shown there.
    std::fs::write(path("c.toml"), "include = 'd.toml'\n").expect("a file");
    std::fs::write(path("d.toml"), "[defaults]\ntp = 0\n").expect("a file");
    let error = load("c.toml").to_string();
    assert!(
        error.contains("tp = 0 is out of range") && error.contains("d.toml:2:6"),
        "{error}"
    );
}

/// Cluster of the first points of a collective study.
fn clusters(spec: &Spec) -> Vec<crate::hardware::Cluster> {
    let plan = spec.plan();
    let scenarios = plan.kept(0..plan.len()).map(|point| plan.scenario(&point));
    let clusters = scenarios.map(|scenario| match scenario {
        Ok(Scenario::Collective(scenario)) => (*scenario.cluster).clone(),
        other => panic!("{other:?}"),
    });
    clusters.collect()
}

// Fewer GPUs of a server are what a table of the same server with so many GPUs is: they share its
// NICs, leaves, domain and mesh. A DGX-2 with one GPU in use gives it all 8 NICs, 800 Gbit/s.
#[test]
fn fewer_gpus_per_node_are_a_table_of_the_same_server() {
    for base in crate::catalog::Catalog::builtin().clusters.values() {
        let sizes = (1..base.gpus_per_node).filter(|size| base.domain_gpus.is_multiple_of(*size));
        for size in sizes {
            let name = &base.name;
            let spec = spec(&format!(
                "kind = 'collective'
                [grid]
                gpu = 'h100-sxm'
                nodes = 2
                op = 'all-reduce'
                size = '1 MiB'
                [[zip]]
                cluster = ['{name}', 'table']
                gpus_per_node = [{size}, {size}]
                [clusters.table]
                base = '{name}'
                gpus_per_node = {size}"
            ));
            let [by_axis, mut table] = <[_; 2]>::try_from(clusters(&spec)).expect("two points");
            (table.name, table.title) = (by_axis.name.clone(), by_axis.title.clone());
            assert_eq!(by_axis, table, "{size} GPUs");
            let rate = by_axis.nic_bandwidth_per_gpu().as_gbit_per_s();
            let shared = base.nic_bandwidth.as_gbit_per_s() * f64::from(base.nics_per_node);
            assert!(
                (rate - shared / f64::from(size)).abs() < 1e-9 * rate,
                "{name}"
            );
        }
    }
}

fn training(spec: &Spec, index: u64) -> Result<crate::simulation::TrainingScenario, Infeasible> {
    match spec.plan().scenario(&spec.plan().point(index))? {
        Scenario::Training(scenario) => Ok(*scenario),
        Scenario::Collective(_) => panic!("the study is of training"),
    }
}

#[test]
fn a_scenario_has_every_name_resolved_and_every_change_applied() {
    let spec = spec(
        "
        [grid]
        gpu = 'h100-sxm'
        nodes = 4
        gpus_per_node = 4
        model = 'llama3-8b'
        batch_per_gpu = 3
        topology = 'torus2d'
        oversubscription = 2
        nic_gbit_per_s = 100
        tp = 4
        zero = 1
        recompute = 'full'
        layers_per_stage = '15,17'
        collective = 'ring'
        bucket_mib = 0.5
        overlap_dp = false
        stack = 'megatron-2021'
        seed = [7, 7]
        ",
    );
    let scenario = training(&spec, 0).expect("it can run");
    // 4 nodes of 4: 16 GPUs, 3 samples each.
    assert_eq!(scenario.gpus, 16);
    assert_eq!(scenario.nodes(), 4);
    assert_eq!(scenario.workload.global_batch, 48);
    assert_eq!(scenario.workload.seq_len, 8192);
    assert_eq!(scenario.cluster.gpus_per_node, 4);
    assert_eq!(scenario.cluster.domain_gpus, 4);
    // Half of the GPUs share all of the 8 NICs, at the rate that the spec gives each GPU.
    assert_eq!(scenario.cluster.nics_per_node, 8);
    assert!((scenario.cluster.nic_bandwidth_per_gpu().as_gbit_per_s() - 100.0).abs() < 1e-9);
    assert_eq!(scenario.cluster.fabric.topology.as_str(), "torus2d");
    assert!((scenario.cluster.fabric.oversubscription - 2.0).abs() < 1e-12);
    assert_eq!(scenario.layout.tp, Some(4));
    assert_eq!(scenario.layout.pp, None);
    assert_eq!(scenario.layout.zero, Some(ZeroStage::Z1));
    assert_eq!(scenario.layout.layers_per_stage, Some(vec![15, 17]));
    assert_eq!(scenario.communication.bucket, Some(Bytes::new(512 << 10)));
    assert_eq!(scenario.communication.overlap_dp, Some(false));
    assert_eq!(scenario.stack.name, "megatron-2021");
    // The same cluster is the same object; the same seed at another point draws otherwise.
    let other = training(&spec, 1).expect("it can run");
    assert!(Arc::ptr_eq(&scenario.cluster, &other.cluster));
    assert_ne!(scenario.run.seed, other.run.seed);
}

// Another GPU brings its own cluster, and its node size: 4 nodes of 8 V100 are 32 GPUs, which are 8 nodes of 4
// GB200. `tp` is given and stays, `dp` follows; the batch per GPU makes room for the global one.
#[test]
fn an_altered_point_keeps_what_the_spec_gives_and_follows_in_the_rest() {
    let spec = spec(
        "
        where = 'nodes < 8'
        [grid]
        gpu = 'v100-32gb-sxm'
        nodes = [2, 4]
        model = 'llama3-8b'
        batch_per_gpu = 3
        tp = 2
        pp = 4
        cp = 1
        ",
    );
    let point = spec.plan().point(1);
    let altered = |axis, text| {
        let value = spec.value(axis, text).expect("the axis has the value");
        let altered = spec.plan().altered(&point, axis, value);
        let values = [
            Axis::Cluster,
            Axis::Gpus,
            Axis::Nodes,
            Axis::Precision,
            Axis::BatchPerGpu,
            Axis::GlobalBatch,
            Axis::Dp,
        ]
        .map(|axis| {
            altered
                .value(axis)
                .map_or("-".to_owned(), ToString::to_string)
        });
        values.join(" ")
    };
    insta::assert_snapshot!(
        [
            altered(Axis::Gpu, "gb200"),
            altered(Axis::GlobalBatch, "64"),
            altered(Axis::Nodes, "8"),
            altered(Axis::Tp, "auto"),
        ]
        .join("\n"),
        @r"
    gb200-nvl72 32 8 bf16 3 - 4
    dgx-1 32 4 fp16 - 64 4
    dgx-1 64 8 fp16 3 - 8
    dgx-1 32 4 fp16 3 - -
    "
    );
    let refused = |axis, text: &str| spec.value(axis, text).expect_err(text).to_string();
    assert!(refused(Axis::Nodes, "many").contains("not text `many`"));
    assert!(refused(Axis::Size, "1 MiB").contains("does not belong to a training study"));
}

#[test]
fn what_only_some_points_suffer_is_infeasible_with_limit_and_need() {
    let infeasible = |axes: &str| {
        let text = format!("[grid]\nglobal_batch = 64\n{axes}\n");
        training(&spec(&text), 0)
            .and_then(|scenario| simulate_training(&scenario, &mut Scratch::default()))
            .expect_err("it cannot run")
            .to_string()
    };
    let h100 = "gpu = 'h100-sxm'\nmodel = 'llama3-8b'\n";
    let sentences = [
        infeasible(&format!("{h100}gpus = 12")),
        infeasible("gpu = 'v100-32gb-sxm'\nmodel = 'llama3-8b'\nnodes = 1\nprecision = 'fp8'"),
        infeasible("gpu = 'h100-sxm'\nmodel = 'resnet50'\nnodes = 1\ncp = 2"),
        infeasible("gpu = 'h100-sxm'\nmodel = 'resnet50'\nnodes = 1\nseq_len = 128"),
        infeasible(&format!("{h100}nodes = 1\nep = 2")),
        infeasible(&format!("{h100}nodes = 1\ntp = 16")),
        infeasible(&format!("{h100}nodes = 1\ntp = 3")),
        infeasible(&format!("{h100}nodes = 1\ntp = 2\npp = 1\ncp = 1\ndp = 2")),
        infeasible(&format!("{h100}nodes = 1\nlayers_per_stage = '16,15'")),
    ];
    insta::assert_snapshot!(sentences.join("\n"), @r"
    divisibility: gpus 12 cannot be divided by the 8 GPUs of a node (above one node a job takes whole nodes)
    unsupported: precision fp8 is not among the formats of v100-32gb-sxm: fp32, fp16
    unsupported: cp 2 needs a transformer, resnet50 is a convolutional network
    unsupported: seq_len does not apply to resnet50, which sees images
    unsupported: ep 2 needs experts, llama3-8b has none
    limit: tp 16 needs 16 GPUs, the job has 8
    divisibility: gpus 8 cannot be divided by tp 3
    limit: tp 2 × pp 1 × cp 1 × dp 2 is 4 GPUs, the job has 8
    limit: layers_per_stage holds 31 layers, llama3-8b has 32
    ");
}

#[test]
fn a_collective_study_has_its_own_axes() {
    let spec = spec(
        "
        kind = 'collective'
        where = \"size <= '1 GiB'\"
        [grid]
        gpu = 'h100-sxm'
        nodes = [1, 2]
        op = 'all-reduce'
        collective = ['ring', 'auto']
        protocol = 'simple'
        size = { from = '1 KiB', to = '4 GiB', times = 1024 }
        ",
    );
    insta::assert_snapshot!(listed(&spec, &[Axis::Gpus, Axis::Size, Axis::Collective]), @r"
    0 8 1 KiB ring
    1 8 1 MiB ring
    2 8 1 GiB ring
    3 8 1 KiB auto
    4 8 1 MiB auto
    5 8 1 GiB auto
    6 16 1 KiB ring
    7 16 1 MiB ring
    8 16 1 GiB ring
    9 16 1 KiB auto
    10 16 1 MiB auto
    11 16 1 GiB auto
    ");
    let Ok(Scenario::Collective(scenario)) = spec.plan().scenario(&spec.plan().point(3)) else {
        panic!("the study is of collectives");
    };
    assert_eq!(scenario.gpus, 8);
    assert_eq!(scenario.size, Bytes::new(1024));
    assert_eq!(scenario.algorithm, None);
}

proptest! {
    /// Whatever the text, reading it ends with a spec or with faults that can be shown.
    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(\\[(grid|defaults|\\[zip|\\[point)\\]{1,2}\n|(gpu|nodes|tp|size|where|zz) = (1|-1|0.5|'h100-sxm'|'auto'|\\[1, 2\\]|\\{ from = 1, to = 8, (step|times) = (1|2|0) \\}|true|nan)\n){0,12}"
    ) {
        for syntax in [Syntax::Toml, Syntax::Yaml, Syntax::Json] {
            match Spec::parse("random", &text, syntax, &Overrides::default()) {
                Ok(spec) => prop_assert!(spec.plan().len() > 0),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn no_clause_makes_the_reader_panic(clause in "[a-z0-9_.<>=!+*/% ()'\"-]{0,40}") {
        let overrides = Overrides { where_clauses: vec![clause], ..Overrides::default() };
        if let Err(error) = Spec::parse("test.toml", BASE, Syntax::Toml, &overrides) {
            prop_assert!(error.to_string().starts_with("error: "));
        }
    }

    /// A point decodes to the same values whichever way it is reached.
    #[test]
    fn points_do_not_depend_on_the_way_to_them(
        nodes in 1_u64..6, batches in 1_u64..6, seeds in 1_u64..6, at in 0_u64..216
    ) {
        let text = format!(
            "[grid]\ngpu = 'h100-sxm'\nmodel = 'llama3-8b'\n\
             nodes = {{ from = 1, to = {nodes}, step = 1 }}\n\
             global_batch = {{ from = 1, to = {batches}, step = 1 }}\n\
             seed = {{ from = 1, to = {seeds}, step = 1 }}\n"
        );
        let spec = spec(&text);
        let at = at % spec.plan().len();
        let point = spec.plan().point(at);
        // By hand: seed fastest, then batch, then nodes, each counted from 1.
        prop_assert_eq!(point.int(Axis::Seed), Some(at % seeds + 1));
        prop_assert_eq!(point.int(Axis::GlobalBatch), Some(at / seeds % batches + 1));
        prop_assert_eq!(point.int(Axis::Nodes), Some(at / seeds / batches + 1));
        prop_assert_eq!(spec.plan().kept(at..at + 1).next(), Some(point));
    }
}

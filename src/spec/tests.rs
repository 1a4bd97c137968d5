//! Whole specs, from text to points.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::simulation::{Infeasible, Scenario, Scratch, simulate_training};
use crate::stack::ZeroStage;
use crate::units::Bytes;

mod config_json;
mod messages;
mod scenarios;

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
        ..Overrides::default()
    }
}

fn faults(text: &str, syntax: Syntax) -> String {
    let result = Spec::parse("test", text, syntax, &Overrides::default());
    result.expect_err("the text has faults").to_string()
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

/// An axis, ways to write its values with their number, and values for `--set` with the number of those that no way has.
type Extended = (
    &'static str,
    [(&'static str, u64); 3],
    [(&'static str, u64); 3],
);

/// Counts, real numbers and names; each axis has values that all ways have and no set adds.
const EXTENDED: [Extended; 4] = [
    (
        "nodes",
        [
            ("{ from = 1, to = 4, step = 1 }", 4),
            ("{ from = 1, to = 4, times = 2 }", 3),
            ("2", 1),
        ],
        [("2", 0), ("8,2", 1), ("{ from = 5, to = 9, step = 2 }", 3)],
    ),
    (
        "global_batch",
        [
            ("{ from = 64, to = 192, step = 64 }", 3),
            ("[128, 64]", 2),
            ("64", 1),
        ],
        [
            ("64", 0),
            ("512,256", 2),
            ("{ from = 256, to = 1024, times = 2 }", 3),
        ],
    ),
    (
        "variability",
        [
            ("{ from = 0.0, to = 0.3, step = 0.1 }", 4),
            ("[0.0, 0.25]", 2),
            ("0.0", 1),
        ],
        [
            ("0.0", 0),
            ("0.5", 1),
            ("{ from = 0.4, to = 0.6, step = 0.1 }", 3),
        ],
    ),
    (
        "precision",
        [("['bf16', 'fp8']", 2), ("'bf16'", 1), ("['bf16']", 1)],
        [("bf16", 0), ("fp16", 1), ("bf16,tf32,fp16", 2)],
    ),
];

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

    /// Whatever the order of its axes and the way in which their values are written: an extended spec has the points that stood under their
    /// numbers, behind them every further combination once, and its text gives the same spec again.
    #[test]
    fn an_extended_spec_keeps_its_points(
        order in Just([0, 1, 2, 3]).prop_shuffle(),
        written in prop::array::uniform4(0..3_usize),
        further in prop::array::uniform4(0..3_usize),
        has_zip: bool,
    ) {
        let mut text = "[grid]\ngpu = 'h100-sxm'\nmodel = 'llama2-7b'\n".to_owned();
        let mut counts = [0; 4];
        let mut values = Vec::new();
        for place in order {
            let (axis, ways, sets) = EXTENDED[place];
            let (way, count) = ways[written[place]];
            writeln!(text, "{axis} = {way}").expect("a text takes all");
            let (set, more) = sets[further[place]];
            values.extend((more > 0).then(|| format!("{axis}={set}")));
            counts[place] = count + more;
        }
        if has_zip {
            text.push_str("[[zip]]\nseq_len = { from = 1024, to = 2048, step = 1024 }\nmicro_batch = [1, 2]\n");
        }
        let own = spec(&text);
        let extended = |own: &Spec, values: &[&str]| {
            let given = spec_with(&text, &set(values));
            spec(&own.extended_by(&given).expect("only values differ"))
        };
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let once = extended(&own, &values);
        let twice = extended(&once, &["nodes=16"]);
        let zipped: u64 = if has_zip { 2 } else { 1 };
        prop_assert_eq!(once.plan().len(), counts.iter().product::<u64>() * zipped);
        prop_assert_eq!(twice.plan().len(), (counts[0] + 1) * counts[1..].iter().product::<u64>() * zipped);
        for (before, after) in [(&own, &once), (&once, &twice)] {
            for point in 0..before.plan().len() {
                prop_assert_eq!(before.plan().point(point), after.plan().point(point));
            }
            let [before, after] = [before, after].map(Spec::resolved_text);
            prop_assert_eq!(spec(&after).resolved_text(), &after[..]);
            // Every section stays as it is, in its place; what comes is a grid.
            let mut sections = before.split("\n\n").peekable();
            for section in after.split("\n\n") {
                if sections.next_if_eq(&section).is_none() {
                    prop_assert!(section.starts_with("[[grid]]"), "{}", section);
                }
            }
            prop_assert_eq!(sections.next(), None);
        }
        let points = (0..twice.plan().len()).map(|point| {
            let point = twice.plan().point(point);
            EXTENDED.map(|(axis, ..)| axis).into_iter().chain(["seq_len"]).map(|axis| {
                let axis: Axis = axis.parse().expect("it is one");
                point.value(axis).map(ToString::to_string)
            }).collect::<Vec<_>>()
        });
        prop_assert!(points.duplicates().next().is_none());
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

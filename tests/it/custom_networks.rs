//! Topologies and collectives that a spec describes itself, from the text to the rows.

use clustersweep::simulation::{Outcome, Scratch, simulate};
use clustersweep::spec::{Axis, Overrides, Spec, Syntax};

use crate::desk::Desk;

fn spec(text: &str) -> Spec {
    Spec::parse("mine.toml", text, Syntax::Toml, &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Time in seconds and algorithm of a point, or the reason why it cannot run.
fn played(spec: &Spec, index: u64) -> Result<(f64, String), String> {
    let point = spec.plan().point(index);
    let scenario = spec
        .plan()
        .scenario(&point)
        .map_err(|why| why.to_string())?;
    match simulate(&scenario, &mut Scratch::default()) {
        Outcome::Communicated(report) => {
            Ok((report.time.as_secs_f64(), report.algorithm.to_string()))
        }
        Outcome::Completed(step) => {
            let used = step.collective_used.as_ref().map(ToString::to_string);
            Ok((step.step_time().as_secs_f64(), used.unwrap_or_default()))
        }
        Outcome::Infeasible(why) => Err(why.to_string()),
    }
}

/// Four nodes of one GPU with 10 GB/s each, whose fabric and libraries add nothing.
const CLUSTER: &str = r#"
[clusters.plain]
base = "dgx-h100"
gpus_per_node = 1
nics_per_node = 1
nic_bandwidth = "10 GB/s"
fabric.latency = "3 us"
fabric.efficiency = 1.0
fabric.scattered_efficiency = 1.0
fabric.topology = "switch"
"#;

const DUMBBELL: &str = r#"
[topologies.dumbbell]
devices = ["a", "b", "c", "d"]
switches = ["left", "right"]
links = [
  { from = "a", to = "left", bandwidth = "10 GB/s", latency = "1 us" },
  { from = "b", to = "left", bandwidth = "10 GB/s", latency = "1 us" },
  { from = "right", to = "c", bandwidth = "10 GB/s", latency = "1 us" },
  { from = "right", to = "d", bandwidth = "10 GB/s", latency = "1 us" },
  { from = "left", to = "right", bandwidth = "2.5 GB/s", latency = "5 us" },
]
"#;

const PAIR: &str = r#"
[collectives.pair]
schedule = """
op all-reduce
ranks 2
round
0 1 1 add
1 0 0 add
round
1 0 1
0 1 0
"""
"#;

fn collective_study(axes: &str) -> String {
    format!(
        "kind = \"collective\"\n[grid]\ngpu = \"h100-sxm\"\ncluster = \"plain\"\nprotocol = \"ideal\"\n{axes}{CLUSTER}{DUMBBELL}{PAIR}"
    )
}

// A ring of four in order crosses the trunk once each way: b to c, and d to a. Half of the ring
// turns each way, so each direction of the trunk carries 10 GB/s worth of ring over 2.5 GB/s: four
// times the time of a switch. A share is handed on by 7, 2 and 7 µs in each of two passes.
// 40 MB: six rounds of 10 MB: 1 ms + 3 µs on the switch, 4 ms on the dumbbell.
#[test]
fn a_thin_trunk_times_the_ring_that_crosses_it() {
    let spec = spec(&collective_study(
        "topology = [\"switch\", \"dumbbell\"]\nnodes = 4\nop = \"all-reduce\"\nsize = \"40 MB\"\ncollective = \"ring\"\n",
    ));
    let (switch, _) = played(&spec, 0).unwrap();
    let (dumbbell, _) = played(&spec, 1).unwrap();
    assert!((switch - 6.0 * 1.003e-3).abs() < 1e-9, "{switch}");
    assert!(
        (dumbbell - (6.0 * 4e-3 + 2.0 * 16e-6)).abs() < 1e-9,
        "{dumbbell}"
    );
}

// Two nodes of the dumbbell share a switch: the trunk is not on their way. 2 rounds of half of 40 MB
// at 10 GB/s, 2 µs each.
#[test]
fn a_job_takes_the_first_devices_of_a_topology() {
    let spec = spec(&collective_study(
        "topology = \"dumbbell\"\nnodes = [2, 8]\nop = \"all-reduce\"\nsize = \"40 MB\"\ncollective = \"pair\"\n",
    ));
    let (time, algorithm) = played(&spec, 0).unwrap();
    assert!((time - 2.0 * 2.002e-3).abs() < 1e-9, "{time}");
    assert_eq!(algorithm, "pair");
    assert_eq!(
        played(&spec, 1).unwrap_err(),
        "unsupported: topology `dumbbell` has 4 devices (nodes); a job on 8 nodes needs 8"
    );
}

// Two nodes of two NICs, NIC by NIC: rail 0 at 10 GB/s, rail 1 at 5. The ring's bytes are spread
// evenly over both NICs, so the slow rail takes twice its time: 40 MB over 2 × 10 GB/s, doubled.
#[test]
fn devices_can_be_single_nics() {
    let text = format!(
        "kind = \"collective\"\n[grid]\ngpu = \"h100-sxm\"\ncluster = \"rails\"\nprotocol = \"ideal\"\n\
         topology = [\"switch\", \"two-rails\"]\nnodes = 2\nop = \"send-recv\"\nsize = \"40 MB\"\n{CLUSTER}\
         [clusters.rails]\nbase = \"plain\"\nnics_per_node = 2\n\
         [topologies.two-rails]\ndevices_are = \"nics\"\ndevices = [\"a0\", \"a1\", \"b0\", \"b1\"]\n\
         links = [{{ from = \"a0\", to = \"b0\", bandwidth = \"10 GB/s\" }}, {{ from = \"a1\", to = \"b1\", bandwidth = \"5 GB/s\" }}, \
         {{ from = \"a0\", to = \"a1\", bandwidth = \"0.001 MB/s\" }}]\n"
    );
    let spec = spec(&text);
    let (switch, _) = played(&spec, 0).unwrap();
    let (rails, _) = played(&spec, 1).unwrap();
    assert!((switch - (2e-3 + 3e-6)).abs() < 1e-9, "{switch}");
    assert!((rails - (4e-3 + 3e-6)).abs() < 1e-9, "{rails}");
}

fn training(axes: &str) -> Spec {
    spec(&format!(
        "[grid]\ngpu = \"h100-sxm\"\ncluster = \"plain\"\nmodel = \"gpt2-small\"\nglobal_batch = 16\nmicro_batch = 2\n\
         tp = 1\npp = 1\ncp = 1\noverlap_dp = false\n{axes}{CLUSTER}{DUMBBELL}{PAIR}"
    ))
}

#[test]
fn a_training_step_waits_for_an_own_topology() {
    let spec =
        training("nodes = 4\ntopology = [\"switch\", \"dumbbell\"]\ncollective = \"ring\"\n");
    let (switch, _) = played(&spec, 0).unwrap();
    let (dumbbell, _) = played(&spec, 1).unwrap();
    assert!(dumbbell > 1.5 * switch, "{dumbbell} {switch}");
}

#[test]
fn a_schedule_reduces_the_gradients_where_the_ranks_agree() {
    let spec =
        training("nodes = [2, 4]\ncollective = [\"ring\", \"pair\"]\nzero = [\"auto\", 1]\n");
    let by = |nodes: u64, collective: &str, zero: Option<u64>| {
        let plan = spec.plan();
        let index = (0..plan.len())
            .find(|index| {
                let point = plan.point(*index);
                point.int(Axis::Nodes) == Some(nodes)
                    && point.text(Axis::Collective) == Some(collective)
                    && point.int(Axis::Zero) == zero
            })
            .unwrap();
        played(&spec, index)
    };
    assert_eq!(by(2, "pair", None).unwrap().1, "pair");
    assert_eq!(by(2, "ring", None).unwrap().1, "ring");
    assert_eq!(
        by(4, "pair", None).unwrap_err(),
        "unsupported: collective `pair` is made for 2 ranks, gradients are reduced over 4 (dp 4 × cp 1)"
    );
    assert_eq!(
        by(2, "pair", Some(1)).unwrap_err(),
        "unsupported: collective `pair` carries all-reduce, ZeRO stage 1 reduces gradients by reduce-scatter"
    );
}

#[test]
fn a_run_with_a_schedule_file_runs_again_from_its_own_spec() {
    let desk = Desk::new();
    let study = "kind = \"collective\"\n[grid]\ngpu = \"h100-sxm\"\nnodes = 1\ngpus_per_node = 2\nop = \"all-reduce\"\n\
                 size = [\"8 B\", \"1 GiB\"]\ncollective = [\"ring\", \"mine\"]\n[collectives.mine]\nfile = \"mine.schedule\"\n";
    let rounds = "op all-reduce\nranks 2\nround\n0 1 1 add\n1 0 0 add\nround\n1 0 1\n0 1 0\n";
    desk.write("study.toml", study);
    desk.write("mine.schedule", rounds);
    desk.sweep(&["run", "study.toml", "-o", "first"])
        .expect_code(0);
    desk.sweep(&["run", "first/spec.toml", "-o", "again"])
        .expect_code(0);
    assert!(desk.read("first/points.parquet") == desk.read("again/points.parquet"));

    // Another content of the file is another spec.
    let hash = |folder: &str| desk.json(&format!("{folder}/manifest.json"))["spec_hash"].clone();
    desk.write("mine.schedule", format!("{rounds}# with a note\n"));
    desk.sweep(&["run", "study.toml", "-o", "other"])
        .expect_code(0);
    assert_eq!(hash("first"), hash("again"));
    assert_ne!(hash("first"), hash("other"));

    let listed = desk.sweep(&["list", "collectives", "--spec", "study.toml"]);
    assert!(
        listed
            .expect_code(0)
            .stdout
            .contains("all-reduce over 2 ranks, 2 rounds, 2 chunks")
    );
}

#[test]
fn a_misspelt_own_name_is_recognised() {
    let desk = Desk::new();
    desk.write(
        "study.toml",
        collective_study(
            "topology = \"dumbell\"\nnodes = 4\nop = \"all-reduce\"\nsize = \"1 MB\"\n",
        ),
    );
    desk.sweep(&["plan", "study.toml"])
        .expect_code(2)
        .expect_stderr(&[
            "unknown topology `dumbell`",
            "did you mean `dumbbell`?",
            ":6:12",
        ]);
}

// Runs like the job were measured, but none on such a network: the range stands there with what it does not say, and of one
// node alone there is nothing to add. Communications have no range, which is said too.
#[test]
fn what_an_own_network_means_for_the_errors_is_said() {
    let desk = Desk::new();
    let training = "[grid]\ngpu = 'h100-sxm'\nnodes = NODES\nmodel = 'llama3-8b'\nglobal_batch = 64\ntopology = 'dumbbell'\n";
    let said = "nothing was measured on the network `dumbbell`; errors are those of such jobs on networks of the catalogue";
    for (nodes, is_said) in [("4", true), ("1", false)] {
        let own = training.replace("NODES", nodes);
        desk.write("own.toml", format!("name = 'own{nodes}'\n{own}{DUMBBELL}"));
        let run = ["run", "own.toml", "--progress", "never"];
        let folder = format!("results/own{nodes}");
        for command in [&run[..], &["explain", &folder, "0"]] {
            let words = desk.sweep(command).expect_code(0).stdout;
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("4 of 5 such"), "{words}");
            assert_eq!(words.contains(said), is_said, "{words}");
        }
    }
    let axes = "topology = 'dumbbell'\nnodes = 4\nop = 'all-reduce'\nsize = '40 MB'\n";
    desk.write(
        "links.toml",
        format!("name = 'links'\n{}", collective_study(axes)),
    );
    let screen = desk.sweep(&["run", "links.toml", "--progress", "never"]);
    let screen = screen.expect_code(0).stdout.replace("\n  ", " ");
    assert!(
        screen.contains("communications have no range of error"),
        "{screen}"
    );
}

//! Finished collective studies: their answer again, as text, JSON, page and pictures.

use std::fs::File;

use clustersweep::record::{Provenance, TableWriter};
use clustersweep::spec::{Portion, StudyKind};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::desk::{Desk, Ended, FABRIC};
use crate::points_table::{Cell, table};

fn with_fabric() -> Desk {
    let desk = Desk::new();
    desk.write("fabric.toml", FABRIC);
    desk.sweep(&["run", "fabric.toml"]).expect_code(0);
    desk
}

/// One communication on 16 GPUs of one cluster.
#[derive(Clone, Copy)]
struct Row {
    collective: &'static str,
    size: f64,
    /// Time; null where it cannot run.
    time: Cell,
}

const ROW: Row = Row {
    collective: "ring",
    size: 1_048_576.0,
    time: Cell::Number(1e-3),
};

impl Row {
    fn cell(&self, column: &str, row: usize) -> Cell {
        let ran = !matches!(self.time, Cell::Null);
        match column {
            "point" => Cell::Number(row as f64),
            "status" => Cell::Text(if ran { "ok" } else { "infeasible" }),
            "reason" if !ran => Cell::Text("unsupported: `ring` cannot carry it"),
            "reason_kind" if !ran => Cell::Text("unsupported"),
            "op" => Cell::Text("all-reduce"),
            "gpu" => Cell::Text("h100-sxm"),
            "cluster" => Cell::Text("dgx-h100"),
            "nodes" => Cell::Number(2.0),
            "gpus" => Cell::Number(16.0),
            "size" => Cell::Number(self.size),
            "collective" | "collective_used" => Cell::Text(self.collective),
            "time_s" => self.time,
            "busbw_bytes_per_s" => match self.time {
                Cell::Number(seconds) => Cell::Number(1.875 * self.size / seconds),
                Cell::Text(_) | Cell::Null => Cell::Null,
            },
            _ => Cell::Null,
        }
    }
}

/// Writes rows as another program does: without metadata, its kind told by its columns.
fn write(desk: &Desk, name: &str, rows: &[Row]) {
    let table = table(StudyKind::Collective, rows.len(), |column, row| {
        rows[row].cell(column, row)
    });
    let file = File::create(desk.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
}

fn collectives(ended: &Ended) -> Value {
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["findings"], Value::Null);
    summary["collectives"].clone()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn analysing_it_again_says_what_the_run_said() {
    let desk = Desk::new();
    desk.write("fabric.toml", FABRIC);
    let run = desk.sweep(&["run", "fabric.toml"]).expect_code(0);
    let page = desk.read("results/fabric/report.html");
    let manifest = desk.json("results/fabric/manifest.json");
    // A page that is lost, or of an older version, is written anew with its checksum.
    desk.write("results/fabric/report.html", "old");
    let analysed = desk.sweep(&["analyze", "results/fabric"]).expect_code(0);
    assert_eq!(analysed.stdout, run.stdout);
    assert!(page == desk.read("results/fabric/report.html"));
    assert_eq!(manifest, desk.json("results/fabric/manifest.json"));
    assert!(!desk.has("results/fabric/scaling.parquet"));

    // 2 sizes × 2 algorithms × 2 operations × 2 numbers of servers, a quarter of them all-gathers by tree.
    let counts = "16 points: 12 ran, 4 infeasible (unsupported 4)";
    assert_eq!(run.stdout.lines().last(), Some(counts));
    assert!(run.stdout.starts_with("Ring or tree?\n"));
    let wide = |line: &&str| line.chars().count() > 80;
    assert_eq!(run.stdout.lines().find(wide), None);
}

#[test]
fn a_file_that_another_program_wrote_says_who_is_fastest() {
    let desk = Desk::new();
    let (kib, mib) = (1_024.0, 1_048_576.0);
    let row = |collective, size, seconds| Row {
        collective,
        size,
        time: Cell::Number(seconds),
    };
    let rows = [
        row("ring", kib, 30e-6),
        row("ring", mib, 50e-6),
        row("tree", kib, 10e-6),
        row("tree", mib, 80e-6),
        // The same once more, slower, as from a run of another day: the fastest counts.
        row("tree", kib, 20e-6),
    ];
    write(&desk, "points.parquet", &rows);
    let text = desk.sweep(&["analyze", "points.parquet"]).expect_code(0);
    // The tree takes 10 of 30 µs at 1 KiB, the ring 50 of 80 µs at 1 MiB.
    let said = "all-reduce, fastest: over 16 GPUs tree up to 1 KiB, then ring. \
                ring beats tree: over 16 GPUs from 1 MiB on.";
    assert!(in_one_line(&text.stdout).contains(said), "{}", text.stdout);
    assert!(desk.has("report.html"));

    let json = desk.sweep(&["analyze", "points.parquet", "--format", "json"]);
    let found = collectives(&json.expect_code(0));
    assert_eq!(found["counts"]["ok"], 5);
    let job = &found["jobs"][0];
    assert_eq!(found["jobs"].as_array().unwrap().len(), 1);
    // Nothing varies between clusters, so the place needs no name.
    assert_eq!(job["op"], "all-reduce");
    assert_eq!(job["place"], "");
    assert_eq!(job["gpus"], 16);
    let curves = job["curves"].as_array().unwrap();
    let asked: Vec<&Value> = curves.iter().map(|curve| &curve["collective"]).collect();
    assert_eq!(asked, ["ring", "tree"]);
    assert_eq!(curves[1]["runs"].as_array().unwrap().len(), 2);
    let run = &curves[1]["runs"][0];
    assert_eq!(run["point"], 2);
    assert_eq!(run["size_bytes"], 1_024);
    assert_eq!(run["time_s"], 10e-6);
    assert_eq!(run["collective_used"], "tree");
    // 2 · 15/16 of 1,024 B in 10 µs are 192 MB/s.
    let busbw = run["busbw_bytes_per_s"].as_f64().unwrap();
    assert!((busbw - 192e6).abs() < 1.0, "{busbw}");
}

#[test]
fn a_run_prints_the_same_jobs_as_its_analysis() {
    let desk = Desk::new();
    desk.write("fabric.toml", FABRIC);
    let run = desk.sweep(&["run", "fabric.toml", "--format", "json"]);
    let analysed = desk.sweep(&["analyze", "results/fabric", "--format", "json"]);
    let found = collectives(&run.expect_code(0));
    assert_eq!(found, collectives(&analysed.expect_code(0)));
    // Two operations on 16 and on 32 GPUs.
    assert_eq!(found["jobs"].as_array().unwrap().len(), 4);
    let example = found["examples"]["unsupported"].as_str().unwrap();
    assert!(example.starts_with("point "), "{example}");
    // Training has the other half.
    desk.write("small.toml", crate::desk::SMALL);
    let training = desk.sweep(&["run", "small.toml", "--format", "json"]);
    let summary: Value = serde_json::from_str(&training.expect_code(0).stdout).unwrap();
    assert_eq!(summary["collectives"], Value::Null);
    assert!(summary["findings"]["series"].is_array());
}

#[test]
fn several_runs_are_one_study_whose_places_are_told_apart() {
    let desk = with_fabric();
    let set = ["--set", "gpu=b200"];
    let run = ["run", "fabric.toml", "-o", "results/b200"];
    desk.sweep(&[run.as_slice(), &set].concat()).expect_code(0);
    let both = desk
        .sweep(&["analyze", "results/fabric", "results/b200"])
        .expect_code(0);
    // Within each run the cluster is the same; over both it tells the jobs apart.
    for place in ["dgx-h100", "dgx-b200"] {
        assert!(both.stdout.contains(place), "{}", both.stdout);
    }
    assert!(both.stdout.contains("32 points: 24 ran"), "{}", both.stdout);
    assert!(desk.has("results/report.html"));
    let out = ["--out", "both"];
    let runs = ["analyze", "results/fabric", "results/b200/points.parquet"];
    desk.sweep(&[runs.as_slice(), &out].concat()).expect_code(0);
    assert!(desk.has("both/report.html"));
}

#[test]
fn two_runs_of_the_same_points_are_told_apart_by_their_names() {
    let desk = Desk::new();
    let slower = Row {
        time: Cell::Number(2e-3),
        ..ROW
    };
    write(&desk, "monday.parquet", &[ROW]);
    write(&desk, "tuesday.parquet", &[slower]);
    let ended = desk
        .sweep(&["analyze", "monday.parquet", "tuesday.parquet"])
        .expect_code(0);
    // 1.875 · 1,048,576 B in 1 ms are 1.97 GB/s, in 2 ms half of that.
    let said = "reaches a bus bandwidth of 1.97 GB/s on monday (16 GPUs), 0.983 GB/s on tuesday (16 GPUs).";
    assert!(
        in_one_line(&ended.stdout).contains(said),
        "{}",
        ended.stdout
    );
    // Other sizes on the same cluster are the rest of one curve.
    let larger = Row {
        size: 2.0 * ROW.size,
        ..ROW
    };
    write(&desk, "rest.parquet", &[larger]);
    let json = [
        "analyze",
        "monday.parquet",
        "rest.parquet",
        "--format",
        "json",
    ];
    let found = collectives(&desk.sweep(&json).expect_code(0));
    assert_eq!(found["jobs"].as_array().unwrap().len(), 1);
    let sources: Vec<&Value> = found["jobs"][0]["curves"][0]["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["file"])
        .collect();
    assert_eq!(sources, [0, 1]);
}

#[test]
fn every_chart_of_it_becomes_a_picture() {
    let desk = with_fabric();
    desk.sweep(&["analyze", "results/fabric", "--plots", "charts"])
        .expect_code(0);
    let mut names: Vec<String> = std::fs::read_dir(desk.path("charts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // An all-reduce by two algorithms on 16 and 32 GPUs, an all-gather by one on both: bandwidth and
    // time of each, as SVG and, where it is built in, as PNG.
    let kinds: &[&str] = if cfg!(feature = "png") {
        &["png", "svg"]
    } else {
        &["svg"]
    };
    let mut expected: Vec<String> = Vec::new();
    for what in ["busbw", "time"] {
        for op in ["all-gather", "all-reduce"] {
            for gpus in [16, 32] {
                for kind in kinds {
                    expected.push(format!("{what}-{op}-{gpus}-GPUs.{kind}"));
                }
            }
        }
    }
    assert_eq!(names, expected);
    let svg = String::from_utf8(desk.read("charts/time-all-reduce-16-GPUs.svg")).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let marks = document.descendants().filter(|it| it.has_tag_name("title"));
    // Two sizes by ring and two by tree.
    assert_eq!(marks.count(), 4);
    if cfg!(feature = "png") {
        let png = desk.read("charts/busbw-all-gather-32-GPUs.png");
        assert!(png.starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_single_gpu_takes_no_time_and_has_no_chart_of_it() {
    let desk = Desk::new();
    let alone = FABRIC.replace("nodes = [2, 4]", "gpus = [1, 2]");
    desk.write(
        "alone.toml",
        alone.replace("\"all-gather\"", "\"broadcast\""),
    );
    desk.sweep(&["run", "alone.toml", "-o", "alone"])
        .expect_code(0);
    desk.sweep(&["analyze", "alone", "--plots", "charts"])
        .expect_code(0);
    assert!(desk.has("charts/busbw-all-reduce-1-GPU.svg"));
    assert!(!desk.has("charts/time-all-reduce-1-GPU.svg"));
    assert!(desk.has("charts/time-all-reduce-2-GPUs.svg"));
}

#[test]
fn options_of_scaling_are_refused_and_nothing_is_written() {
    let desk = with_fabric();
    desk.write("results/fabric/report.html", "mine");
    for (option, value, said) in [
        ("--x", "nic_gbit_per_s", "size is that of its messages"),
        ("--fail-below", "0.8", "no scaling efficiency"),
    ] {
        let arguments = [
            "analyze",
            "results/fabric",
            option,
            value,
            "--plots",
            "charts",
        ];
        desk.sweep(&arguments).expect_code(2).expect_stderr(&[
            "`results/fabric` is a collective study",
            said,
            "leave it out",
        ]);
    }
    assert_eq!(desk.read("results/fabric/report.html"), b"mine");
    assert!(!desk.has("charts"));
}

#[test]
fn training_and_collectives_are_not_analysed_together() {
    let desk = with_fabric();
    desk.write("small.toml", crate::desk::SMALL);
    desk.sweep(&["run", "small.toml"]).expect_code(0);
    for runs in [
        ["results/small", "results/fabric"],
        ["results/fabric", "results/small"],
    ] {
        desk.sweep(&["analyze", runs[0], runs[1], "--out", "both"])
            .expect_code(2)
            .expect_stderr(&[
                "`results/small/points.parquet` are a training study",
                "`results/fabric/points.parquet` a collective study",
                "apart",
            ]);
    }
    assert!(!desk.has("both"));
}

#[test]
fn a_study_of_which_nothing_ran_says_so() {
    let desk = Desk::new();
    let dead = Row {
        time: Cell::Null,
        ..ROW
    };
    for (rows, said) in [
        (
            &[dead, dead][..],
            "none of 2 points ran (2 infeasible, 0 crashed)",
        ),
        (&[], "the results hold no rows"),
    ] {
        write(&desk, "few.parquet", rows);
        let arguments = [
            "analyze",
            "few.parquet",
            "--out",
            "few",
            "--plots",
            "charts",
        ];
        let ended = desk.sweep(&arguments).expect_code(0);
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        assert!(!ended.stdout.contains("largest job"), "{}", ended.stdout);
        let page = String::from_utf8(desk.read("few/report.html")).unwrap();
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_value_that_no_communication_has_is_named_with_its_point() {
    let desk = Desk::new();
    for (bad, found) in [(f64::NAN, "NaN"), (-1.0, "-1"), (f64::INFINITY, "inf")] {
        let time = Cell::Number(bad);
        write(&desk, "bad.parquet", &[ROW, Row { time, ..ROW }]);
        let said = format!("column `time_s` is {found} at point 1");
        desk.sweep(&["analyze", "bad.parquet"])
            .expect_code(2)
            .expect_stderr(&["`bad.parquet`", &said]);
    }
    write(&desk, "bad.parquet", &[Row { size: 0.0, ..ROW }]);
    desk.sweep(&["analyze", "bad.parquet"])
        .expect_code(2)
        .expect_stderr(&["column `size` is 0 at point 0", "more than zero"]);
    assert!(!desk.has("report.html"));
}

// The file says what it is by its metadata, and lacks what such a file has to hold.
#[test]
fn a_missing_column_is_named() {
    let desk = Desk::new();
    let whole = table(StudyKind::Collective, 1, |column, row| {
        ROW.cell(column, row)
    });
    let place = whole.schema().index_of("busbw_bytes_per_s").unwrap();
    let kept: Vec<usize> = (0..whole.num_columns()).filter(|it| *it != place).collect();
    let less = whole.project(&kept).unwrap();
    let provenance = Provenance {
        study: StudyKind::Collective,
        spec_name: "less".to_owned(),
        spec: String::new(),
        catalog_hash: String::new(),
        metrics: [].into(),
        portion: Portion::default(),
    };
    let path = desk.path("less.parquet");
    let mut writer = TableWriter::create(&path, &less.schema(), &provenance).unwrap();
    writer.write(&less).unwrap();
    writer.finish().unwrap();
    desk.sweep(&["analyze", "less.parquet"])
        .expect_code(3)
        .expect_stderr(&["`less.parquet`", "no column `busbw_bytes_per_s`"]);
}

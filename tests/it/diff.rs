//! Two results files in, their difference out.

use std::path::{Path, PathBuf};

use clustersweep::analysis::diff::{Diff, DiffError, Gates, LISTED, diff_files};
use clustersweep::analysis::{FilesError, analyse_files};
use clustersweep::record::{Provenance, TableWriter};
use clustersweep::report::diff::{junit, markdown, text};
use clustersweep::spec::{AnalysisSettings, Axis, Portion, StudyKind};

use crate::analysis::{Row, strong};
use crate::points_table::training_table;

fn written(folder: &Path, name: &str, rows: &[Row], catalog_hash: &str) -> PathBuf {
    let batch = training_table(rows.len(), |column, row| rows[row].cell(column, row));
    let provenance = Provenance {
        study: StudyKind::Training,
        spec_name: "synthetic".to_owned(),
        spec: String::new(),
        catalog_hash: catalog_hash.to_owned(),
        metrics: [].into(),
        portion: Portion::default(),
    };
    let path = folder.join(name);
    let mut writer = TableWriter::create(&path, &batch.schema(), &provenance).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    path
}

/// The base run against one whose compute takes `factor` times as long at 8 nodes.
fn gates(metrics: &[String]) -> Gates<'_> {
    Gates {
        metrics,
        tolerance: 0.02,
        fail_missing: false,
    }
}

fn slowed(factor: f64) -> Diff {
    let folder = tempfile::tempdir().unwrap();
    let base = strong("h100-sxm");
    let mut new = base.clone();
    new[3].parts = new[3].parts.map(|(compute, rest)| (compute * factor, rest));
    let base = written(folder.path(), "base.parquet", &base, "aaaa");
    let new = written(folder.path(), "new.parquet", &new, "bbbb");
    diff_files(&base, &new, gates(&[])).unwrap()
}

#[test]
fn a_point_slower_than_the_tolerance_is_a_regression() {
    // 1 s of compute and 0.5 s of gradients; 20% more compute is 1.7/1.5 = +13.3%.
    let diff = slowed(1.2);
    assert!(diff.has_regression());
    assert_eq!(diff.common, 5);
    let step = &diff.metrics[0];
    assert_eq!(step.metric, "step_time_s");
    assert_eq!(step.regressions.len(), 1);
    assert!((step.regressions[0].relative - 0.2 / 1.5).abs() < 1e-12);
    assert!(step.regressions[0].point.contains("nodes=8"));
    assert_eq!(
        diff.likely_causes,
        ["catalogue differs: aaaa before, bbbb now"]
    );
    assert!(text(&diff).starts_with("regression: 5 points in both runs"));
    assert!(text(&diff).contains("likely cause: catalogue differs"));
    // Of five changes, four are none and one is +13.3%; nine tenths of the way is 0.6 of the last step.
    let spread = step.distribution;
    assert!(spread.least.abs() < 1e-12 && spread.median.abs() < 1e-12);
    assert!((spread.p90 - 0.6 * 0.2 / 1.5).abs() < 1e-12);
    assert!((spread.most - 0.2 / 1.5).abs() < 1e-12);
    assert!(markdown(&diff).contains("| +13.3% |"));
    let xml = junit(&diff);
    let document = roxmltree::Document::parse(&xml).unwrap();
    assert_eq!(document.root_element().attribute("failures"), Some("1"));
}

// The step at 8 nodes takes 1.7 s in place of 1.5: 0.2 s and 13.3% more.
#[test]
fn a_metric_has_a_gate_of_its_own_in_percent_or_in_its_unit() {
    let folder = tempfile::tempdir().unwrap();
    let base = strong("h100-sxm");
    let mut new = base.clone();
    new[3].parts = new[3].parts.map(|(compute, rest)| (compute * 1.2, rest));
    let base = written(folder.path(), "base.parquet", &base, "aaaa");
    let new = written(folder.path(), "new.parquet", &new, "aaaa");
    let gated = |gate: &str| diff_files(&base, &new, gates(&[gate.to_owned()]));
    for (gate, worse, said) in [
        ("step_time_s", 1, "no point more than 2% slower: 1 of 5 are"),
        (
            "step_time_s=13%",
            1,
            "no point more than 13% slower: 1 of 5 are",
        ),
        (
            "step_time_s=14%",
            0,
            "no point more than 14% slower: 0 of 5 are",
        ),
        (
            "step_time_s=190ms",
            1,
            "no point more than 190 ms slower: 1 of 5 are",
        ),
        (
            "step_time_s = 210 ms",
            0,
            "no point more than 210 ms slower: 0 of 5 are",
        ),
    ] {
        let diff = gated(gate).unwrap();
        assert_eq!(diff.metrics[0].worse, worse, "{gate}");
        assert!(text(&diff).contains(said), "{}", text(&diff));
    }
    // Four of five points are where they were, one is 13.3% slower.
    let diff = gated("step_time_s").unwrap();
    let bins: Vec<usize> = diff.metrics[0]
        .histogram
        .iter()
        .map(|bin| bin.points)
        .collect();
    assert_eq!(bins, [0, 0, 0, 0, 4, 0, 0, 0, 1]);
    let bar = "█".repeat(24);
    let markdown = markdown(&diff);
    assert!(
        markdown.contains(&format!("-0.5% to +0.5%  {bar}  4\n")),
        "{markdown}"
    );
    assert!(
        markdown.contains(&format!("+10.0% and more  {}", "█".repeat(6))),
        "{markdown}"
    );
    for (gate, fault) in [
        (
            "step_time_s=5 GiB",
            "`5 GiB` is no tolerance of `step_time_s`",
        ),
        ("step_time_s=", "write 2%, 0.02 or a time"),
        ("speed=2%", "unknown metric `speed`"),
    ] {
        let said = gated(gate).unwrap_err().to_string();
        assert!(said.contains(fault), "{said}");
    }
}

#[test]
fn a_change_within_the_tolerance_or_for_the_better_is_none() {
    // 2% more compute of two thirds of the step is +1.3%.
    // The catalogue differs, but nothing got worse of which it could be the cause.
    for (diff, better) in [(slowed(1.02), 0), (slowed(0.5), 1)] {
        assert!(!diff.has_regression());
        assert_eq!(diff.metrics[0].better, better);
        assert!(diff.likely_causes.is_empty());
        for said in [text(&diff), markdown(&diff)] {
            assert!(
                said.contains("no regression") && !said.contains("cause"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_point_that_no_longer_runs_is_a_regression() {
    let folder = tempfile::tempdir().unwrap();
    let base = strong("h100-sxm");
    let mut new = base.clone();
    new[1].parts = None;
    let base = written(folder.path(), "base.parquet", &base, "a");
    let new = written(folder.path(), "new.parquet", &new, "a");
    let diff = diff_files(&base, &new, gates(&[])).unwrap();
    assert_eq!(diff.status_changes.len(), 1);
    assert!(diff.has_regression());
    assert!(markdown(&diff).contains("ok -> infeasible  nodes=2"));
    let xml = junit(&diff);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let failure = document
        .descendants()
        .find(|node| node.has_tag_name("failure"));
    assert!(failure.unwrap().text().unwrap().contains("nodes=2"));
    // The other way round it is news, not a regression.
    assert!(
        !diff_files(&new, &base, gates(&[]))
            .unwrap()
            .has_regression()
    );
}

#[test]
fn points_that_are_new_or_gone_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let all = strong("h100-sxm");
    let base = written(folder.path(), "base.parquet", &all[..4], "a");
    let new = written(folder.path(), "new.parquet", &all[1..], "a");
    let diff = diff_files(&base, &new, gates(&[])).unwrap();
    // 1, 2, 4, 8 nodes against 2, 4, 8, 16.
    assert_eq!(diff.common, 3);
    assert_eq!(diff.gone, ["nodes=1 gpus=8"]);
    assert_eq!(diff.added, ["nodes=16 gpus=128"]);
    assert!(!diff.has_regression());
    for text in [text(&diff), markdown(&diff)] {
        assert!(text.contains("nodes=1 gpus=8"), "{text}");
        assert!(text.contains("nodes=16 gpus=128"), "{text}");
    }
}

// 12,000 points, each 20% of two thirds of its step slower, and 11,000 that only one run holds: all are counted, and the
// first 10,000 of each kind named, the same ones by whichever of them is read first.
#[test]
fn every_point_is_counted_and_as_many_named_as_a_list_holds() {
    let folder = tempfile::tempdir().unwrap();
    let of_batch = |batch: usize, compute: f64| Row {
        global_batch: batch as f64,
        parts: Some((compute, 0.5)),
        ..strong("h100-sxm")[0]
    };
    let base: Vec<Row> = (1..=23_000).map(|batch| of_batch(batch, 1.0)).collect();
    let new: Vec<Row> = (1..=12_000).map(|batch| of_batch(batch, 1.2)).collect();
    let base = written(folder.path(), "base.parquet", &base, "a");
    let new = written(folder.path(), "new.parquet", &new, "a");
    let diff = diff_files(&base, &new, gates(&["step_time_s".to_owned()])).unwrap();
    let step = &diff.metrics[0];
    assert_eq!(
        (diff.common, step.compared, step.worse),
        (12_000, 12_000, 12_000)
    );
    assert_eq!((diff.only_base, diff.only_new), (11_000, 0));
    assert_eq!((step.regressions.len(), diff.gone.len()), (LISTED, LISTED));
    // Equal changes stay in the order of the base run.
    assert_eq!(step.regressions[0].point, "global_batch=1");
    assert_eq!(diff.gone[0], "global_batch=12001");
    for said in [text(&diff), markdown(&diff)] {
        assert!(
            said.contains("12000 points in both runs, 11000 only in the base"),
            "{said}"
        );
        assert!(said.contains("and 10990 more"), "{said}");
    }
    assert!(text(&diff).contains("12000 of 12000 are, 0 better"));
    assert!(junit(&diff).contains("12000 worse, worst +13.3% at global_batch=1\""));
}

// Of four points one is gone: the others are as they were.
#[test]
fn missing_points_fail_where_that_is_asked() {
    let desk = crate::desk::Desk::new();
    let spec = "name = \"n\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama3-8b\"\nglobal_batch = 64\nnodes = [1, 2, 3, 4]\n";
    desk.write("n.toml", spec);
    desk.sweep(&["run", "n.toml", "--out", "base"])
        .expect_code(0);
    desk.sweep(&["run", "n.toml", "--out", "new", "--where", "nodes != 3"])
        .expect_code(0);
    let passed = desk.sweep(&["diff", "base", "new"]).expect_code(0);
    let said = "3 points in both runs, 1 only in the base";
    assert!(
        passed.stdout.starts_with(&format!("no regression: {said}")),
        "{}",
        passed.stdout
    );
    let failed = desk
        .sweep(&["diff", "base", "new", "--fail-missing"])
        .expect_code(1);
    assert!(
        failed.stdout.starts_with(&format!("regression: {said}")),
        "{}",
        failed.stdout
    );
    assert!(
        failed
            .stdout
            .contains("\n1 point only in the base run\n  nodes=3 gpus=24\n"),
        "{}",
        failed.stdout
    );
    let junit = ["diff", "base", "new", "--fail-missing", "--format", "junit"];
    let junit = desk.sweep(&junit).expect_code(1).stdout;
    // Two metrics, the endings, and what is missing, which alone fails.
    assert!(junit.contains("tests=\"4\" failures=\"1\""), "{junit}");
    assert!(junit.contains("1 point of the base missing"), "{junit}");
    // What is new is no fault.
    desk.sweep(&["diff", "new", "base", "--fail-missing"])
        .expect_code(0);
}

#[test]
fn runs_without_a_common_point_are_an_error_not_a_pass() {
    let folder = tempfile::tempdir().unwrap();
    let base = written(folder.path(), "base.parquet", &strong("h100-sxm"), "a");
    let new = written(folder.path(), "new.parquet", &strong("b200"), "a");
    let error = diff_files(&base, &new, gates(&[])).unwrap_err();
    assert!(matches!(error, DiffError::NothingInCommon { .. }));
    let unknown = diff_files(&base, &base, gates(&["speed".to_owned()])).unwrap_err();
    assert!(unknown.to_string().starts_with("unknown metric `speed`"));
}

#[test]
fn files_that_are_no_results_are_refused_with_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.parquet");
    let refused = |path: &Path| {
        let error =
            analyse_files(&[path], &AnalysisSettings::default(), &[], Axis::Gpus).unwrap_err();
        assert!(matches!(error, FilesError::Read(_)));
        error.to_string()
    };
    assert!(refused(&path).contains("cannot be opened"));
    std::fs::write(&path, "not Parquet at all").unwrap();
    assert!(refused(&path).contains("not a whole Parquet file"));
    let whole = written(folder.path(), "whole.parquet", &strong("h100-sxm"), "a");
    let bytes = std::fs::read(whole).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused(&path).contains("not a whole Parquet file"));
}

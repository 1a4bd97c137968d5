//! The runner with a study that needs no simulator.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use super::*;
use crate::record::{PointsReader, columns};
use crate::simulation::{Infeasible, Outcome, Scenario};
use crate::spec::{Axis, AxisValue, BottleneckThresholds, StudyKind};

/// Every point is infeasible, but those whose index is a multiple of `crash_every` panic.
struct Fake {
    crash_every: u64,
    raise_at: Option<(u64, Interrupt)>,
}

impl Study for Fake {
    type Scratch = u32;

    fn scratch(&self) -> u32 {
        0
    }

    fn play(&self, point: &GridPoint, scratch: &mut u32) -> (Option<Scenario>, Outcome) {
        *scratch += 1;
        if let Some((at, interrupt)) = &self.raise_at
            && point.index == *at
        {
            interrupt.raise(Signal::Terminate);
        }
        assert!(
            point.index == 0 || !point.index.is_multiple_of(self.crash_every),
            "point {} is a bad one",
            point.index
        );
        let sentence = format!("point {} needs more than there is", point.index);
        (None, Outcome::Infeasible(Infeasible::Limit { sentence }))
    }

    fn thresholds(&self) -> BottleneckThresholds {
        BottleneckThresholds::default()
    }
}

fn points(count: u64) -> impl Iterator<Item = GridPoint> + Send {
    (0..count).map(|index| {
        let mut point = GridPoint::new(index);
        point.set(Axis::Gpu, AxisValue::Text("h100-sxm".into()));
        point.set(Axis::Nodes, AxisValue::Int(index % 7 + 1));
        point
    })
}

fn provenance() -> Provenance {
    Provenance {
        study: StudyKind::Training,
        spec_name: "fake".to_owned(),
        spec: "name = \"fake\"\n".to_owned(),
        catalog_hash: "00".to_owned(),
    }
}

fn run_into(path: &Path, study: &Fake, count: u64, threads: usize, fail_fast: bool) -> RunSummary {
    let folder = RunFolder::prepare(path, false).unwrap();
    let interrupt = match &study.raise_at {
        Some((_, interrupt)) => interrupt.clone(),
        None => Interrupt::default(),
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(threads).unwrap(),
        fail_fast,
    };
    run(
        study,
        points(count),
        &folder,
        &provenance(),
        options,
        &interrupt,
        &Silent,
    )
    .unwrap()
}

const NONE_CRASH: Fake = Fake {
    crash_every: u64::MAX,
    raise_at: None,
};

// 1,300 points are two and a half chunks of 512; which thread plays a point must not show.
#[test]
fn the_number_of_threads_does_not_show_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<Vec<u8>> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let path = dir.path().join(threads.to_string());
            run_into(&path, &NONE_CRASH, 1_300, threads, false);
            fs::read(path.join("points.parquet")).unwrap()
        })
        .collect();
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0], files[2]);
}

// Of 1,000 points those numbered 300, 600 and 900 panic: three rows `crashed` with the message, 997
// others finished, in grid order.
#[test]
fn a_panic_in_a_point_is_a_row_and_the_others_finish() {
    let dir = tempfile::tempdir().unwrap();
    let study = Fake {
        crash_every: 300,
        raise_at: None,
    };
    let summary = run_into(&dir.path().join("run"), &study, 1_000, 2, false);
    assert!(summary.complete);
    assert_eq!(summary.counts.crashed, 3);
    assert_eq!(summary.counts.infeasible, 997);
    assert_eq!(summary.counts.infeasible_by_reason["limit"], 997);
    assert_eq!(summary.crashes[0].point, 300);
    assert!(
        summary.crashes[0]
            .message
            .contains("point 300 is a bad one")
    );

    let reader = PointsReader::open(&dir.path().join("run/points.parquet")).unwrap();
    assert_eq!(reader.rows(), 1_000);
    let batches = reader.read(&[columns::POINT]).unwrap();
    let indices: Vec<u64> = batches
        .iter()
        .flat_map(|batch| {
            let column = batch.column(0).as_any();
            let counts = column.downcast_ref::<arrow::array::UInt64Array>().unwrap();
            counts.values().to_vec()
        })
        .collect();
    assert_eq!(indices, (0..1_000).collect::<Vec<u64>>());
}

#[test]
fn fail_fast_ends_at_the_first_crash_and_keeps_what_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let study = Fake {
        crash_every: 600,
        raise_at: None,
    };
    let summary = run_into(&dir.path().join("run"), &study, 100_000, 2, true);
    assert!(!summary.complete);
    assert!(summary.counts.crashed >= 1);
    assert!(summary.counts.points < 10_000);
    assert!(!dir.path().join("run/points.parquet").exists());
    assert!(dir.path().join("run/parts/00000000.parquet").exists());
}

// The signal comes while point 700 is played, in the second chunk: the first is whole, of the
// second only points begun before.
#[test]
fn a_signal_ends_the_run_and_keeps_what_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let study = Fake {
        crash_every: u64::MAX,
        raise_at: Some((700, Interrupt::default())),
    };
    let summary = run_into(&dir.path().join("run"), &study, 100_000, 2, false);
    assert_eq!(summary.interrupted, Some(Signal::Terminate));
    assert!(!summary.complete);
    assert!(summary.counts.points > 512 && summary.counts.points <= 1_024);
    let first = PointsReader::open(&dir.path().join("run/parts/00000000.parquet")).unwrap();
    assert_eq!(first.rows(), 512);
}

#[test]
fn a_folder_with_a_result_is_refused_unless_told_to_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run_into(&path, &NONE_CRASH, 10, 1, false);
    let before = fs::read(path.join("points.parquet")).unwrap();
    assert!(matches!(
        RunFolder::prepare(&path, false),
        Err(FolderError::HoldsResult { .. })
    ));
    assert_eq!(fs::read(path.join("points.parquet")).unwrap(), before);
    RunFolder::prepare(&path, true).unwrap();
    assert!(!path.join("points.parquet").exists());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(
        RunFolder::prepare(&path, true),
        Err(FolderError::IsFile { .. })
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

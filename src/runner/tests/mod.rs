//! The runner with a study that needs no simulator.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

mod damage;

use super::folder::FolderError;
use super::*;
use crate::record::{PointsReader, Provenance, columns, digest};
use crate::simulation::{Infeasible, Outcome, Scenario};
use crate::spec::{AnalysisSettings, Axis, AxisValue, GridPoint, Metric, Portion, StudyKind};

/// Every point is infeasible, but those whose index is a multiple of `crash_every` panic.
struct Fake {
    crash_every: u64,
    raise_at: Option<(u64, Interrupt)>,
}

impl Study for Fake {
    type Scratch = u32;

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
        (None, Outcome::Infeasible(Infeasible::Limit(sentence)))
    }

    fn analysis(&self) -> &AnalysisSettings {
        static ANALYSIS: LazyLock<AnalysisSettings> = LazyLock::new(AnalysisSettings::default);
        &ANALYSIS
    }

    fn metrics(&self) -> &Arc<[Metric]> {
        static METRICS: LazyLock<Arc<[Metric]>> = LazyLock::new(Arc::default);
        &METRICS
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
        metrics: [].into(),
        portion: Portion::default(),
    }
}

fn run_into(path: &Path, study: &Fake, count: u64, threads: usize, fail_fast: bool) -> RunSummary {
    let folder = RunFolder::prepare(path, false).unwrap();
    let work = Work {
        points: points(count),
        finished: Finished::default(),
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(threads).unwrap(),
        fail_fast,
        point_timeout: None,
        no_join: false,
    };
    carry_out(study, work, &folder, &provenance(), options)
}

fn carry_out(
    study: &Fake,
    work: Work<impl Iterator<Item = GridPoint> + Send>,
    folder: &RunFolder,
    provenance: &Provenance,
    options: RunOptions,
) -> RunSummary {
    let interrupt = match &study.raise_at {
        Some((_, interrupt)) => interrupt.clone(),
        None => Interrupt::default(),
    };
    let summary = run(
        study, work, folder, provenance, options, &interrupt, &Silent,
    )
    .unwrap();
    if summary.complete {
        note_digest(folder);
        folder.remove_parts().unwrap();
    }
    summary
}

/// Counts of the points in the manifest.
fn note_digest(folder: &RunFolder) {
    let points = digest(&folder.points()).unwrap();
    let manifest = serde_json::json!({"files": {"points.parquet": points}});
    folder
        .add("manifest.json", manifest.to_string().as_bytes())
        .unwrap();
}

/// Opens a folder to go on in, as the command does.
fn reopened(folder: &RunFolder, provenance: &Provenance) -> Result<Finished, RunError> {
    reopen(folder, Earlier::of(folder).points.as_deref(), provenance)
}

/// The parts in a folder, oldest first.
fn parts_in(path: &Path) -> Vec<PathBuf> {
    RunFolder::existing(path).part_files().unwrap()
}

/// Goes on in a folder; what was finished there before, and what it came to.
fn go_on(path: &Path, study: &Fake, count: u64) -> (u64, RunSummary) {
    let folder = RunFolder::resume(path).unwrap();
    let finished = reopened(&folder, &provenance()).unwrap();
    let before = finished.len();
    let work = Work {
        points: points(count),
        finished,
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(2).unwrap(),
        fail_fast: false,
        point_timeout: None,
        no_join: false,
    };
    (
        before,
        carry_out(study, work, &folder, &provenance(), options),
    )
}

const NONE_CRASH: Fake = Fake {
    crash_every: u64::MAX,
    raise_at: None,
};

// The plan panics behind two whole chunks of 512: both are kept, the error names thread and message, and nothing says
// that the run is complete.
#[test]
fn a_panic_beside_the_pool_is_an_error_that_keeps_finished_points() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::prepare(dir.path(), false).unwrap();
    let broken = points(2_000).inspect(|point| assert!(point.index < 1_100, "no such point"));
    let work = Work {
        points: broken,
        finished: Finished::default(),
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(2).unwrap(),
        fail_fast: false,
        point_timeout: None,
        no_join: false,
    };
    let (study, provenance) = (&NONE_CRASH, provenance());
    let interrupt = Interrupt::default();
    let ended = run(
        study,
        work,
        &folder,
        &provenance,
        options,
        &interrupt,
        &Silent,
    );
    let told = ended.expect_err("the plan panics").to_string();
    assert!(told.contains("expanded the plan: no such point"), "{told}");
    drop(folder);
    assert!(!dir.path().join("points.parquet").exists());
    assert_eq!(go_on(dir.path(), study, 2_000).0, 1_024);
}

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
    assert_eq!(summary.counts.reasons["limit"], 997);
    assert_eq!(summary.crashes[0].point, 300);
    assert!(
        summary.crashes[0]
            .message
            .contains("point 300 is a bad one")
    );

    let reader = PointsReader::open(&dir.path().join("run/points.parquet")).unwrap();
    let rows = reader.rows(&[columns::POINT]).unwrap();
    let indices: Vec<u64> = rows
        .flat_map(|rows| {
            let rows = rows.unwrap();
            let points = rows.points().unwrap();
            (0..rows.len())
                .map(|row| points.get(row))
                .collect::<Vec<_>>()
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
    assert!(summary.counts.points() < 10_000);
    assert!(!dir.path().join("run/points.parquet").exists());
    assert!(!parts_in(&dir.path().join("run")).is_empty());
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
    assert!(summary.counts.points() > 512 && summary.counts.points() <= 1_024);
    let first = PointsReader::open(&parts_in(&dir.path().join("run"))[0]).unwrap();
    let rows = first.rows(&[columns::POINT]).unwrap();
    assert_eq!(rows.map(|rows| rows.unwrap().len()).sum::<usize>(), 512);
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
    let kept = fs::read(path.join("points.parquet")).unwrap();
    assert_eq!(kept, before, "until the new one takes its place");
}

/// Opens a folder with a whole result for another run, which ends before its last point; the bytes of the result.
fn replaced_in_part(path: &Path, provenance: &Provenance) -> Vec<u8> {
    run_into(path, &NONE_CRASH, 1_300, 2, false);
    let before = fs::read(path.join("points.parquet")).unwrap();
    let folder = RunFolder::prepare(path, true).unwrap();
    let study = Fake {
        crash_every: u64::MAX,
        raise_at: Some((700, Interrupt::default())),
    };
    let work = Work {
        points: points(1_300),
        finished: Finished::default(),
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(2).unwrap(),
        fail_fast: false,
        point_timeout: None,
        no_join: false,
    };
    assert!(!carry_out(&study, work, &folder, provenance, options).complete);
    before
}

// A result is replaced by that of another spec, which is stopped behind its first chunk of 512: the old table stays, the
// new run goes on from its part, and a third spec is refused.
#[test]
fn a_result_stays_until_another_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str| Provenance {
        spec: format!("name = \"{name}\"\n"),
        ..provenance()
    };
    let before = replaced_in_part(dir.path(), &named("other"));
    let points = dir.path().join("points.parquet");
    let folder = RunFolder::resume(dir.path()).unwrap();
    assert!(
        reopened(&folder, &named("third"))
            .unwrap_err()
            .to_string()
            .contains("the spec (hash)")
    );
    assert!(reopened(&folder, &named("other")).unwrap().len() >= 512);
    assert_eq!(fs::read(points).unwrap(), before);
}

// A whole run is opened twice to go on, as if it were killed in between: table and findings are there all the while, and
// all of its 1,000 points are finished each time.
#[test]
fn a_whole_run_that_is_gone_on_with_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    run_into(dir.path(), &NONE_CRASH, 1_000, 2, false);
    let before = fs::read(dir.path().join("points.parquet")).unwrap();
    fs::write(dir.path().join("report.html"), "findings").unwrap();
    for _ in 0..2 {
        let folder = RunFolder::resume(dir.path()).unwrap();
        assert_eq!(reopened(&folder, &provenance()).unwrap().len(), 1_000);
        assert_eq!(fs::read(folder.points()).unwrap(), before);
        assert!(dir.path().join("report.html").exists());
        assert_eq!(parts_in(dir.path()).len(), 1, "the table itself");
    }
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

// Stopped in the first, second and fourth chunk, with points that crash on the way, and gone on with
// each time: the same bytes as in one piece, and every point counted once.
#[test]
fn a_run_that_was_interrupted_ends_as_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    let uncut = run_into(&whole, &NONE_CRASH, 3_000, 2, false);
    let mut last = 0;
    for at in [300, 700, 1_900] {
        let study = Fake {
            crash_every: 90,
            raise_at: Some((at, Interrupt::default())),
        };
        let (before, summary) = go_on(&cut, &study, 3_000);
        assert!(!summary.complete);
        assert!(before >= last && summary.counts.points() > before);
        assert!(summary.counts.crashed > 0);
        last = before;
    }
    let (_, summary) = go_on(&cut, &NONE_CRASH, 3_000);
    assert!(summary.complete);
    assert_eq!(summary.counts, uncut.counts);
    let bytes = |path: &Path| fs::read(path.join("points.parquet")).unwrap();
    assert_eq!(bytes(&whole), bytes(&cut));
    assert!(!cut.join("parts").exists());
}

// Every 90th of 1,000 points crashes: 11 of them. Gone on with, only those are played again.
#[test]
fn crashed_points_of_a_whole_run_are_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, crashed) = (dir.path().join("whole"), dir.path().join("crashed"));
    run_into(&whole, &NONE_CRASH, 1_000, 2, false);
    let study = Fake {
        crash_every: 90,
        raise_at: None,
    };
    assert_eq!(
        run_into(&crashed, &study, 1_000, 2, false).counts.crashed,
        11
    );
    let (before, summary) = go_on(&crashed, &NONE_CRASH, 1_000);
    assert_eq!(before, 989);
    assert_eq!(summary.wall_times.count(), 11);
    assert_eq!(summary.counts.crashed, 0);
    let bytes = |path: &Path| fs::read(path.join("points.parquet")).unwrap();
    assert_eq!(bytes(&whole), bytes(&crashed));
}

#[test]
fn another_spec_or_portion_is_not_gone_on_with_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run_into(&path, &NONE_CRASH, 100, 1, false);
    let before = fs::read(path.join("points.parquet")).unwrap();
    let other_spec = Provenance {
        spec: "name = \"other\"\n".to_owned(),
        ..provenance()
    };
    let shard = Provenance {
        portion: Portion {
            shard: Some("1/2".parse().unwrap()),
            ..Portion::default()
        },
        ..provenance()
    };
    for (provenance, what) in [
        (other_spec, "the spec (hash)"),
        (shard, "--shard was none, this is 1/2"),
    ] {
        let folder = RunFolder::resume(&path).unwrap();
        let error = reopened(&folder, &provenance).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        drop(folder);
        assert_eq!(fs::read(path.join("points.parquet")).unwrap(), before);
        assert!(!path.join("parts").exists());
    }
}

// Nothing is played yet, but the folder says what is to be.
#[test]
fn a_folder_without_points_is_gone_on_with_if_its_spec_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::resume(dir.path()).unwrap();
    folder.add("spec.toml", b"name = \"other\"\n").unwrap();
    let error = reopened(&folder, &provenance()).unwrap_err().to_string();
    assert!(error.contains("the spec (hash)"), "{error}");
    folder
        .add("spec.toml", provenance().spec.as_bytes())
        .unwrap();
    assert!(reopened(&folder, &provenance()).unwrap().is_empty());
}

// A table that another program cut off lies beside parts: they are what it was made of, and the run goes on from them.
#[test]
fn parts_count_when_what_lies_beside_them_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let study = Fake {
        crash_every: u64::MAX,
        raise_at: Some((700, Interrupt::default())),
    };
    run_into(dir.path(), &study, 3_000, 2, false);
    fs::write(dir.path().join("points.parquet"), "PAR1").unwrap();
    let (before, summary) = go_on(dir.path(), &NONE_CRASH, 3_000);
    assert!(before > 512 && summary.complete);
}

// `parts` leads to a folder with a table of somebody else, `.lock` to a text: both stay as they are, also with --overwrite.
#[test]
fn links_inside_a_run_folder_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("foreign")).unwrap();
    let table = at("foreign").join("00000000.parquet");
    fs::write(&table, "precious").unwrap();
    for (entry, target) in [("parts", at("foreign")), (".lock", table.clone())] {
        let path = at(&format!("run{entry}"));
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(target, path.join(entry)).unwrap();
        for opened in [RunFolder::prepare(&path, true), RunFolder::resume(&path)] {
            let told = opened.unwrap_err().to_string();
            assert!(
                told.contains(entry) && told.contains("symbolic link"),
                "{told}"
            );
        }
        assert_eq!(fs::read_to_string(&table).unwrap(), "precious");
    }
}

#[test]
fn two_runs_do_not_write_to_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let folder = RunFolder::prepare(&path, false).unwrap();
    for second in [RunFolder::resume(&path), RunFolder::prepare(&path, true)] {
        assert!(matches!(second, Err(FolderError::Taken { .. })));
    }
    drop(folder);
    RunFolder::resume(&path).unwrap();
}

fn shard_into(path: &Path, text: &str, count: u64) -> RunFolder {
    let portion = Portion {
        shard: Some(text.parse().unwrap()),
        ..Portion::default()
    };
    let folder = RunFolder::prepare(path, false).unwrap();
    let work = Work {
        points: portion
            .ranges(count)
            .flat_map(|numbers| points(numbers.end).skip(numbers.start as usize)),
        finished: Finished::default(),
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(2).unwrap(),
        fail_fast: false,
        point_timeout: None,
        no_join: false,
    };
    let provenance = Provenance {
        portion,
        ..provenance()
    };
    folder.add("spec.toml", provenance.spec.as_bytes()).unwrap();
    carry_out(&NONE_CRASH, work, &folder, &provenance, options);
    folder
}

// 5,000 points in three shards, given in any order: what one machine writes.
#[test]
fn shards_joined_are_the_run_of_one_machine() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let whole = run_into(&at("whole"), &NONE_CRASH, 5_000, 2, false);
    let shards =
        ["3/3", "1/3", "2/3"].map(|text| shard_into(&at(&text.replace('/', "-")), text, 5_000));
    let folder = RunFolder::prepare(&at("joined"), false).unwrap();
    let joined = Shards::of(&shards, "00").unwrap();
    let counts = joined.join(&folder, &provenance(), points(5_000)).unwrap();
    assert_eq!(counts, whole.counts);
    let bytes = |name: &str| fs::read(at(name).join("points.parquet")).unwrap();
    assert_eq!(bytes("whole"), bytes("joined"));
}

#[test]
fn shards_that_are_no_whole_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let shards =
        ["1/3", "2/3", "3/3"].map(|text| shard_into(&at(&text.replace('/', "-")), text, 100));
    run_into(&at("whole"), &NONE_CRASH, 100, 1, false);
    let whole = RunFolder::existing(&at("whole"));
    let half = shard_into(&at("half"), "1/2", 100);
    let refused = |folders: &[&RunFolder]| {
        let folders: Vec<RunFolder> = folders.iter().map(|&it| it.clone()).collect();
        Shards::of(&folders, "00").unwrap_err().to_string()
    };
    let [one, two, three] = &shards;
    assert!(refused(&[one, three]).contains("1 of 3 shards is missing: 2/3;"));
    assert!(refused(&[one]).contains("2 of 3 shards are missing: 2/3, 3/3;"));
    assert!(refused(&[one, two, one]).contains("are both shard 1/3"));
    assert!(refused(&[&whole]).contains("is no shard"));
    assert!(refused(&[one, &half]).contains("the number of shards is 3 and 2"));
    let empty = RunFolder::existing(&at("empty"));
    assert!(refused(&[&empty]).contains("is not finished"));
    let many = shard_into(&at("many"), "7/4000000000", 100);
    assert!(refused(&[&many]).contains("3999999999 of 4000000000 shards are missing: 1/4"));
    let elsewhere = Shards::of(&shards, "01").unwrap_err().to_string();
    assert!(
        elsewhere.contains("the catalogue (hash) of shard"),
        "{elsewhere}"
    );
    let changed = shard_into(&at("changed"), "1/1", 10);
    changed.add("spec.toml", b"name = \"other\"\n").unwrap();
    assert!(refused(&[&changed]).contains("is not what the shard was run with"));

    // Of a plan of 101 points the last one, number 100, was never played; of one of 99 number 99
    // should not have been.
    let joined = Shards::of(&shards, "00").unwrap();
    for (count, sentence) in [
        (101, "point 100 is in none of the shards"),
        (99, "point 99 is not one of the spec's points"),
    ] {
        // A result that is to be replaced stays until the new one is whole.
        let path = at(&count.to_string());
        run_into(&path, &NONE_CRASH, 10, 1, false);
        let before = fs::read(path.join("points.parquet")).unwrap();
        let folder = RunFolder::claim(&path, true).unwrap();
        let error = joined
            .join(&folder, &provenance(), points(count))
            .unwrap_err();
        assert_eq!(error.to_string(), sentence);
        assert_eq!(fs::read(path.join("points.parquet")).unwrap(), before);
    }
}

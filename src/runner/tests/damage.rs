//! Files of a run that changed on the disk.

use super::*;
use crate::record::point_table;

/// Changes the lowest bit of one byte.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

// One bit of the first of two parts is wrong, at 40 places from the magic number to the footer: never a panic or
// another result. That part holds 512 points, which are played again and named; the others are not.
#[test]
fn a_part_with_a_flipped_bit_is_played_again_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    run_into(&whole, &NONE_CRASH, 1_300, 2, false);
    let expected = fs::read(whole.join("points.parquet")).unwrap();
    for place in 0..40 {
        let study = Fake {
            crash_every: u64::MAX,
            raise_at: Some((700, Interrupt::default())),
        };
        let path = cut.join(place.to_string());
        let played = run_into(&path, &study, 1_300, 2, false).counts.points();
        let part = parts_in(&path)[0].clone();
        let length = fs::metadata(&part).unwrap().len() as usize;
        flip(&part, (length - 1) * place / 39);
        let folder = RunFolder::resume(&path).unwrap();
        let finished = reopened(&folder, &provenance()).unwrap();
        assert_eq!(finished.damaged(), [part], "place {place}");
        assert_eq!(finished.len(), played - 512);
        drop(folder);
        assert!(go_on(&path, &NONE_CRASH, 1_300).1.complete);
        assert!(fs::read(path.join("points.parquet")).unwrap() == expected);
    }
}

// One bit is wrong, at 12,000 places from the magic number to the footer, and all columns are read: some damage is seen by
// no one but the digest, some makes the decoder panic; either is a value here, with the file's name.
#[test]
fn damage_never_makes_the_reader_panic() {
    let dir = tempfile::tempdir().unwrap();
    run_into(dir.path(), &NONE_CRASH, 100, 1, false);
    let path = dir.path().join("points.parquet");
    let sound = fs::read(&path).unwrap();
    let table = point_table(StudyKind::Training, &[]);
    let mut undecodable = 0;
    for place in 0..12_000 {
        let mut bytes = sound.clone();
        let at = (bytes.len() - 1) * place / 11_999;
        bytes[at] ^= 1 << (place % 8);
        fs::write(&path, bytes).unwrap();
        let read = PointsReader::open(&path)
            .and_then(|reader| reader.rows(&table))
            .and_then(|mut rows| rows.try_for_each(|rows| rows.map(|_| ())));
        if let Err(error) = read {
            assert!(error.to_string().contains("points.parquet"), "{error}");
            undecodable += u32::from(error.to_string().contains("its decoding ends with"));
        }
    }
    assert!(
        undecodable > 0,
        "the decoder no longer panics: read without a guard"
    );
}

// The whole table rots: all 1,000 points are played again. A part that says whose it is, of another spec, is kept.
#[test]
fn a_damaged_table_is_played_again_and_one_of_another_spec_refused() {
    let dir = tempfile::tempdir().unwrap();
    run_into(dir.path(), &NONE_CRASH, 1_000, 2, false);
    let points = dir.path().join("points.parquet");
    let expected = fs::read(&points).unwrap();
    // In the data: the footer, in which the spec stands, is at the end.
    flip(&points, 100);
    let folder = RunFolder::resume(dir.path()).unwrap();
    let other = Provenance {
        spec: "name = \"other\"\n".to_owned(),
        ..provenance()
    };
    let error = reopened(&folder, &other).unwrap_err().to_string();
    assert!(error.contains("the spec (hash)"), "{error}");
    assert!(points.exists(), "nothing is touched");
    drop(folder);
    let (before, summary) = go_on(dir.path(), &NONE_CRASH, 1_000);
    assert_eq!((before, summary.wall_times.count()), (0, 1_000));
    assert!(fs::read(&points).unwrap() == expected);
}

// A sound part of a run of 512 points beside one whose rows are gone from the plan: 1,024 rows, the plan has 600.
#[test]
fn rows_that_are_not_those_of_the_plan_are_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let study = Fake {
        crash_every: u64::MAX,
        raise_at: Some((700, Interrupt::default())),
    };
    run_into(dir.path(), &study, 3_000, 2, false);
    let folder = RunFolder::resume(dir.path()).unwrap();
    let work = Work {
        points: points(600),
        finished: Finished::default(),
    };
    let options = RunOptions {
        threads: NonZeroUsize::new(1).unwrap(),
        fail_fast: false,
        point_timeout: None,
        no_join: false,
    };
    let (interrupt, provenance) = (Interrupt::default(), provenance());
    let ended = run(
        &NONE_CRASH,
        work,
        &folder,
        &provenance,
        options,
        &interrupt,
        &Silent,
    );
    let told = ended.expect_err("too many rows").to_string();
    assert!(told.contains("the plan has 600 points"), "{told}");
    assert!(!dir.path().join("points.parquet").exists());
}

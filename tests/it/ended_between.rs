//! Runs that end between any two of the renames by which their files take their places.

use std::fs;

use crate::desk::Desk;

/// A study of two sizes, the first of which is a study of its own.
const SPEC: &str = "name = \"two\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama2-7b\"\nglobal_batch = 64\nnodes = [1, 2]\ntp = [1, 2, 4]\n";

/// Files of a run, in the order in which they take their places.
const FILES: [&str; 5] = [
    "points.parquet",
    "spec.toml",
    "scaling.parquet",
    "report.html",
    "manifest.json",
];

/// How a run begins, and how it goes on.
struct Way {
    /// Options of the run of the first size that lies in the folder; `None` where nothing does.
    before: Option<&'static [&'static str]>,
    begin: &'static [&'static str],
    go_on: &'static [&'static str],
}

fn run(desk: &Desk, folder: &str, options: &[&str]) -> crate::desk::Ended {
    desk.sweep(&[&["run", "two.toml", "--out", folder], options].concat())
}

/// A folder as it is before a run of both sizes.
fn ready(desk: &Desk, folder: &str, way: &Way) {
    let _ = fs::remove_dir_all(desk.path(folder));
    if let Some(options) = way.before {
        let one = [&["--set", "nodes=1"], options].concat();
        run(desk, folder, &one).expect_code(0);
    }
}

/// Something of somebody else's under the names that a file has while it is made, which no run removes: a run ends where it
/// comes to that file, in the state in which a kill between the rename before and the one of the file leaves the folder.
fn obstruct(desk: &Desk, folder: &str, file: &str) -> [std::path::PathBuf; 2] {
    let names = ["partial", "new"];
    let obstacles = names.map(|suffix| desk.path(&format!("{folder}/{file}.{suffix}")));
    for obstacle in &obstacles {
        fs::create_dir_all(obstacle.join("kept")).unwrap();
    }
    obstacles
}

/// The tables of a run folder by name: one file, or those of a dataset.
fn contents(desk: &Desk, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for name in &FILES[..4] {
        let path = desk.path(&format!("{folder}/{name}"));
        if path.is_dir() {
            let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(Result::unwrap).collect();
            files.sort_by_key(std::fs::DirEntry::path);
            found.extend(files.iter().map(|file| {
                let name = file.file_name().to_string_lossy().into_owned();
                (name, fs::read(file.path()).unwrap())
            }));
        } else {
            found.push(((*name).to_owned(), fs::read(path).unwrap()));
        }
    }
    found
}

/// Ends a run before each of its files, ends what goes on from there before the same file, and lets it go on. In each state
/// `verify` finds nothing damaged, and in the end the bytes are those of a run that nothing ended.
fn expect_every_state_goes_on(way: &Way) {
    let desk = Desk::new();
    desk.write("two.toml", SPEC);
    ready(&desk, "whole", way);
    run(&desk, "whole", way.begin).expect_code(0);
    let whole = contents(&desk, "whole");
    for file in FILES {
        ready(&desk, "cut", way);
        let obstacles = obstruct(&desk, "cut", file);
        for options in [way.begin, way.go_on] {
            run(&desk, "cut", options).expect_code(3);
            if way.before.is_some() {
                let told = desk.sweep(&["verify", "cut"]);
                assert_eq!(told.code, Some(1), "{file}: {}{}", told.stdout, told.stderr);
            }
        }
        for obstacle in obstacles {
            fs::remove_dir_all(obstacle).unwrap();
        }
        run(&desk, "cut", way.go_on).expect_code(0);
        assert!(contents(&desk, "cut") == whole, "before {file}");
        assert!(!desk.has("cut/parts"), "before {file}");
        desk.sweep(&["verify", "cut"]).expect_code(0);
    }
}

#[test]
fn a_run_goes_on_from_every_state() {
    expect_every_state_goes_on(&Way {
        before: None,
        begin: &["--resume"],
        go_on: &["--resume"],
    });
}

#[test]
fn a_run_that_replaces_another_goes_on_from_every_state() {
    expect_every_state_goes_on(&Way {
        before: Some(&[]),
        begin: &["--overwrite"],
        go_on: &["--resume"],
    });
}

#[test]
fn an_extension_goes_on_from_every_state() {
    expect_every_state_goes_on(&Way {
        before: Some(&[]),
        begin: &["--append"],
        go_on: &["--append"],
    });
}

#[test]
fn an_extension_of_a_dataset_goes_on_from_every_state() {
    expect_every_state_goes_on(&Way {
        before: Some(&["--no-join"]),
        begin: &["--append", "--no-join"],
        go_on: &["--append", "--no-join"],
    });
}

// The last step of a run is to remove its parts. Ended before or in the middle of it, the run is whole: an extension by the
// same values changes nothing, one by further values goes on from the table.
#[test]
fn parts_that_were_not_yet_removed_are_in_nobodys_way() {
    let desk = Desk::new();
    desk.write("two.toml", SPEC);
    let extend: &[&str] = &["--append"];
    let further: &[&str] = &["--append", "--set", "nodes=4"];
    for folder in ["cut", "further"] {
        run(&desk, folder, &["--set", "nodes=1"]).expect_code(0);
    }
    let obstacles = obstruct(&desk, "cut", "manifest.json");
    run(&desk, "cut", extend).expect_code(3);
    fs::rename(desk.path("cut/parts"), desk.path("parts")).unwrap();
    for obstacle in obstacles {
        fs::remove_dir_all(obstacle).unwrap();
    }
    fs::remove_dir_all(desk.path("cut")).unwrap();
    run(&desk, "cut", &["--set", "nodes=1"]).expect_code(0);
    run(&desk, "cut", extend).expect_code(0);
    let whole = contents(&desk, "cut");
    run(&desk, "further", extend).expect_code(0);
    run(&desk, "further", further).expect_code(0);
    let mut parts: Vec<_> = fs::read_dir(desk.path("parts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    parts.sort();
    // The 3 rows that stood, and the 3 new ones.
    assert_eq!(parts.len(), 2);
    for left in [&parts[..], &parts[1..]] {
        for options in [extend, further] {
            fs::create_dir_all(desk.path("cut/parts")).unwrap();
            for part in left {
                let name = part.file_name().unwrap().to_string_lossy().into_owned();
                fs::copy(part, desk.path(&format!("cut/parts/{name}"))).unwrap();
            }
            run(&desk, "cut", options).expect_code(0);
            assert!(!desk.has("cut/parts"));
            let expected = if options == extend {
                whole.clone()
            } else {
                contents(&desk, "further")
            };
            assert!(contents(&desk, "cut") == expected, "{options:?}");
        }
        fs::remove_dir_all(desk.path("cut")).unwrap();
        run(&desk, "cut", &["--set", "nodes=1"]).expect_code(0);
        run(&desk, "cut", extend).expect_code(0);
    }
}

// Shards joined over the result of another model: what is killed is joined again. Once the table is the joined one, `explain`
// is of its model, whatever `spec.toml` still says.
#[test]
fn a_merge_is_done_again_from_every_state() {
    let desk = Desk::new();
    desk.write("two.toml", SPEC);
    for shard in ["1/2", "2/2"] {
        run(&desk, &shard[..1], &["--shard", shard]).expect_code(0);
    }
    desk.sweep(&["merge", "1", "2", "--out", "whole"])
        .expect_code(0);
    let whole = contents(&desk, "whole");
    let explained = |folder| desk.sweep(&["explain", folder, "5"]).expect_code(0).stdout;
    let merge = ["merge", "1", "2", "--out", "cut", "--overwrite"];
    for file in FILES {
        let other = ["--set", "model=llama2-13b", "--overwrite"];
        run(&desk, "cut", &other).expect_code(0);
        assert!(explained("cut") != explained("whole"));
        let obstacles = obstruct(&desk, "cut", file);
        desk.sweep(&merge).expect_code(3);
        let is_joined = explained("cut") == explained("whole");
        assert_eq!(is_joined, file != "points.parquet", "before {file}");
        for obstacle in obstacles {
            fs::remove_dir_all(obstacle).unwrap();
        }
        desk.sweep(&merge).expect_code(0);
        assert!(contents(&desk, "cut") == whole, "before {file}");
        desk.sweep(&["verify", "cut"]).expect_code(0);
    }
}

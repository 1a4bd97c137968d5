//! `sweep verify`, and what tells which program wrote a run.

use std::fs;

use crate::desk::{Desk, Ended};

/// Two models on two sizes, with layouts that are given; `nodes` lists the sizes.
fn spec(nodes: &str) -> String {
    format!(
        "name = \"few\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = [\"llama3-8b\", \"llama2-7b\"]\nnodes = {nodes}\n\
         global_batch = 64\ntp = 8\npp = 1\ncp = 1\nmicro_batch = 1\n"
    )
}

/// A desk with a run of 4 points in `run`.
fn with_run() -> Desk {
    let desk = Desk::new();
    desk.write("few.toml", spec("[1, 2]"));
    desk.sweep(&["run", "few.toml", "--out", "run"])
        .expect_code(0);
    desk
}

fn verified(desk: &Desk, code: i32, said: &[&str]) -> Ended {
    let ended = desk.sweep(&["verify", "run"]).expect_code(code);
    for part in said {
        assert!(ended.stdout.contains(part), "no `{part}`: {}", ended.stdout);
    }
    ended
}

/// Writes a table of points, and its hash into the manifest.
fn replace_table(desk: &Desk, bytes: &[u8]) {
    let old = desk.json("run/manifest.json")["files"]["points.parquet"]["blake3"].clone();
    let new = blake3::hash(bytes).to_hex();
    let text = String::from_utf8(desk.read("run/manifest.json")).unwrap();
    let text = text.replace(old.as_str().unwrap(), new.as_str());
    desk.write("run/manifest.json", text);
    desk.write("run/points.parquet", bytes);
}

// One bit of the table: no command takes rows of it, and none makes the manifest state it. Where only the spec is asked
// for, a point is simulated again.
#[test]
fn rows_of_a_damaged_table_are_not_read() {
    let desk = with_run();
    desk.sweep(&["run", "few.toml", "--out", "sound"])
        .expect_code(0);
    let manifest = desk.read("run/manifest.json");
    let sound = desk.read("run/points.parquet");
    for place in 1..8 {
        let mut wrong = sound.clone();
        wrong[sound.len() * place / 8] ^= 4;
        desk.write("run/points.parquet", &wrong);
        for command in [
            "analyze run",
            "analyze sound run --out both",
            "diff run sound",
            "diff sound run",
            "answer run",
            "explain run --where nodes==1",
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            desk.sweep(&words)
                .expect_code(3)
                .expect_stderr(&["run/points.parquet` is damaged", "--resume"]);
        }
        desk.sweep(&["explain", "run", "3"]).expect_code(0);
    }
    assert!(desk.read("run/manifest.json") == manifest);
    desk.write("run/points.parquet", &sound);
    desk.sweep(&["analyze", "run"]).expect_code(0);
    verified(&desk, 0, &["run is sound"]);
}

// Points, scaling table, report and spec, and 2 · 2 points.
#[test]
fn a_run_is_sound_until_one_bit_or_file_of_it_is_not() {
    let desk = with_run();
    let sound = "run is sound: 4 files, 4 rows, one for each point of the plan";
    verified(&desk, 0, &[sound]);
    let json = desk
        .sweep(&["verify", "run", "--format", "json"])
        .expect_code(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["schema"], "clustersweep.verify/1");
    assert_eq!(
        (&json["damaged"], &json["rows"]),
        (&false.into(), &4.into())
    );
    for name in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "spec.toml",
    ] {
        let path = format!("run/{name}");
        let bytes = desk.read(&path);
        for place in 0..5 {
            let mut wrong = bytes.clone();
            wrong[(bytes.len() - 1) * place / 4] ^= 4;
            desk.write(&path, &wrong);
            let told = format!("{name}: it has not the hash");
            verified(&desk, 3, &[&told, "run is damaged"]);
        }
        fs::remove_file(desk.path(&path)).unwrap();
        verified(&desk, 3, &[name]);
        desk.write(&path, &bytes);
    }
    verified(&desk, 0, &[sound]);
    desk.sweep(&["verify", "few.toml"])
        .expect_code(3)
        .expect_stderr(&["is no folder"]);
}

// The table of a spec with half of the points has sound bytes, and not the rows of the plan: of points 0 to 3 it has 0 and 1.
#[test]
fn rows_are_held_against_the_plan() {
    let desk = with_run();
    desk.write("half.toml", spec("[1]"));
    desk.sweep(&["run", "half.toml", "--out", "half"])
        .expect_code(0);
    replace_table(&desk, &desk.read("half/points.parquet"));
    verified(
        &desk,
        3,
        &["points.parquet: point 2 of the plan has no row"],
    );
}

// What a kill behind the last part leaves, with and without the bit that is wrong.
#[test]
fn a_run_that_was_cut_off_is_sound_so_far() {
    let desk = with_run();
    let bytes = desk.read("run/points.parquet");
    fs::create_dir(desk.path("run/parts")).unwrap();
    let part = format!("run/parts/00000000-{}.parquet", blake3::hash(&bytes));
    desk.write(&part, &bytes);
    verified(&desk, 1, &["sound so far, and not whole: another run"]);
    for name in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "manifest.json",
    ] {
        fs::remove_file(desk.path(&format!("run/{name}"))).unwrap();
    }
    verified(
        &desk,
        1,
        &["sound so far, and not whole: it has no manifest.json yet"],
    );
    let mut wrong = bytes;
    wrong[100] ^= 1;
    desk.write(&part, wrong);
    verified(&desk, 3, &["it has not the hash that its name states"]);
    fs::remove_dir_all(desk.path("run/parts")).unwrap();
    verified(&desk, 3, &["manifest.json"]);
    // Before its first part a run has a folder for them, and nothing that could be damaged.
    fs::create_dir(desk.path("run/parts")).unwrap();
    let begun =
        "sound so far, and not whole: it has no manifest.json yet; 0 files, no table of points yet";
    verified(&desk, 1, &[begun]);
}

// Somebody's folder lies where the first new file is made, so that what goes on ends after it has removed what was damaged. That file is
// no damage any more: a part that the manifest of a signal named, the table of a whole run, one of the files of a dataset.
#[test]
fn what_a_resume_removed_is_no_damage() {
    let desk = with_run();
    let table = desk.read("run/points.parquet");
    let resume = |options: &[&str], code| {
        let go_on = ["run", "few.toml", "--out", "run", "--resume"];
        let ended = desk.sweep(&[&go_on, options].concat()).expect_code(code);
        assert!(ended.stderr.contains("is damaged"), "{}", ended.stderr);
    };
    let damage = |path: &str| {
        let mut bytes = desk.read(path);
        bytes[100] ^= 1;
        desk.write(path, bytes);
        verified(&desk, 3, &["run is damaged"]);
    };
    let obstacle = desk.path("run/parts/00000000.parquet.partial/kept");
    let expect_begun = |options: &[&str]| {
        fs::create_dir_all(&obstacle).unwrap();
        resume(options, 3);
        verified(
            &desk,
            1,
            &["sound so far, and not whole: its manifest says interrupted"],
        );
        fs::remove_dir_all(obstacle.parent().unwrap()).unwrap();
        let go_on = ["run", "few.toml", "--out", "run", "--resume"];
        desk.sweep(&[&go_on, options].concat()).expect_code(0);
        verified(&desk, 0, &["run is sound"]);
    };
    damage("run/points.parquet");
    expect_begun(&[]);
    assert!(desk.read("run/points.parquet") == table);

    let hash = blake3::hash(&table).to_hex();
    let part = format!("run/parts/00000000-{hash}.parquet");
    let manifest = String::from_utf8(desk.read("run/manifest.json")).unwrap();
    let manifest = manifest
        .replace("\"complete\"", "\"interrupted\"")
        .replace("points.parquet", &part[4..]);
    fs::create_dir(desk.path("run/parts")).unwrap();
    fs::rename(desk.path("run/points.parquet"), desk.path(&part)).unwrap();
    desk.write("run/manifest.json", manifest);
    verified(&desk, 1, &["its manifest says interrupted"]);
    damage(&part);
    expect_begun(&[]);

    let whole = [
        "run",
        "few.toml",
        "--out",
        "run",
        "--overwrite",
        "--no-join",
    ];
    desk.sweep(&whole).expect_code(0);
    let name = fs::read_dir(desk.path("run/points.parquet"))
        .unwrap()
        .next();
    let name = name.unwrap().unwrap().file_name().into_string().unwrap();
    damage(&format!("run/points.parquet/{name}"));
    expect_begun(&["--no-join"]);
}

// A letter of a key, or of what the manifest and the table both say, in place of another: whatever it takes away from what is checked, the
// run is not sound. `files` has four names, each with a hash.
#[test]
fn a_manifest_that_lost_something_is_damaged() {
    let desk = with_run();
    let manifest = String::from_utf8(desk.read("run/manifest.json")).unwrap();
    let hashes = ["spec_hash", "catalog_hash", "build", "version"];
    let told = |wrong: &str, said: &str| {
        assert!(wrong != manifest);
        desk.write("run/manifest.json", wrong);
        verified(&desk, 3, &["run is damaged", said]);
    };
    let key = |key: &str| manifest.replace(&format!("\"{key}\":"), &format!("\"{}q\":", &key[1..]));
    told(&key("files"), "spec.toml: manifest.json does not name it");
    for name in [
        "points.parquet",
        "scaling.parquet",
        "report.html",
        "spec.toml",
    ] {
        told(
            &key(name),
            &format!("{name}: manifest.json does not name it"),
        );
    }
    told(&key("blake3"), "it has not the hash");
    told(&key("state"), "it does not say how the run ended");
    for name in ["counts", "ok", "infeasible", "crashed"] {
        told(&key(name), "it does not say how many points ran");
    }
    let value = |key: &str| {
        desk.json("run/manifest.json")[key]
            .as_str()
            .unwrap()
            .to_owned()
    };
    desk.write("run/manifest.json", &manifest);
    for (name, value) in hashes.map(|name| (name, value(name))) {
        told(&key(name), "manifest.json says ");
        let other = format!("\"{name}\": \"{value}0\"");
        let other = manifest.replace(&format!("\"{name}\": \"{value}\""), &other);
        if name.ends_with("hash") {
            // Shortened, a hash with a digit more looks alike.
            let first = if value.starts_with('0') { "1" } else { "0" };
            let other = other.replace(&format!("{value}0"), &format!("{first}{}", &value[1..]));
            told(&other, "(hash) is ");
        } else {
            told(&other, "manifest.json says ");
        }
    }
    // The whole is sound as it was.
    desk.write("run/manifest.json", &manifest);
    verified(&desk, 0, &["run is sound: 4 files"]);
}

// Rows whose points have the numbers of the plan and the values of other points: of a plan with the axes the other way round, whose row 1 has
// the other model on one node. Its metadata name the spec, so that only the rows tell.
#[test]
fn values_of_rows_are_held_against_the_plan() {
    let desk = with_run();
    let turned = spec("[1, 2]").replace("nodes = [1, 2]\n", "");
    let turned = turned.replace("model =", "nodes = [1, 2]\nmodel =");
    desk.write("turned.toml", turned);
    desk.sweep(&["run", "turned.toml", "--out", "turned"])
        .expect_code(0);
    let resolved = [desk.read("run/spec.toml"), desk.read("turned/spec.toml")];
    let mut table = desk.read("turned/points.parquet");
    let mut put = |old: &[u8], new: &[u8]| {
        assert_eq!(old.len(), new.len());
        let mut found = 0;
        for at in 0..=table.len() - old.len() {
            if table[at..].starts_with(old) {
                table[at..at + old.len()].copy_from_slice(new);
                found += 1;
            }
        }
        assert!(found > 0);
    };
    let hash = |text: &[u8]| blake3::hash(text).to_hex().to_string();
    put(&resolved[1], &resolved[0]);
    put(hash(&resolved[1]).as_bytes(), hash(&resolved[0]).as_bytes());
    replace_table(&desk, &table);
    let said = "points.parquet: point 1 has model llama2-7b, the plan llama3-8b";
    verified(&desk, 3, &[said]);
}

// The table says that another build wrote it, with the version of this one.
#[test]
fn two_builds_of_one_version_are_told_apart() {
    let desk = with_run();
    let manifest = desk.json("run/manifest.json");
    let build = manifest["build"].as_str().unwrap().to_owned();
    assert!(build.len() == 16 && build.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let revision = manifest["revision"].as_str().unwrap();
    let version = desk.sweep(&["--version"]).expect_code(0).stdout;
    assert!(
        version.contains(&format!("(revision {revision}, build {build})")),
        "{version}"
    );
    assert_eq!(manifest["command"][1], "run");

    let other = "0123456789abcdef";
    let table = desk.read("run/points.parquet");
    let places: Vec<usize> = (0..table.len() - 16)
        .filter(|at| table[*at..].starts_with(build.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "the metadata name the build");
    let mut changed = table.clone();
    for at in places {
        changed[at..at + 16].copy_from_slice(other.as_bytes());
    }
    replace_table(&desk, &changed);
    desk.sweep(&["run", "few.toml", "--out", "run", "--resume"])
        .expect_code(2)
        .expect_stderr(&["the build of the program was 0123456789ab, this is"]);
    assert!(
        desk.read("run/points.parquet") == changed,
        "nothing is touched"
    );
}

//! Results that are replaced, and what stays of them until the new one is whole.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::desk::{Desk, FABRIC};

/// Every file of a finished run.
const FILES: [&str; 5] = [
    "points.parquet",
    "scaling.parquet",
    "report.html",
    "manifest.json",
    "spec.toml",
];

/// Points of milliseconds, where `iterations` has no 1000000, which takes hours.
fn spec(iterations: &str) -> String {
    format!(
        "name = \"varied\"\n[grid]\ngpu = \"h100-sxm\"\nmodel = \"llama2-7b\"\nnodes = [1, 2]\nglobal_batch = 512\ntp = 8\n\
         cp = 1\npp = 1\nmicro_batch = 1\nvariability = 0.1\niterations = {iterations}\n"
    )
}

fn files(desk: &Desk, folder: &str) -> Vec<Vec<u8>> {
    let read = |name| desk.read(&format!("{folder}/{name}"));
    FILES.map(read).into()
}

/// Starts a run and ends it by a signal half a second after it has locked its folder.
fn cut_off(desk: &Desk, arguments: &[&str], signal: &str) {
    let mut command = desk.command(arguments);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    while desk.read("out/.lock").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(500));
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args([signal, &id])
        .status()
        .unwrap();
    assert!(killed.success());
    child.wait().unwrap();
}

// The folder's own spec, with one value replaced so that it takes hours: whatever ends it, the result is there to the byte,
// and can be read. The run that was begun goes on, and in the end its files are those of a run that replaced nothing.
#[test]
fn a_result_stays_until_the_new_one_is_whole() {
    let desk = Desk::new();
    desk.write("varied.toml", spec("[1, 2]"));
    desk.sweep(&["run", "varied.toml", "--out", "out"])
        .expect_code(0);
    let before = files(&desk, "out");
    let slow = ["--set", "iterations=1,1000000"];
    let over = ["run", "out/spec.toml", "--out", "out", "--overwrite"];
    for signal in ["-KILL", "-TERM"] {
        cut_off(&desk, &[&over[..], &slow].concat(), signal);
        assert!(files(&desk, "out") == before, "{signal}");
        desk.sweep(&["analyze", "out", "--out", "elsewhere"])
            .expect_code(0);
    }
    let go_on = ["run", "varied.toml", "--out", "out", "--resume"];
    let timeout = ["--point-timeout", "300ms"];
    desk.sweep(&[&go_on[..], &slow, &timeout].concat())
        .expect_code(1)
        .expect_stderr(&["2 points are finished"]);
    assert_eq!(desk.json("out/manifest.json")["counts"]["crashed"], 2);
    assert!(String::from_utf8_lossy(&desk.read("out/spec.toml")).contains("1000000"));
    assert!(!desk.has("out/parts"));

    desk.sweep(&["run", "varied.toml", "--out", "out", "--overwrite"])
        .expect_code(0);
    let after = files(&desk, "out");
    for (at, name) in FILES
        .iter()
        .enumerate()
        .filter(|(_, name)| **name != "manifest.json")
    {
        assert!(after[at] == before[at], "{name}");
    }
}

// A part of the run that replaces the result, the only one, has a wrong bit, in its rows or in the footer, where its spec stands: it is named
// and its points are simulated again, as where it lies alone. The spec of the result is not that of the run.
#[test]
fn a_damaged_part_of_a_run_that_replaces_another_is_played_again() {
    let desk = Desk::new();
    desk.write("varied.toml", spec("[1, 2]"));
    let other = ["run", "varied.toml", "--set", "iterations=1,3"];
    desk.sweep(&[&other[..], &["--out", "other"]].concat())
        .expect_code(0);
    let part = desk.read("other/points.parquet");
    let name = format!("out/parts/00000000-{}.parquet", blake3::hash(&part));
    for place in [1, 7, 15] {
        desk.sweep(&["run", "varied.toml", "--out", "out", "--overwrite"])
            .expect_code(0);
        let before = files(&desk, "out");
        let mut wrong = part.clone();
        wrong[part.len() * place / 16] ^= 1;
        fs::create_dir(desk.path("out/parts")).unwrap();
        desk.write(&name, wrong);
        let third = [
            "run",
            "varied.toml",
            "--set",
            "iterations=5",
            "--out",
            "out",
            "--resume",
        ];
        if place == 1 {
            // Its footer is legible, and says whose it is.
            desk.sweep(&third)
                .expect_code(2)
                .expect_stderr(&["the spec (hash)"]);
            assert!(files(&desk, "out") == before && desk.has(&name));
        }
        desk.sweep(&[&other[..], &["--out", "out", "--resume"]].concat())
            .expect_code(0)
            .expect_stderr(&[&name[4..], "is damaged", "4 points in"]);
        assert!(desk.read("out/points.parquet") == part, "{place}");
        assert!(!desk.has("out/parts"));
    }
}

// A shard in the place of a whole run has no findings of its own: those of the old one go. A communication has no scaling table.
#[test]
fn findings_of_a_result_do_not_outlive_it() {
    let desk = Desk::new();
    desk.write("varied.toml", spec("[1, 2]"));
    let run = ["run", "varied.toml", "--out", "out", "--overwrite"];
    desk.sweep(&run).expect_code(0);
    assert!(desk.has("out/report.html"));
    desk.sweep(&[&run[..], &["--shard", "1/2"]].concat())
        .expect_code(0);
    assert!(!desk.has("out/report.html") && !desk.has("out/scaling.parquet"));
    desk.sweep(&run).expect_code(0);
    assert!(desk.has("out/scaling.parquet"));
    desk.write("fabric.toml", FABRIC);
    desk.sweep(&["run", "fabric.toml", "--out", "out", "--overwrite"])
        .expect_code(0);
    assert!(desk.has("out/report.html") && !desk.has("out/scaling.parquet"));
    desk.sweep(&["verify", "out"]).expect_code(0);
}

// What a terminal would obey is shown, in the summary and on stderr.
#[test]
fn a_description_cannot_draw_on_the_terminal() {
    let desk = Desk::new();
    let spec = spec("1");
    desk.write(
        "escapes.toml",
        format!("description = \"\\u001b[31mRED\\u001b]0;title\\u0007\\u001b[2J\"\n{spec}"),
    );
    let ended = desk
        .sweep(&["run", "escapes.toml", "--out", "out"])
        .expect_code(0);
    assert!(ended.stdout.contains("\\u001b[31mRED"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'));
}

// A turn of direction and an escape in a description, a chart's name and a GPU's title: shown on the terminal, replaced in the
// page and the charts, which stay XML. In a unit they are refused with their place.
#[test]
fn no_letter_of_a_spec_is_obeyed_anywhere() {
    let desk = Desk::new();
    let unit = |unit: &str| {
        format!(
            "description = \"say \\u202egpj\\u001b[2J\"\n{}[metrics.m]\nvalue = \"step_time_s * 2\"\nunit = \"{unit}\"\n\
             [charts.\"c\\u202e\\u001b\"]\nx = \"gpus\"\ny = \"m\"\n\
             [gpus.mine]\nbase = \"h100-sxm\"\ntitle = \"t\\u202e\\u0007\"\n",
            spec("1")
        )
    };
    desk.write("letters.toml", unit("s"));
    let is_obeyed =
        |letter: char| letter.is_control() && !"\n\t".contains(letter) || letter == '\u{202e}';
    for arguments in [
        &["run", "letters.toml", "--out", "out"][..],
        &["analyze", "out", "--plots", "plots", "--out", "again"],
        &["list", "gpus", "--spec", "letters.toml"],
    ] {
        let ended = desk.sweep(arguments).expect_code(0);
        assert!(!ended.stdout.contains(is_obeyed), "{}", ended.stdout);
        assert!(!ended.stderr.contains(is_obeyed), "{}", ended.stderr);
    }
    let page = String::from_utf8(desk.read("out/report.html")).unwrap();
    assert!(page.contains("say \u{fffd}gpj") && !page.contains(is_obeyed));
    let mut charts = 0;
    for entry in fs::read_dir(desk.path("plots")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "svg") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(is_obeyed), "{}", path.display());
            charts += 1;
        }
    }
    assert!(charts > 1);
    desk.write("unit.toml", unit("a\\u001bb"));
    desk.sweep(&["plan", "unit.toml"])
        .expect_code(2)
        .expect_stderr(&["without control characters", "unit.toml:16:8"]);
}

// Outputs that are named never land on a file of a run, whatever leads there; beside them they do.
#[test]
fn a_named_output_does_not_replace_a_file_of_a_run() {
    let desk = Desk::new();
    desk.write("one.toml", spec("1"));
    desk.sweep(&["run", "one.toml", "--out", "out"])
        .expect_code(0);
    let names = [
        "points.parquet",
        "manifest.json",
        "spec.toml",
        "report.html",
    ];
    let held = || names.map(|name| desk.read(&format!("out/{name}")));
    let before = held();
    for name in names {
        let path = format!("out/{name}");
        for arguments in [
            &["trace", "out", "0", "-o", &path][..],
            &["analyze", "out", "--plots", &path],
            &["analyze", "out", "--x", "gpu", "--out", &path],
            &["run", "one.toml", "--out", &path, "--overwrite"],
        ] {
            let ended = desk.sweep(arguments);
            assert!(matches!(ended.code, Some(2 | 3)), "{arguments:?}");
            ended.expect_stderr(&["out"]);
        }
    }
    let detour = "out/../out/points.parquet";
    desk.sweep(&["trace", "out", "0", "-o", detour])
        .expect_code(2)
        .expect_stderr(&["is a file of the run in", "name another place"]);
    assert!(held() == before);
    desk.sweep(&["trace", "out", "0", "-o", "out/trace.json"])
        .expect_code(0);
    desk.sweep(&["trace", "out", "0", "-o", "points.parquet"])
        .expect_code(0);
}

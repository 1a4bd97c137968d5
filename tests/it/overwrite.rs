//! Results that are replaced, and what stays of them until the new one is whole.

use std::process::Stdio;
use std::time::Duration;

use crate::desk::Desk;

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

// A shard in the place of a whole run has no findings of its own: those of the old one go.
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

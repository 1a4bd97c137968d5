//! Files that are no regular ones, and files that belong to somebody else.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::desk::{Desk, Ended, binary};

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A run whose files are links to precious ones outside of it.
fn desk_with_links() -> Desk {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "-o", "run"])
        .expect_code(0);
    fs::create_dir(desk.path("elsewhere")).unwrap();
    for name in FILES {
        fs::rename(
            desk.path("run").join(name),
            desk.path("elsewhere").join(name),
        )
        .unwrap();
        symlink(
            desk.path("elsewhere").join(name),
            desk.path("run").join(name),
        )
        .unwrap();
    }
    desk
}

const FILES: [&str; 5] = [
    "points.parquet",
    "scaling.parquet",
    "report.html",
    "manifest.json",
    "spec.toml",
];

// A finished run moved elsewhere, with links in its place: whatever writes there replaces the links, and the files that they
// lead to keep their bytes. What would read through one says so and writes nothing.
#[test]
fn what_links_in_a_run_folder_lead_to_is_left_alone() {
    let once = desk_with_links();
    let all = |desk: &Desk| FILES.map(|name| desk.read(&format!("elsewhere/{name}")));
    let before = all(&once);
    for command in [
        &["analyze", "run"][..],
        &["diff", "run", "run"],
        &["explain", "run", "0"],
        &["trace", "run", "0"],
    ] {
        once.sweep(command)
            .expect_code(3)
            .expect_stderr(&["run/points.parquet", "symbolic link"]);
        assert!(all(&once) == before, "{command:?}");
    }
    once.sweep(&["verify", "run"]).expect_code(3);
    for option in ["--resume", "--overwrite"] {
        let desk = desk_with_links();
        let before = all(&desk);
        desk.sweep(&["run", "small.toml", "-o", "run", option])
            .expect_code(0);
        assert!(all(&desk) == before, "{option}");
        for name in FILES {
            let found = desk.path("run").join(name).symlink_metadata().unwrap();
            assert!(found.is_file(), "{option}: {name}");
        }
    }
}

// A Parquet file that somebody put among the parts is no part: it stays, and the run is whole. A file named `.lock` that no
// run wrote is not emptied, neither as itself nor through a hard link.
#[test]
fn what_others_put_into_a_run_folder_stays() {
    let desk = Desk::with_small_spec();
    fs::create_dir_all(desk.path("run/parts")).unwrap();
    desk.write("run/parts/mine.parquet", "precious");
    desk.sweep(&["run", "small.toml", "-o", "run", "--overwrite"])
        .expect_code(0);
    assert_eq!(desk.read("run/parts/mine.parquet"), b"precious");
    desk.sweep(&["verify", "run"]).expect_code(0);

    desk.write("thesis", "precious");
    fs::create_dir(desk.path("held")).unwrap();
    fs::hard_link(desk.path("thesis"), desk.path("held/.lock")).unwrap();
    desk.sweep(&["run", "small.toml", "-o", "held"])
        .expect_code(3)
        .expect_stderr(&["held/.lock", "no lock of sweep"]);
    assert_eq!(desk.read("thesis"), b"precious");
}

// A pipe to which nobody writes, a device without an end and a socket, in the place of each file that a command reads: each
// is told within seconds with its name, and takes no memory.
#[test]
fn pipes_devices_and_sockets_do_not_hang_a_reader() {
    let desk = Desk::with_small_spec();
    make_pipe(&desk.path("pipe"));
    let _listener = UnixListener::bind(desk.path("socket")).unwrap();
    desk.write("tables.toml", "");
    let named = |key: &str, file: &str| {
        format!(
            "name = \"n\"\nkind = \"collective\"\ninclude = [{}]\n[grid]\ngpu = \"h100-sxm\"\nnodes = 2\nop = \"all-reduce\"\nsize = \"1 MiB\"\n{}",
            if key == "include" {
                format!("\"{file}\"")
            } else {
                String::new()
            },
            match key {
                "collectives" =>
                    format!("collective = \"mine\"\n[collectives.mine]\nfile = \"{file}\"\n"),
                "models" => format!("[models.mine]\nfile = \"{file}\"\n"),
                _ => String::new(),
            }
        )
    };
    for file in ["pipe", "socket", "/dev/zero"] {
        for key in ["include", "collectives", "models"] {
            desk.write(&format!("{key}.toml"), named(key, file));
        }
        for command in [
            &["plan", file][..],
            &["plan", "include.toml"],
            &["plan", "collectives.toml"],
            &["plan", "models.toml"],
            &["validate", file],
            &["validate", "--include", file],
            &["list", "models", "--file", file],
            &["analyze", file],
            &["diff", file, file],
        ] {
            let bounded = "ulimit -v 4000000; exec timeout 20 \"$0\" \"$@\"";
            let output = Command::new("sh")
                .args(["-c", bounded])
                .arg(binary())
                .args(command)
                .current_dir(desk.path("."))
                .output()
                .unwrap();
            let ended = Ended::new(&output);
            assert!(
                matches!(ended.code, Some(2 | 3)),
                "{command:?}: {:?}",
                ended.code
            );
            ended.expect_stderr(&[file]);
        }
    }
}

// `sweep plan <(generate)`: a pipe with a writer is read to its end.
#[test]
fn a_spec_may_come_through_a_pipe() {
    let desk = Desk::with_small_spec();
    make_pipe(&desk.path("spec"));
    let mut writer = Command::new("sh")
        .args(["-c", "cat small.toml > spec"])
        .current_dir(desk.path("."))
        .spawn()
        .unwrap();
    let ended = desk.sweep(&["plan", "spec"]).expect_code(0);
    assert!(ended.stdout.contains("12"), "{}", ended.stdout);
    writer.wait().unwrap();
}

// The device stays one, and the link; a file that has the temporary name is somebody else's.
#[test]
fn outputs_are_written_to_what_is_named() {
    let desk = Desk::with_small_spec();
    desk.sweep(&["run", "small.toml", "-o", "run"])
        .expect_code(0);
    let trace = |to: &str| -> Ended { desk.sweep(&["trace", "run", "0", "-o", to]).expect_code(0) };
    trace("/dev/null");
    let device = fs::metadata("/dev/null").unwrap();
    assert!(device.file_type().is_char_device());
    desk.write("trace.json.partial", "precious");
    symlink(desk.path("trace.json"), desk.path("link")).unwrap();
    for to in ["trace.json", "link"] {
        trace(to);
        assert!(desk.read("trace.json").starts_with(b"{"), "{to}");
        assert_eq!(desk.read("trace.json.partial"), b"precious");
    }
    assert!(desk.path("link").symlink_metadata().unwrap().is_symlink());
    let init = [
        "init",
        "link",
        "--model",
        "llama3-8b",
        "--tokens",
        "1e12",
        "--overwrite",
    ];
    desk.sweep(&init).expect_code(0);
    assert!(desk.path("link").symlink_metadata().unwrap().is_symlink());
    assert!(!desk.read("trace.json").starts_with(b"{"));
}

// Line 2 of a table is `é` and then a byte of Latin-1: its second character.
#[test]
fn a_table_that_is_not_utf8_has_a_place() {
    let desk = Desk::new();
    desk.write("cases.csv", b"id,case\n\xc3\xa9\xe9,1\n");
    desk.sweep(&["validate", "cases.csv"])
        .expect_code(3)
        .expect_stderr(&["cases.csv", "not UTF-8: byte 0xe9 at 2:2"]);
}

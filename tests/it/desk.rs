//! The binary, run in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for one test, and the binary run in it.
pub(crate) struct Desk {
    dir: tempfile::TempDir,
}

/// Columns of the exclusive parts of a step, which sum to its time.
pub(crate) const STEP_PARTS: [&str; 10] = [
    "compute_s",
    "recompute_s",
    "tp_comm_exposed_s",
    "cp_comm_exposed_s",
    "ep_comm_exposed_s",
    "pp_comm_exposed_s",
    "dp_comm_exposed_s",
    "bubble_s",
    "optimizer_s",
    "overhead_s",
];

/// Output and exit code of a command.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// 12 points, some of which do not fit into memory.
pub(crate) const SMALL: &str = r#"
name = "small"
description = "Where does Llama 3 8B stop scaling?"
[grid]
gpu = ["h100-sxm"]
nodes = { from = 1, to = 32, times = 2 }
model = ["llama3-8b", "llama3-70b"]
global_batch = 128
"#;

/// Ring or tree on two and four servers; an all-gather has no tree.
pub(crate) const FABRIC: &str = r#"
name = "fabric"
description = "Ring or tree?"
kind = "collective"
[grid]
gpu = "h100-sxm"
nodes = [2, 4]
op = ["all-reduce", "all-gather"]
collective = ["ring", "tree"]
size = ["8 KiB", "8 MiB"]
"#;

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// With the small spec as `small.toml`.
    pub(crate) fn with_small_spec() -> Self {
        let desk = Self::new();
        desk.write("small.toml", SMALL);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    pub(crate) fn sweep(&self, arguments: &[&str]) -> Ended {
        Ended::new(&self.command(arguments).output().unwrap())
    }
}

impl Ended {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Fails the test unless the command ended with this exit code.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the test unless stderr holds each of these.
    #[track_caller]
    pub(crate) fn expect_stderr(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "no `{part}` in stderr:\n{}",
                self.stderr
            );
        }
        self
    }
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sweep"))
}

//! The machine that a run is made on.

use std::fs;
use std::thread;

use schemars::JsonSchema;
use serde::Serialize;

/// The machine that a run was made on.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Host {
    /// Host name.
    pub name: String,
    /// Operating system and processor architecture.
    pub platform: String,
    /// Processor model.
    pub cpu: Option<String>,
    /// Hardware threads.
    pub cpus: usize,
}

impl Host {
    /// This machine.
    pub(crate) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            name: read("/proc/sys/kernel/hostname")
                .map(|text| text.trim().to_owned())
                .or_else(|| std::env::var("HOSTNAME").ok())
                .unwrap_or_default(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: read("/proc/cpuinfo").and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("model name"))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            }),
            cpus: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

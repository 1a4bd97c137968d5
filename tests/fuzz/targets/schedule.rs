//! A collective's schedule in a file of its own: rounds, or MSCCL XML.
#![no_main]

use std::fs;

use clustersweep::spec::{Overrides, Spec};
use libfuzzer_sys::fuzz_target;

const SPEC: &str = r#"
kind = "collective"
[grid]
gpu = "h100-sxm"
gpus = 4
op = "all-reduce"
size = "1 MiB"
collective = "mine"
[collectives.mine]
file = "schedule"
"#;

fuzz_target!(|schedule: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("schedule"), schedule).expect("a file");
    fs::write(at("spec.toml"), SPEC).expect("a file");
    match Spec::load(&at("spec.toml"), &Overrides::default()) {
        Ok(spec) => {
            let point = spec.plan().point(0);
            let _ = spec.plan().scenario(&point);
        }
        Err(fault) => drop(fault.to_string()),
    }
});

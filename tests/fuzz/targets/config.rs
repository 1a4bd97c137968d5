//! A model's `config.json`.
#![no_main]

use std::fs;

use clustersweep::commands::list_model_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|config: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json");
    fs::write(&path, config).expect("a file");
    match list_model_file(&path) {
        Ok(_) => {}
        Err(fault) => drop(fault.to_string()),
    }
});

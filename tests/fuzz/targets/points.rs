//! A table of points as it lies on a disk.
#![no_main]

use std::fs;
use std::panic;
use std::sync::Once;

use clustersweep::analysis::analyse_files;
use clustersweep::spec::{AnalysisSettings, Axis};
use libfuzzer_sys::fuzz_target;

/// Some damage makes the decoder of Parquet panic, which the reader turns into a fault: what ends the process has to be a
/// panic that nobody caught.
static QUIET: Once = Once::new();

fuzz_target!(|table: &[u8]| {
    QUIET.call_once(|| panic::set_hook(Box::new(|_| {})));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("points.parquet");
    fs::write(&path, table).expect("a file");
    let settings = AnalysisSettings::default();
    if let Err(fault) = analyse_files(&[&path], &settings, &[], Axis::Gpus) {
        drop(fault.to_string());
    }
});

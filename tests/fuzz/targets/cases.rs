//! Measured cases: tables of steps, collectives and memory, and flows of a network.
#![no_main]

use clustersweep::catalog::Catalog;
use clustersweep::validation::read_cases;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(faults) = read_cases("cases", text, Catalog::builtin()) {
        drop(faults.to_string());
    }
});

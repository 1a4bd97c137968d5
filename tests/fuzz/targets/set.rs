//! An argument of `--set`.
#![no_main]

use clustersweep::spec::{Overrides, Spec, Syntax};
use libfuzzer_sys::fuzz_target;

const GRID: &str = r#"grid = { gpu = "h100-sxm", nodes = [1, 4], model = "llama3-8b", global_batch = 64 }"#;

fuzz_target!(|argument: &str| {
    let (axis, values) = argument.split_once('=').unwrap_or((argument, ""));
    let set = Overrides {
        set: vec![(axis.to_owned(), values.to_owned())],
        ..Overrides::default()
    };
    match Spec::parse("fuzzed", GRID, Syntax::Toml, &set) {
        Ok(spec) => drop(spec.plan().tally(100)),
        Err(fault) => drop(fault.to_string()),
    }
});

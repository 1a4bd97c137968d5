//! A clause of `where`, asked of every point of a small grid.
#![no_main]

use clustersweep::spec::{Overrides, Spec, Syntax};
use libfuzzer_sys::fuzz_target;

const GRID: &str = r#"grid = { gpu = ["h100-sxm", "b200"], nodes = [1, 4], model = "llama3-8b", global_batch = 64 }"#;

fuzz_target!(|clause: &str| {
    let clauses = Overrides {
        where_clauses: vec![clause.to_owned()],
        ..Overrides::default()
    };
    match Spec::parse("fuzzed", GRID, Syntax::Toml, &clauses) {
        Ok(spec) => drop(spec.plan().tally(100)),
        Err(fault) => drop(fault.to_string()),
    }
});

//! Tables of a spec's own GPUs, clusters, models and networks, behind a small grid that uses one.
#![no_main]

use clustersweep::spec::{Overrides, Spec, Syntax};
use libfuzzer_sys::fuzz_target;

const GRID: &str = r#"
[grid]
gpu = "mine"
nodes = 2
model = "own"
global_batch = 64
"#;

fuzz_target!(|tables: &str| {
    let text = format!("{GRID}{tables}");
    match Spec::parse("fuzzed", &text, Syntax::Toml, &Overrides::default()) {
        Ok(spec) => {
            let point = spec.plan().point(0);
            let _ = spec.plan().scenario(&point);
        }
        Err(fault) => drop(fault.to_string()),
    }
});

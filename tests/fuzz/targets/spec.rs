//! A spec in one of three formats: the first byte says which.
#![no_main]

use clustersweep::spec::{Overrides, Spec, Syntax};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((format, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let syntax = match format {
        b'j' => Syntax::Json,
        b'y' => Syntax::Yaml,
        _ => Syntax::Toml,
    };
    match Spec::parse("fuzzed", text, syntax, &Overrides::default()) {
        Ok(spec) => {
            let plan = spec.plan();
            plan.tally(100);
            for point in plan.kept(0..plan.len().min(10)) {
                // What cannot run is a value too.
                let _ = plan.scenario(&point);
            }
            let again = spec.resolved_text();
            let again = Spec::parse("fuzzed", &again, Syntax::Toml, &Overrides::default());
            assert!(again.is_ok_and(|it| it.plan().len() == plan.len()));
        }
        // The message is made of the text.
        Err(fault) => drop(fault.to_string()),
    }
});

//! Checks that some model, or some GPU, of a spec can have the recipes that it asks for.

use itertools::Itertools as _;

use crate::model::{Model, Module, Modules};
use crate::spec::axis::Axis;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::names::Names;
use crate::spec::read::Parts;

/// Refuses recipes that no point can have; where some can, the other points are rows that say why they do not run.
pub(super) fn check(parts: &Parts, names: &Names, faults: &mut Faults) {
    check_modules(parts, names, faults);
}

fn check_modules(parts: &Parts, names: &Names, faults: &mut Faults) {
    let models = parts.values_of(Axis::Model);
    let models: Vec<&Model> = models
        .filter_map(|(_, model)| names.catalog.models.get(model.as_text()?))
        .map(AsRef::as_ref)
        .unique_by(|model| &model.name)
        .collect();
    if models.is_empty() {
        return;
    }
    for (place, asked) in parts.values_of(Axis::RecomputeModules) {
        let Some(modules) = asked
            .as_text()
            .and_then(|text| text.parse::<Modules>().ok())
        else {
            continue;
        };
        let has_all = |model: &&Model| modules.iter().all(|module| model.has_module(module));
        if models.iter().any(has_all) {
            continue;
        }
        let each = models.iter().map(|model| {
            let has = Module::ALL
                .iter()
                .filter(|module| model.has_module(**module));
            match has.format(", ").to_string() {
                none if none.is_empty() => format!("`{}` has none", model.name),
                has => format!("`{}` has {has}", model.name),
            }
        });
        let message = match modules.iter().exactly_one() {
            Ok(module) => format!("no model of the spec has the module {module}"),
            Err(_) => format!("no model of the spec has the modules {modules}"),
        };
        faults.push(Diagnostic::error(place, message).hint(each.take(5).join("; ")));
    }
}

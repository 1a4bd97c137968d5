//! Checks that some model, or some GPU, of a spec can have the recipes that it asks for.

use itertools::Itertools as _;

use crate::hardware::Gpu;
use crate::model::{Model, Module, Modules};
use crate::spec::axis::Axis;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::mixed_gpus::type_names;
use crate::spec::names::Names;
use crate::spec::read::Parts;

/// Refuses recipes that no point can have; where some can, the other points are rows that say why they do not run.
pub(super) fn check(parts: &Parts, names: &Names, faults: &mut Faults) {
    check_modules(parts, names, faults);
    check_offload(parts, names, faults);
}

fn check_offload(parts: &Parts, names: &Names, faults: &mut Faults) {
    let gpus = parts.values_of(Axis::Gpu);
    let gpus: Vec<&Gpu> = gpus
        .filter_map(|(_, gpu)| gpu.as_text().map(type_names))
        .flatten()
        .filter_map(|gpu| names.catalog.gpus.get(&gpu))
        .map(AsRef::as_ref)
        .unique_by(|gpu| &gpu.name)
        .collect();
    let [first, ..] = gpus[..] else { return };
    if gpus.iter().any(|gpu| gpu.host_link.is_some()) {
        return;
    }
    let mut asked = parts.values_of(Axis::Offload);
    let given = asked.find(|(_, offload)| offload.as_text().is_some_and(|text| text != "none"));
    if let Some((place, offload)) = given {
        let message = format!("offload {offload}: no GPU of the spec has a link to its host");
        let hint = format!(
            "none is known of {}; [gpus.\"{}\"] host_link = \"63 GB/s\" gives one (base = \"{}\")",
            gpus.iter()
                .map(|gpu| format!("`{}`", gpu.name))
                .take(5)
                .join(", "),
            first.name,
            first.name
        );
        faults.push(Diagnostic::error(place, message).hint(hint));
    }
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

//! Checks that some model, GPU or point of a spec can have the recipes and groups that it asks for.

use itertools::Itertools as _;

use crate::hardware::Gpu;
use crate::model::{Model, Module, Modules, Part, Parts as FrozenParts};
use crate::simulation::{Scenario, TrainingScenario, lacking_fabric, undivided_stages};
use crate::spec::axis::Axis;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::mixed_gpus::type_names;
use crate::spec::names::Names;
use crate::spec::plan::Plan;
use crate::spec::read::Parts;

/// Refuses recipes that no point can have; where some can, the other points are rows that say why they do not run.
pub(super) fn check(parts: &Parts, plan: &Plan, names: &Names, faults: &mut Faults) {
    check_modules(parts, names, faults);
    check_frozen(parts, names, faults);
    check_offload(parts, names, faults);
    if plan.len() <= LOOKS {
        check_ranks(parts, plan, faults);
        check_dispatch(parts, plan, faults);
        check_stages(parts, plan, faults);
    }
}

/// Points of a spec whose groups and ways of tokens are looked at; a larger spec has rows that say what cannot run.
const LOOKS: u64 = 1_000;

/// Groups of ranks that every one of some axes multiplies.
const GROUPS: [&[Axis]; 3] = [
    &[Axis::Tp, Axis::Pp, Axis::Cp, Axis::Dp],
    &[Axis::Pp, Axis::Ep, Axis::Etp],
    &[Axis::Tp, Axis::Pp, Axis::ZeroGroup],
];

/// Refuses groups that have more ranks than any point has GPUs.
fn check_ranks(parts: &Parts, plan: &Plan, faults: &mut Faults) {
    for axes in GROUPS {
        let Some(Excess { ranks, need, gpus }) = least_excess(axes, plan) else {
            continue;
        };
        let mut given = ranks
            .iter()
            .filter_map(|(axis, _)| parts.values_of(*axis).next());
        let Some((place, _)) = given.next() else {
            continue;
        };
        let words = ranks.iter().map(|(axis, ranks)| format!("{axis} {ranks}"));
        let words = words.format(" × ");
        let message = format!("{words} needs {need} GPUs, the job has {gpus}");
        let hint =
            "no point of the spec has as many: give smaller groups, or more `gpus` or `nodes`";
        faults.push(Diagnostic::error(place, message).hint(hint));
        return;
    }
}

/// Ranks of some groups of a point, more than it has GPUs.
struct Excess {
    /// Ranks of each group that has several.
    ranks: Vec<(Axis, u64)>,
    /// All of them.
    need: u64,
    gpus: u64,
}

/// The groups of some axes in the point whose GPUs they exceed by least; `None` where a point has as many.
fn least_excess(axes: &[Axis], plan: &Plan) -> Option<Excess> {
    let mut least: Option<Excess> = None;
    for point in plan.kept(0..plan.len()) {
        let ranks = axes
            .iter()
            .filter_map(|axis| Some((*axis, point.int(*axis).filter(|ranks| *ranks > 1)?)));
        let ranks: Vec<(Axis, u64)> = ranks.collect();
        let need = ranks
            .iter()
            .fold(1, |all: u64, (_, ranks)| all.saturating_mul(*ranks));
        let gpus = point.int(Axis::Gpus).unwrap_or(need);
        if need <= gpus {
            return None;
        }
        if least
            .as_ref()
            .is_none_or(|least| need - gpus < least.need - least.gpus)
        {
            least = Some(Excess { ranks, need, gpus });
        }
    }
    least
}

/// Refuses a way of tokens to their experts that the fabric of no point carries.
fn check_dispatch(parts: &Parts, plan: &Plan, faults: &mut Faults) {
    let mut asked = parts.values_of(Axis::ExpertDispatch);
    if let Some((place, _)) = asked.find(|(_, way)| way.as_text().is_some())
        && let Some(lack) = of_every_point(plan, lacking_fabric)
    {
        faults.push(Diagnostic::error(place, lack));
    }
}

/// Refuses pipeline stages that divide among the types of GPU of no point.
fn check_stages(parts: &Parts, plan: &Plan, faults: &mut Faults) {
    let mut asked = parts.values_of(Axis::Pp);
    if let Some((place, _)) = asked.next()
        && let Some(why) = of_every_point(plan, undivided_stages)
    {
        let hint =
            "give as many stages as leave each type a whole number of them, or leave `pp` out";
        faults.push(Diagnostic::error(place, why.to_string()).hint(hint));
    }
}

/// Why a point cannot run, of the first point, where something stands against every one.
fn of_every_point<T>(plan: &Plan, against: impl Fn(&TrainingScenario) -> Option<T>) -> Option<T> {
    let mut first = None;
    for point in plan.kept(0..plan.len()) {
        let why = match plan.scenario(&point) {
            Ok(Scenario::Training(job)) => against(&job)?,
            Ok(Scenario::Collective(_)) | Err(_) => return None,
        };
        first.get_or_insert(why);
    }
    first
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

/// Models of a spec, each once.
fn models<'a>(parts: &Parts, names: &'a Names) -> Vec<&'a Model> {
    parts
        .values_of(Axis::Model)
        .filter_map(|(_, model)| names.catalog.models.get(model.as_text()?))
        .map(AsRef::as_ref)
        .unique_by(|model| &model.name)
        .collect()
}

/// Refuses to freeze parts that no model of the spec has, and every part that there is.
fn check_frozen(parts: &Parts, names: &Names, faults: &mut Faults) {
    let models = models(parts, names);
    if models.is_empty() {
        return;
    }
    let has_parts = models.iter().any(|model| !model.parts().is_empty());
    for (place, asked) in parts.values_of(Axis::Frozen) {
        let frozen = asked
            .as_text()
            .and_then(|text| text.parse::<FrozenParts>().ok())
            .unwrap_or_default();
        if frozen.is_empty() {
            continue;
        }
        if !has_parts {
            let message =
                format!("no model of the spec has the parts that frozen = \"{frozen}\" names");
            let each = models.iter().take(5);
            let each = each.map(|model| format!("`{}` is one part", model.name));
            let hint = format!(
                "{}; [models.NAME.encoder] puts an encoder of images in front",
                each.format("; ")
            );
            faults.push(Diagnostic::error(place, message).hint(hint));
        } else if Part::ALL.iter().all(|part| frozen.contains(*part)) {
            let message = format!("frozen = \"{frozen}\" leaves nothing to train");
            faults.push(Diagnostic::error(place, message).hint("leave one of the parts out"));
        }
    }
}

/// Warnings of recipes for experts in a spec whose models have none.
pub(super) fn without_experts(parts: &Parts, names: &Names) -> Vec<Diagnostic> {
    let models = models(parts, names);
    if models.is_empty() || models.iter().any(|model| model.has_module(Module::Moe)) {
        return Vec::new();
    }
    let warning = |axis: &Axis| {
        // A balance of 1 and no overlap ask for nothing.
        let (place, _) = parts.values_of(*axis).find(|(_, value)| {
            value.as_text().is_some()
                || value.as_bool() == Some(true)
                || value.as_number().is_some_and(|busiest| busiest > 1.0)
        })?;
        let message = format!("`{axis}` has no effect: no model of the spec has experts");
        Some(Diagnostic::warning(place, message))
    };
    let axes = [Axis::ExpertDispatch, Axis::ExpertImbalance, Axis::OverlapEp];
    axes.iter().filter_map(warning).collect()
}

fn check_modules(parts: &Parts, names: &Names, faults: &mut Faults) {
    let models = models(parts, names);
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

//! Distance between two training runs.

use crate::catalog::Catalog;
use crate::hardware::Gpu;
use crate::model::Family;
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::Stack;

/// Distance between a point and a measured run: a sum over what two runs may differ in.
///
/// - Model family: 2 between dense decoders and mixtures of experts, 8 between any others.
/// - GPU: 0.5 if it is another, and the mean of |ln| of the ratios of bf16 (or fp16) peak and memory bandwidth over ln 2.
/// - Precision: 0.25 among formats of one width, else 1.
/// - Stack: 1 unless it differs in its name alone.
/// - Size of the model: 1 per factor of 4; GPUs: 1 per factor of 8.
/// - tp, pp, cp and ep, where the case states them: 1 per factor of 8 each. `layout` is the one that the point ran
///   with; without it the requested one counts.
pub(super) fn distance(
    point: &TrainingScenario,
    layout: Option<&Layout>,
    case: &TrainingScenario,
) -> f64 {
    let precisions = (point.workload.precision, case.workload.precision);
    let precision = if precisions.0 == precisions.1 {
        0.0
    } else if precisions.0.high() == precisions.0
        && precisions.1.high() == precisions.1
        && precisions.0.storage_bytes() == precisions.1.storage_bytes()
    {
        0.25
    } else {
        1.0
    };
    let stack = f64::from(u8::from(!is_same_generation(&point.stack, &case.stack)));
    let size = factor(billions(point), billions(case), 4.0);
    let gpus = factor(f64::from(point.gpus), f64::from(case.gpus), 8.0);
    families(point.model.family, case.model.family)
        + gpu_distance(&point.gpu, &case.gpu)
        + precision
        + stack
        + size
        + gpus
        + layout_distance(point, layout, case)
}

/// True where the stacks differ in name alone. A case may have changed the formats of its stack, so the preset of its
/// name is compared.
fn is_same_generation(point: &Stack, case: &Stack) -> bool {
    if point.name == case.name {
        return true;
    }
    let Some(whole) = Catalog::builtin().stacks.get(&case.name) else {
        return false;
    };
    let renamed = Stack {
        name: point.name.clone(),
        title: point.title.clone(),
        frameworks: point.frameworks.clone(),
        years: point.years,
        ..Stack::clone(whole)
    };
    renamed == *point
}

/// 1 per factor of `base` between two sizes.
fn factor(a: f64, b: f64, base: f64) -> f64 {
    (libm::log(a / b) / libm::log(base)).abs()
}

fn families(a: Family, b: Family) -> f64 {
    match (a, b) {
        _ if a == b => 0.0,
        (Family::Decoder, Family::Moe) | (Family::Moe, Family::Decoder) => 2.0,
        (
            Family::Decoder
            | Family::Encoder
            | Family::Moe
            | Family::Cnn
            | Family::Hybrid
            | Family::Vit
            | Family::EncoderDecoder
            | Family::Dit,
            _,
        ) => 8.0,
    }
}

fn gpu_distance(a: &Gpu, b: &Gpu) -> f64 {
    if a.name == b.name {
        return 0.0;
    }
    let peak = |gpu: &Gpu| gpu.peaks.get(gpu.default_precision());
    let peaks = peak(a).zip(peak(b)).map_or(1.0, |(a, b)| {
        factor(a.as_flops_per_s(), b.as_flops_per_s(), 2.0)
    });
    let bandwidth = |gpu: &Gpu| gpu.memory_bandwidth.as_bytes_per_s();
    let bandwidths = factor(bandwidth(a), bandwidth(b), 2.0);
    0.5 + f64::midpoint(peaks, bandwidths)
}

fn layout_distance(
    point: &TrainingScenario,
    layout: Option<&Layout>,
    case: &TrainingScenario,
) -> f64 {
    let (asked, stated) = (&point.layout, &case.layout);
    let used = |of: fn(&Layout) -> u32, asked: Option<u32>| layout.map(of).or(asked);
    [
        used(|it| it.tp, asked.tp).zip(stated.tp),
        used(|it| it.pp, asked.pp).zip(stated.pp),
        used(|it| it.cp, asked.cp).zip(stated.cp),
        used(|it| it.ep, asked.ep).zip(stated.ep),
    ]
    .into_iter()
    .flatten()
    .map(|(a, b)| factor(f64::from(a), f64::from(b), 8.0))
    .sum()
}

/// Model, parameters, GPUs, precision and stack of a run.
pub(super) fn in_words(scenario: &TrainingScenario) -> String {
    format!(
        "{} of {} B on {} {}, {}, {}",
        scenario.model.family,
        billions(scenario),
        scenario.gpus,
        scenario.gpu.name,
        scenario.workload.precision,
        scenario.stack.name
    )
}

fn billions(scenario: &TrainingScenario) -> f64 {
    let billions = scenario.model.parameters().without_mtp() as f64 / 1e9;
    // Three digits are what names of models have.
    let scale = 10_f64.powi(2 - libm::log10(billions.max(1e-3)).floor() as i32);
    (billions * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::files::{SHIPPED, read_cases};
    use super::*;

    // 8 times the GPUs are 1, another stack 1, 8 times the tensor-parallel ranks 1.
    #[test]
    fn distances_add_up() {
        let cases = read_cases(SHIPPED[0].0, SHIPPED[0].1, Catalog::builtin());
        let case = cases.expect("shipped cases can be read").swap_remove(0);
        let subject = case.subject.expect("the first case can be simulated");
        let own = subject.training().expect("steps are training");
        let mut other = TrainingScenario::clone(own);
        other.gpus *= 8;
        assert!((distance(&other, None, own) - 1.0).abs() < 1e-12);
        let mut renamed = Stack::clone(&own.stack);
        renamed.name = "another".to_owned();
        renamed.host.executable = !renamed.host.executable;
        other.stack = Arc::new(renamed);
        assert!((distance(&other, None, own) - 2.0).abs() < 1e-12);
        other.layout.tp = own.layout.tp.map(|tp| 8 * tp);
        let tp = f64::from(u8::from(own.layout.tp.is_some()));
        assert!((distance(&other, None, own) - 2.0 - tp).abs() < 1e-12);
    }
}

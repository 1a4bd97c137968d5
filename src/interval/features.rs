//! Features of training runs, and the distance between two of them.

use crate::catalog::Catalog;
use crate::hardware::{Gpu, Precision};
use crate::model::Family;
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::Stack;

/// Features by which a training run is told from others; sizes as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Features {
    pub(super) family: Family,
    pub(super) gpu: GpuFeatures,
    pub(super) precision: Precision,
    /// Preset that the stack is, whatever its name.
    pub(super) stack: String,
    pub(super) parameters: f64,
    pub(super) gpus: f64,
    /// tp, pp, cp and ep, where they are known.
    pub(super) groups: [Option<f64>; 4],
}

/// Features of a GPU.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GpuFeatures {
    name: String,
    /// Peak of bf16, or fp16, and bandwidth of the memory.
    peak: Option<f64>,
    bandwidth: f64,
}

impl GpuFeatures {
    pub(super) fn of(gpu: &Gpu) -> Self {
        let peak = gpu.peaks.get(gpu.default_precision());
        Self {
            name: gpu.name.clone(),
            peak: peak.map(|peak| libm::log(peak.as_flops_per_s())),
            bandwidth: libm::log(gpu.memory_bandwidth.as_bytes_per_s()),
        }
    }

    fn distance(&self, other: &Self) -> f64 {
        if self.name == other.name {
            return 0.0;
        }
        let peaks = self.peak.zip(other.peak);
        let peaks = peaks.map_or(1.0, |(a, b)| (a - b).abs() / std::f64::consts::LN_2);
        let bandwidths = (self.bandwidth - other.bandwidth).abs() / std::f64::consts::LN_2;
        0.5 + f64::midpoint(peaks, bandwidths)
    }
}

/// Logarithms of 4 and of 8.
const LN_4: f64 = 2.0 * std::f64::consts::LN_2;
const LN_8: f64 = 3.0 * std::f64::consts::LN_2;

impl Features {
    /// Features of a training run. `layout` is the one that it ran with; without it the requested one counts.
    pub(crate) fn of(scenario: &TrainingScenario, layout: Option<&Layout>) -> Self {
        let asked = &scenario.layout;
        let used = |of: fn(&Layout) -> u32, asked: Option<u32>| layout.map(of).or(asked);
        let groups = [
            used(|it| it.tp, asked.tp),
            used(|it| it.pp, asked.pp),
            used(|it| it.cp, asked.cp),
            used(|it| it.ep, asked.ep),
        ];
        Self {
            family: scenario.model.family,
            gpu: GpuFeatures::of(&scenario.gpu),
            precision: scenario.workload.precision,
            stack: preset(&scenario.stack).to_owned(),
            parameters: libm::log(scenario.model.parameters().without_mtp() as f64),
            gpus: libm::log(f64::from(scenario.gpus)),
            groups: groups.map(|ranks| ranks.map(|ranks| libm::log(f64::from(ranks)))),
        }
    }

    /// Distance to a measured run: a sum over what two runs may differ in.
    ///
    /// - Model family: 2 between dense decoders and mixtures of experts, 3 between any others.
    /// - GPU: 0.5 if it is another, and the mean of |ln| of the ratios of bf16 (or fp16) peak and memory bandwidth over
    ///   ln 2.
    /// - Precision: 0.25 among formats of one width, else 1.
    /// - Stack: 1 unless it differs in its name alone.
    /// - Size of the model: 1 per factor of 4; GPUs: 1 per factor of 8.
    /// - tp, pp, cp and ep, where both state them: 1 per factor of 8 each.
    pub(crate) fn distance(&self, case: &Self) -> f64 {
        let groups = std::iter::zip(&self.groups, &case.groups);
        let groups = groups.filter_map(|(a, b)| a.zip(*b));
        families(self.family, case.family)
            + self.gpu.distance(&case.gpu)
            + precisions(self.precision, case.precision)
            + f64::from(u8::from(self.stack != case.stack))
            + (self.parameters - case.parameters).abs() / LN_4
            + (self.gpus - case.gpus).abs() / LN_8
            + groups.map(|(a, b)| (a - b).abs() / LN_8).sum::<f64>()
    }
}

/// Name of the preset that a stack is: its own, or that of the one from which it differs in its name alone. A case may
/// have changed the formats of its stack, so the name of a preset stands for it.
fn preset(stack: &Stack) -> &str {
    let presets = &Catalog::builtin().stacks;
    if presets.contains_key(&stack.name) {
        return &stack.name;
    }
    let is_renamed = |preset: &Stack| {
        let renamed = Stack {
            name: stack.name.clone(),
            title: stack.title.clone(),
            frameworks: stack.frameworks.clone(),
            years: stack.years,
            ..preset.clone()
        };
        renamed == *stack
    };
    let found = presets.values().find(|preset| is_renamed(preset));
    found.map_or(&stack.name, |preset| &preset.name)
}

fn precisions(a: Precision, b: Precision) -> f64 {
    if a == b {
        0.0
    } else if a.high() == a && b.high() == b && a.storage_bytes() == b.storage_bytes() {
        0.25
    } else {
        1.0
    }
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
        ) => 3.0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    // 8 times the GPUs are 1, another stack 1, 8 times the tensor-parallel ranks 1; a renamed preset is the preset.
    #[test]
    fn distances_add_up() {
        let catalog = Catalog::builtin();
        let mut own = TrainingScenario::new(
            catalog.models["llama3-8b"].clone(),
            catalog.gpus["h100-sxm"].clone(),
            catalog.clusters["dgx-h100"].clone(),
            catalog.stacks["megatron-2025"].clone(),
        );
        (own.gpus, own.layout.tp) = (8, Some(1));
        let features = |scenario: &TrainingScenario| Features::of(scenario, None);
        let is = |other: &TrainingScenario, expected: f64| {
            let distance = features(other).distance(&features(&own));
            assert!((distance - expected).abs() < 1e-12, "{distance}");
        };
        let mut other = own.clone();
        other.gpus *= 8;
        is(&other, 1.0);
        let mut renamed = Stack::clone(&own.stack);
        renamed.name = "another".to_owned();
        other.stack = Arc::new(renamed.clone());
        is(&other, 1.0);
        renamed.host.executable = !renamed.host.executable;
        other.stack = Arc::new(renamed);
        is(&other, 2.0);
        other.layout.tp = Some(8);
        is(&other, 3.0);
    }
}

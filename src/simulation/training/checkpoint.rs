//! Size of a checkpoint.

use crate::simulation::training::optimizer;
use crate::simulation::{Layout, TrainingScenario};
use crate::units::Bytes;

/// Bytes of a checkpoint of the whole job: each parameter once, as it is kept, with its optimizer states.
///
/// 14 bytes a parameter with 16-bit weights beside fp32 master weights and two moments.
pub(crate) fn checkpoint_size(scenario: &TrainingScenario, layout: &Layout) -> Bytes {
    let recipe = &scenario.stack.recipe;
    let fp32_weights = recipe.fp32_parameters || layout.precision.storage_bytes() == 4;
    let weight = if fp32_weights { 4.0 } else { 2.0 };
    let each = weight + optimizer::state_bytes(scenario, fp32_weights);
    Bytes::from_f64(scenario.model.parameters().total() as f64 * each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::hardware::Precision;
    use crate::simulation::{Scratch, simulate_training};

    // "Only the bf16 weights are 329GB, the full checkpoint with optimizer states is 2.3TB" (bigscience.notion.site,
    // BigScience 176B Model), in binary units: 176.2 billion times 2 bytes are 328 GiB, times 14 bytes 2.24 TiB.
    #[test]
    fn the_checkpoint_of_bloom_is_as_large_as_published() {
        let catalog = Catalog::builtin();
        let mut job = TrainingScenario::new(
            catalog.models["bloom-176b"].clone(),
            catalog.gpus["a100-80gb-sxm"].clone(),
            catalog.clusters["dgx-a100"].clone(),
            catalog.stacks["megatron-deepspeed"].clone(),
        );
        (job.gpus, job.workload.global_batch) = (384, 2_048);
        (job.layout.tp, job.layout.pp) = (Some(4), Some(12));
        let step = simulate_training(&job, &mut Scratch::default()).expect("it ran");
        assert_eq!(step.layout.precision, Precision::Bf16);
        let tebibytes = checkpoint_size(&job, &step.layout).as_gib() / 1_024.0;
        assert!((tebibytes / 2.3 - 1.0).abs() < 0.04, "{tebibytes}");
    }
}

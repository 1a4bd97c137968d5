//! Size of a checkpoint.

use crate::model::{Shard, ShardParameters, lower};
use crate::simulation::training::optimizer;
use crate::simulation::training::parameters::weight_bytes;
use crate::simulation::{Layout, TrainingScenario};
use crate::units::Bytes;

/// Bytes of a checkpoint of the whole job: each parameter that is trained once, as it is kept, with its optimizer
/// states.
///
/// 14 bytes a parameter with 16-bit weights beside fp32 master weights and two moments.
pub(crate) fn checkpoint_size(scenario: &TrainingScenario, layout: &Layout) -> Bytes {
    let weight = weight_bytes(scenario, layout);
    let each = weight + optimizer::state_bytes(scenario, weight >= 4.0);
    Bytes::from_f64(trained(scenario) as f64 * each)
}

/// Parameters of the network that are trained.
fn trained(scenario: &TrainingScenario) -> u64 {
    let workload = &scenario.workload;
    if workload.lora_rank.is_none() && workload.frozen.is_empty() {
        return scenario.model.parameters().total();
    }
    let shard = Shard {
        lora_rank: workload.lora_rank.unwrap_or(0),
        frozen: workload.frozen,
        ..Shard::whole(scenario.workload.seq_len)
    };
    let lowered = lower(&scenario.model, &shard);
    let kinds = lowered
        .sequence
        .iter()
        .map(|&kind| &lowered.layer_kinds[usize::from(kind)]);
    let of = |parameters: ShardParameters| {
        let trained = parameters.trained();
        trained.dense + trained.expert
    };
    let ends = [&lowered.embedding, &lowered.head];
    let layers: u64 = kinds.chain(ends).map(|layer| of(layer.parameters)).sum();
    let mtp_layers = scenario.model.transformer().map_or(0, |it| it.mtp_layers);
    let mtp = lowered.mtp.map_or(0, |layer| of(layer.parameters));
    layers + mtp * u64::from(mtp_layers)
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

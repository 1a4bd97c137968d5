//! Whether a job can have what its scenario asks for, before any layout is tried.

use std::fmt::Display;

use itertools::Itertools;

use crate::model::{ExpertImbalance, Family, Mixture, Model, Module, Modules, Transformer};
use crate::simulation::{Infeasible, LayoutRequest, TrainingScenario, ZeroGroup};
use crate::stack::{ModelGroup, PipelineSchedule, Recompute, Stack, ZeroStage};

/// Checks everything that a scenario asks for explicitly against its GPU, its model and its size.
///
/// # Errors
/// The first request that cannot be met.
pub(super) fn check(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    check_precision(scenario)?;
    check_model(scenario)?;
    check_images(scenario)?;
    check_recomputation(scenario)?;
    check_offload(scenario)?;
    check_offers(scenario)?;
    check_ranks(&scenario.layout, scenario.gpus)?;
    check_stages(scenario)
}

fn check_precision(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (gpu, precision) = (&scenario.gpu, scenario.workload.precision);
    if gpu.peaks.get(precision).is_some() {
        return Ok(());
    }
    Err(Infeasible::Unsupported(format!(
        "precision {precision} is not among the formats of {}: {}",
        gpu.name,
        gpu.peaks.0.keys().join(", ")
    )))
}

/// Refuses tokens, and groups of more than one rank, that mean nothing to the model.
fn check_model(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (model, layout) = (&scenario.model, &scenario.layout);
    let is_cnn = model.family == Family::Cnn;
    if let Some(tokens) = model.fixed_tokens()
        && scenario.workload.seq_len != tokens
    {
        return Err(Infeasible::Unsupported(fixed_tokens(model, tokens)));
    }
    if let Some(length) = scenario.workload.document_length
        && (is_cnn || model.fixed_tokens().is_some())
    {
        return Err(Infeasible::Unsupported(format!(
            "document_length {length} does not apply to {}, whose samples are no packed text",
            model.name
        )));
    }
    if let Some(rank) = scenario.workload.lora_rank
        && is_cnn
    {
        return Err(Infeasible::Unsupported(format!(
            "lora_rank {rank} needs a transformer, {} is a convolutional network",
            model.name
        )));
    }
    let over_one = |groups: &[(&'static str, Option<u32>)]| {
        let mut groups = groups.iter();
        groups.find_map(|(name, ranks)| Some((*name, ranks.filter(|ranks| *ranks > 1)?)))
    };
    let dense = [("tp", layout.tp), ("pp", layout.pp), ("cp", layout.cp)];
    if is_cnn && let Some((name, ranks)) = over_one(&dense) {
        return Err(Infeasible::Unsupported(format!(
            "{name} {ranks} needs a transformer, {} is a convolutional network",
            model.name
        )));
    }
    if let Some(ranks) = layout.cp.filter(|ranks| *ranks > 1)
        && !model
            .transformer()
            .is_some_and(Transformer::splits_sequence)
    {
        return Err(Infeasible::Unsupported(format!(
            "cp {ranks} over {} is not simulated: images, two stacks, or a selective scan (Mamba)",
            model.name
        )));
    }
    let has_experts = model.transformer().is_some_and(|it| it.moe.is_some());
    let experts = [("ep", layout.ep), ("etp", layout.etp)];
    if !has_experts && let Some((name, ranks)) = over_one(&experts) {
        return Err(Infeasible::Unsupported(format!(
            "{name} {ranks} needs experts, {} has none",
            model.name
        )));
    }
    if let Some(moe) = model.transformer().and_then(|it| it.moe) {
        check_imbalance(scenario.workload.expert_imbalance, &moe)?;
    }
    if !has_experts && scenario.communication.overlap_ep == Some(true) {
        return Err(Infeasible::Unsupported(format!(
            "overlap_ep needs experts, {} has none",
            model.name
        )));
    }
    Ok(())
}

/// Refuses samples without room for text beside their images, parts that the model has not, and a job that trains nothing.
fn check_images(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (model, workload) = (&scenario.model, &scenario.workload);
    let images = model
        .transformer()
        .and_then(|network| network.vision.as_ref());
    let images = images.map_or(0, |vision| vision.image_tokens());
    if images >= workload.seq_len && images > 0 {
        return Err(Infeasible::Limit(format!(
            "seq_len {} has no room for text beside {images} tokens of images of {}",
            workload.seq_len, model.name
        )));
    }
    let frozen = workload.frozen;
    let parts = model.parts();
    if let Some(part) = frozen.iter().find(|part| !parts.contains(part)) {
        return Err(Infeasible::Unsupported(format!(
            "frozen {part}: {} is one part, without an encoder of images",
            model.name
        )));
    }
    if !parts.is_empty() && parts.iter().all(|part| frozen.contains(*part)) {
        return Err(Infeasible::Unsupported(format!(
            "frozen {frozen} leaves nothing of {} to train",
            model.name
        )));
    }
    if let Some(length) = workload.document_length
        && !parts.is_empty()
    {
        return Err(Infeasible::Unsupported(format!(
            "document_length {length} does not apply to {}, whose samples are no packed text",
            model.name
        )));
    }
    Ok(())
}

/// Refuses a busiest expert that more tokens visit than there are.
fn check_imbalance(imbalance: ExpertImbalance, moe: &Mixture) -> Result<(), Infeasible> {
    let most = moe.most_imbalance();
    if imbalance.over_mean() <= most {
        return Ok(());
    }
    Err(Infeasible::Limit(format!(
        "expert_imbalance {} is over {most}: an expert that every token visits has so many times the mean of {} experts, of which a token visits {}",
        imbalance.over_mean(),
        moe.experts,
        moe.experts_per_token
    )))
}

/// Refusal of a `seq_len` where the model has samples of so many tokens.
fn fixed_tokens(model: &Model, tokens: u32) -> String {
    match model.family {
        Family::EncoderDecoder => format!(
            "seq_len does not apply to {}: encoder_seq_len and decoder_seq_len of the model give {tokens}",
            model.name
        ),
        Family::Decoder
        | Family::Encoder
        | Family::Moe
        | Family::Cnn
        | Family::Hybrid
        | Family::Vit
        | Family::Dit => {
            format!(
                "seq_len does not apply to {}, which sees images",
                model.name
            )
        }
    }
}

/// Policy that modules, or a number of layers, mean where a scenario names them.
pub(super) fn named_recomputation(scenario: &TrainingScenario) -> Option<Recompute> {
    if scenario.layout.recompute_layers.is_some() {
        return Some(Recompute::Full);
    }
    let modules = scenario.stack.recompute_modules;
    modules.map(|_| Recompute::Selective)
}

/// Refuses modules that the model has not, and modules or layers beside another policy than theirs.
fn check_recomputation(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (model, layout) = (&scenario.model, &scenario.layout);
    let modules = scenario.stack.recompute_modules;
    let unsupported = |why: String| Err(Infeasible::Unsupported(why));
    if let Some(layers) = layout.recompute_layers {
        if model.transformer().is_none() {
            return unsupported(format!(
                "recompute_layers needs a transformer, {} has none",
                model.name
            ));
        }
        if let Some(modules) = modules {
            return unsupported(format!(
                "recompute_layers {layers} repeats whole layers, recompute_modules {modules} parts of each: one of the \
                 two has to be auto"
            ));
        }
    }
    for module in modules.into_iter().flat_map(Modules::iter) {
        if !model.has_module(module) {
            let others = Module::ALL.iter().filter(|other| model.has_module(**other));
            let others = match others.format(", ").to_string() {
                none if none.is_empty() => "none".to_owned(),
                names => names,
            };
            return unsupported(format!(
                "recompute_modules {module}: {} has no such module; it has {others}",
                model.name
            ));
        }
    }
    match (named_recomputation(scenario), layout.recompute) {
        (Some(Recompute::Full), Some(asked)) if asked != Recompute::Full => unsupported(format!(
            "recompute_layers is of full recomputation, recompute is {asked}"
        )),
        (Some(Recompute::Selective), Some(asked)) if asked != Recompute::Selective => unsupported(
            format!("recompute_modules is of selective recomputation, recompute is {asked}"),
        ),
        (Some(_) | None, _) => Ok(()),
    }
}

/// Refuses state in the host's memory where the GPU has no link to it.
fn check_offload(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (gpu, offload) = (&scenario.gpu, scenario.stack.offload);
    if offload.is_empty() || gpu.host_link.is_some() {
        return Ok(());
    }
    Err(Infeasible::Unsupported(format!(
        "offload {offload} needs a link to the host, of {} none is known; [gpus.{}] host_link gives it",
        gpu.name, gpu.name
    )))
}

/// Refuses what the stack's framework cannot run.
fn check_offers(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (layout, stack) = (&scenario.layout, &scenario.stack);
    let offers = &stack.offers;
    let groups = [
        (ModelGroup::Tensor, layout.tp),
        (ModelGroup::Pipeline, layout.pp),
        (ModelGroup::Context, layout.cp),
        (ModelGroup::Expert, layout.ep),
        (ModelGroup::ExpertTensor, layout.etp),
    ];
    for (group, ranks) in groups {
        if let Some(ranks) = ranks.filter(|ranks| *ranks > 1) {
            offered(stack, (group.as_str(), group, &offers.groups), Some(ranks))?;
        }
    }
    if let Some(schedule) = layout.schedule {
        offered(stack, ("schedule", schedule, &offers.schedules), None)?;
    }
    check_sharding(scenario)?;
    if let Some(exchange) = layout.cp_exchange {
        offered(stack, ("cp_exchange", exchange, &offers.cp_exchange), None)?;
    }
    if let Some(kernel) = layout.attention {
        offered(
            stack,
            ("attention", kernel, &stack.attention_kernels()),
            None,
        )?;
    }
    if let Some(recompute) = layout.recompute.or_else(|| named_recomputation(scenario)) {
        offered(stack, ("recompute", recompute, &offers.recompute), None)?;
    }
    let takes = |vpp| move |schedule: &PipelineSchedule| schedule.takes_chunks(vpp);
    if let Some(vpp) = layout.vpp.filter(|vpp| *vpp > 1)
        && !offers.schedules.iter().any(takes(vpp))
    {
        let interleaved = PipelineSchedule::Interleaved;
        offered(stack, ("schedule", interleaved, &offers.schedules), None)?;
    }
    check_recipes(scenario)?;
    let flags = [
        (
            "sequence_parallel",
            layout.sequence_parallel,
            offers.sequence_parallel,
        ),
        (
            "overlap_ep",
            scenario.communication.overlap_ep,
            offers.overlap_ep,
        ),
    ];
    for (axis, asked, offers) in flags {
        if asked == Some(true) && !offers {
            return Err(Infeasible::Unsupported(format!(
                "stack `{}` does not offer {axis}",
                stack.name
            )));
        }
    }
    check_sequence_parallel(scenario)
}

/// Refuses tensor parallelism of a mixture of experts that does not shard the norms' tokens, where the framework does.
fn check_sequence_parallel(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let layout = &scenario.layout;
    if let (Some(false), Some(tp @ 2..)) = (layout.sequence_parallel, layout.tp)
        && needs_sequence_parallel(scenario)
    {
        return Err(Infeasible::Unsupported(format!(
            "stack `{}` trains mixtures of experts with tp {tp} only with sequence_parallel true",
            scenario.stack.name
        )));
    }
    Ok(())
}

/// Refuses ZeRO stages that the stack's framework does not have, and groups of shards of any but the third.
fn check_sharding(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (layout, stack) = (&scenario.layout, &scenario.stack);
    let mut zero = layout.zero;
    if let Some(ZeroGroup::Ranks(ranks)) = layout.zero_group {
        if let Some(zero) = zero.filter(|zero| *zero != ZeroStage::Z3) {
            return Err(Infeasible::Unsupported(format!(
                "zero_group {ranks} is of ZeRO-3's shards, zero {zero} leaves parameters whole"
            )));
        }
        zero = Some(ZeroStage::Z3);
    }
    if let Some(zero) = zero {
        offered(stack, ("zero", zero, &stack.offers.zero), None)?;
    }
    Ok(())
}

/// Refuses ways of tokens and scopes of CUDA graphs that the stack's framework does not have.
fn check_recipes(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let stack = &scenario.stack;
    let (offers, host) = (&stack.offers, &stack.host);
    if let Some(dispatch) = scenario.communication.expert_dispatch {
        let offered_ways = &offers.expert_dispatch;
        offered(stack, ("expert_dispatch", dispatch, offered_ways), None)?;
    }
    for scope in [host.cuda_graphs, host.rack_moe_graphs] {
        offered(stack, ("cuda_graphs", scope, &offers.cuda_graphs), None)?;
    }
    Ok(())
}

/// Whether the stack's framework trains this model with tensor parallelism only where sequence parallelism shards the
/// norms' tokens too.
pub(super) fn needs_sequence_parallel(scenario: &TrainingScenario) -> bool {
    let network = scenario.model.transformer();
    network.is_some_and(|network| network.moe.is_some())
        && !scenario.stack.offers.experts_without_sequence_parallel
}

/// Checks that a stack offers a value of an axis; of a group of ranks, any number of `ranks`.
fn offered<T: Copy + PartialEq + Display>(
    stack: &Stack,
    (axis, value, offers): (&str, T, &[T]),
    ranks: Option<u32>,
) -> Result<(), Infeasible> {
    if offers.contains(&value) {
        return Ok(());
    }
    let asked = ranks.map_or_else(
        || format!("{axis} {value}"),
        |ranks| format!("{axis} {ranks}"),
    );
    let others = if offers.is_empty() {
        "none of its kind".to_owned()
    } else {
        offers.iter().join(", ")
    };
    Err(Infeasible::Unsupported(format!(
        "stack `{}` does not offer {asked}; it offers {others}",
        stack.name
    )))
}

/// Checks that the given groups fit into the job and divide it.
fn check_ranks(layout: &LayoutRequest, gpus: u32) -> Result<(), Infeasible> {
    let groups = [
        ("tp", layout.tp),
        ("pp", layout.pp),
        ("cp", layout.cp),
        ("dp", layout.dp),
    ];
    let given: Vec<(&str, u32)> = groups
        .into_iter()
        .filter_map(|(name, ranks)| Some((name, ranks?)))
        .collect();
    let words = given
        .iter()
        .map(|(name, ranks)| format!("{name} {ranks}"))
        .join(" × ");
    let need = given.iter().fold(1_u64, |product, (_, ranks)| {
        product.saturating_mul(u64::from(*ranks))
    });
    if need > u64::from(gpus) {
        return Err(Infeasible::Limit(format!(
            "{words} needs {need} GPUs, the job has {gpus}"
        )));
    }
    if !u64::from(gpus).is_multiple_of(need) {
        return Err(Infeasible::Indivisible {
            what: format!("gpus {gpus}"),
            by: if given.len() == 1 {
                words
            } else {
                format!("{words} = {need}")
            },
        });
    }
    if given.len() == groups.len() && need != u64::from(gpus) {
        return Err(Infeasible::Limit(format!(
            "{words} is {need} GPUs, the job has {gpus}"
        )));
    }
    Ok(())
}

/// Checks that an explicit split has the model's layers and the pipeline's stages.
fn check_stages(scenario: &TrainingScenario) -> Result<(), Infeasible> {
    let (model, layout) = (&scenario.model, &scenario.layout);
    let Some(stages) = &layout.layers_per_stage else {
        return Ok(());
    };
    let Some(transformer) = model.transformer() else {
        return Err(Infeasible::Unsupported(format!(
            "layers_per_stage needs a transformer, {} has none",
            model.name
        )));
    };
    let sum: u64 = stages.iter().map(|layers| u64::from(*layers)).sum();
    if sum != u64::from(transformer.depth()) {
        return Err(Infeasible::Limit(format!(
            "layers_per_stage holds {sum} layers, {} has {}",
            model.name,
            described_depth(transformer)
        )));
    }
    match (layout.pp, layout.vpp) {
        (Some(pp), Some(vpp)) => check_split(stages, pp, vpp),
        (None, _) | (_, None) => Ok(()),
    }
}

/// Layers of a pipeline, with where they are from where images come first.
fn described_depth(transformer: &Transformer) -> String {
    let depth = transformer.depth();
    match &transformer.vision {
        Some(vision) => format!(
            "{depth}: {} of the encoder, the projector, {}",
            vision.encoder.layers, transformer.layers
        ),
        None => depth.to_string(),
    }
}

/// Checks that an explicit split has a layer count for every virtual stage.
pub(super) fn check_split(layers_per_stage: &[u32], pp: u32, vpp: u32) -> Result<(), Infeasible> {
    let stages = u64::from(pp) * u64::from(vpp);
    if layers_per_stage.len() as u64 == stages {
        return Ok(());
    }
    Err(Infeasible::Limit(format!(
        "layers_per_stage has {} stages, pp {pp} × vpp {vpp} has {stages}",
        layers_per_stage.len()
    )))
}

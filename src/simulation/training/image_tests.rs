//! Encoders of images in front of decoders, with frozen parts: what is computed, held and sent.

use crate::catalog::Catalog;
use crate::model::{LoweredModel, Part, Parts, Shard, lower};
use crate::simulation::training::layout::Options;
use crate::simulation::training::tests::{ok, plain, reason, scenario};
use crate::simulation::training::work::WorkSource;
use crate::simulation::training::{pipeline, stage_memory};
use crate::simulation::{Scratch, StepPart, StepReport, TrainingScenario, ZeroGroup};
use crate::stack::{Recompute, ZeroStage};
use crate::units::Bytes;

/// Parameters of LLaVA-1.5 7B's projector: 1,024 to 4,096 to 4,096, with biases.
const PROJECTOR: u64 = 1_024 * 4_096 + 4_096 + 4_096 * 4_096 + 4_096;
/// Its encoder, CLIP ViT-L/14 at 336 pixels: 24 layers of 12·1,024² weights, 9·1,024 biases and two norms; patches of 588
/// values, 577 positions and the token of the class; a norm in front and one behind.
const ENCODER: u64 =
    24 * (12 * 1_024 * 1_024 + 9 * 1_024 + 4 * 1_024) + (588 + 577 + 1) * 1_024 + 2 * 2 * 1_024;
const ALL: u64 = 7_063_427_072;

/// LLaVA-1.5 7B on 8 GPUs, one sample of 2,048 tokens at a time.
fn llava(frozen: &[Part]) -> TrainingScenario {
    let mut job = plain("llava-1.5-7b", 1);
    job.workload.frozen = Parts::of(frozen);
    job
}

fn lowered(frozen: &[Part]) -> LoweredModel {
    let shard = Shard {
        frozen: Parts::of(frozen),
        ..Shard::whole(2_048)
    };
    lower(&Catalog::builtin().models["llava-1.5-7b"], &shard)
}

/// Parameters that are trained.
fn trained(model: &LoweredModel) -> u64 {
    let layers = model.sequence.iter();
    let layers = layers.map(|kind| &model.layer_kinds[usize::from(*kind)]);
    let all = layers.chain([&model.embedding, &model.head]);
    all.map(|layer| layer.parameters.trained().dense).sum()
}

// A frozen encoder has nothing trained in front: no backward pass, nothing kept for it, and two thirds of a trained step's
// FLOPs less. The projector behind it has gradients of its weights.
#[test]
fn a_frozen_encoder_has_no_backward_pass() {
    let (whole, frozen) = (lowered(&[]), lowered(&[Part::Encoder]));
    assert_eq!(
        (whole.sequence.len(), whole.image_layers),
        (24 + 1 + 32, 25)
    );
    assert_eq!(trained(&whole), ALL);
    assert_eq!(trained(&frozen), ALL - ENCODER);
    let layer = &frozen.layer_kinds[0];
    assert!(layer.backward_input.is_empty() && layer.backward_weight.is_empty());
    assert!(layer.selective.is_empty() && !layer.has_backward);
    assert_eq!(
        (layer.kept.none, layer.kept.full),
        (Bytes::ZERO, Bytes::ZERO)
    );
    assert_eq!(layer.forward, whole.layer_kinds[0].forward);
    let without = layer.model_flops_frozen.get() / layer.model_flops_forward.get();
    assert!((without - 2.0).abs() < 1e-12, "{without}");
    let projector = &frozen.layer_kinds[1];
    assert!(!projector.backward_weight.is_empty());
    assert_eq!(projector.parameters.trained().dense, PROJECTOR);
    assert_eq!(frozen.layer_kinds[2], whole.layer_kinds[2]);
}

// A frozen decoder behind something that is trained passes gradients on and computes none of weights, so that inputs of its
// products need not be kept: per token 2·4,096 of projections, 4,096 of attention's output, 11,008 in the MLP, in 2 bytes; the
// output of attention is kept by attention itself.
#[test]
fn a_frozen_decoder_computes_gradients_of_its_inputs_alone() {
    let (whole, frozen) = (lowered(&[]), lowered(&[Part::Encoder, Part::Decoder]));
    assert_eq!(trained(&frozen), PROJECTOR);
    let (before, layer) = (&whole.layer_kinds[2], &frozen.layer_kinds[2]);
    assert!(layer.backward_weight.is_empty() && layer.has_backward);
    assert_eq!(layer.backward_input, before.backward_input);
    let less = before.kept.none.get() - layer.kept.none.get();
    assert_eq!(less, 2_048 * 2 * (2 * 4_096 + 11_008));
    // A projector that is frozen behind a trained encoder does the same.
    let behind = lowered(&[Part::Projector]);
    assert!(behind.layer_kinds[1].backward_weight.is_empty());
    assert!(!behind.layer_kinds[1].backward_input.is_empty());
    assert_eq!(trained(&behind), ALL - PROJECTOR);
}

// Forward, of a sample: 24 layers of 24·577·1,024² and, all keys in sight, 4·577²·1,024; 576 patches of 588 values; the
// projector's two products over 576 tokens; 32 layers of 2·2,048·(4·4,096² + 3·4,096·11,008) and, half of the keys in
// sight, 2·2,048²·4,096; logits over 32,064 columns, padded to 32,128.
#[test]
fn flops_per_token_are_those_of_both_stacks() {
    let encoder = 24.0 * (24.0 * 577.0 * 1_024_f64.powi(2) + 4.0 * 577_f64.powi(2) * 1_024.0)
        + 2.0 * 576.0 * 588.0 * 1_024.0;
    let projector = 2.0 * 576.0 * (1_024.0 * 4_096.0 + 4_096_f64.powi(2));
    let layer = 2.0 * 2_048.0 * (4.0 * 4_096_f64.powi(2) + 3.0 * 4_096.0 * 11_008.0)
        + 2.0 * 2_048_f64.powi(2) * 4_096.0;
    let logits = 2.0 * 2_048.0 * 4_096.0 * 32_128.0;
    let expected = (encoder + projector + 32.0 * layer + logits) / 2_048.0;
    let counted = Catalog::builtin().models["llava-1.5-7b"].flops_per_token(2_048);
    assert!(
        (counted / expected - 1.0).abs() < 1e-9,
        "{counted} {expected}"
    );
}

// 12 bytes of optimizer state over 8 replicas, 16-bit gradients, and 2 bytes of every weight.
#[test]
fn what_is_frozen_has_no_gradients_and_no_optimizer_states() {
    let first_stage = |job: &TrainingScenario| {
        stage_memory(job, &mut Scratch::default()).expect("the layout divides")[0]
    };
    let is = |bytes: Bytes, expected: f64| (bytes.as_f64() / expected - 1.0).abs() < 1e-6;
    for (frozen, trained) in [
        (&[][..], ALL),
        (&[Part::Encoder], ALL - ENCODER),
        (&[Part::Encoder, Part::Decoder], PROJECTOR),
    ] {
        let held = first_stage(&llava(frozen));
        assert!(is(held.weights, ALL as f64 * 2.0), "{held:?}");
        assert!(is(held.gradients, trained as f64 * 2.0), "{held:?}");
        assert!(is(held.optimizer, trained as f64 * 12.0 / 8.0), "{held:?}");
    }
}

// Each part that is trained besides makes the step longer and its memory fuller, and has more to reduce.
#[test]
fn unfreezing_is_slower_and_holds_more() {
    let of = |frozen: &[Part]| {
        let mut job = llava(frozen);
        job.layout.recompute = Some(Recompute::Full);
        job.layout.tp = Some(2);
        ok(&job)
    };
    let projector = of(&[Part::Encoder, Part::Decoder]);
    let usual = of(&[Part::Encoder]);
    let all = of(&[]);
    let sent = |report: &StepReport| report.network.intra_node.as_f64();
    for (less, more) in [(&projector, &usual), (&usual, &all)] {
        assert!(less.step_time() < more.step_time());
        assert!(less.memory.total() < more.memory.total());
        assert!(less.model_flops.get() < more.model_flops.get());
        assert!(sent(less) < sent(more));
    }
    let optimizer = |report: &StepReport| report.shares[StepPart::Optimizer];
    assert!(optimizer(&projector) < optimizer(&usual) && optimizer(&usual) < optimizer(&all));
}

// Adapters stand beside the parts that are not frozen: of a decoder's layer 4 + 3 linear layers, the projections to queries,
// keys and values in one: 8·(4,096 + 3·4,096 + 2·4,096 + 4,096 + 2·11,008 + 11,008 + 4,096) parameters, of the projector's 8 ·
// (1,024 + 4,096 + 2·4,096).
#[test]
fn adapters_stand_beside_the_parts_that_are_trained() {
    let shard = Shard {
        frozen: Parts::of(&[Part::Encoder]),
        lora_rank: 8,
        ..Shard::whole(2_048)
    };
    let lowered = lower(&Catalog::builtin().models["llava-1.5-7b"], &shard);
    let layer = 8 * (4_096 + 3 * 4_096 + 2 * 4_096 + 4_096 + 2 * 11_008 + 11_008 + 4_096);
    let projector = 8 * (1_024 + 4_096 + 2 * 4_096);
    assert_eq!(trained(&lowered), 32 * layer + projector);
}

/// LLaVA on a pipeline of so many layers a stage.
fn on_stages(frozen: &[Part], layers_per_stage: Option<&[u32]>) -> TrainingScenario {
    let mut job = llava(frozen);
    job.layout.pp = Some(4);
    job.layout.layers_per_stage = layers_per_stage.map(<[u32]>::to_vec);
    job
}

// Borders behind 10 layers of the encoder, behind the projector, and behind 16 layers of the decoder: 577·1,024 values of 2
// bytes at the first, 2,048·4,096 at the others. They pass in both directions, but gradients of a frozen encoder do not.
#[test]
fn stages_send_what_the_next_layer_takes() {
    let mean = |frozen: &[Part]| {
        let job = on_stages(frozen, Some(&[10, 15, 16, 16]));
        let layout = Options::of(&job)
            .and_then(|options| options.first())
            .expect("it divides");
        let work = WorkSource::default().work(&job, &layout);
        pipeline::handed_on(&job, &layout, &work)
    };
    let (images, stream) = (577 * 1_024 * 2, 2_048 * 4_096 * 2);
    assert_eq!(mean(&[]), (2 * images + 4 * stream) / 6);
    assert_eq!(mean(&[Part::Encoder]), (images + 4 * stream) / 6);
}

// By work the encoder, of 577 narrow tokens, is less than one layer of the decoder, so that the first of four stages has all
// of it beside seven or eight of 32 layers; by number it would fill one and a half. Stages that are asked for may have it
// alone, and wait for it no less.
#[test]
fn an_encoder_shares_a_stage_with_the_decoder() {
    let balanced = ok(&on_stages(&[Part::Encoder], None));
    let layers = &balanced.layout.layers_per_stage;
    assert_eq!(layers.iter().sum::<u32>(), 57, "{layers:?}");
    assert!((32..34).contains(&layers[0]), "{layers:?}");
    let apart = ok(&on_stages(&[Part::Encoder], Some(&[25, 10, 11, 11])));
    assert!(balanced.step_time() < apart.step_time());
    assert_eq!(
        reason(&on_stages(&[], Some(&[8, 8, 8, 8]))),
        "limit: layers_per_stage holds 32 layers, llava-1.5-7b has 57: 24 of the encoder, the projector, 32"
    );
}

// Sharded over 8, parameters are gathered for both passes and gradients reduced: a frozen encoder is gathered for the forward
// pass alone, and 7/8 of 2 bytes of its parameters less are sent twice, for its gather and its reduction in 16 bits, in each of
// 4 microbatches.
#[test]
fn a_frozen_encoder_is_gathered_once() {
    let sent = |frozen: &[Part]| {
        let mut job = llava(frozen);
        job.stack = Catalog::builtin().stacks["fsdp-2023"].clone();
        job.layout.zero = Some(ZeroStage::Z3);
        job.layout.zero_group = Some(ZeroGroup::Replicas);
        job.layout.recompute = Some(Recompute::Full);
        ok(&job).network.intra_node.as_f64()
    };
    let less = sent(&[]) - sent(&[Part::Encoder]);
    let expected = 4.0 * 2.0 * ENCODER as f64 * 2.0 * 7.0 / 8.0;
    assert!((less / expected - 1.0).abs() < 0.01, "{less} {expected}");
}

#[test]
fn frozen_parts_that_are_not_there_are_refused() {
    let mut text = scenario("llama3-8b", 8, 8);
    text.workload.frozen = Parts::of(&[Part::Encoder]);
    assert_eq!(
        reason(&text),
        "unsupported: frozen encoder: llama3-8b is one part, without an encoder of images"
    );
    assert_eq!(
        reason(&llava(Part::ALL)),
        "unsupported: frozen encoder+projector+decoder leaves nothing of llava-1.5-7b to train"
    );
    let mut short = llava(&[]);
    short.workload.seq_len = 576;
    assert_eq!(
        reason(&short),
        "limit: seq_len 576 has no room for text beside 576 tokens of images of llava-1.5-7b"
    );
    let mut split = llava(&[]);
    split.layout.cp = Some(2);
    assert!(reason(&split).contains("cp 2 over llava-1.5-7b is not simulated"));
}

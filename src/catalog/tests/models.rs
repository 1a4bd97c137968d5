//! Models as tables: what each key does to parameters and work.

use super::*;
use crate::model::{CommOp, LoweredLayer, Operator, Shard, lower};

/// A decoder of 4 layers with round sizes, and the lines that differ.
fn model(lines: &str) -> std::sync::Arc<crate::model::Model> {
    let text = format!(
        "[models.m]\nlayers = 4\nhidden = 64\nheads = 4\nvocab = 1000\nseq_len = 1024\n\
         mlp = \"swiglu\"\nffn_hidden = 128\n{lines}"
    );
    let catalog = overlaid(&text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    catalog.models["m"].clone()
}

fn total(lines: &str) -> u64 {
    model(lines).parameters().total()
}

fn lowered_kinds(lines: &str) -> (Vec<LoweredLayer>, Vec<u16>) {
    let model = model(lines);
    let lowered = lower(&model, &Shard::whole(model.seq_len()));
    (lowered.layer_kinds, lowered.sequence)
}

const DECODER: &str = "family = \"decoder\"\n";
const MOE: &str = "family = \"moe\"\nexperts = 8\nexperts_per_token = 2\nexpert_ffn_hidden = 32\n";

// Query and output of 4 heads, key and value of 4, each 64 · 4 · width: 16 is 64/4; 32 doubles them.
#[test]
fn heads_may_be_wider_than_their_part_of_the_stream() {
    let attention = 4 * 64 * 4 * 16;
    assert_eq!(
        total(&format!("{DECODER}head_dim = 32")) - total(DECODER),
        4 * attention
    );
}

// A norm of 64 behind each of two blocks in 4 layers; a query-wide gate of 64·64; a sink for each of 4 heads.
#[test]
fn norms_behind_blocks_gates_and_sinks_are_counted() {
    let more = |lines: &str| total(&format!("{DECODER}{lines}")) - total(DECODER);
    assert_eq!(more("post_norms = true"), 4 * 2 * 64);
    assert_eq!(more("attention_gate = true"), 4 * 64 * 64);
    assert_eq!(more("sinks = true"), 4 * 4);
}

// Of 4 layers the second and the fourth have experts, as in Llama 4 Maverick; behind one dense layer of 4
// and with one of three, the last of the three: the fourth.
#[test]
fn experts_lie_in_the_last_of_every_so_many_layers() {
    let sequence = |lines: &str| lowered_kinds(&format!("{MOE}{lines}")).1;
    assert_eq!(sequence("moe_every = 2"), [0, 1, 0, 1]);
    assert_eq!(sequence("moe_every = 3\ndense_layers = 1"), [0, 0, 0, 1]);
    assert_eq!(sequence(""), [0, 0, 0, 0]);
}

// Tokens go to the experts 16 wide instead of 64: an expert is 3·16·32 instead of 3·64·32, and each layer
// has two projections of 64·16.
#[test]
fn experts_of_a_latent_width_are_smaller_and_so_is_what_is_sent() {
    let (wide, narrow) = (total(MOE), total(&format!("{MOE}latent_hidden = 16")));
    let layer = 8 * 3 * (64 - 16) * 32 - 2 * 64 * 16;
    assert_eq!(wide - narrow, 4 * layer);
    let model = model(&format!("{MOE}latent_hidden = 16"));
    let shard = Shard {
        ep: 4,
        ..Shard::whole(1024)
    };
    let sent = lower(&model, &shard).layer_kinds[0]
        .forward
        .iter()
        .find_map(|operator| match operator {
            Operator::Comm {
                op: CommOp::AllToAll,
                bytes,
                ..
            } => Some(bytes.get()),
            _ => None,
        });
    // 1024 tokens, 2 experts each, 16 values of 2 bytes.
    assert_eq!(sent, Some(1024 * 2 * 16 * 2));
}

// 1024 tokens visit 2 of 8 experts: 256 rows each; a capacity of 1.25 pads them to 320, which is no work of the
// model's own.
#[test]
fn a_capacity_pads_the_rows_of_experts_and_not_the_model_flops() {
    let rows = |lines: &str| {
        let (kinds, _) = lowered_kinds(&format!("{MOE}{lines}"));
        let rows = kinds[0].forward.iter().find_map(|operator| match operator {
            Operator::GroupedGemm { m, .. } => Some(*m),
            _ => None,
        });
        (rows, kinds[0].model_flops_forward)
    };
    let (dropless, padded) = (rows(""), rows("capacity_factor = 1.25"));
    assert_eq!((dropless.0, padded.0), (Some(256), Some(320)));
    assert_eq!(dropless.1, padded.1);
}

// Of 1024 tokens a causal layer sees 512 on average. The last 128 are 128 − 128²/2048 = 120; a chunk of 128
// is 64. Scores and values are 2·2·4 heads·16 wide.
#[test]
fn windows_and_chunks_follow_the_pattern() {
    let lines = "sliding_window = 128\nwindow_pattern = \"LCG\"";
    let (kinds, sequence) = lowered_kinds(&format!("{DECODER}{lines}"));
    assert_eq!(sequence, [0, 1, 2, 0]);
    let scores = |seen: f64| 1024.0 * seen * f64::from(2 * 2 * 4 * 16);
    let attention = |at: usize| {
        let found = kinds[at]
            .forward
            .iter()
            .find_map(|operator| match operator {
                Operator::Attention { .. } => Some(operator.flops().get()),
                _ => None,
            });
        found.expect("a layer attends")
    };
    for (at, seen) in [120.0, 64.0, 512.0].into_iter().enumerate() {
        assert!((attention(at) / scores(seen) - 1.0).abs() < 1e-12, "{at}");
    }
}

#[test]
fn patterns_and_windows_that_say_nothing_are_refused() {
    let cases = [
        ("window_pattern = \"LG\"", "needs `sliding_window`"),
        (
            "sliding_window = 8\nwindow_pattern = \"LXG\"",
            "unknown letter `X` (letter 2 of 3)",
        ),
        (
            "sliding_window = 8\nwindow_pattern = \"\"",
            "expected text of the letters L, C, G",
        ),
        (
            "sliding_window = 8\nwindow_pattern = \"LG\"\nglobal_every = 2",
            "both say which layers are global",
        ),
    ];
    for (lines, expected) in cases {
        let text = format!("[models.m]\nbase = \"llama3-8b\"\n{lines}");
        let faults = overlaid(&text).expect_err("it has a fault");
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].message.contains(expected), "{}", faults[0]);
    }
    let text = "[models.m]\nbase = \"mixtral-8x7b\"\nmoe_every = 33";
    let faults = overlaid(text).expect_err("no layer has experts");
    assert!(
        faults[0]
            .message
            .contains("one layer of 33 leaves none of 32"),
        "{}",
        faults[0]
    );
}

/// A hybrid of 4 layers with round sizes, and the lines that differ.
fn hybrid(pattern: &str) -> std::sync::Arc<crate::model::Model> {
    model(&format!(
        "family = \"hybrid\"\npattern = \"{pattern}\"\nstate_size = 16\nstate_heads = 8\n\
         state_head_dim = 16\nstate_groups = 2\nnorm = \"rms-norm\""
    ))
}

// Width 64, state 128 wide (8 heads of 16), keys and queries of 2 groups of 16.
// Mamba-2: 64·(128 + 192 + 8) + 128·64 of products, 192·(4 + 1) of the convolution, 3·8 and a norm of 128.
// Delta net: 64·(128 + 192 + 2·8) + 128·64, 192·4, 2·8, a norm of 16. Each behind a norm of 64.
#[test]
fn layers_with_a_state_have_the_parameters_of_their_papers() {
    let layers = |pattern| hybrid(pattern).parameters().dense / 4;
    let mamba = 64 * (128 + 192 + 8) + 128 * 64 + 192 * 5 + 3 * 8 + 128;
    assert_eq!(layers("M"), mamba + 64);
    let delta = 64 * (128 + 192 + 16) + 128 * 64 + 192 * 4 + 2 * 8 + 16;
    assert_eq!(layers("G"), delta + 64);
    // Mamba: 64·256 + 128·64 of products, 128·(4 + 1) of the convolution, 128·(4 + 2·16) to steps of rank 64/16, keys and queries,
    // 4·128 + 128 from the steps to channels, 128·16 decays and 128 skips.
    let selective = 64 * 256 + 128 * 64 + 128 * 5 + 128 * 36 + 4 * 128 + 128 + 128 * 17;
    assert_eq!(hybrid("S").parameters().dense / 4, selective + 64);
}

// Per token: scores of 2 groups over half of 128 tokens, 2·64·16·2; values of 8 heads likewise, 2·64·128; the
// chunk's state and its use, 2·16·128 each. Backward twice that, and scores and states once more.
#[test]
fn a_scan_does_the_work_of_its_chunks() {
    let model = hybrid("M");
    let layer = &lower(&model, &Shard::whole(1024)).layer_kinds[0];
    let scan = |pass: &[Operator]| {
        let scans = pass.iter().filter_map(|operator| match operator {
            Operator::Scan { flops, .. } => Some(flops.get()),
            _ => None,
        });
        scans.sum::<f64>() / 1024.0
    };
    let (scores, values, state) = (2.0 * 64.0 * 32.0, 2.0 * 64.0 * 128.0, 2.0 * 16.0 * 128.0);
    let forward = scores + values + 2.0 * state;
    assert!((scan(&layer.forward) - forward).abs() < 1e-9);
    let backward = 2.0 * forward + scores + state;
    assert!((scan(&layer.backward_input) - backward).abs() < 1e-9);
}

// 8 heads of 16 with 2 groups of 16 over 4 ranks: 256 tokens of values and gate, 2·128, and of keys and queries of 4 groups, since
// two ranks share each, 2·4·16, and of a number of each head are sent before (a delta net has two), and the outputs, 128, with
// the gate of a delta net, behind. Each rank scans 1,024 tokens of 2 heads, and the model's work stays.
#[test]
fn context_parallel_ranks_trade_tokens_for_heads_with_a_state() {
    for (pattern, numbers, back) in [("M", 8, 128), ("G", 16, 256)] {
        let model = hybrid(pattern);
        let on = |cp| {
            let shard = Shard {
                cp,
                ..Shard::whole(1024)
            };
            lower(&model, &shard).layer_kinds[0].clone()
        };
        let (whole, split) = (on(1), on(4));
        let sent = |layer: &LoweredLayer| -> Vec<u64> {
            let all = layer.forward.iter().filter_map(|operator| match operator {
                Operator::Comm { bytes, .. } => Some(bytes.get()),
                _ => None,
            });
            all.collect()
        };
        let forth = 2 * 128 + 2 * 4 * 16 + numbers;
        assert!(sent(&whole).is_empty());
        assert_eq!(sent(&split), [256 * forth * 2, 256 * back * 2]);
        let share = 4.0 * split.model_flops_forward.get() / whole.model_flops_forward.get();
        assert!((share - 1.0).abs() < 1e-12, "{pattern}: {share}");
    }
}

// A delta net's work does not grow with the sequence: twice the tokens, twice the FLOPs; attention's do more.
#[test]
fn a_state_makes_the_work_linear_in_the_sequence() {
    let per_token = |pattern: &str, seq_len| hybrid(pattern).flops_per_token(seq_len);
    for pattern in ["M", "G", "MG", "GFM", "S"] {
        let (short, long) = (per_token(pattern, 1024), per_token(pattern, 8192));
        assert!((long / short - 1.0).abs() < 1e-12, "{pattern}");
    }
    assert!(per_token("MA", 8192) > 1.1 * per_token("MA", 1024));
}

#[test]
fn a_pattern_is_one_letter_a_layer_begun_anew() {
    let kinds = |pattern| {
        let network = hybrid(pattern);
        lower(&network, &Shard::whole(128)).sequence
    };
    assert_eq!(kinds("MFA"), [0, 1, 2, 0]);
    let cases = [
        ("pattern = \"MXA\"", "unknown letter `X` (letter 2 of 3)"),
        ("pattern = \"MAMAM\"", "5 letters for 4 layers"),
        (
            "pattern = \"MA\"\nstate_heads = 6\nstate_groups = 4",
            "`state_groups` = 4 does not divide",
        ),
        (
            "pattern = \"ME\"",
            "`experts` and `experts_per_token` are missing",
        ),
        (
            "pattern = \"AF\"\nstate_size = 16",
            "`state_size` belongs to a pattern with M, G or S only",
        ),
        (
            "pattern = \"MA\"\nstep_rank = 4",
            "`step_rank` belongs to a pattern with S only",
        ),
        (
            "pattern = \"SM\"",
            "they do not share the sizes of their states",
        ),
        ("sinks = true", "`pattern` is missing"),
    ];
    for (lines, expected) in cases {
        let text = format!(
            "[models.m]\nfamily = \"hybrid\"\nlayers = 4\nhidden = 64\nheads = 4\nvocab = 1000\n\
             seq_len = 1024\n{lines}"
        );
        let faults = overlaid(&text).expect_err("it has a fault");
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].message.contains(expected), "{}", faults[0]);
    }
}

// T5 small at 512 and 114 tokens: the decoder's 114 queries of 64 see all 512 keys of the encoder in each of 8 heads:
// 2·2·114·512·64·8 FLOPs besides the products.
#[test]
fn a_decoder_attends_to_the_whole_encoder() {
    let text = "[models.m]\nbase = \"t5-small\"\ndecoder_seq_len = 114";
    let catalog = overlaid(text).expect("no faults");
    let model = &catalog.models["m"];
    assert_eq!(model.seq_len(), 512 + 114);
    let lowered = lower(model, &Shard::whole(model.seq_len()));
    assert_eq!(lowered.sequence, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    let scores: Vec<(u64, u64, bool)> = lowered
        .layer_kinds
        .iter()
        .flat_map(|layer| &layer.forward)
        .filter_map(|operator| match operator {
            Operator::Attention {
                seq_q,
                seq_kv,
                causal,
                ..
            } => Some((*seq_q, *seq_kv, *causal)),
            _ => None,
        })
        .collect();
    assert_eq!(
        scores,
        [(512, 512, false), (114, 114, true), (114, 512, false)]
    );
}

// 224/16 = 14 patches a side and the class's token; 256/8 = 32 values of the latent, 16 patches a side.
#[test]
fn images_are_as_many_tokens_as_patches() {
    let models = &Catalog::builtin().models;
    assert_eq!(models["vit-b16"].seq_len(), 14 * 14 + 1);
    assert_eq!(models["dit-xl-2"].seq_len(), 16 * 16);
    let text = "[models.m]\nbase = \"vit-b16\"\npatch_size = 15";
    let faults = overlaid(text).expect_err("224 is not a multiple of 15");
    assert!(
        faults[0]
            .message
            .contains("224 is not a multiple of `patch_size` = 15")
    );
}

// With a conditioning of 77 tokens of 768 each layer has cross attention: queries and output of 1152², keys and
// values of 768·1152 each, and their biases; the table of 1,001 classes is gone.
#[test]
fn a_diffusion_transformer_reads_its_context_by_cross_attention() {
    let text = "[models.m]\nbase = \"dit-xl-2\"\nclasses = 1\ncontext_hidden = 768";
    let catalog = overlaid(text).expect("no faults");
    let count = |model: &crate::model::Model| model.parameters().total();
    let (plain, with) = (
        count(&Catalog::builtin().models["dit-xl-2"]),
        count(&catalog.models["m"]),
    );
    let layer = 2 * 1152 * 1152 + 2 * 768 * 1152 + 4 * 1152;
    assert_eq!(with + (1001 - 2) * 1152, plain + 28 * layer);
}

#[test]
fn models_whose_kernels_were_not_measured_say_so() {
    let says = |name: &str| Catalog::builtin().models[name].unmeasured();
    for (name, what) in [
        ("nemotron-h-8b", "layers with a state"),
        ("qwen3-next-80b-a3b", "layers with a state"),
        ("deepseek-v3.2", "sparse attention"),
    ] {
        assert!(
            says(name).is_some_and(|warning| warning.contains(what)),
            "{name}"
        );
    }
    assert_eq!(
        says("llama3-8b")
            .or(says("deepseek-v3"))
            .or(says("resnet50")),
        None
    );
}

// A rank of two holds half of every product and of every head's numbers, whatever the family, and whole what cannot be
// split: so two ranks hold all, and not twice as much.
#[test]
fn ranks_share_the_parameters_of_every_preset() {
    for (name, model) in &Catalog::builtin().models {
        let Some(network) = model.transformer() else {
            continue;
        };
        if network.cut_heads(2).is_some() {
            continue;
        }
        let held = |tp: u32| {
            let shard = Shard {
                tp,
                sequence_parallel: tp > 1,
                ..Shard::whole(1024)
            };
            let lowered = lower(model, &shard);
            let kinds = &lowered.layer_kinds;
            let layers = lowered
                .sequence
                .iter()
                .map(|at| kinds[usize::from(*at)].parameters);
            layers.map(|layer| layer.dense + layer.expert).sum::<u64>()
        };
        let (whole, half) = (held(1), held(2));
        let experts = model.parameters().experts;
        // Experts are split over ranks of their own; of the rest at most a third is whole on each rank.
        let (dense, part) = (whole - experts, half - experts);
        assert!(2 * part >= dense, "{name}: {part} of {dense}");
        assert!(
            part as f64 <= 0.67 * dense as f64,
            "{name}: {part} of {dense}"
        );
    }
}

// Patches of 32, four of which become a token of 128: an adapter to 32, two products by way of 48 to the decoder's 64, and the
// norm of the encoder's 32 in front of them. A second layer that is projected has the same products and a norm over 128.
#[test]
fn adapters_and_deeper_layers_have_products_of_their_own() {
    let projector = |lines: &str| {
        let text = format!(
            "{DECODER}[models.m.encoder]\nlayers = 2\nhidden = 32\nffn_hidden = 64\nheads = 4\nimage_size = 32\n\
             patch_size = 8\n[models.m.projector]\nmerge = 2\nhidden = 48\nbiases = false\n{lines}"
        );
        let (kinds, _) = lowered_kinds(&text);
        let found = kinds.into_iter().find(|kind| kind.name == "projector");
        let found = found.expect("a projector").parameters.dense;
        (found, total(&text))
    };
    let two = 128 * 48 + 48 * 64;
    let adapted = 128 * 32 + 32 * 48 + 48 * 64;
    let (plain, whole) = projector("");
    assert_eq!(plain, 2 * 32 + two);
    for (lines, parameters) in [
        ("adapter = 32\n", 2 * 32 + adapted),
        ("deepstack = 1\n", 2 * 32 + two + (2 * 128 + two)),
        (
            "adapter = 32\ndeepstack = 1\n",
            2 * 32 + 2 * adapted + 2 * 128,
        ),
    ] {
        let (found, all) = projector(lines);
        assert_eq!(found, parameters, "{lines}");
        assert_eq!(all + plain, whole + parameters, "{lines}");
    }
}

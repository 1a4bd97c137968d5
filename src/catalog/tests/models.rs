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

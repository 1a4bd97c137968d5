//! Routed experts: what their passes move, call for and send.

use crate::catalog::Catalog;
use crate::model::samples::{last_layer, moved};
use crate::model::{
    Architecture, CommGroup, CommOp, ExpertDispatch, ExpertImbalance, ExpertOutputs, LoweredLayer,
    Mixture, Model, Operator, Shard, lower,
};

// 8,000 visits of 8 experts are 1,000 each, and 1.25 times as many are room for 1,250. A busiest expert of 2,000 turns 750 away,
// 0.09375 of all; one of 4,000, which every token visits, 2,750. One of 1,250 is full, and the others never are.
#[test]
fn a_busiest_expert_drops_what_it_has_no_room_for() {
    let model = &Catalog::builtin().models["mixtral-8x7b"];
    let moe = model.transformer().and_then(|it| it.moe).expect("experts");
    let of = |capacity_factor, imbalance| {
        let moe = Mixture {
            capacity_factor,
            ..moe
        };
        moe.dropped(ExpertImbalance::new(imbalance))
    };
    assert_eq!(moe.experts, 8);
    let limited = [1.0, 1.25, 2.0, 4.0].map(|imbalance| of(Some(1.25), imbalance));
    let dropped = [0.0, 0.0, 750.0 / 8000.0, 2750.0 / 8000.0];
    assert_eq!(limited, dropped.map(Some));
    assert_eq!(of(None, 4.0), None, "experts that take all drop none");
}

// 4,096 tokens of 2,048 against 128 experts of Qwen3 30B: one product forward and one for each gradient, all in fp32, and none of
// them in 16 bits. The copy of the tokens takes 4 bytes an element, and its gradient as many: 33.6 MB each way.
#[test]
fn a_router_in_fp32_has_its_products_there() {
    let lowered = |fp32_router: bool| {
        last_layer("qwen3-30b-a3b", |shard| {
            shard.fusion.fp32_router = fp32_router;
        })
    };
    let [cast, full] = [false, true].map(lowered);
    let passes = |layer: &LoweredLayer| {
        let input = layer.backward_input.iter();
        let weight = layer.backward_weight.iter();
        let all = layer.forward.iter().chain(input).chain(weight);
        all.cloned().collect::<Vec<_>>()
    };
    let products = |layer: &LoweredLayer| {
        let all = passes(layer).into_iter();
        let sizes = all.filter_map(|operator| match operator {
            Operator::FullGemm { m, n, k } => Some((m, n, k)),
            _ => None,
        });
        sizes.collect::<Vec<_>>()
    };
    let expected = [(4096, 128, 2048), (4096, 2048, 128), (128, 2048, 4096)];
    assert_eq!(products(&full), expected);
    assert!(products(&cast).is_empty());
    let in_half = |layer: &LoweredLayer| {
        let all = passes(layer);
        let of_router = |it: &&Operator| {
            matches!(
                it,
                Operator::Gemm {
                    n: 128,
                    k: 2048,
                    ..
                }
            )
        };
        all.iter().filter(of_router).count()
    };
    assert_eq!((in_half(&cast), in_half(&full)), (1, 0));
    let moved = |layer: &LoweredLayer| moved(&passes(layer));
    assert_eq!(moved(&full) - moved(&cast), 2 * 4 * 4096 * 2048);
}

// GPT-OSS 20B: 4,096 tokens visit 4 of 32 experts, 16,384 rows of 2,880 elements in front of the second product and behind
// it, 47.2 million. In kernels of their own limits move 16 bytes an element forward, of which 8 go element by element and take
// 257/118 as long, and 30 with 19 such backward; biases 28 with 4, and 40 with 16. The calls: three limits forward and nine
// back; two operators an expert and two around them forward, seven and two backward.
#[test]
fn limits_and_biases_of_experts_cost_their_passes() {
    let lowered =
        |fused: bool| last_layer("gpt-oss-20b", |shard| shard.fusion.expert_biases = fused);
    let [fused, apart] = [true, false].map(lowered);
    let elements = 4096 * 4 * 2880;
    let forward = |layer: &LoweredLayer| moved(&layer.forward);
    let backward = |layer: &LoweredLayer| moved(&layer.backward_input);
    let near = |moved: u64, plain: u64, slow: u64| {
        let expected = (plain as f64 + slow as f64 * 257.0 / 118.0) * f64::from(elements);
        assert!((moved as f64 / expected - 1.0).abs() < 1e-6, "{moved}");
    };
    near(forward(&apart) - forward(&fused), 8 + 24, 8 + 4);
    near(backward(&apart) - backward(&fused), 11 + 24, 19 + 16);
    let operators = |layer: &LoweredLayer| {
        let calls = layer.calls;
        let routed = [calls.forward, calls.backward_input].map(|pass| pass.routed.operators);
        (routed[0], routed[1])
    };
    let (there, back) = operators(&fused);
    assert_eq!(
        operators(&apart),
        (there + 3 + 2 * 32 + 2, back + 9 + 7 * 32 + 2)
    );
}

// Mixtral 8x7B, 2 samples of 4,096 tokens that visit 2 of 8 experts with room for 1.25 times the mean: 1,280 places of an
// expert, 10,240 of all. Dispatch multiplies 10,240 × 4,096 by 4,096 × 4,096 and has one gradient, combination has two; the
// masks have 83.9 million elements, written by 3 bytes and read by 2 once more.
#[test]
fn masks_take_their_products_in_the_place_of_copies() {
    let lowered = |capacity_masks: bool, capacity_factor: Option<f64>| {
        let mut model = Model::clone(&Catalog::builtin().models["mixtral-8x7b"]);
        if let Architecture::Transformer(network) = &mut model.architecture {
            let moe = network.moe.as_mut().expect("experts");
            moe.capacity_factor = capacity_factor;
        }
        let mut shard = Shard::whole(4096);
        (shard.micro_batch, shard.fusion.capacity_masks) = (2, capacity_masks);
        let mut lowered = lower(&model, &shard);
        lowered.layer_kinds.pop().expect("a model has layers")
    };
    let (copied, masked) = (lowered(false, Some(1.25)), lowered(true, Some(1.25)));
    let batched = |operators: &[Operator]| {
        let products = operators.iter().filter_map(|operator| match operator {
            Operator::Gemm {
                batch: 2, m, n, k, ..
            } => Some((*m, *n, *k)),
            _ => None,
        });
        products.collect::<Vec<_>>()
    };
    let (dispatch, combine) = ((10240, 4096, 4096), (4096, 4096, 10240));
    assert_eq!(batched(&masked.forward), [dispatch, combine]);
    // Backward the combination's products come first.
    let backward = batched(&masked.backward_input);
    assert_eq!(backward, [dispatch, (4096, 10240, 4096), combine]);
    assert!(batched(&copied.forward).is_empty());
    let elements = 2 * 4096 * 10240;
    let kept = |layer: &LoweredLayer| layer.kept.none.get();
    assert_eq!(kept(&masked) - kept(&copied), 3 * elements);
    // Experts that take as many as come get their rows by copies.
    let free = [false, true].map(|masks| batched(&lowered(masks, None).forward).len());
    assert_eq!(free, [0, 0]);
}

// Eight of GPT-OSS 20B's 32 experts a rank, of which the busiest has 3 times the mean: (3 + 7 · 29/31)/8 = 1.1935 times the rows
// pass the products, and as many are kept as of balanced experts.
#[test]
fn the_busiest_rank_multiplies_more_and_keeps_as_much() {
    let layer = |imbalance| {
        last_layer("gpt-oss-20b", |shard| {
            shard.ep = 4;
            shard.expert_imbalance = ExpertImbalance::new(imbalance);
        })
    };
    let rows = |layer: &LoweredLayer| {
        let products = layer.forward.iter().filter_map(|operator| match operator {
            Operator::GroupedGemm { groups, m, .. } => Some(groups * m),
            _ => None,
        });
        products.sum::<u64>() as f64
    };
    let (even, busy) = (layer(1.0), layer(3.0));
    assert!((rows(&busy) / rows(&even) / 1.1935 - 1.0).abs() < 1e-3);
    assert_eq!(busy.kept.none, even.kept.none);
    assert!(busy.kept.transient > even.kept.transient);
}

// Of the operators around a router's product separate kernels of a soft-max are 24 forward and 16 backward, those of a sigmoid 43
// and 31; with a kernel each for scores, choice and loss 9 are left both ways, and three functions.
#[test]
fn a_router_calls_for_its_kernels() {
    let calls = |model: &str, fused: bool| {
        let layer = last_layer(model, |shard| {
            shard.expert_dispatch = ExpertDispatch::AllToAll;
            shard.fusion.router = fused;
        });
        let passes = [layer.calls.forward, layer.calls.backward_input];
        passes.map(|pass| (pass.fixed.operators, pass.fixed.functions))
    };
    for (model, separate) in [("qwen3-30b-a3b", [24, 16]), ("moonlight-16b-a3b", [43, 31])] {
        let (apart, fused) = (calls(model, false), calls(model, true));
        for (at, operators) in separate.into_iter().enumerate() {
            assert_eq!(apart[at].0 - fused[at].0, operators - 9, "{model} {at}");
            assert_eq!(fused[at].1 - apart[at].1, 3, "{model} {at}");
        }
    }
}

// Scores that are random: a copy and what fills it, and four states of random numbers, in a function both ways.
#[test]
fn random_routing_calls_for_its_numbers() {
    let calls = |random_routing| {
        let layer = last_layer("qwen3-30b-a3b", |shard| {
            shard.random_routing = random_routing;
        });
        let passes = [layer.calls.forward, layer.calls.backward_input];
        passes.map(|pass| (pass.fixed.operators, pass.fixed.functions))
    };
    let ([forward, backward], [usual, usual_back]) = (calls(true), calls(false));
    assert_eq!((forward.0 - usual.0, forward.1 - usual.1), (5, 1));
    assert_eq!(
        (backward.0 - usual_back.0, backward.1 - usual_back.1),
        (0, 1)
    );
}

/// Communications of a pass among the ranks of experts, in order, each with its bytes.
fn exchanged(operators: &[Operator]) -> Vec<(CommOp, CommGroup, u64)> {
    let all = operators.iter().filter_map(|operator| match *operator {
        Operator::Comm {
            op, group, bytes, ..
        } => Some((op, group, bytes.get())),
        _ => None,
    });
    all.collect()
}

// Qwen3 30B: 4,096 tokens of 2,048 columns visit 8 of 128 experts, 32,768 rows of 4 KiB: 134,217,728 bytes. Eight ranks tell each
// other 128 counts of 8 bytes, 8,192 in all; a weight of 4 bytes follows each row where experts apply it, and comes back as a
// gradient in front of the rows'. With two parts of each expert counts are of two ranks, and rows and weights twice as many.
#[test]
fn ranks_tell_counts_and_send_weights_behind_their_rows() {
    use CommGroup::{Expert, ExpertCounts, ExpertTensor};
    use CommOp::{AllGather, AllToAll, ReduceScatter};
    let rows = 4096 * 8 * 2048 * 2;
    let weights = 4096 * 8 * 4;
    let of = |ep, etp, expert_outputs| {
        last_layer("qwen3-30b-a3b", |shard| {
            (shard.ep, shard.etp) = (ep, etp);
            shard.expert_dispatch = ExpertDispatch::AllToAll;
            shard.fusion.expert_outputs = expert_outputs;
        })
    };
    let layer = of(8, 1, ExpertOutputs::Freed);
    let there = [
        (AllGather, ExpertCounts, 8 * 128 * 8),
        (AllToAll, Expert, rows),
        (AllToAll, Expert, weights),
        (AllToAll, Expert, rows),
    ];
    assert_eq!(exchanged(&layer.forward), there);
    let back = [rows, weights, rows].map(|bytes| (AllToAll, Expert, bytes));
    assert_eq!(exchanged(&layer.backward_input), back);
    let kept = of(8, 1, ExpertOutputs::Kept);
    assert_eq!(exchanged(&kept.forward), [there[0], there[1], there[3]]);
    let parts = of(1, 2, ExpertOutputs::Freed);
    let there = [
        (AllGather, ExpertTensor, 2 * 128 * 8),
        (AllGather, ExpertTensor, 2 * rows),
        (AllGather, ExpertTensor, 2 * weights),
        (ReduceScatter, ExpertTensor, 2 * rows),
    ];
    assert_eq!(exchanged(&parts.forward), there);
    assert!(exchanged(&of(1, 1, ExpertOutputs::Freed).forward).is_empty());
}

// The same rows in 8 bits: those of 2,048 columns and their weights of 4 bytes are read and written in front of the products, and
// outputs behind them, 2·(2·4,096 + 4) bytes a row, each way; three kernels in functions. HybridEP delivers them padded.
#[test]
fn rows_are_padded_for_products_in_8_bits() {
    let of = |low_precision, expert_padding, expert_dispatch| {
        last_layer("qwen3-30b-a3b", |shard| {
            shard.ep = 8;
            shard.format.low_precision = low_precision;
            shard.expert_dispatch = expert_dispatch;
            shard.fusion.expert_padding = expert_padding;
        })
    };
    let more = |low_precision, dispatch| {
        let [padded, apart] = [true, false].map(|padding| of(low_precision, padding, dispatch));
        let functions = |layer: &LoweredLayer| {
            let calls = layer.calls;
            [calls.forward, calls.backward_input].map(|pass| pass.routed.functions)
        };
        let forward = moved(&apart.forward) - moved(&padded.forward);
        let backward = moved(&apart.backward_input) - moved(&padded.backward_input);
        let [there, back] = [0, 1].map(|at| functions(&apart)[at] - functions(&padded)[at]);
        ([forward, backward], [there, back])
    };
    let bytes = 4096 * 8 * 2 * (2 * 4096 + 4);
    let padded = more(true, ExpertDispatch::AllToAll);
    assert_eq!(padded, ([bytes; 2], [3; 2]));
    assert_eq!(more(true, ExpertDispatch::HybridEp), ([0; 2], [0; 2]));
    assert_eq!(more(false, ExpertDispatch::AllToAll), ([0; 2], [0; 2]));
}

// Outputs added up by index: 134,217,728 bytes of rows take as long as 13 times as many, in a kernel that no recomputation
// repeats, forward alone.
#[test]
fn outputs_are_added_by_index_once() {
    let of = |indexed_sum| {
        last_layer("qwen3-30b-a3b", |shard| {
            shard.fusion.permutation = false;
            shard.fusion.indexed_sum = indexed_sum;
        })
    };
    let (without, with) = (of(false), of(true));
    assert_eq!(moved(&with.once), 13 * 4096 * 8 * 2048 * 2);
    assert!(without.once.is_empty());
    assert_eq!(with.forward, without.forward);
    assert_eq!(with.backward_input, without.backward_input);
    let operators = |layer: &LoweredLayer| layer.calls.forward.routed.operators;
    assert_eq!(operators(&with), operators(&without) + 1);
}

// Rows that two parts of an expert gather come by rank, and are sorted by expert: 2·2 passes over the 32,768 rows of 4 KiB more,
// before the products and after them.
#[test]
fn gathered_rows_are_sorted_by_expert() {
    let of = |etp| {
        last_layer("qwen3-30b-a3b", |shard| {
            shard.etp = etp;
            shard.expert_dispatch = ExpertDispatch::AllToAll;
        })
    };
    // The activation moves as much as before: twice the rows, half the columns.
    let rows = 4096 * 8 * 2048 * 2;
    let more = moved(&of(2).forward) - moved(&of(1).forward);
    assert_eq!(more, 2 * 2 * 2 * rows);
}

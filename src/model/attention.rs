//! Attention of a transformer: projections, scores, exchange of context parallelism.

mod latent;
mod rotation;

pub(super) use self::latent::latent_projections;
use self::rotation::{rotary, scaled_rotary};
use crate::model::architecture::Context;
use crate::model::layer::{Exchange, LayerBuilder, Linear, Passes, by_element};
use crate::model::residual::{dropout, norm_passes};
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, gather_again};
use crate::model::window::Sight;
use crate::model::{CommGroup, CommOp, CpExchange, Mla, Module, Operator};

/// Query, key and value in one product, and rotary positions.
pub(super) fn plain_projections(layer: &mut LayerBuilder, share: &Share) {
    let network = share.network;
    enter(layer, share, Gathered::of(share.hidden));
    let heads = share.part(u64::from(network.heads));
    let kv_heads = share.part(u64::from(network.kv_heads));
    let dim = u64::from(network.head_dim);
    let gates = if network.attention_gate { heads } else { 0 };
    layer.keep_normed_input(share.norm_tokens * share.hidden);
    layer.module(Module::QkvProjection, |layer| {
        let projection = Linear {
            tokens: share.tokens,
            outputs: (heads + gates + 2 * kv_heads) * dim,
            inputs: share.hidden,
            bias: network.biases || network.qkv_biases,
            low_precision: true,
        };
        layer.linear_of(projection, 3);
        gather_again(layer, share, Gathered::of(share.hidden));
        if network.rotary() && !share.shard.fusion.attention_inputs {
            gather_inputs(layer, share, (heads, kv_heads));
        }
        if network.qk_norm {
            let parameters = 2 * network.norm_parameters(network.head_dim);
            layer.parameters(parameters);
            if share.tp > 1 {
                layer.partial(parameters);
            }
            let normed = share.tokens * (heads + kv_heads) * dim;
            norm_passes(layer, share, normed);
            layer.keep(normed * layer.element_bytes());
        }
        if network.yarn && !share.shard.fusion.yarn {
            scaled_rotary(layer, share.tokens * (heads + kv_heads) * dim);
        } else if network.rotary() {
            rotary(layer, share, (heads + kv_heads) * dim);
        }
    });
}

/// Copies of what the product's output has in slices of rows, of so many query and key heads: of queries whose heads form several
/// groups, of values, and of keys that are normalised. Backward all gradients are put together.
fn gather_inputs(layer: &mut LayerBuilder, share: &Share, (heads, kv_heads): (u64, u64)) {
    let network = share.network;
    let queries = (1 < kv_heads && kv_heads < heads).then_some(heads);
    let keys = network.qk_norm.then_some(kv_heads);
    let copied = [queries, keys, Some(kv_heads)].into_iter().flatten();
    let passed = 2 * share.tokens * u64::from(network.head_dim) * layer.element_bytes();
    for heads in copied {
        layer.operators(Passes {
            forward: (by_element(passed * heads), 1),
            backward: (0, 0),
        });
    }
    layer.operators(Passes {
        forward: (0, 0),
        backward: (passed * (heads + 2 * kv_heads), 1),
    });
}

/// Product of the attention's output with the sigmoid of a gate, `width` columns of each; gate and output are kept.
pub(super) fn gate(layer: &mut LayerBuilder, share: &Share, width: u64) {
    let bytes = share.tokens * width * layer.element_bytes();
    layer.memory(Passes {
        forward: (3 * bytes, 1),
        backward: (5 * bytes, 1),
    });
    layer.keep(2 * bytes);
}

/// Scores of an indexer over all keys, which choose those that a token attends to (arXiv 2512.02556 §2.1): queries from the
/// compressed ones, one key that its heads share, a weight of each head, and the choice. Every tensor-parallel rank
/// chooses for itself.
pub(super) fn indexer(layer: &mut LayerBuilder, share: &Share, mla: &Mla) {
    let (heads, dim) = (u64::from(mla.index_heads), u64::from(mla.index_head_dim));
    let inputs = mla
        .q_lora_rank
        .map_or(share.hidden, |rank| u64::from(rank.get()));
    let linear = |outputs, inputs| Linear {
        tokens: share.tokens,
        outputs,
        inputs,
        bias: false,
        low_precision: true,
    };
    let products = [
        linear(heads * dim, inputs),
        linear(dim + heads, share.hidden),
    ];
    for product in products {
        layer.linear(product);
        if share.tp > 1 {
            layer.partial(product.parameters());
        }
    }
    layer.parameters(2 * dim);
    let score = Score {
        batch: u64::from(share.shard.micro_batch),
        heads,
        kv_heads: 1,
        seq_q: share.tokens / u64::from(share.shard.micro_batch),
        seq_kv: share.seq_len,
        dim_qk: dim,
        dim_v: 0,
        kv_blocks: 1,
        causal: true,
        window: None,
    };
    layer.model_flops(score.fused(false).flops().get());
    layer.operator(score.fused(false), [score.fused(true)]);
    // Scores in 32 bits are written, and read for the choice.
    let scores = 4 * share.tokens * share.seq_len / 2;
    layer.memory(Passes {
        forward: (2 * scores, 2),
        backward: (scores, 1),
    });
    let kept = share.tokens * (heads * dim + dim + heads) * layer.element_bytes();
    layer.keep(kept);
}

/// Queries of the stream, and keys and values of a context, in a product each.
pub(super) fn cross_projections(layer: &mut LayerBuilder, share: &Share, context: Context) {
    let network = share.network;
    let dim = u64::from(network.head_dim);
    let linear = |tokens, outputs, inputs| Linear {
        tokens,
        outputs,
        inputs,
        bias: network.biases,
        low_precision: true,
    };
    let heads = share.part(u64::from(network.heads));
    let kv_heads = share.part(u64::from(network.kv_heads));
    let seen = share.over(context.tokens);
    enter(layer, share, Gathered::of(share.hidden));
    layer.keep_normed_input(share.norm_tokens * share.hidden);
    layer.module(Module::QkvProjection, |layer| {
        layer.linear(linear(share.tokens, heads * dim, share.hidden));
        gather_again(layer, share, Gathered::of(share.hidden));
        enter(layer, &seen, Gathered::of(context.width));
        layer.linear(linear(seen.tokens, 2 * kv_heads * dim, context.width));
        gather_again(layer, &seen, Gathered::of(context.width));
    });
}

/// Keys that the tokens of a rank attend to.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    /// Keys of a sample.
    seq_kv: u64,
    /// Keys of all samples, on this rank.
    tokens: u64,
    causal: bool,
    window: Option<u64>,
    /// Parts of a sample that see their own keys alone.
    documents: u64,
}

impl Keys {
    /// The keys in sight of a sequence's own tokens.
    pub(super) fn of(share: &Share, sight: Sight, causal: bool) -> Self {
        let document = share.seq_len.div_ceil(u64::from(share.shard.documents));
        let (seq_kv, window) = match sight {
            Sight::All => (document, None),
            Sight::Last(tokens) => (document, Some(tokens)),
            Sight::Chunk(tokens) => (document.min(tokens), None),
        };
        Self {
            seq_kv,
            tokens: share.tokens,
            causal,
            window,
            documents: u64::from(share.shard.documents),
        }
    }

    /// Only so many of them: of the first tokens all, as in a window.
    pub(super) fn at_most(self, keys: u64) -> Self {
        Self {
            window: Some(self.window.map_or(keys, |window| window.min(keys))),
            ..self
        }
    }

    /// Those of a context, all in sight.
    pub(super) fn of_context(share: &Share, context: Context) -> Self {
        Self {
            seq_kv: context.tokens,
            tokens: share.over(context.tokens).tokens,
            causal: false,
            window: None,
            documents: 1,
        }
    }
}

/// Attention core, with the exchange of context parallelism.
pub(super) fn core(layer: &mut LayerBuilder, share: &Share, keys: Keys) {
    let network = share.network;
    let element = layer.element_bytes();
    let heads = share.part(u64::from(network.heads));
    if network.sinks {
        layer.parameters(heads);
    }
    let (kv_heads, dim_qk, dim_v) = match &network.mla {
        Some(mla) => (
            heads,
            u64::from(mla.qk_nope_head_dim + mla.qk_rope_head_dim),
            u64::from(mla.v_head_dim),
        ),
        None => (
            share.part(u64::from(network.kv_heads)),
            u64::from(network.head_dim),
            u64::from(network.head_dim),
        ),
    };
    let samples = u64::from(share.shard.micro_batch);
    let own = Score {
        batch: samples * keys.documents,
        heads,
        kv_heads,
        seq_q: (share.tokens / samples).div_ceil(keys.documents),
        seq_kv: keys.seq_kv,
        dim_qk,
        dim_v,
        kv_blocks: 1,
        causal: keys.causal,
        window: keys.window,
    };
    let score = context_exchange(layer, share, own);
    let kept_kv_heads = if share.shard.fusion.grouped_attention {
        kv_heads
    } else {
        heads
    };
    let queries = share.tokens * heads * dim_qk;
    let projected = share.shard.format.attention_bytes
        * (queries + keys.tokens * kept_kv_heads * (dim_qk + dim_v));
    // The logarithm of each row's sum, in 32 bits.
    let row_sums = 4 * share.tokens * heads;
    let projection = match network.mla {
        Some(_) => Module::LatentExpansion,
        None => Module::QkvProjection,
    };
    layer.module(projection, |layer| layer.keep(projected));
    layer.module(Module::CoreAttention, |layer| {
        if share.shard.flash_attention {
            layer.keep(row_sums);
            layer.operator(score.fused(false), [score.fused(true)]);
        } else {
            unfused_attention(layer, share, &score);
        }
    });
    exchange_back(layer, share, &score);
    let output = share.tokens * heads * dim_v;
    layer.keep_attention_output(output * element);
    layer.model_flops(score.fused(false).flops().get());
}

/// Sizes of an attention core on one rank.
struct Score {
    batch: u64,
    heads: u64,
    kv_heads: u64,
    seq_q: u64,
    seq_kv: u64,
    dim_qk: u64,
    dim_v: u64,
    kv_blocks: u64,
    causal: bool,
    window: Option<u64>,
}

impl Score {
    fn fused(&self, backward: bool) -> Operator {
        Operator::Attention {
            batch: self.batch,
            heads: self.heads,
            kv_heads: self.kv_heads,
            seq_q: self.seq_q,
            seq_kv: self.seq_kv,
            dim_qk: self.dim_qk,
            dim_v: self.dim_v,
            kv_blocks: self.kv_blocks,
            causal: self.causal,
            window: self.window,
            backward,
        }
    }

    fn product(&self, m: u64, n: u64, k: u64) -> Operator {
        Operator::Gemm {
            batch: self.batch * self.heads,
            m,
            n,
            k,
            low_precision: false,
        }
    }
}

/// Score matrices through memory: product, scale, mask, softmax, dropout, product; the full square.
fn unfused_attention(layer: &mut LayerBuilder, share: &Share, score: &Score) {
    let (q, kv, element) = (score.seq_q, score.seq_kv, layer.element_bytes());
    let elements = score.batch * score.heads * q * kv;
    let bytes = elements * element;
    let (qk, v) = (score.dim_qk, score.dim_v);
    layer.operator(
        score.product(q, kv, qk),
        [score.product(kv, qk, q), score.product(q, qk, kv)],
    );
    if share.network.alibi {
        layer.memory(distances(bytes));
    }
    let (forward, backward) = if share.shard.fusion.elementwise {
        ((2 * bytes, 1), (3 * bytes, 1))
    } else {
        ((6 * bytes, 3), (7 * bytes, 3))
    };
    layer.memory(Passes { forward, backward });
    layer.keep(bytes);
    if share.shard.dropout {
        layer.memory(dropout(share, elements, bytes));
        layer.keep(bytes + elements);
    }
    layer.operator(
        score.product(q, v, kv),
        [score.product(kv, v, q), score.product(q, kv, v)],
    );
    // An empty output for the scores and the contexts put together, whose gradient is copied; the gradients of query, key
    // and value put together (Megatron-LM 2.5 megatron/model/transformer.py ParallelAttention.forward).
    layer.operators(Passes {
        forward: (0, 2),
        backward: (0, 2),
    });
    layer.transient(2 * bytes);
}

/// Work of ALiBi, which has no parameters: a copy of each head's row of distances for every query, which the product of
/// queries and keys reads and adds to (`torch.baddbmm` with beta 1 in megatron/model/transformer.py of
/// bigscience-workshop/Megatron-DeepSpeed; `copy_` in aten/src/ATen/native/cuda/Blas.cpp of PyTorch).
fn distances(bytes: u64) -> Passes {
    Passes {
        forward: (2 * bytes, 1),
        backward: (0, 0),
    }
}

/// Exchange of keys and values among context-parallel ranks before attention; gives the attention of a rank.
///
/// Around a ring keys and values pass behind the attention kernels, one for each block that a rank's queries see, and with their
/// gradients backwards (arXiv 2310.01889; Megatron). Gathered, they and their gradients are there for the whole sequence (arXiv 2407.21783, section
/// 3.3.2; `AttnFuncWithCPAndKVAllGather` of Transformer Engine). With Ulysses a rank gets all tokens of 1/cp of the heads
/// (arXiv 2309.14509).
fn context_exchange(layer: &mut LayerBuilder, share: &Share, score: Score) -> Score {
    let cp = u64::from(share.shard.cp);
    if cp == 1 {
        return score;
    }
    let element = layer.element_bytes();
    let own = share.tokens * score.kv_heads * (score.dim_qk + score.dim_v) * element;
    let exchange = |forward, backward, overlappable| Exchange {
        group: CommGroup::Context,
        forward: Some(forward),
        backward: Some(backward),
        overlappable,
    };
    match share.shard.cp_exchange {
        CpExchange::Ring => {
            let (forward, backward) =
                ((CommOp::RingExchange, own), (CommOp::RingExchange, 2 * own));
            layer.exchange(exchange(forward, backward, true));
            layer.transient(cp.min(4) * own);
            let block = share.seq_len.div_ceil(cp);
            let reach = score.window.unwrap_or(score.seq_kv).min(score.seq_kv);
            Score {
                kv_blocks: reach.div_ceil(block).clamp(1, cp),
                ..score
            }
        }
        CpExchange::AllGather => {
            let (forward, backward) = (
                (CommOp::AllGather, cp * own),
                (CommOp::ReduceScatter, cp * own),
            );
            layer.exchange(exchange(forward, backward, false));
            layer.transient(2 * cp * own);
            score
        }
        CpExchange::Ulysses => {
            let all = own + share.tokens * score.heads * score.dim_qk * element;
            let passed = (CommOp::AllToAll, all);
            layer.exchange(exchange(passed, passed, false));
            layer.transient(all);
            Score {
                heads: score.heads / cp,
                kv_heads: score.kv_heads / cp,
                seq_q: share.seq_len,
                ..score
            }
        }
    }
}

/// Exchange behind the attention of a rank: with Ulysses of its output, and where keys and values were gathered, they
/// again for the backward pass.
fn exchange_back(layer: &mut LayerBuilder, share: &Share, score: &Score) {
    let cp = u64::from(share.shard.cp);
    if cp == 1 {
        return;
    }
    let element = layer.element_bytes();
    let (forward, backward) = match share.shard.cp_exchange {
        CpExchange::Ring => return,
        CpExchange::AllGather => {
            let own = share.tokens * score.kv_heads * (score.dim_qk + score.dim_v) * element;
            (None, Some((CommOp::AllGather, cp * own)))
        }
        CpExchange::Ulysses => {
            let output = share.tokens * cp * score.heads * score.dim_v * element;
            let passed = Some((CommOp::AllToAll, output));
            (passed, passed)
        }
    };
    layer.exchange(Exchange {
        group: CommGroup::Context,
        forward,
        backward,
        overlappable: false,
    });
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::model::samples::{last_layer, moved};
    use crate::model::{CpExchange, LoweredLayer, Operator, Shard, lower};

    // GPT-OSS 20B: 4,096 tokens of 64 query and 8 key heads of 64. A kernel for each tensor reads and writes 2 bytes an element, 4
    // together; kernels of one operation move 24 forward and 28 backward, of which 10 take 257/118 as long.
    #[test]
    fn a_rotation_that_yarn_scales_costs_its_passes() {
        let lowered = |yarn: bool| last_layer("gpt-oss-20b", |shard| shard.fusion.yarn = yarn);
        let [fused, apart] = [true, false].map(lowered);
        let elements = f64::from(4096 * (64 + 8) * 64);
        let more = |of: fn(&LoweredLayer) -> &[Operator]| {
            (moved(of(&apart)) - moved(of(&fused))) as f64 / elements
        };
        let scattered = 10.0 * 257.0 / 118.0;
        let forward = more(|layer| &layer.forward);
        assert!((forward - (scattered + 14.0 - 4.0)).abs() < 1e-6);
        let backward = more(|layer| &layer.backward_input);
        assert!((backward - (scattered + 18.0 - 4.0)).abs() < 1e-6);
    }

    // Qwen3 30B: 4,096 tokens of 32 query and 4 key heads of 128, all of which are copied forward (4 bytes an element, 257/118 as
    // long), and whose gradients are put together. On 4 ranks a rank has one group of queries, which need no copy.
    #[test]
    fn slices_of_a_product_are_copied_for_attention() {
        let more = |tp: u32| {
            let lowered = |attention_inputs: bool| {
                last_layer("qwen3-30b-a3b", |shard| {
                    (shard.tp, shard.fusion.attention_inputs) = (tp, attention_inputs);
                })
            };
            let [there, apart] = [true, false].map(lowered);
            let head = f64::from(4096 * 128 * 4);
            let forward = moved(&apart.forward) - moved(&there.forward);
            let backward = moved(&apart.backward_input) - moved(&there.backward_input);
            [forward, backward].map(|bytes| bytes as f64 / head)
        };
        let near = |more: [f64; 2], expected: [f64; 2]| {
            let off = more.iter().zip(expected).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-4, "{more:?}");
        };
        let scattered = 257.0 / 118.0;
        near(more(1), [(32.0 + 4.0 + 4.0) * scattered, 32.0 + 2.0 * 4.0]);
        near(more(4), [(1.0 + 1.0) * scattered, 8.0 + 2.0]);
    }

    // Over four ranks a ring hands on four blocks of 2,048 tokens; a window of 4,096 lies in two of them. Gathered or by heads,
    // keys are there for one kernel.
    #[test]
    fn keys_come_in_as_many_blocks_as_ranks_hold_them() {
        let blocks = |model: &str, exchange| {
            let mut shard = Shard::whole(8192);
            (shard.cp, shard.cp_exchange) = (4, exchange);
            let lowered = lower(&Catalog::builtin().models[model], &shard);
            let of = |operator: &Operator| match operator {
                Operator::Attention { kv_blocks, .. } => Some(*kv_blocks),
                _ => None,
            };
            let all = lowered.layer_kinds.iter();
            let mut found: Vec<u64> = all
                .flat_map(|layer| layer.forward.iter().filter_map(of))
                .collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        assert_eq!(blocks("llama3-8b", CpExchange::Ring), [4]);
        assert_eq!(blocks("gemma2-9b", CpExchange::Ring), [2, 4]);
        assert_eq!(blocks("llama3-8b", CpExchange::AllGather), [1]);
        assert_eq!(blocks("llama3-8b", CpExchange::Ulysses), [1]);
    }
}

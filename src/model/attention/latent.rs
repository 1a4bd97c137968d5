//! Multi-head latent attention: projections and rotation.

use crate::model::attention::rotation::{rotary, scaled_rotary};
use crate::model::layer::{LayerBuilder, Linear, Passes};
use crate::model::residual::norm_passes;
use crate::model::share::Share;
use crate::model::tensor_parallel::{Gathered, enter, gather_again};
use crate::model::{Mla, Module};

/// Multi-head latent attention: compression, norm, expansion (arXiv 2405.04434 section 2.1).
/// The compressions are not sharded over tensor parallelism; what is gathered is the latent.
pub(in crate::model) fn latent_projections(layer: &mut LayerBuilder, share: &Share, mla: &Mla) {
    let heads = share.part(u64::from(share.network.heads));
    let (rope, nope) = (
        u64::from(mla.qk_rope_head_dim),
        u64::from(mla.qk_nope_head_dim),
    );
    let kv_rank = u64::from(mla.kv_lora_rank);
    let q_rank = mla.q_lora_rank.map_or(0, |rank| u64::from(rank.get()));
    let linear = |tokens, outputs, inputs| Linear {
        tokens,
        outputs,
        inputs,
        bias: false,
        low_precision: true,
    };
    let compressions =
        [q_rank, kv_rank + rope].map(|latent| linear(share.norm_tokens, latent, share.hidden));
    for compression in compressions {
        if compression.outputs > 0 {
            layer.linear(compression);
        }
    }
    layer.keep_normed_input(share.norm_tokens * share.hidden);
    let compressed = share.norm_tokens * (q_rank + kv_rank);
    let norm = |rank| share.network.norm_parameters(rank);
    let norms = norm(mla.kv_lora_rank) + mla.q_lora_rank.map_or(0, |rank| norm(rank.get()));
    layer.parameters(norms);
    if share.splits_tokens() {
        let compressed: u64 = compressions.map(Linear::parameters).iter().sum();
        layer.partial(compressed + norms);
    }
    norm_passes(layer, share, compressed);
    layer.keep(compressed * layer.element_bytes());
    // Queries that are not compressed take the stream itself. Each expansion gathers its input; the key that all heads share
    // is gathered by itself.
    let q_inputs = if mla.q_lora_rank.is_some() {
        q_rank
    } else {
        share.hidden
    };
    let shared_key = Gathered {
        width: rope,
        low_precision: false,
    };
    enter(layer, share, shared_key);
    layer.keep_linear_input(share.norm_tokens * (q_rank + kv_rank));
    layer.module(Module::LatentExpansion, |layer| {
        let expansions = [
            (heads * (nope + rope), q_inputs),
            (heads * (nope + u64::from(mla.v_head_dim)), kv_rank),
        ];
        for (outputs, inputs) in expansions {
            enter(layer, share, Gathered::of(inputs));
            layer.linear(linear(share.tokens, outputs, inputs));
            gather_again(layer, share, Gathered::of(inputs));
        }
        let parts = LatentHeads {
            rope: heads * rope,
            shared_rope: rope,
            keys: heads * nope,
            values: heads * u64::from(mla.v_head_dim),
        };
        rotate_latent(layer, share, &parts);
    });
}

/// Columns of what latent attention expands: of queries that are rotated, of the one key that all heads rotate, of the
/// keys that are not, and of values.
struct LatentHeads {
    rope: u64,
    shared_rope: u64,
    keys: u64,
    values: u64,
}

/// Rotation of queries in place, and of the key that all heads share, which is put beside the others: a kernel each
/// (`fused_apply_mla_rope_for_q` and `_for_kv` in megatron/core/fusions/fused_mla_yarn_rope_apply.py of NVIDIA/Megatron-LM).
///
/// As kernels of one operation those of [`scaled_rotary`], besides the columns that are brought from pairs into halves, and the
/// concatenations of queries and of keys, and a copy of values: 29 forward; backward the gradients of all slices: 25
/// (operators of `MLASelfAttention.get_query_key_value_tensors` of Megatron-Core 0.16.1 that are no views, counted by a dispatch
/// mode of PyTorch).
fn rotate_latent(layer: &mut LayerBuilder, share: &Share, heads: &LatentHeads) {
    let LatentHeads {
        rope,
        shared_rope,
        keys,
        values,
    } = *heads;
    let bytes = |columns: u64| share.tokens * columns * layer.element_bytes();
    let rotated = bytes(rope + shared_rope);
    let copied = 2 * bytes(2 * (keys + rope) + values);
    if !share.shard.fusion.elementwise {
        rotary(layer, share, rope + shared_rope);
        layer.operators(Passes {
            forward: (copied, 3),
            backward: (copied, 3),
        });
    } else if share.shard.fusion.latent_rotation {
        let expanded = bytes(keys + values + shared_rope);
        let passes = (2 * bytes(rope) + expanded + bytes(keys + rope + values), 2);
        layer.memory(Passes {
            forward: passes,
            backward: passes,
        });
    } else {
        scaled_rotary(layer, share.tokens * (rope + shared_rope));
        layer.operators(Passes {
            forward: (2 * rotated + copied, 2 + 3),
            backward: (7 * rotated + copied, 6 + 5),
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::model::samples::last_layer;
    use crate::model::{CommOp, Operator};

    // Counted in Megatron-Core: 29 operators forward and 25 backward where two fused kernels take the work of all.
    #[test]
    fn a_rotation_of_separate_kernels_calls_for_each() {
        let of = |latent_rotation| {
            let calls = last_layer("moonlight-16b-a3b", |shard| {
                shard.fusion.latent_rotation = latent_rotation;
            })
            .calls;
            let passes = [calls.forward, calls.backward_input].map(|pass| pass.fixed);
            passes.map(|calls| (calls.operators, calls.functions))
        };
        let (fused, apart) = (of(true), of(false));
        for (at, operators) in [29, 25].into_iter().enumerate() {
            assert_eq!(apart[at].0 - fused[at].0, operators);
            assert_eq!(fused[at].1 - apart[at].1, 2);
        }
    }

    // A token of Moonlight, 16 heads of 128 and 64 rotated columns, values of 128: queries are rotated in place, 2·16·64 columns
    // read and written; keys and values, 16·256, and the shared key, 64, are read, and 16·(192 + 128) written: 11,328 of 2 bytes.
    #[test]
    fn a_fused_rotation_moves_what_it_rotates_and_puts_together() {
        let layer = last_layer("moonlight-16b-a3b", |_| {});
        let rotated = 4096 * 2 * (2 * 16 * 64 + 16 * 256 + 64 + 16 * (192 + 128));
        let is_rotation = |operator: &&Operator| matches!(operator, Operator::Memory { bytes, .. } if bytes.get() == rotated);
        assert_eq!(rotated, 4096 * 2 * 11_328);
        assert_eq!(layer.forward.iter().filter(is_rotation).count(), 1);
        let back = layer.backward_input.iter().filter(is_rotation).count();
        assert_eq!(back, 1);
    }

    // Two ranks gather the shared key, what queries are expanded from, and the latent: the stream itself where queries are
    // not compressed (Moonlight: 64, 2,048 and 512 columns of 4,096 tokens), their own latent otherwise (DeepSeek-V3: 64, 1,536
    // and 512). Their gradients are scattered, and two of them gathered again for weights.
    #[test]
    fn each_expansion_gathers_its_input() {
        for (model, queries) in [("moonlight-16b-a3b", 2048), ("deepseek-v3", 1536)] {
            let layer = last_layer(model, |shard| {
                (shard.tp, shard.sequence_parallel) = (2, true);
            });
            let of = |operators: &[Operator], wanted: CommOp, widths: &[u64]| {
                let all = operators.iter().filter(|operator| {
                    matches!(operator, Operator::Comm { op, bytes, .. }
                        if *op == wanted && widths.iter().any(|width| bytes.get() == 4096 * 2 * width))
                });
                all.count()
            };
            let gathered = of(&layer.forward, CommOp::AllGather, &[64, 512]);
            assert_eq!(gathered, 2, "{model}");
            assert!(
                of(&layer.forward, CommOp::AllGather, &[queries]) >= 1,
                "{model}"
            );
            let scattered = of(&layer.backward_input, CommOp::ReduceScatter, &[64, 512]);
            assert_eq!(scattered, 2, "{model}");
            let again = of(&layer.backward_input, CommOp::AllGather, &[64, 512]);
            assert_eq!(again, 1, "{model}");
        }
    }

    // DeepSeek-V3 compresses queries and keys by a product each, Moonlight keys alone.
    #[test]
    fn each_compression_is_a_product() {
        let modules = |model: &str| last_layer(model, |_| {}).calls.forward.fixed.modules;
        assert_eq!(modules("deepseek-v3"), modules("moonlight-16b-a3b") + 1);
    }
}

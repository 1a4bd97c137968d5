//! Lowering: from a model and a sharding to the operators that one rank executes.
//!
//! [`lower`] is a pure function. It gives the distinct layers and their order, so that a model of 126
//! equal layers is costed once. Lists are in order of execution; the
//! backward lists already run from the last operator to the first.

use crate::model::lowered::{LoweredModel, Shard};
use crate::model::{Architecture, Model, cnn, transformer};

/// Lowers a model for one rank.
///
/// Work that does not divide evenly is rounded up; the caller checks whether a sharding is allowed.
///
/// # Panics
/// If a size of the shard is zero.
pub(crate) fn lower(model: &Model, shard: &Shard) -> LoweredModel {
    assert!(
        shard.tp > 0 && shard.cp > 0 && shard.ep > 0 && shard.etp > 0 && shard.micro_batch > 0,
        "group sizes and microbatch are at least 1: {shard:?}"
    );
    match &model.architecture {
        Architecture::Transformer(network) => transformer::lower(network, shard),
        Architecture::Cnn(network) => cnn::lower(network, shard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CpExchange;
    use crate::model::samples::moved;
    use std::num::NonZeroU32;

    use crate::model::{
        Cnn, CommGroup, CommOp, Ends, ExpertDispatch, ExpertImbalance, Family, Format, Fusion,
        LogitBytes, LossParts, LoweredLayer, Mixture, Mla, Mlp, Module, Modules, Norm, Operator,
        Parts, Transformer,
    };
    use crate::units::Bytes;

    /// GPT-3 175B.
    fn gpt3() -> Transformer {
        Transformer {
            ends: Ends::Decoder,
            vision: None,
            state: None,
            pattern: None,
            layers: 96,
            hidden: 12288,
            ffn_hidden: 4 * 12288,
            heads: 96,
            kv_heads: 96,
            head_dim: 128,
            vocab: 51200,
            seq_len: 2048,
            mlp: Mlp::Gelu,
            norm: Norm::LayerNorm,
            biases: true,
            qkv_biases: false,
            qk_norm: false,
            post_norms: false,
            attention_gate: false,
            sinks: false,
            clamped_activation: false,
            yarn: false,
            alibi: false,
            embedding_norm: false,
            tied_embeddings: true,
            learned_positions: 2048,
            mtp_layers: 0,
            sliding_window: None,
            mla: None,
            moe: None,
        }
    }

    fn llama3_8b() -> Transformer {
        Transformer {
            layers: 32,
            hidden: 4096,
            ffn_hidden: 14336,
            heads: 32,
            kv_heads: 8,
            vocab: 128_256,
            mlp: Mlp::SwiGlu,
            norm: Norm::RmsNorm,
            biases: false,
            tied_embeddings: false,
            learned_positions: 0,
            ..gpt3()
        }
    }

    /// DeepSeek-V3.
    fn deepseek() -> Transformer {
        Transformer {
            layers: 61,
            hidden: 7168,
            ffn_hidden: 18432,
            heads: 128,
            kv_heads: 128,
            head_dim: 192,
            vocab: 129_280,
            mtp_layers: 1,
            mla: Some(Mla {
                q_lora_rank: NonZeroU32::new(1536),
                kv_lora_rank: 512,
                qk_nope_head_dim: 128,
                qk_rope_head_dim: 64,
                v_head_dim: 128,
                index_heads: 0,
                index_head_dim: 128,
                index_top_k: 2048,
            }),
            moe: Some(Mixture {
                experts: 256,
                experts_per_token: 8,
                expert_ffn_hidden: 2048,
                shared_experts: 1,
                shared_ffn_hidden: 2048,
                dense_layers: 3,
                moe_every: 1,
                latent_hidden: None,
                capacity_factor: None,
                node_limit: NonZeroU32::new(4),
                sigmoid_router: true,
            }),
            ..llama3_8b()
        }
    }

    fn bert_large() -> Transformer {
        Transformer {
            ends: Ends::Encoder,
            layers: 24,
            hidden: 1024,
            ffn_hidden: 4096,
            heads: 16,
            kv_heads: 16,
            head_dim: 64,
            vocab: 30522,
            alibi: false,
            embedding_norm: true,
            learned_positions: 512,
            ..gpt3()
        }
    }

    fn model(family: Family, network: Transformer) -> Model {
        Model {
            name: "test".to_owned(),
            title: "test".to_owned(),
            family,
            architecture: Architecture::Transformer(Box::new(network)),
        }
    }

    fn shard() -> Shard {
        Shard {
            tp: 1,
            cp: 1,
            cp_exchange: CpExchange::Ring,
            ep: 1,
            etp: 1,
            sequence_parallel: false,
            micro_batch: 1,
            seq_len: 2048,
            documents: 1,
            format: Format {
                element_bytes: 2,
                tensor_cores: true,
                low_precision: false,
                attention_bytes: 2,
                shares_amax: false,
                block_scales: false,
            },
            flash_attention: false,
            expert_dispatch: ExpertDispatch::HybridEp,
            expert_imbalance: ExpertImbalance::BALANCED,
            random_routing: false,
            fusion: Fusion {
                cross_entropy: false,
                router: false,
                ..Fusion::ALL
            },
            logit_bytes: LogitBytes {
                kept: 10,
                transient: 2,
            },
            loss_parts: LossParts::Whole,
            masked_head: false,
            dropout: true,
            lora_rank: 0,
            frozen: Parts::default(),
            recomputed: Modules::of(&[Module::CoreAttention]),
        }
    }

    /// With flash attention, a fused loss and no dropout.
    fn flash() -> Shard {
        Shard {
            flash_attention: true,
            fusion: Fusion {
                cross_entropy: true,
                ..shard().fusion
            },
            dropout: false,
            ..shard()
        }
    }

    fn first_layer(network: Transformer, shard: &Shard) -> LoweredLayer {
        lower(&model(Family::Decoder, network), shard)
            .layer_kinds
            .remove(0)
    }

    fn flops(operators: &[Operator]) -> f64 {
        operators
            .iter()
            .map(|operator| operator.flops().get())
            .sum()
    }

    // arXiv 2104.04473, appendix: a layer's forward pass is 24bsh² + 4bs²h = 24bsh²(1 + s/6h), its
    // backward pass twice that. b = 1, s = 2048, h = 12288: 24·2048·12288²·(1 + 2048/73728).
    #[test]
    fn an_unfused_gpt3_layer_has_the_published_flops() {
        let layer = first_layer(gpt3(), &shard());
        let forward = 24.0 * 2048.0 * 12288.0_f64.powi(2) * (1.0 + 2048.0 / (6.0 * 12288.0));
        assert!((flops(&layer.forward) / forward - 1.0).abs() < 1e-12);
        let backward = flops(&layer.backward_input) + flops(&layer.backward_weight);
        assert!((backward / (2.0 * forward) - 1.0).abs() < 1e-12);
    }

    // ALiBi writes a row of distances for each query and has it read by the product: 2 · 96 · 2048² numbers of 2 bytes,
    // forward alone, and not where the kernel computes the distances itself.
    #[test]
    fn alibi_moves_the_scores_twice_more_in_the_forward_pass() {
        let with = |alibi| Transformer { alibi, ..gpt3() };
        for (shard, more) in [(shard(), 2 * 96 * 2048 * 2048 * 2), (flash(), 0)] {
            let [without, added] = [false, true].map(|alibi| first_layer(with(alibi), &shard));
            assert_eq!(moved(&added.forward), moved(&without.forward) + more);
            assert_eq!(moved(&added.backward_input), moved(&without.backward_input));
        }
    }

    // Half of the score matrix is masked: 24bsh²(1 + s/12h), however the kernel computes it.
    #[test]
    fn model_flops_count_causal_attention_once() {
        let once = 24.0 * 2048.0 * 12288.0_f64.powi(2) * (1.0 + 2048.0 / (12.0 * 12288.0));
        for shard in [shard(), flash()] {
            let layer = first_layer(gpt3(), &shard);
            assert!((layer.model_flops_forward.get() / once - 1.0).abs() < 1e-12);
        }
    }

    // arXiv 2205.05198, equation 1: sbh(34 + 5as/h) bytes; selective recomputation leaves 34sbh,
    // full recomputation 2sbh. b = 4.
    #[test]
    fn an_unfused_gpt3_layer_keeps_the_published_bytes() {
        let kept = first_layer(
            gpt3(),
            &Shard {
                micro_batch: 4,
                ..shard()
            },
        )
        .kept;
        let sbh = 2048 * 4 * 12288_u64;
        assert_eq!(kept.none, Bytes::new(sbh * 34 + 5 * 96 * 2048 * 2048 * 4));
        assert_eq!(kept.selective, Bytes::new(sbh * 34));
        assert_eq!(kept.full, Bytes::new(sbh * 2));
    }

    // Table 2 there: tensor parallelism alone keeps sbh(10 + 24/t + 5as/ht), with sequence
    // parallelism everything is divided by t.
    #[test]
    fn tensor_and_sequence_parallelism_keep_the_published_bytes() {
        let sbh = 2048 * 12288_u64;
        let scores = 5 * 96 * 2048 * 2048_u64;
        let tensor = first_layer(gpt3(), &Shard { tp: 8, ..shard() }).kept;
        assert_eq!(
            tensor.none,
            Bytes::new(sbh * 10 + sbh * 24 / 8 + scores / 8)
        );
        let both = Shard {
            tp: 8,
            sequence_parallel: true,
            ..shard()
        };
        assert_eq!(
            first_layer(gpt3(), &both).kept.none,
            Bytes::new((sbh * 34 + scores) / 8)
        );
    }

    // Llama 3 8B with fused attention, s = 2048, h = 4096: norm inputs 4sh, inputs of the products
    // 4sh, queries 2sh, keys and values 4s·1024, output 2sh, gate and up 4s·14336, down's input
    // 2s·14336; the row sums 4·32·s belong to the core.
    #[test]
    fn a_llama_layer_keeps_no_score_matrix() {
        let kept = first_layer(llama3_8b(), &flash()).kept;
        let layer = 2048 * (12 * 4096 + 4 * 1024 + 6 * 14336_u64);
        assert_eq!(kept.selective, Bytes::new(layer));
        assert_eq!(kept.none, Bytes::new(layer + 4 * 32 * 2048));
    }

    // The same layer: input 2sh and attention output 2sh, and half of what the products put out in 2 bytes each:
    // 4096 + 2·1024 for queries, keys and values, 4096, 2·14336 and 4096.
    #[test]
    fn a_layer_whose_operations_are_recomputed_keeps_every_other_product() {
        let kept = first_layer(llama3_8b(), &flash()).kept;
        let products = 3 * 4096 + 2 * 1024 + 2 * 14336_u64;
        assert_eq!(kept.operations, Bytes::new(2048 * (4 * 4096 + products)));
    }

    // Per token: each of two norms keeps its input in 4 bytes and the normalised one in 2, instead of the input in 2;
    // the activated gate is 2·14336 more; keys and values of 8 heads become those of 32: 2·2·(32 − 8)·128 more.
    #[test]
    fn kernels_of_their_own_keep_more() {
        let kept = |fusion| {
            let sharded = Shard { fusion, ..flash() };
            first_layer(llama3_8b(), &sharded).kept.none.get()
        };
        let fused = flash().fusion;
        let separate = Fusion {
            gated_activation: false,
            norm: false,
            grouped_attention: false,
            ..fused
        };
        let more = 2 * 4 * 4096 + 2 * 14336 + 4 * 24 * 128;
        assert_eq!(kept(separate) - kept(fused), 2048 * more);
    }

    // Every weight is lowered somewhere: on one rank the layers hold what the architecture counts.
    #[test]
    fn an_unsharded_rank_holds_every_parameter() {
        let cases = [
            (Family::Decoder, gpt3()),
            (Family::Decoder, llama3_8b()),
            (Family::Moe, deepseek()),
            (Family::Encoder, bert_large()),
        ];
        let resnet = Model {
            architecture: Architecture::Cnn(Cnn {
                blocks: [3, 4, 6, 3],
                image_size: 224,
                classes: 1000,
            }),
            ..model(Family::Cnn, gpt3())
        };
        let models = cases.map(|(family, network)| model(family, network));
        for model in models.iter().chain([&resnet]) {
            let lowered = lower(model, &shard());
            let mtp = lowered
                .mtp
                .iter()
                .map(|layer| layer.parameters.dense + layer.parameters.expert);
            let layers = lowered
                .sequence
                .iter()
                .map(|&at| lowered.layer_kinds[usize::from(at)].parameters);
            let held = layers
                .chain([lowered.embedding.parameters, lowered.head.parameters])
                .map(|parameters| parameters.dense + parameters.expert)
                .chain(mtp)
                .sum::<u64>();
            assert_eq!(held, model.parameters().total(), "{:?}", model.family);
        }
    }

    // DeepSeek-V3 over 8 tensor-parallel ranks with tokens of their own: norms of 2·7168, the compressions of 7168 to
    // 1536 + 512 + 64 with norms of 1536 and 512, and the router's 7168·256 are on each of them. On one rank none is.
    #[test]
    fn what_ranks_hold_whole_and_run_on_their_own_tokens_has_partial_gradients() {
        let split = Shard {
            tp: 8,
            sequence_parallel: true,
            ..flash()
        };
        let partial = |shard| {
            let lowered = lower(&model(Family::Moe, deepseek()), shard);
            lowered.layer_kinds[1].parameters.partial
        };
        let compressed = 7168 * (1536 + 512 + 64) + 1536 + 512;
        assert_eq!(partial(&split), 2 * 7168 + compressed + 7168 * 256);
        assert_eq!(partial(&flash()), 0);
    }

    // 256 experts over 8 ranks: 32 each of 3·7168·2048 weights. Each of 8 ranks sends 2048·8 rows
    // to 256 experts, 64 each, so 512 rows come to an expert.
    #[test]
    fn experts_are_shared_out_and_their_tokens_exchanged() {
        let sharded = Shard { ep: 8, ..flash() };
        let lowered = lower(&model(Family::Moe, deepseek()), &sharded);
        assert_eq!(lowered.sequence[2..4], [0, 1]);
        let layer = &lowered.layer_kinds[1];
        assert_eq!(layer.parameters.expert, 32 * 3 * 7168 * 2048);
        let grouped = Operator::GroupedGemm {
            groups: 32,
            m: 512,
            n: 4096,
            k: 7168,
            over_tokens: false,
            ragged: true,
        };
        assert!(layer.forward.contains(&grouped), "{:?}", layer.forward);
        let exchange = Operator::Comm {
            op: CommOp::AllToAll,
            group: CommGroup::Expert,
            bytes: Bytes::new(2048 * 8 * 7168 * 2),
            overlappable: false,
        };
        for pass in [&layer.forward, &layer.backward_input] {
            assert_eq!(
                pass.iter()
                    .filter(|operator| **operator == exchange)
                    .count(),
                2
            );
        }
    }

    // Selective recomputation of DeepSeek-V3 drops what is cheap to have again: expanded queries and
    // keys of 192 and values of 128 for 128 heads, and the input of the experts' second product,
    // 8 rows of 2048 per token, in 16 bits. The fused attention itself is not repeated.
    #[test]
    fn latent_attention_and_experts_recompute_expansions_and_activations() {
        let sharded = Shard {
            recomputed: Modules::of(&[Module::LatentExpansion, Module::MoeActivation]),
            ..flash()
        };
        let lowered = lower(&model(Family::Moe, deepseek()), &sharded);
        let layer = &lowered.layer_kinds[1];
        let dropped = 2 * 2048 * (128 * (192 + 192 + 128) + 8 * 2048);
        assert_eq!(layer.kept.none, layer.kept.selective + Bytes::new(dropped));
        let expansion = Operator::Gemm {
            batch: 1,
            m: 2048,
            n: 128 * 192,
            k: 1536,
            low_precision: false,
        };
        assert!(layer.selective.contains(&expansion));
        let attention = |operator: &Operator| matches!(operator, Operator::Attention { .. });
        assert!(!layer.selective.iter().any(attention));
    }

    // GPT-3, 2,048 tokens in 2 bytes: what is left are the outputs of its matrix products and the sums of the stream. Gone are the
    // input of the last product, 49,152 wide, those behind two norms, 12,288 each, and of the fused attention 4 bytes of
    // 96 heads.
    #[test]
    fn attention_norms_and_activation_repeated_leave_outputs_of_products() {
        let minimal = Modules::of(&[
            Module::CoreAttention,
            Module::LayerNorm,
            Module::MlpActivation,
        ]);
        let layer = first_layer(
            gpt3(),
            &Shard {
                recomputed: minimal,
                ..flash()
            },
        );
        let dropped = 2048 * (2 * (49_152 + 2 * 12_288) + 4 * 96);
        assert_eq!(layer.kept.none, layer.kept.selective + Bytes::new(dropped));
        let product = |operator: &Operator| matches!(operator, Operator::Gemm { .. });
        assert!(!layer.selective.iter().any(product));
    }

    // Gradients of the 49,152 inputs of an activation, and of as many outputs, in 2 bytes: in place the former take no room.
    // With a gate there are two inputs of 49,152.
    #[test]
    fn gradients_in_place_take_no_room_beside_inputs_of_an_activation() {
        let transient = |mlp: Mlp, in_place_gradients: bool| {
            let network = Transformer { mlp, ..gpt3() };
            let fusion = Fusion {
                in_place_gradients,
                ..flash().fusion
            };
            let shard = Shard { fusion, ..flash() };
            first_layer(network, &shard).kept.transient.get()
        };
        for (mlp, inputs) in [(Mlp::Gelu, 1), (Mlp::SwiGlu, 2)] {
            let beside = transient(mlp, false) - transient(mlp, true);
            assert_eq!(beside, inputs * 2 * 2048 * 49_152, "{mlp}");
        }
    }

    // ResNet-50 at 224 pixels: 4.1 · 10⁹ multiply-adds forward (arXiv 1512.03385, table 1, gives 3.8
    // with strides in the 1×1 convolutions), three times that for a step less the stem's input.
    #[test]
    fn resnet50_has_the_published_flops() {
        let cnn = Cnn {
            blocks: [3, 4, 6, 3],
            image_size: 224,
            classes: 1000,
        };
        let model = Model {
            architecture: Architecture::Cnn(cnn),
            ..model(Family::Cnn, gpt3())
        };
        let lowered = lower(&model, &shard());
        let layers = lowered
            .sequence
            .iter()
            .map(|&at| &lowered.layer_kinds[usize::from(at)]);
        let forward: f64 = layers
            .chain([&lowered.embedding, &lowered.head])
            .map(|layer| layer.model_flops_forward.get())
            .sum();
        assert!((forward / 2.0 / 4.1e9 - 1.0).abs() < 0.01, "{forward}");
    }

    // Sequence parallelism: gather before, scatter behind each of two blocks; backward the same
    // turned around, and each input gathered once more.
    #[test]
    fn sequence_parallelism_gathers_and_scatters_around_each_block() {
        let both = Shard {
            tp: 8,
            sequence_parallel: true,
            ..shard()
        };
        let layer = first_layer(gpt3(), &both);
        let count = |pass: &[Operator], wanted: CommOp| {
            pass.iter()
                .filter(|operator| matches!(operator, Operator::Comm { op, .. } if *op == wanted))
                .count()
        };
        assert_eq!(count(&layer.forward, CommOp::AllGather), 2);
        assert_eq!(count(&layer.forward, CommOp::ReduceScatter), 2);
        assert_eq!(count(&layer.backward_input, CommOp::AllGather), 4);
        assert_eq!(count(&layer.backward_input, CommOp::ReduceScatter), 2);
    }
}

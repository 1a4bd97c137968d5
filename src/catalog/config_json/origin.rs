//! The keys of a config.json that keys of a model table are read from.

/// Keys of a config that a key of a model table is read from, of whichever class; none where no single key gives it.
pub(crate) fn config_keys(key: &str) -> &'static [&'static str] {
    let origins = ORIGINS.iter().find(|(of, _)| *of == key);
    origins.map_or(&[], |(_, keys)| keys)
}

const ORIGINS: &[(&str, &[&str])] = &[
    ("layers", &["num_hidden_layers", "n_layer", "num_layers"]),
    ("hidden", &["hidden_size", "n_embd", "n_embed", "d_model"]),
    ("heads", &["num_attention_heads", "n_head", "num_heads"]),
    ("kv_heads", &["num_key_value_heads"]),
    ("head_dim", &["head_dim", "d_kv", "attention_head_dim"]),
    (
        "ffn_hidden",
        &[
            "intermediate_size_mlp",
            "intermediate_size",
            "ffn_dim",
            "d_ff",
            "n_inner",
        ],
    ),
    ("vocab", &["vocab_size"]),
    (
        "experts",
        &["n_routed_experts", "num_local_experts", "num_experts"],
    ),
    ("experts_per_token", &["num_experts_per_tok"]),
    ("expert_ffn_hidden", &["moe_intermediate_size"]),
    ("shared_experts", &["n_shared_experts"]),
    ("dense_layers", &["first_k_dense_replace"]),
    (
        "sliding_window",
        &["sliding_window", "attention_chunk_size"],
    ),
    ("window_pattern", &["layer_types", "sliding_window_pattern"]),
    (
        "pattern",
        &[
            "hybrid_override_pattern",
            "layers_block_type",
            "layer_types",
        ],
    ),
    (
        "state_heads",
        &["mamba_num_heads", "linear_num_value_heads"],
    ),
    ("state_groups", &["n_groups", "linear_num_key_heads"]),
    (
        "state_size",
        &["ssm_state_size", "mamba_d_state", "linear_key_head_dim"],
    ),
    ("blocks", &["depths"]),
    ("image_size", &["image_size", "sample_size"]),
    ("patch_size", &["patch_size"]),
];

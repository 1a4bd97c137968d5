//! The files of `data/`, built into the program.

use super::Kind;

/// One file of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub(super) kind: Kind,
    /// File name without `.toml`: the name of the entry.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! files {
    ($( $kind:ident $folder:literal: $( $name:literal )* ; )*) => {
        &[ $( $( File {
            kind: Kind::$kind,
            name: $name,
            text: include_str!(concat!("../../data/", $folder, "/", $name, ".toml")),
        }, )* )* ]
    };
}

/// Every file. A test holds the list against the folders.
pub(super) const FILES: &[File] = files! {
    Clusters "clusters":
        "a6000-node"
        "aws-p3dn"
        "aws-p4d"
        "aws-p5"
        "aws-p5en"
        "aws-p6-b200"
        "aws-p6-b300"
        "dgx-1"
        "dgx-2"
        "dgx-a100"
        "dgx-b200"
        "dgx-b300"
        "dgx-h100"
        "dgx-h200"
        "gb200-nvl72"
        "gb300-nvl72"
        "gcp-a3-mega"
        "hgx-a100-pcie"
        "hgx-h100-pcie"
        "hgx-h800"
        "l40s-node"
        "mi250x-node"
        "mi300x-node"
        "mi325x-node"
        "mi355x-node"
        "plain-100g"
        "polaris"
        "tpu-v5p-pod"
    ;
    Gpus "gpus":
        "a100-40gb-sxm"
        "a100-80gb-pcie"
        "a100-80gb-sxm"
        "b200"
        "b300"
        "gb200"
        "gb300"
        "h100-pcie"
        "h100-sxm"
        "h200-sxm"
        "h800"
        "l40s"
        "mi250x"
        "mi300x"
        "mi325x"
        "mi355x"
        "rtx-a6000"
        "tpu-v5p"
        "v100-16gb-sxm"
        "v100-32gb-sxm"
    ;
    Models "models":
        "bert-base"
        "bert-large"
        "bloom-176b"
        "deepseek-v2"
        "deepseek-v2-lite"
        "deepseek-v3"
        "deepseek-v3-16b"
        "gpt-1.7b"
        "gpt-1008b"
        "gpt-145.6b"
        "gpt-18.4b"
        "gpt-3.6b"
        "gpt-310.1b"
        "gpt-39.1b"
        "gpt-529.6b"
        "gpt-7.5b"
        "gpt-76.1b"
        "gpt-oss-120b"
        "gpt-oss-20b"
        "gpt2-large"
        "gpt2-medium"
        "gpt2-small"
        "gpt2-xl"
        "gpt3-1.3b"
        "gpt3-13b"
        "gpt3-175b"
        "gpt3-6.7b"
        "grok-1"
        "internlm-7b"
        "kimi-k2"
        "llama2-13b"
        "llama2-70b"
        "llama2-7b"
        "llama3-70b"
        "llama3-8b"
        "llama3.1-405b"
        "mixtral-8x22b"
        "mixtral-8x7b"
        "moonlight-16b-a3b"
        "mpt-125m"
        "mpt-13b"
        "mpt-1b"
        "mpt-30b"
        "mpt-350m"
        "mpt-3b"
        "mpt-70b"
        "mpt-760m"
        "mpt-7b"
        "mt-nlg-530b"
        "nemotron-4-15b"
        "nemotron-4-340b"
        "opt-175b"
        "qwen3-235b-a22b"
        "qwen3-30b-a3b"
        "resnet101"
        "resnet152"
        "resnet50"
    ;
    Stacks "stacks":
        "atorch-fsdp"
        "current"
        "ddp-2021"
        "deepspeed-2021"
        "fsdp-2023"
        "fsdp-2024"
        "fsdp-eager"
        "horovod-2020"
        "jax-2023"
        "megatron-2021"
        "megatron-2023"
        "megatron-2025"
        "megatron-bridge"
        "megatron-deepspeed"
        "mxnet-2020"
        "tensorflow-2019"
        "torchtitan"
        "torchtune"
    ;
};

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
        "h100-sxm"
    ;
    Models "models":
        "llama3-8b"
    ;
    Stacks "stacks":
        "current"
        "ddp-2021"
        "deepspeed-2021"
        "fsdp-2023"
        "fsdp-2024"
        "horovod-2020"
        "jax-2023"
        "megatron-2021"
        "megatron-2023"
        "megatron-2025"
        "megatron-deepspeed"
        "mxnet-2020"
        "tensorflow-2019"
    ;
};

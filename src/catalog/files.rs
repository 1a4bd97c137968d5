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
        "dgx-h100"
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

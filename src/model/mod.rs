//! Neural networks: layers, operators, FLOPs, bytes and parameters.

mod architecture;
mod attention;
mod block;
mod cnn;
mod ends;
mod fusion;
mod layer;
mod lower;
mod lowered;
mod mlp;
mod moe;
mod operator;
mod parameters;
mod residual;
mod share;
mod tensor_parallel;
mod transformer;

pub use architecture::Model;
pub(crate) use architecture::{
    Architecture, AttentionKind, Cnn, Family, Mla, Mlp, Moe, Norm, Transformer,
};
pub(crate) use fusion::Fusion;
pub(crate) use lower::lower;
pub(crate) use lowered::{Format, Kept, LogitBytes, LoweredLayer, Shard, ShardParameters};
pub(crate) use operator::{CommGroup, CommOp, Operator};

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
mod summary;
mod tensor_parallel;
mod transformer;
mod window;

pub use architecture::Model;
pub(crate) use architecture::{
    Architecture, AttentionKind, Cnn, Family, Mixture, Mla, Mlp, Norm, Transformer,
};
pub(crate) use fusion::Fusion;
pub(crate) use lower::lower;
pub(crate) use lowered::{Format, Kept, LogitBytes, LoweredLayer, Shard, ShardParameters};
pub(crate) use operator::{CommGroup, CommOp, Operator};

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

pub use architecture::{
    Architecture, AttentionKind, Cnn, Family, Mla, Mlp, Model, Moe, Norm, SlidingWindow,
    Transformer,
};
pub use fusion::Fusion;
pub use lower::lower;
pub use lowered::{
    ContextExchange, Format, Kept, LogitBytes, LoweredLayer, LoweredModel, Shard, ShardParameters,
};
pub use operator::{CommGroup, CommOp, Operator};
pub use parameters::{LayerParameters, Parameters};

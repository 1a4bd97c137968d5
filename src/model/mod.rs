//! Neural networks: layers, operators, FLOPs, bytes and parameters.

mod architecture;
mod attention;
mod block;
mod calls;
mod cnn;
mod dispatch;
mod encoder_decoder;
mod ends;
mod fusion;
mod gradients;
mod hybrid;
mod image;
mod layer;
mod lower;
mod lowered;
mod mlp;
mod modulation;
mod module;
mod moe;
mod operator;
mod parameters;
mod projector;
mod residual;
#[cfg(test)]
mod samples;
mod share;
mod state;
mod summary;
mod tensor_parallel;
mod transformer;
mod vision;
mod window;

pub use architecture::Model;
pub(crate) use architecture::{
    Architecture, AttentionKind, Cnn, Ends, Family, Mixture, Mla, Mlp, Norm, Transformer, Vision,
};
pub(crate) use calls::{Calls, PassCalls};
pub use dispatch::{ExpertDispatch, ExpertImbalance};
pub(crate) use dispatch::{TokenLibrary, places_met};
pub(crate) use encoder_decoder::EncoderDecoder;
pub(crate) use fusion::{ExpertOutputs, Fusion, ImageFormats};
pub(crate) use gradients::Gradients;
pub(crate) use hybrid::{Letter, Recurrence};
pub(crate) use image::{Diffusion, Patches};
pub(crate) use lower::lower;
pub use lowered::CpExchange;
#[cfg(test)]
pub(crate) use lowered::LoweredModel;
pub(crate) use lowered::{
    Format, Kept, LogitBytes, LossParts, LoweredLayer, Shard, ShardParameters,
};
pub(crate) use module::{Module, Modules};
pub(crate) use operator::{CommGroup, CommOp, Operator};
pub(crate) use vision::{Part, Parts, Projector, SampleImages};

//! Layers of presets, and what their kernels move, for the tests of these rooms.

use crate::catalog::Catalog;
use crate::model::{LoweredLayer, Operator, Shard, lower};

/// The last kind of layer of a preset, on a rank that holds it whole, after a change of its sharding.
pub(crate) fn last_layer(model: &str, change: impl FnOnce(&mut Shard)) -> LoweredLayer {
    let mut shard = Shard::whole(4096);
    change(&mut shard);
    let mut lowered = lower(&Catalog::builtin().models[model], &shard);
    lowered.layer_kinds.pop().expect("a model has layers")
}

/// Bytes that kernels bound by memory move.
pub(crate) fn moved(operators: &[Operator]) -> u64 {
    let bytes = operators.iter().map(|operator| match operator {
        Operator::Memory { bytes, .. } => bytes.get(),
        _ => 0,
    });
    bytes.sum()
}

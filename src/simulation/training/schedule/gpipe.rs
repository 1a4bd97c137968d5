//! All forward passes, then all backward passes (arXiv 1811.06965).

use super::slot::{Pass, PipelineSize, Slot};

pub(super) fn order(pipeline: PipelineSize, slots: &mut Vec<Slot>) {
    let pass = |pass| move |microbatch| Slot::of(pass, microbatch, 0);
    slots.extend((0..pipeline.microbatches).map(pass(Pass::Forward)));
    slots.extend((0..pipeline.microbatches).map(pass(Pass::Backward)));
}

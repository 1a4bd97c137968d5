//! Layouts of a job on several types of GPU that are the same but for what each type has of its own.

use crate::simulation::Layout;

/// Whether a job is laid out alike: each type calls the attention kernel that it has, and takes the microbatches that it is
/// dealt.
pub(super) fn alike(one: &Layout, other: &Layout) -> bool {
    let of_type = Layout {
        attention: other.attention,
        microbatches: other.microbatches,
        ..one.clone()
    };
    of_type == *other
}

//! Lower bounds on a step, cheapest first: groups ≤ stages ≤ close ≤ the walk over all passes ≤ the played step.

pub(super) mod close;
pub(super) mod floor;
pub(super) mod group;
pub(super) mod stage;

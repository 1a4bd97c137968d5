//! State that one worker keeps from point to point.

use crate::collective::Network;
use crate::hardware::Cluster;
use crate::memo::{ByAddress, Memo};
use crate::simulation::training::Shared;

/// Networks that are cached; a study walks through few at a time and asks each for many sizes.
const MOST_NETWORKS: usize = 64;

/// State that the points of one thread share: networks, prices, kernel times, the memory of the engine. It
/// changes the time of a simulation, never its result.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(super) training: Shared,
    /// Networks of collective studies, by cluster and GPUs.
    pub(super) networks: Memo<(ByAddress<Cluster>, u32), Network, MOST_NETWORKS>,
}

impl Scratch {
    /// Lets the next training step, with the search for its layout, take no more events than this: one that takes more is
    /// infeasible. A collective is one event.
    pub fn limit_events(&mut self, most: Option<u64>) {
        self.training.limit_events(most);
    }
}

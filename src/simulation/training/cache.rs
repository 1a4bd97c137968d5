//! State that the training points of one thread share.

use std::sync::Arc;

use crate::hardware::{Cluster, Gpu};
use crate::memo::{ByAddress, Memo};
use crate::model::Model;
use crate::simulation::training::bounds::stage::Middles;
use crate::simulation::training::effort::Effort;
use crate::simulation::training::pricing::Pricing;
use crate::simulation::training::schedule::StaticOrders;
use crate::simulation::training::timeline::Timeline;
use crate::simulation::training::work::WorkSource;
use crate::simulation::{Infeasible, TrainingScenario};
use crate::stack::Stack;
use crate::units::Bytes;

/// Models on GPUs, and networks, that are cached; a sweep walks through few at a time.
const MOST_JOBS: usize = 64;

/// More memory than any layout takes.
const ROOM: Bytes = Bytes::new(1 << 60);

type KernelsKey = (ByAddress<Gpu>, ByAddress<Model>, ByAddress<Stack>);

/// Kernel times of a model under a sharding, prices of collectives, and the memory of the engine.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation) struct Shared {
    sources: Memo<KernelsKey, WorkSource, MOST_JOBS>,
    pricings: Memo<(ByAddress<Cluster>, u32), Pricing, MOST_JOBS>,
    timeline: Timeline,
    orders: Orders,
    /// GPUs as if memory were no matter, by those that have some.
    roomy: Memo<ByAddress<Gpu>, Arc<Gpu>, MOST_JOBS>,
    /// The state of steps that are dealt to several types of GPU while a search holds this one.
    dealing: Option<Box<Self>>,
}

/// Orders of pipelines, whatever the job.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    pub(super) passes: StaticOrders,
    pub(super) middles: Middles,
}

/// Caches and buffers that one simulation needs.
pub(super) struct Served<'a> {
    pub(super) source: &'a mut WorkSource,
    pub(super) pricing: &'a mut Pricing,
    pub(super) timeline: &'a mut Timeline,
    pub(super) orders: &'a mut Orders,
}

impl Shared {
    /// The state that simulating a scenario needs, created where it is absent.
    ///
    /// # Errors
    /// If the fabric cannot hold the job's nodes.
    pub(super) fn serve(&mut self, scenario: &TrainingScenario) -> Result<Served<'_>, Infeasible> {
        let (cluster, gpus) = (&scenario.cluster, scenario.gpus);
        let key = (ByAddress(Arc::clone(cluster)), gpus);
        let pricing = self
            .pricings
            .get_or_try_make(key, || Pricing::new(cluster, gpus))?;
        pricing.stretch_latency(scenario.run.network_latency());
        let source = self
            .sources
            .get_or_make(kernels(scenario), WorkSource::default);
        Ok(Served {
            source,
            pricing,
            timeline: &mut self.timeline,
            orders: &mut self.orders,
        })
    }

    /// Lets the next scenario take no more events than this.
    pub(in crate::simulation) fn limit_events(&mut self, most: Option<u64>) {
        self.timeline.effort = most.map_or_else(Effort::default, Effort::of_events);
    }

    /// A GPU as if its memory were no matter.
    pub(super) fn roomy(&mut self, gpu: &Arc<Gpu>) -> Arc<Gpu> {
        let roomy = self.roomy.get_or_make(ByAddress(Arc::clone(gpu)), || {
            Arc::new(Gpu {
                memory: ROOM,
                ..(**gpu).clone()
            })
        });
        Arc::clone(roomy)
    }

    /// Takes out the state of steps that are dealt, with the events that are left.
    pub(super) fn take_dealing(&mut self) -> Box<Self> {
        let mut dealing = self.dealing.take().unwrap_or_default();
        dealing.timeline.effort = self.timeline.effort.clone();
        dealing
    }

    /// Puts the state of steps that are dealt back, with the events that they took.
    pub(super) fn put_dealing(&mut self, dealing: Box<Self>) {
        self.timeline.effort = dealing.timeline.effort.clone();
        self.dealing = Some(dealing);
    }

    /// Checks that the steps played so far took no more events than they may.
    ///
    /// # Errors
    /// If they took more.
    pub(super) fn check_spent(&self) -> Result<(), Infeasible> {
        self.timeline.effort.check_spent()
    }

    /// Kernel times of a scenario's model, whatever its network.
    pub(super) fn source(&mut self, scenario: &TrainingScenario) -> &mut WorkSource {
        self.sources
            .get_or_make(kernels(scenario), WorkSource::default)
    }
}

fn kernels(scenario: &TrainingScenario) -> KernelsKey {
    (
        ByAddress(Arc::clone(&scenario.gpu)),
        ByAddress(Arc::clone(&scenario.model)),
        ByAddress(Arc::clone(&scenario.stack)),
    )
}

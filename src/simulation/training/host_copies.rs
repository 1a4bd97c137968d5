//! Copies of a layer over the host's link, of what its passes take from the host's memory.

use itertools::{Itertools, iproduct};

use crate::simulation::training::memory::unsharded::Policy;
use crate::simulation::training::parameters::{Sharded, weight_bytes};
use crate::simulation::training::work::LayerWork;
use crate::simulation::{Layout, TrainingScenario};
use crate::stack::{Offload, Recompute};
use crate::units::{Bytes, SimDuration};

/// Time of a layer's copies beside each of its passes; a pass takes no less.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostCopies {
    /// Weights come in while activations go out.
    pub(super) forward: SimDuration,
    /// Both come in.
    pub(super) backward: SimDuration,
}

impl HostCopies {
    /// Those of a layer in a layout, with its recomputation.
    pub(super) fn of(scenario: &TrainingScenario, layout: &Layout, layer: &LayerWork) -> Self {
        let recomputed = (layout.recompute, layout.recomputed_share);
        Self::with(scenario, layout, layer, &[recomputed])
    }

    /// The least of a layer in a layout whatever it recomputes, by policies to choose from.
    pub(super) fn least(
        scenario: &TrainingScenario,
        layout: &Layout,
        layer: &LayerWork,
        policies: &[Recompute],
    ) -> Self {
        let all = iproduct!(policies.iter().copied(), [0.0, 1.0]).collect_vec();
        Self::with(scenario, layout, layer, &all)
    }

    /// The least with some policies and the shares of the layers that they cover.
    fn with(
        scenario: &TrainingScenario,
        layout: &Layout,
        layer: &LayerWork,
        recomputed: &[(Recompute, f64)],
    ) -> Self {
        let offload = scenario.stack.offload;
        let Some(link) = scenario.gpu.host_link else {
            return Self::default();
        };
        let mut activations = 0.0;
        if offload.contains(Offload::Activations) {
            let kept = recomputed
                .iter()
                .map(|of| Policy::of(scenario, layout.precision, *of).kept(layer));
            activations = kept.min().unwrap_or(0) as f64;
        }
        let mut weights = 0.0;
        if offload.contains(Offload::Parameters) {
            let parameters = Sharded::of(scenario, layout, layer.parameters);
            weights = parameters.held(3) * weight_bytes(scenario, layout);
        }
        let copied = |bytes: f64| Bytes::from_f64(bytes) / link;
        Self {
            forward: copied(activations.max(weights)),
            backward: copied(activations + weights),
        }
    }
}

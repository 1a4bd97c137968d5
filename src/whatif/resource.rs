//! Faster hardware, one resource at a time.

use std::sync::Arc;

use crate::analysis::Resource;
use crate::hardware::{Cluster, Gpu};
use crate::simulation::{Counterfactual, TrainingScenario};
use crate::units::FlopRate;

/// Scenario with `factor` times as much of a resource; latency and the work of the host are divided by it.
/// The layout should be pinned, or the change includes another layout.
///
/// All resources together cover every rate and every time of a step but the ceilings of the
/// communication library's protocols, so that with `factor` times as much of all of them the step
/// takes `1/factor` of its time wherever no ceiling is met.
pub fn with_more(resource: Resource, factor: f64, scenario: &TrainingScenario) -> TrainingScenario {
    let mut changed = scenario.clone();
    match resource {
        Resource::Flops => {
            let mut gpu = Gpu::clone(&scenario.gpu);
            for peak in gpu.peaks.0.values_mut() {
                *peak = FlopRate::tflops(peak.as_tflops() * factor);
            }
            changed.gpu = Arc::new(gpu);
        }
        Resource::MemoryBandwidth => {
            let mut gpu = Gpu::clone(&scenario.gpu);
            gpu.memory_bandwidth = gpu.memory_bandwidth.scaled(factor);
            changed.gpu = Arc::new(gpu);
        }
        Resource::ScaleUp => {
            let mut cluster = Cluster::clone(&scenario.cluster);
            cluster.scale_up.bandwidth = cluster.scale_up.bandwidth.scaled(factor);
            changed.cluster = Arc::new(cluster);
        }
        Resource::Nic => {
            let rate = scenario.cluster.nic_bandwidth_per_gpu().scaled(factor);
            changed.cluster = Arc::new(scenario.cluster.with_nic_rate(rate));
        }
        Resource::NetworkLatency => {
            changed.run.counterfactual = Some(Counterfactual::NetworkLatency(1.0 / factor));
        }
        Resource::Host => {
            changed.gpu = Arc::new(with_shorter_floors(&scenario.gpu, factor));
            changed.run.host_speedup *= factor;
        }
    }
    changed
}

fn with_shorter_floors(gpu: &Gpu, factor: f64) -> Gpu {
    let mut gpu = gpu.clone();
    gpu.rates.kernel_floor = gpu.rates.kernel_floor.scaled(1.0 / factor);
    for rate in gpu.rates.gemm.values_mut() {
        rate.floor = rate.floor.scaled(1.0 / factor);
    }
    gpu
}

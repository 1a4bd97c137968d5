//! One collective on a cluster, as nccl-tests would measure it.

use std::sync::Arc;

use crate::collective::{CollectiveRequest, GroupPattern, Network, launch_per_gpu};
use crate::memo::ByAddress;
use crate::simulation::{CollectiveReport, CollectiveScenario, Infeasible, NetworkUse, Scratch};
use crate::units::SimDuration;

/// Simulates one collective over all GPUs of a job.
///
/// # Errors
/// If the fabric cannot hold the nodes, or the algorithm cannot carry the operation there.
pub(crate) fn simulate_collective(
    scenario: &CollectiveScenario,
    scratch: &mut Scratch,
) -> Result<CollectiveReport, Infeasible> {
    let (cluster, gpus) = (&scenario.cluster, scenario.gpus);
    let key = (ByAddress(Arc::clone(cluster)), gpus);
    let network = scratch.networks.get_or_try_make(key, || {
        Network::new(cluster, gpus).map_err(|fault| Infeasible::Unsupported(fault.to_string()))
    })?;
    let request = CollectiveRequest {
        op: scenario.op,
        bytes: scenario.size,
        groups: GroupPattern {
            size: gpus,
            stride: 1,
        },
        algorithm: scenario.algorithm.clone(),
        protocol: scenario.protocol,
    };
    let cost = network
        .collective(&request)
        .map_err(|why| Infeasible::of_collective(&why))?;
    let mut network = NetworkUse::default();
    network.add(&cost, 1);
    Ok(CollectiveReport {
        time: cost.time.max(launches(scenario.ranks_per_process)),
        algorithm: cost.algorithm.named(scenario.algorithm.as_ref()),
        protocol: cost.protocol,
        network,
        events: 1,
    })
}

/// Host time between two collectives of one process: it launches one GPU after another, while the previous
/// collective still runs.
fn launches(ranks: u32) -> SimDuration {
    if ranks > 1 {
        launch_per_gpu() * u64::from(ranks)
    } else {
        SimDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::collective::CollectiveOp;
    use crate::units::Bytes;

    fn time(ranks_per_process: u32, size: Bytes) -> SimDuration {
        let catalog = Catalog::builtin();
        let scenario = CollectiveScenario {
            gpu: Arc::clone(&catalog.gpus["h100-sxm"]),
            cluster: Arc::clone(&catalog.clusters["dgx-h100"]),
            gpus: 8,
            op: CollectiveOp::ReduceScatter,
            size,
            algorithm: None,
            protocol: None,
            ranks_per_process,
        };
        let report = simulate_collective(&scenario, &mut Scratch::default())
            .expect("NCCL carries it on one node");
        report.time
    }

    // 8 bytes in a ring of 8: 6.6 + 7 · 0.6 = 10.8 µs on the GPUs, but 8 launches of 4.4 µs.
    // 1 GiB takes milliseconds, which hide the launches.
    #[test]
    fn one_process_for_all_gpus_launches_them_one_by_one() {
        let small = Bytes::new(8);
        assert_eq!(time(8, small), SimDuration::from_nanos(35_200));
        assert!((time(1, small).as_secs_f64() - 10.8e-6).abs() < 1e-8);
        assert_eq!(time(8, Bytes::gib(1)), time(1, Bytes::gib(1)));
    }
}

//! One communication on a cluster, as nccl-tests would measure it.

use crate::collective::{CollectiveRequest, GroupPattern, Network};
use crate::simulation::{CollectiveReport, CollectiveScenario, Infeasible, NetworkUse};

/// Simulates one communication of all GPUs of a job.
///
/// # Errors
/// If the fabric cannot hold the nodes, or the algorithm cannot carry the operation there.
pub fn simulate_collective(scenario: &CollectiveScenario) -> Result<CollectiveReport, Infeasible> {
    let network = Network::new(&scenario.cluster, scenario.gpus).map_err(|fault| {
        Infeasible::Unsupported {
            sentence: fault.to_string(),
        }
    })?;
    let request = CollectiveRequest {
        op: scenario.op,
        bytes: scenario.size,
        groups: GroupPattern {
            size: scenario.gpus,
            stride: 1,
        },
        algorithm: scenario.algorithm,
        protocol: scenario.protocol,
    };
    let cost = network
        .collective(&request)
        .map_err(|fault| Infeasible::Unsupported {
            sentence: fault.sentence,
        })?;
    Ok(CollectiveReport {
        time: cost.time,
        algorithm: cost.algorithm,
        protocol: cost.protocol,
        network: NetworkUse {
            intra_node: cost.sent_intra,
            inter_node: cost.sent_inter,
            link_utilization_max: cost.link_utilization_max,
        },
        events: 1,
    })
}

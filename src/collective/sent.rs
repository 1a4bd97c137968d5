//! What the ranks of a group send, whatever the links.

use crate::collective::network::CollectiveRequest;
use crate::collective::placement::GroupShape;
use crate::collective::{CollectiveAlgorithm, CollectiveOp};

/// Bytes that a rank sends on average inside its domain and out of it.
pub(super) fn sent(
    request: &CollectiveRequest,
    shape: &GroupShape,
    algorithm: CollectiveAlgorithm,
) -> (f64, f64) {
    let (n, m) = (f64::from(shape.ranks), f64::from(shape.members));
    let domains = f64::from(shape.domains);
    let bytes = request.bytes.as_f64();
    let total = match request.op {
        CollectiveOp::AllReduce if algorithm == CollectiveAlgorithm::Nvls => {
            bytes * (1.0 + 1.0 / m)
        }
        CollectiveOp::AllReduce => bytes * 2.0 * (n - 1.0) / n,
        CollectiveOp::AllGather
        | CollectiveOp::ReduceScatter
        | CollectiveOp::AllToAll
        | CollectiveOp::Broadcast
        | CollectiveOp::SendRecv => bytes * (n - 1.0) / n,
    };
    if shape.domains == 1 {
        return (total, 0.0);
    }
    let passes = if request.op == CollectiveOp::AllReduce {
        2.0
    } else {
        1.0
    };
    let reduces = matches!(
        request.op,
        CollectiveOp::AllReduce | CollectiveOp::AllGather | CollectiveOp::ReduceScatter
    );
    let inter = match (request.op, algorithm) {
        (CollectiveOp::AllToAll, _) => bytes * (n - m) / n,
        (_, CollectiveAlgorithm::HalvingDoubling) if reduces => {
            passes * bytes * (1.0 / m - 1.0 / n)
        }
        (_, CollectiveAlgorithm::Hierarchical) if reduces => {
            passes * bytes / m * (domains - 1.0) / domains
        }
        (_, CollectiveAlgorithm::Direct) if reduces => passes * bytes * (n - m) / n,
        (CollectiveOp::AllReduce, CollectiveAlgorithm::Nvls) => bytes / m,
        (
            CollectiveOp::AllReduce,
            CollectiveAlgorithm::Tree | CollectiveAlgorithm::DoubleBinaryTree,
        ) => 2.0 * (domains - 1.0) / domains * bytes / m,
        _ => total / m,
    };
    match algorithm {
        CollectiveAlgorithm::Nvls => (total, inter),
        _ => ((total - inter).max(0.0), inter),
    }
}

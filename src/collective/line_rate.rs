//! Least time of a collective: what its ranks have to receive, at the line rates of their links.

use crate::collective::network::Network;
use crate::collective::op::CollectiveOp;
use crate::collective::placement::{GroupPattern, GroupShape};

impl Network {
    /// Seconds below which no algorithm carries `bytes` (counted as in a request) over the groups; they grow with the
    /// bytes. Zero on a topology of one's own, whose links have rates of their own.
    ///
    /// Of a buffer of S bytes over n ranks, m of them in a domain, a rank has to receive what it lacks, S(n − 1)/n,
    /// over its links and its part of the NICs; and the m ranks of a domain what they all lack, S(n − m)/n, over
    /// their NICs alone. In an all-to-all and in a send each rank has bytes of its own.
    pub(crate) fn line_rate_seconds(
        &self,
        op: CollectiveOp,
        bytes: f64,
        groups: GroupPattern,
    ) -> f64 {
        let job = self.job();
        let shape = self.shape(groups);
        if shape.ranks <= 1 || self.is_custom() {
            return 0.0;
        }
        let (ranks, members) = (f64::from(shape.ranks), f64::from(shape.members));
        let up = job.cluster.scale_up.bandwidth.as_bytes_per_s() * job.cluster.scale_up.efficiency;
        let nics = self.domain_line_rate(shape).unwrap_or(0.0);
        let lacked = bytes * (ranks - 1.0) / ranks;
        let from_outside = bytes * (ranks - members) / ranks;
        match op {
            CollectiveOp::AllReduce | CollectiveOp::AllGather | CollectiveOp::ReduceScatter => {
                let own = lacked / (up + nics / members);
                if shape.domains > 1 {
                    own.max(from_outside / nics)
                } else {
                    own
                }
            }
            CollectiveOp::AllToAll => {
                let own = lacked / (up + nics / members);
                if shape.domains > 1 {
                    own.max(from_outside * members / nics)
                } else {
                    own
                }
            }
            CollectiveOp::Broadcast if shape.domains > 1 => bytes / nics,
            CollectiveOp::SendRecv if shape.domains > 1 => {
                bytes / job.send_rate(groups).as_bytes_per_s()
            }
            CollectiveOp::Broadcast | CollectiveOp::SendRecv => bytes / up,
        }
    }

    /// Whether the network between domains is one that the spec describes.
    pub(super) fn is_custom(&self) -> bool {
        let topology = self.job().contention.topology();
        topology.is_some_and(crate::hardware::Topology::is_custom)
    }

    /// Most bytes per second that the NICs of a domain carry for one group on it; `None` of groups on one domain.
    pub(super) fn domain_line_rate(&self, shape: GroupShape) -> Option<f64> {
        let (job, sharing) = (self.job(), shape.sharing?);
        let fabric = &job.cluster.fabric;
        let reached = fabric.efficiency.max(fabric.scattered_efficiency);
        Some(reached * job.domain_rate().as_bytes_per_s() / f64::from(sharing.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::collective::{CollectiveOp, CollectiveRequest, GroupPattern, Network};
    use crate::units::Bytes;

    #[test]
    fn no_collective_is_faster_than_its_links() {
        let catalog = Catalog::builtin();
        for (name, cluster) in &catalog.clusters {
            for gpus in [8, 16, 64, 144] {
                let Ok(network) = Network::new(cluster, gpus) else {
                    continue;
                };
                for (size, stride) in [
                    (2, 1),
                    (8, 1),
                    (4, 2),
                    (2, 8),
                    (8, 8),
                    (16, 1),
                    (16, 4),
                    (6, 1),
                ] {
                    if gpus % (size * stride) != 0 {
                        continue;
                    }
                    for &op in CollectiveOp::ALL {
                        for bytes in [1 << 10, 1 << 20, 1 << 26, 1 << 31] {
                            let groups = GroupPattern { size, stride };
                            let request = CollectiveRequest {
                                op,
                                bytes: Bytes::new(bytes),
                                groups,
                                algorithm: None,
                                protocol: None,
                            };
                            let Ok(cost) = network.collective(&request) else {
                                continue;
                            };
                            let least = network.line_rate_seconds(op, bytes as f64, groups);
                            assert!(
                                least <= cost.time.as_secs_f64(),
                                "{name} {gpus} {op} {groups:?} {bytes}: {least} {:?}",
                                cost.time
                            );
                        }
                    }
                }
            }
        }
    }
}

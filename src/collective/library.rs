//! What communication libraries know of themselves: latencies, protocol ceilings, channels.
//!
//! Source of the NCCL figures: NVIDIA/nccl@5067397 (v2.30.7) `src/graph/tuning.cc`. Latencies are
//! in microseconds, rates in 10⁹ bytes per second.

use crate::collective::Protocol;
use crate::hardware::CollectiveLibrary;

/// Latencies of one algorithm by protocol: LL, LL128, Simple.
pub(super) type ByProtocol = [f64; 3];

/// Base latencies and per-hop latencies.
pub(super) struct LatencyTable {
    pub(super) base: ByProtocol,
    pub(super) nvlink: ByProtocol,
    pub(super) pcie: ByProtocol,
    pub(super) network: ByProtocol,
}

pub(super) const RING: LatencyTable = LatencyTable {
    base: [6.6, 14.0, 8.4],
    nvlink: [0.6, 1.9, 3.4],
    pcie: [1.0, 2.5, 5.7],
    network: [2.7, 4.0, 14.0],
};

pub(super) const TREE: LatencyTable = LatencyTable {
    base: [6.8, 14.0, 8.4],
    nvlink: [0.6, 1.25, 4.0],
    pcie: [1.0, 1.9, 4.0],
    network: [5.0, 8.5, 14.0],
};

/// NVLS: one pass inside the domain, one hop between two domains, one hop of its tree.
pub(super) const NVLS_INTRA: f64 = 25.0;
pub(super) const NVLS_NETWORK: f64 = 18.0;
pub(super) const NVLS_TREE_NETWORK: f64 = 20.9;
/// Overhead of the host's proxy on each step of a ring that leaves the node.
pub(super) const NET_OVERHEAD: ByProtocol = [1.0, 1.0, 3.0];

/// Ceilings of one generation: one node, two nodes, more.
pub(super) struct Ceilings {
    /// Bus bandwidth of LL.
    pub(super) ll: [f64; 3],
    /// Ring LL128, per channel.
    pub(super) ring_ll128: f64,
    /// Tree LL128, per channel.
    pub(super) tree_ll128: [f64; 3],
    /// Tree Simple, per channel.
    pub(super) tree: [f64; 3],
    /// Channels that large messages use: inside a node, between nodes.
    pub(super) channels: [u32; 2],
    /// Share of the scale-up rate that NVLS reaches.
    pub(super) nvls: f64,
}

/// The ceilings of a library.
pub(super) const fn ceilings(library: CollectiveLibrary) -> Ceilings {
    match library {
        CollectiveLibrary::NcclVolta => Ceilings {
            ll: [39.0, 39.0, 20.4],
            ring_ll128: 20.0,
            tree_ll128: [20.0, 20.0, 20.0],
            tree: [26.5, 18.5, 10.0],
            channels: [12, 4],
            nvls: 0.0,
        },
        CollectiveLibrary::NcclAmpere => Ceilings {
            ll: [87.7, 22.5, 19.0],
            ring_ll128: 20.0,
            tree_ll128: [20.0, 20.0, 20.0],
            tree: [24.0, 23.6, 17.8],
            channels: [24, 16],
            nvls: 0.0,
        },
        CollectiveLibrary::NcclHopper => Ceilings {
            ll: [141.0, 45.0, 35.0],
            ring_ll128: 36.7,
            tree_ll128: [36.7, 36.7, 29.0],
            tree: [38.7, 41.4, 36.0],
            channels: [24, 16],
            nvls: 0.85,
        },
        CollectiveLibrary::NcclBlackwell => Ceilings {
            ll: [282.0, 90.0, 70.0],
            ring_ll128: 40.0,
            tree_ll128: [55.6, 31.67, 20.0],
            tree: [70.0, 42.8, 24.0],
            channels: [24, 16],
            nvls: 0.74,
        },
        CollectiveLibrary::Rccl => Ceilings {
            ll: [87.7, 22.5, 19.0],
            ring_ll128: 20.0,
            tree_ll128: [20.0, 20.0, 20.0],
            tree: [24.0, 23.6, 17.8],
            channels: [56, 32],
            nvls: 0.0,
        },
        CollectiveLibrary::Xla => Ceilings {
            ll: [1e6, 1e6, 1e6],
            ring_ll128: 1e6,
            tree_ll128: [1e6, 1e6, 1e6],
            tree: [1e6, 1e6, 1e6],
            channels: [0, 0],
            nvls: 0.0,
        },
    }
}

/// Place of a protocol in a `ByProtocol`; the ideal one has no such latencies.
pub(super) const fn row(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Ll => 0,
        Protocol::Ll128 => 1,
        Protocol::Simple | Protocol::Ideal => 2,
    }
}

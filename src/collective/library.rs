//! What communication libraries know of themselves: latencies, protocol ceilings, channels.
//!
//! Source of the NCCL figures: NVIDIA/nccl@5067397 (v2.30.7) `src/graph/tuning.cc`. Latencies are
//! in microseconds, rates in 10⁹ bytes per second; arrays are ordered LL, LL128, Simple.

use crate::collective::Protocol;
use crate::hardware::CollectiveLibrary;

/// Base latencies and per-hop latencies of an algorithm.
pub(super) struct LatencyTable {
    pub(super) base: [f64; 3],
    pub(super) nvlink: [f64; 3],
    pub(super) pcie: [f64; 3],
    pub(super) network: [f64; 3],
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
pub(super) const NET_OVERHEAD: [f64; 3] = [1.0, 1.0, 3.0];

/// Channels of a tree between nodes: one per NIC of the usual eight.
pub(super) const TREE_CHANNELS: f64 = 8.0;

/// Bytes that a channel of NVLS moves at a time for one head, of a buffer of `bytes` over `parallel`
/// channels times heads: buffers that would be too few of the largest pieces go in smaller ones.
///
/// Source: `calcCollChunking` in `src/enqueue.cc`.
pub(super) fn nvls_piece(largest: f64, parallel: f64, bytes: f64) -> f64 {
    smaller_pieces(
        largest,
        parallel,
        bytes,
        &[(64.0, 65_536.0), (8.0, 32_768.0), (2.0, 16_384.0)],
    )
}

/// The same for NVLSTree over `domains`, whose pieces start from `NCCL_NVLSTREE_MAX_CHUNKSIZE`.
pub(super) fn nvls_tree_piece(domains: u32, parallel: f64, bytes: f64) -> f64 {
    let largest = if domains >= 4 { 65_536.0 } else { 131_072.0 };
    smaller_pieces(
        largest,
        parallel,
        bytes,
        &[(4.0, 65_536.0), (1.0, 32_768.0)],
    )
}

fn smaller_pieces(largest: f64, parallel: f64, bytes: f64, steps: &[(f64, f64)]) -> f64 {
    let mut piece = largest;
    for &(rounds, smaller) in steps {
        if bytes < rounds * parallel * piece && piece > smaller {
            piece = smaller;
        }
    }
    piece
}

/// NCCL's correction of the tree's bandwidth by size: 64 B, 128 B … 512 MB.
const TREE_CORRECTION: [[f64; 24]; 3] = [
    [
        1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8,
        0.9, 1.0, 1.0, 1.0, 1.0, 1.0,
    ],
    [
        1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.8, 0.8, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.8, 0.9,
        0.9, 0.9, 0.9, 1.0, 1.0, 1.0,
    ],
    [
        0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.6, 0.5, 0.5, 0.5, 0.5, 0.6, 0.7, 0.8,
        0.7, 0.7, 0.8, 0.9, 0.9, 0.9,
    ],
];

/// NCCL's correction of the tree's bandwidth for a message of `bytes`.
pub(super) fn tree_correction(protocol: usize, bytes: u64) -> f64 {
    if bytes < 64 {
        return 1.0;
    }
    TREE_CORRECTION[protocol][(bytes.ilog2() - 6).min(23) as usize]
}

/// Figures of one generation; triples are one node, two nodes, more.
pub(super) struct Generation {
    /// Ceiling of LL's bus bandwidth.
    pub(super) ll: [f64; 3],
    /// Ceiling of tree LL128, per channel.
    pub(super) tree_ll128: [f64; 3],
    /// Ceiling of tree Simple, per channel.
    pub(super) tree: [f64; 3],
    /// Channels (one SM each) that large messages use: inside a domain, between domains.
    pub(super) channels: [u32; 2],
    /// NCCL's own efficiency of NVLS; 0 where there is none.
    pub(super) nvls: f64,
    /// Bus bandwidth of NVLS over the line rate, as measured on whole domains with the largest pieces.
    pub(super) nvls_bus: f64,
    /// Channels of NVLS.
    pub(super) nvls_channels: f64,
    /// Largest piece that a channel of NVLS moves at a time, in bytes.
    pub(super) nvls_piece: f64,
    /// Measured time of one LL step between neighbours of a ring inside the domain.
    pub(super) ring_step: f64,
    /// Factor on the latency of long Simple rings between nodes, in NCCL's own estimate.
    pub(super) plateau: f64,
}

const VOLTA: Generation = Generation {
    ll: [39.0, 39.0, 20.4],
    tree_ll128: [20.0; 3],
    tree: [26.5, 18.5, 10.0],
    channels: [12, 4],
    nvls: 0.0,
    nvls_bus: 0.0,
    nvls_channels: 0.0,
    nvls_piece: 0.0,
    // 48.5 µs for the 14 steps of an 8-byte all-reduce on a DGX-1.
    ring_step: 3.0,
    plateau: 1.9,
};

const AMPERE: Generation = Generation {
    ll: [87.7, 22.5, 19.0],
    tree_ll128: [20.0; 3],
    tree: [24.0, 23.6, 17.8],
    channels: [24, 16],
    nvls: 0.0,
    nvls_bus: 0.0,
    nvls_channels: 0.0,
    nvls_piece: 0.0,
    // nccl-tests issue 123: 3.9 µs per GPU added, which is two steps.
    ring_step: 2.0,
    plateau: 1.4,
};

const HOPPER: Generation = Generation {
    ll: [141.0, 45.0, 35.0],
    tree_ll128: [36.7, 36.7, 29.0],
    tree: [38.7, 41.4, 36.0],
    channels: [24, 16],
    nvls: 0.85,
    // jax-ml/scaling-book gpus.md: 480 GB/s of 450 with NVLink SHARP on 8 GPUs.
    nvls_bus: 480.0 / 450.0,
    // src/transport/nvls.cc and the default of NCCL_NVLS_CHUNKSIZE.
    nvls_channels: 16.0,
    nvls_piece: 131_072.0,
    ring_step: 0.6,
    plateau: 1.4,
};

const BLACKWELL: Generation = Generation {
    ll: [282.0, 90.0, 70.0],
    tree_ll128: [55.6, 31.67, 20.0],
    tree: [70.0, 42.8, 24.0],
    channels: [24, 16],
    nvls: 0.74,
    // together-nccl-tests: 845 GB/s of 900 on 8 × B200.
    nvls_bus: 845.0 / 900.0,
    // src/transport/nvls.cc, inside one domain, and the default of NCCL_NVLS_CHUNKSIZE.
    nvls_channels: 24.0,
    nvls_piece: 131_072.0,
    // XLA on GB200: about 16 µs on 4 GPUs (6 steps), 28 µs on 8 (14 steps).
    ring_step: 1.5,
    plateau: 1.4,
};

/// RCCL keeps NCCL's structure; one MI300X node takes 13.7–19 µs for the 14 steps of 8 bytes.
const INSTINCT: Generation = Generation {
    channels: [56, 32],
    ring_step: 0.7,
    ..AMPERE
};

/// No protocol ceilings; the compiler drives the links without kernels on compute cores.
const TPU: Generation = Generation {
    ll: [1e6; 3],
    tree_ll128: [1e6; 3],
    tree: [1e6; 3],
    channels: [0, 0],
    ring_step: 1.0,
    ..AMPERE
};

/// The figures of a library.
pub(super) const fn generation(library: CollectiveLibrary) -> &'static Generation {
    match library {
        CollectiveLibrary::NcclVolta => &VOLTA,
        CollectiveLibrary::NcclAmpere => &AMPERE,
        CollectiveLibrary::NcclHopper => &HOPPER,
        CollectiveLibrary::NcclBlackwell => &BLACKWELL,
        CollectiveLibrary::Rccl => &INSTINCT,
        CollectiveLibrary::Xla => &TPU,
    }
}

/// Place of a protocol in the arrays; the ideal one has no such latencies.
pub(super) const fn row(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Ll => 0,
        Protocol::Ll128 => 1,
        Protocol::Simple | Protocol::Ideal => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table's first entry is 64 B, its last 512 MB and more: 128 KB is entry 11.
    #[test]
    fn the_tree_is_corrected_by_the_power_of_two_of_the_size() {
        assert!((tree_correction(0, 128 << 10) - 0.5).abs() < 1e-12);
        assert!((tree_correction(2, 4 << 30) - 0.9).abs() < 1e-12);
        assert!((tree_correction(1, 8) - 1.0).abs() < 1e-12);
    }
}

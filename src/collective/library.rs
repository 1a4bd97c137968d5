//! Tables of communication libraries, read from `data/libraries/`: latencies, ceilings of
//! protocols, channels, and the constants that were fitted to their kernels.
//!
//! A generation may start from one of NCCL's (`base = "ampere"`) and state only what differs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::collective::op::Protocol;
use crate::hardware::{CollectiveLibrary, ScaleUpKind};
use crate::units::{Bandwidth, Bytes, Micros, SimDuration, Volume};

/// A figure of each wire protocol.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct PerProtocol<T> {
    ll: T,
    ll128: T,
    simple: T,
}

impl<T> PerProtocol<T> {
    /// The figure of a protocol; the ideal one moves its data as Simple does.
    pub(super) const fn of(&self, protocol: Protocol) -> &T {
        match protocol {
            Protocol::Ll => &self.ll,
            Protocol::Ll128 => &self.ll128,
            Protocol::Simple | Protocol::Ideal => &self.simple,
        }
    }
}

/// A rate by the scale-up domains that a group lies on.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct PerDomains {
    one: Bandwidth,
    two: Bandwidth,
    three: Option<Bandwidth>,
    more: Bandwidth,
}

impl PerDomains {
    /// The rate in NCCL's own estimates, which tell one, two and more domains apart.
    pub(super) const fn in_estimates(&self, domains: u32) -> Bandwidth {
        match domains {
            0 | 1 => self.one,
            2 => self.two,
            _ => self.more,
        }
    }

    /// The rate of a group on so many domains.
    pub(super) const fn on(&self, domains: u32) -> Bandwidth {
        match domains {
            0 | 1 => self.one,
            2 => self.two,
            3 if let Some(three) = self.three => three,
            _ => self.more,
        }
    }
}

/// Latencies of an algorithm: of its kernels, and of each hop by the link that it takes.
#[derive(Debug, Deserialize)]
pub(super) struct LatencyTable {
    pub(super) base: PerProtocol<Micros>,
    nvlink: PerProtocol<Micros>,
    pcie: PerProtocol<Micros>,
    pub(super) network: PerProtocol<Micros>,
}

impl LatencyTable {
    /// Latency of a hop inside a domain.
    pub(super) const fn hop(&self, links: ScaleUpKind, protocol: Protocol) -> Micros {
        match links {
            ScaleUpKind::Pcie => *self.pcie.of(protocol),
            ScaleUpKind::NvSwitch
            | ScaleUpKind::NvLinkMesh
            | ScaleUpKind::HybridCubeMesh
            | ScaleUpKind::XgmiMesh
            | ScaleUpKind::XgmiPairs
            | ScaleUpKind::Ici => *self.nvlink.of(protocol),
        }
    }
}

/// NCCL's ring.
#[derive(Debug, Deserialize)]
pub(super) struct RingTable {
    /// Host proxy, per step of a ring that leaves the node.
    pub(super) proxy: PerProtocol<Micros>,
    /// Part of the links' rate that is left for data.
    pub(super) rate: PerProtocol<f64>,
    /// Part of a NIC's line rate that NCCL counts on.
    pub(super) nic_share: f64,
}

/// NCCL's tree.
#[derive(Debug, Deserialize)]
pub(super) struct TreeTable {
    /// Messages between domains that a buffer is cut into.
    pub(super) messages: u32,
    /// Most channels between domains.
    pub(super) channels_max: u32,
    correction: PerProtocol<[f64; 24]>,
}

impl TreeTable {
    /// NCCL's factor on the tree's bandwidth for a message, by powers of two from 64 B to 512 MB.
    pub(super) fn correction(&self, protocol: Protocol, bytes: Bytes) -> f64 {
        let power = bytes.get().checked_ilog2();
        let entry = power.and_then(|power| power.checked_sub(6));
        // The last entry begins where NCCL's own estimate corrects no longer.
        let table = &self.correction.of(protocol)[..23];
        let found = entry.and_then(|entry| table.get(entry as usize));
        found.copied().unwrap_or(1.0)
    }

    /// Share of its bandwidth that a tree keeps: NCCL's factor at powers of two, and on a line between them.
    pub(super) fn kept(&self, protocol: Protocol, bytes: Bytes) -> f64 {
        between_powers(bytes, |bytes| self.correction(protocol, bytes))
    }
}

/// A figure that is known for powers of two bytes, on a line between them where both axes are logarithmic.
fn between_powers(bytes: Bytes, known: impl Fn(Bytes) -> f64) -> f64 {
    let Some(power) = bytes.get().checked_ilog2() else {
        return known(bytes);
    };
    let below = Bytes::new(1 << power);
    let past = libm::log2(bytes.as_f64() / below.as_f64());
    if past <= 0.0 {
        return known(below);
    }
    let above = Bytes::new(below.get().saturating_mul(2));
    libm::pow(known(below), 1.0 - past) * libm::pow(known(above), past)
}

/// The chunk of NVLS for buffers of fewer rounds than a limit.
#[derive(Debug, Deserialize)]
struct SmallerChunk {
    below_rounds: f64,
    chunk: Volume,
}

/// Latencies and chunks of reductions in NVLink switches.
#[derive(Debug, Deserialize)]
pub(super) struct NvlsTable {
    /// One pass inside the domain.
    pub(super) pass: Micros,
    /// One hop between domains, where their switches reduce.
    pub(super) network: Micros,
    /// One hop of the tree between domains.
    pub(super) tree_network: Micros,
    smaller_chunks: Vec<SmallerChunk>,
    smaller_tree_chunks: Vec<SmallerChunk>,
    tree_chunk: Volume,
    tree_chunk_of_many: Volume,
}

impl NvlsTable {
    /// Chunk that a channel moves at a time for one head, of a buffer over `parallel` channels times
    /// heads.
    pub(super) fn chunk(&self, largest: Volume, parallel: f64, buffer: Bytes) -> Volume {
        smaller(largest, parallel, buffer, &self.smaller_chunks)
    }

    /// Chunk of NVLSTree over `domains`.
    pub(super) fn tree_chunk(&self, domains: u32, parallel: f64, buffer: Bytes) -> Volume {
        let largest = if domains >= 4 {
            self.tree_chunk_of_many
        } else {
            self.tree_chunk
        };
        smaller(largest, parallel, buffer, &self.smaller_tree_chunks)
    }
}

/// The chunk of a buffer by NCCL's steps at powers of two, and on a line between them: a step would let a
/// buffer pass a smaller one.
fn smaller(largest: Volume, parallel: f64, buffer: Bytes, steps: &[SmallerChunk]) -> Volume {
    let stepped = |buffer: Bytes| {
        let chunk = steps.iter().fold(largest, |chunk, step| {
            let few = Volume::from(buffer) < chunk * (step.below_rounds * parallel);
            if few && chunk > step.chunk {
                step.chunk
            } else {
                chunk
            }
        });
        chunk.get()
    };
    Volume::new(between_powers(buffer, stepped))
}

/// Constants that were fitted to measured collectives; `data/libraries/nccl.toml` explains each.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct FittedConstants {
    pub(super) slots_growth: f64,
    pub(super) slots_doublings: f64,
    pub(super) window_bytes: f64,
    pub(super) window_trips: f64,
    pub(super) ll_lines_us: f64,
    pub(super) nvls_synchronisation_s: f64,
    pub(super) nvls_tree_share: f64,
    pub(super) sharp_share: f64,
    pub(super) deep_tree: f64,
}

/// Channels of large messages, one SM each.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Channels {
    /// Channels of groups inside a domain.
    pub(super) inside: u32,
    /// Channels of groups on several.
    pub(super) between: u32,
}

impl Channels {
    /// Channels of groups on so many domains.
    pub(super) const fn of(self, domains: u32) -> u32 {
        if domains > 1 {
            self.between
        } else {
            self.inside
        }
    }
}

/// NVLS on one generation of GPUs and switches.
#[derive(Debug, Deserialize)]
pub(super) struct Nvls {
    /// NCCL's own estimate of its efficiency.
    pub(super) efficiency: f64,
    /// Whether the factors of the tree hold for NVLSTree on servers with x86 hosts.
    pub(super) tree_corrected: bool,
    bus_bandwidth: Bandwidth,
    line_rate: Bandwidth,
    pub(super) channels: u32,
    /// Largest chunk that a channel moves at a time.
    pub(super) chunk: Volume,
}

impl Nvls {
    /// Bus bandwidth over the line rate, as measured on whole domains with the largest chunks.
    pub(super) fn bus_over_line(&self) -> f64 {
        self.bus_bandwidth / self.line_rate
    }
}

/// Figures of a library on one generation of GPUs.
#[derive(Debug, Deserialize)]
pub(super) struct Generation {
    /// Latencies of the library's rings.
    pub(super) ring: LatencyTable,
    /// Latencies of its trees.
    pub(super) tree: LatencyTable,
    /// Whether it takes LL128 unasked.
    pub(super) ll128: bool,
    /// Ceiling of LL's bus bandwidth.
    pub(super) ll: PerDomains,
    /// Ceiling of a tree's channel under LL128.
    pub(super) tree_channel_ll128: PerDomains,
    /// Ceiling of a tree's channel under Simple.
    pub(super) tree_channel: PerDomains,
    pub(super) channels: Channels,
    /// Measured time of one LL step between neighbours of a ring inside the domain.
    pub(super) ring_step: Micros,
    /// Factor on the latency of long Simple rings between nodes, in NCCL's own estimate.
    pub(super) plateau: f64,
    pub(super) nvls: Option<Nvls>,
}

/// Costs of the host.
#[derive(Debug, Deserialize)]
pub(super) struct HostTable {
    pub(super) launch_per_gpu: SimDuration,
}

/// NCCL's tables, which the other libraries share.
#[derive(Debug, Deserialize)]
pub(super) struct Tables {
    pub(super) ring: RingTable,
    pub(super) tree: TreeTable,
    pub(super) nvls: NvlsTable,
    pub(super) host: HostTable,
    pub(super) fitted: FittedConstants,
}

const NCCL: &str = include_str!("../../data/libraries/nccl.toml");

/// NCCL's tables.
pub(super) static TABLES: LazyLock<Tables> =
    LazyLock::new(|| toml::from_str(NCCL).expect("NCCL's file is whole, which a test holds"));

/// What a file states of its library's generations; a library that shares NCCL's tables states only what differs.
#[derive(Deserialize)]
struct Stated {
    generations: BTreeMap<String, Table>,
}

static GENERATIONS: LazyLock<Vec<Generation>> = LazyLock::new(|| {
    let all = CollectiveLibrary::ALL.iter();
    all.map(|library| generation(*library).expect("every generation is whole, which a test holds"))
        .collect()
});

/// Sets what is stated, table by table.
fn overlay(all: &mut Table, stated: Table) {
    for (key, value) in stated {
        match (all.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(stated)) => overlay(inner, stated),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
}

/// Figures of a library: its generation's, else those of its base, else those of any NCCL.
fn generation(library: CollectiveLibrary) -> Result<Generation, toml::de::Error> {
    const RCCL: &str = include_str!("../../data/libraries/rccl.toml");
    const XLA: &str = include_str!("../../data/libraries/xla.toml");
    let of = |text: &str, name: &str| -> Result<Table, toml::de::Error> {
        let mut file: Stated = toml::from_str(text)?;
        Ok(file.generations.remove(name).unwrap_or_default())
    };
    let based = |text: &str, name: &str| {
        let mut stated = of(text, name)?;
        let base = stated.remove("base");
        let base = base.as_ref().and_then(toml::Value::as_str).unwrap_or(name);
        let mut all = of(NCCL, base)?;
        overlay(&mut all, stated);
        Ok(all)
    };
    let stated = match library {
        CollectiveLibrary::NcclVolta => of(NCCL, "volta"),
        CollectiveLibrary::NcclAmpere => of(NCCL, "ampere"),
        CollectiveLibrary::NcclHopper => of(NCCL, "hopper"),
        CollectiveLibrary::NcclBlackwell => of(NCCL, "blackwell"),
        CollectiveLibrary::Rccl => based(RCCL, "instinct"),
        CollectiveLibrary::Xla => based(XLA, "tpu"),
    };
    let mut table = of(NCCL, "any")?;
    overlay(&mut table, stated?);
    table.try_into()
}

impl Generation {
    /// Figures of a library.
    pub(super) fn of(library: CollectiveLibrary) -> &'static Self {
        &GENERATIONS[library as usize]
    }

    /// Table of the latencies between domains: NCCL takes the tree's where a node holds one rank of a group.
    pub(super) const fn between(&self, members: u32) -> &LatencyTable {
        if members == 1 { &self.tree } else { &self.ring }
    }

    /// Latency of a message between domains, without the way from NIC to NIC.
    pub(super) fn without_wire(&self, table: &LatencyTable, protocol: Protocol) -> Micros {
        *table.network.of(protocol) - self.wire()
    }

    /// Latency from NIC to NIC that those of messages between domains hold: that of LL, which adds least.
    pub(super) const fn wire(&self) -> Micros {
        *self.ring.network.of(Protocol::Ll)
    }

    /// Latency of a link that those of hops inside a domain hold, likewise.
    pub(super) const fn link(&self, links: ScaleUpKind) -> Micros {
        self.ring.hop(links, Protocol::Ll)
    }
}

/// Every constant that was fitted to measured collectives: its name and value.
pub(crate) fn fitted_constants() -> impl Iterator<Item = (String, f64)> {
    let fitted = Table::try_from(&TABLES.fitted).unwrap_or_default();
    fitted
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_float()?)))
}

/// Host time to launch a communication on one more GPU of the same process.
pub(crate) fn launch_per_gpu() -> SimDuration {
    TABLES.host.launch_per_gpu
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table's first entry is 64 B, its last 512 MB and more: 128 KB is entry 11.
    #[test]
    fn the_tree_is_corrected_by_the_power_of_two_of_the_size() {
        let correction = |protocol, bytes| TABLES.tree.correction(protocol, Bytes::new(bytes));
        assert!((correction(Protocol::Ll, 128 << 10) - 0.5).abs() < 1e-12);
        assert!((correction(Protocol::Simple, 256 << 20) - 0.9).abs() < 1e-12);
        assert!((correction(Protocol::Simple, 512 << 20) - 1.0).abs() < 1e-12);
        assert!((correction(Protocol::Ll128, 8) - 1.0).abs() < 1e-12);
    }

    // RCCL states its channels and the latencies inside a node, and has the ceilings of trees of NCCL on Ampere and the
    // latencies between nodes of any NCCL.
    #[test]
    fn a_library_takes_from_its_base_what_it_does_not_state() {
        let [ampere, rccl] =
            [CollectiveLibrary::NcclAmpere, CollectiveLibrary::Rccl].map(Generation::of);
        assert_eq!((rccl.channels.inside, ampere.channels.inside), (56, 24));
        assert_eq!(rccl.tree_channel.on(1), ampere.tree_channel.on(1));
        let base = |of: &Generation| *of.ring.base.of(Protocol::Simple);
        assert_eq!(
            (base(rccl), base(ampere)),
            (Micros::new(17.0), Micros::new(8.4))
        );
        assert_eq!(rccl.wire(), ampere.wire());
    }

    #[test]
    fn every_library_can_be_read() {
        assert_eq!(GENERATIONS.len(), CollectiveLibrary::ALL.len());
        assert!(launch_per_gpu() > SimDuration::ZERO);
    }
}

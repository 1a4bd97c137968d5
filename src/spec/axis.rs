//! The swept dimensions, each described once.
//!
//! `AXES` feeds the reader of specs, `sweep list axes`, the schema and the input columns.

use crate::catalog::Kind;
use crate::closed_set;
use crate::collective::{CollectiveOp, Protocol};
use crate::hardware::{AttentionKernel, Precision};
use crate::spec::own::OwnKind;
use crate::stack::{PipelineSchedule, Recompute};

closed_set! {
    /// What one point of a sweep is.
    pub enum StudyKind: "kind of study" {
        /// Steps of a training job.
        Training = "training",
        /// One communication on a cluster.
        Collective = "collective",
    }
}

closed_set! {
    /// Which part of a point an axis belongs to.
    pub enum AxisGroup: "axis group" {
        /// What is computed.
        Workload = "workload",
        /// Where.
        Cluster = "cluster",
        /// Laid out how.
        Parallelism = "parallelism",
        /// Exchanging data how.
        Communication = "communication",
        /// How the simulation itself runs.
        Run = "run",
    }
}

closed_set! {
    /// One swept dimension.
    pub enum Axis: "axis" {
        /// Network that is trained.
        Model = "model",
        /// Samples per optimizer step.
        GlobalBatch = "global_batch",
        /// Samples per optimizer step and GPU, in place of `global_batch`.
        BatchPerGpu = "batch_per_gpu",
        /// Samples per forward pass of one replica.
        MicroBatch = "micro_batch",
        /// Tokens per sample.
        SeqLen = "seq_len",
        /// Number format of the matrix products.
        Precision = "precision",
        /// Attention kernel.
        Attention = "attention",
        /// Software generation.
        Stack = "stack",
        /// Operation of a collective study.
        Op = "op",
        /// Buffer of a collective study.
        Size = "size",
        /// GPU.
        Gpu = "gpu",
        /// Servers.
        Nodes = "nodes",
        /// GPUs, in place of `nodes`.
        Gpus = "gpus",
        /// GPUs of one server.
        GpusPerNode = "gpus_per_node",
        /// Node and fabric.
        Cluster = "cluster",
        /// Network between nodes.
        Topology = "topology",
        /// Downlink over uplink capacity.
        Oversubscription = "oversubscription",
        /// NIC rate per GPU.
        NicGbitPerS = "nic_gbit_per_s",
        /// Tensor-parallel ranks.
        Tp = "tp",
        /// Pipeline stages.
        Pp = "pp",
        /// Context-parallel ranks.
        Cp = "cp",
        /// Expert-parallel ranks.
        Ep = "ep",
        /// Model chunks per pipeline stage.
        Vpp = "vpp",
        /// Data-parallel replicas.
        Dp = "dp",
        /// Tensor-parallel ranks inside experts.
        Etp = "etp",
        /// Uneven split of layers over stages.
        LayersPerStage = "layers_per_stage",
        /// ZeRO stage.
        Zero = "zero",
        /// Whether tensor parallelism shards the norms' tokens.
        SequenceParallel = "sequence_parallel",
        /// What the backward pass computes again.
        Recompute = "recompute",
        /// Pipeline schedule.
        Schedule = "schedule",
        /// Algorithm of the all-reduces.
        Collective = "collective",
        /// Wire protocol of a collective study.
        Protocol = "protocol",
        /// Data-parallel communication beside compute.
        OverlapDp = "overlap_dp",
        /// Tensor-parallel communication beside compute.
        OverlapTp = "overlap_tp",
        /// Pipeline sends beside compute.
        OverlapPp = "overlap_pp",
        /// Gradient bucket.
        BucketMib = "bucket_mib",
        /// Coefficient of variation of kernel times.
        Variability = "variability",
        /// Simulated steps.
        Iterations = "iterations",
        /// Seed of the draws.
        Seed = "seed",
    }
}

/// The values that an axis takes.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    /// A name of the catalogue, or one defined in the spec.
    Catalog(Kind),
    /// One of a closed set of names.
    Closed(&'static [&'static str]),
    /// One of the program's names, or one that the spec describes.
    Own(OwnKind),
    /// A count within bounds, both included.
    Int {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A real number within bounds, both included.
    Real {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// `true` or `false`.
    Bool,
    /// An amount of data with its unit: `"64 MiB"`.
    Size,
    /// Layers of each pipeline stage: `"4,6×14,5"`.
    Stages,
}

/// Type of an axis' column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// Unsigned 64-bit count (bytes, for a size).
    Int,
    /// 64-bit real number.
    Real,
    /// Yes or no.
    Bool,
}

impl Domain {
    /// Type of the column that holds such values.
    pub const fn column_type(self) -> ColumnType {
        match self {
            Self::Catalog(_) | Self::Closed(_) | Self::Own(_) | Self::Stages => ColumnType::Text,
            Self::Int { .. } | Self::Size => ColumnType::Int,
            Self::Real { .. } => ColumnType::Real,
            Self::Bool => ColumnType::Bool,
        }
    }
}

/// All there is to say about an axis.
#[derive(Clone, Copy, Debug)]
pub struct AxisInfo {
    /// The axis.
    pub axis: Axis,
    /// Part of a point that it belongs to.
    pub group: AxisGroup,
    /// What it is, in one sentence with a full stop.
    pub doc: &'static str,
    /// Unit of its values; empty for names and yes or no, `1` for counts.
    pub unit: &'static str,
    /// Values that it takes.
    pub domain: Domain,
    /// Whether it takes `auto` beside them.
    pub auto: bool,
    /// What holds when a spec leaves it out, in words; empty when it must be given.
    pub default: &'static str,
    /// Kinds of study that have it.
    pub studies: &'static [StudyKind],
}

impl Axis {
    /// Number of axes.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in `ALL` and in `AXES`.
    pub const fn position(self) -> usize {
        self as usize
    }

    /// All there is to say about it.
    pub const fn info(self) -> &'static AxisInfo {
        &AXES[self.position()]
    }

    /// Whether a kind of study has it.
    pub fn belongs_to(self, kind: StudyKind) -> bool {
        self.info().studies.contains(&kind)
    }
}

const TRAINING: &[StudyKind] = &[StudyKind::Training];
const COLLECTIVE: &[StudyKind] = &[StudyKind::Collective];
const BOTH: &[StudyKind] = &[StudyKind::Training, StudyKind::Collective];

/// Ranks of one group: more than any machine has, few enough for 32 bits.
const RANKS: Domain = Domain::Int {
    min: 1,
    max: 16_000_000,
};

macro_rules! names_of {
    ($set:ty) => {
        Domain::Closed(<$set>::NAMES)
    };
}

macro_rules! axes {
    ($( $axis:ident, $group:ident, $studies:ident, $unit:literal, $domain:expr, $auto:ident, $default:literal, $doc:literal; )+) => {
        /// Every axis, in the order of `Axis::ALL`.
        pub const AXES: &[AxisInfo] = &[ $( AxisInfo {
            axis: Axis::$axis,
            group: AxisGroup::$group,
            doc: $doc,
            unit: $unit,
            domain: $domain,
            auto: axes!(@ $auto),
            default: $default,
            studies: $studies,
        } ),+ ];
    };
    (@ auto) => { true };
    (@ fixed) => { false };
}

axes! {
    Model, Workload, TRAINING, "", Domain::Catalog(Kind::Models), fixed, "",
        "Network that is trained: a preset, or one defined in the spec.";
    GlobalBatch, Workload, TRAINING, "1", Domain::Int { min: 1, max: 2_000_000_000 }, fixed, "",
        "Samples (sequences or images) per optimizer step; or batch_per_gpu in its place.";
    BatchPerGpu, Workload, TRAINING, "1", Domain::Int { min: 1, max: 1_000_000 }, fixed, "",
        "Samples per optimizer step and GPU, for weak scaling; in place of global_batch.";
    MicroBatch, Workload, TRAINING, "1", Domain::Int { min: 1, max: 1_000_000 }, auto, "auto",
        "Samples per forward pass of one replica.";
    SeqLen, Workload, TRAINING, "token", Domain::Int { min: 1, max: 100_000_000 }, fixed, "the model's",
        "Tokens per sample.";
    Precision, Workload, TRAINING, "", names_of!(Precision), fixed, "bf16, fp16 where the GPU lacks it",
        "Number format of the matrix products.";
    Attention, Workload, TRAINING, "", names_of!(AttentionKernel), auto, "auto",
        "Attention kernel; auto is the best that GPU and stack have.";
    Stack, Workload, TRAINING, "", Domain::Catalog(Kind::Stacks), fixed, "current",
        "Software generation: what is fused, what overlaps, what waits.";
    Op, Communication, COLLECTIVE, "", names_of!(CollectiveOp), fixed, "",
        "Operation of a collective study.";
    Size, Communication, COLLECTIVE, "B", Domain::Size, fixed, "",
        "Buffer of a collective study, counted as nccl-tests counts it.";
    Gpu, Cluster, BOTH, "", Domain::Catalog(Kind::Gpus), fixed, "",
        "GPU: a preset, or one defined in the spec.";
    Nodes, Cluster, BOTH, "1", Domain::Int { min: 1, max: 1_000_000 }, fixed, "",
        "Servers; or gpus in its place.";
    Gpus, Cluster, BOTH, "1", RANKS, fixed, "",
        "GPUs: whole nodes above one, part of a full node below; in place of nodes.";
    GpusPerNode, Cluster, BOTH, "1", Domain::Int { min: 1, max: 1_024 }, fixed, "the cluster's",
        "GPUs of one server.";
    Cluster, Cluster, BOTH, "", Domain::Catalog(Kind::Clusters), fixed, "the GPU's usual one",
        "Node and fabric: NVLink domain, NICs, switches.";
    Topology, Cluster, BOTH, "", Domain::Own(OwnKind::Topologies), fixed, "the cluster's",
        "Network between nodes: one of the program's, or one that the spec describes.";
    Oversubscription, Cluster, BOTH, "1", Domain::Real { min: 1.0, max: 1_000.0 }, fixed, "the cluster's",
        "Downlink over uplink capacity of the leaf switches.";
    NicGbitPerS, Cluster, BOTH, "Gbit/s", Domain::Real { min: 0.001, max: 1_000_000.0 }, fixed, "the cluster's",
        "Network rate per GPU, one direction.";
    Tp, Parallelism, TRAINING, "1", RANKS, auto, "auto",
        "Tensor-parallel ranks.";
    Pp, Parallelism, TRAINING, "1", RANKS, auto, "auto",
        "Pipeline stages.";
    Cp, Parallelism, TRAINING, "1", RANKS, auto, "auto",
        "Context-parallel ranks.";
    Ep, Parallelism, TRAINING, "1", RANKS, auto, "auto",
        "Expert-parallel ranks.";
    Vpp, Parallelism, TRAINING, "1", Domain::Int { min: 1, max: 1_000 }, auto, "auto",
        "Model chunks per pipeline stage.";
    Dp, Parallelism, TRAINING, "1", RANKS, auto, "gpus / (tp·pp·cp)",
        "Data-parallel replicas; given, it must agree with gpus / (tp·pp·cp).";
    Etp, Parallelism, TRAINING, "1", RANKS, fixed, "1",
        "Tensor-parallel ranks inside experts.";
    LayersPerStage, Parallelism, TRAINING, "", Domain::Stages, auto, "even, embedding and loss counted as the stack does",
        "Layers of each pipeline stage, chunk-major with vpp > 1: \"4,6×14,5\".";
    Zero, Parallelism, TRAINING, "1", Domain::Int { min: 0, max: 3 }, auto, "auto",
        "ZeRO stage; 3 is FSDP.";
    SequenceParallel, Parallelism, TRAINING, "", Domain::Bool, auto, "auto: on when tp > 1",
        "Whether tensor parallelism shards the tokens of norms too.";
    Recompute, Parallelism, TRAINING, "", names_of!(Recompute), auto, "auto",
        "What the backward pass computes again instead of keeping it.";
    Schedule, Parallelism, TRAINING, "", names_of!(PipelineSchedule), auto, "auto",
        "Order in which a pipeline stage works through its microbatches.";
    Collective, Communication, BOTH, "", Domain::Own(OwnKind::Collectives), auto, "auto",
        "Algorithm of the gradient reduction and of every other all-reduce, or a schedule that reduces the gradients.";
    Protocol, Communication, COLLECTIVE, "", names_of!(Protocol), auto, "auto",
        "Wire protocol of a collective study.";
    OverlapDp, Communication, TRAINING, "", Domain::Bool, auto, "as the usual framework for that layout",
        "Whether data-parallel communication runs beside compute.";
    OverlapTp, Communication, TRAINING, "", Domain::Bool, auto, "as the usual framework for that layout",
        "Whether tensor-parallel communication runs beside compute.";
    OverlapPp, Communication, TRAINING, "", Domain::Bool, auto, "as the usual framework for that layout",
        "Whether sends between pipeline stages run beside compute.";
    BucketMib, Communication, TRAINING, "MiB", Domain::Real { min: 0.001, max: 1_000_000.0 }, auto, "the framework's",
        "Gradient bucket.";
    Variability, Run, TRAINING, "1", Domain::Real { min: 0.0, max: 10.0 }, fixed, "0",
        "Coefficient of variation of kernel times; 0 is deterministic.";
    Iterations, Run, TRAINING, "1", Domain::Int { min: 1, max: 1_000_000 }, fixed, "32",
        "Simulated steps, used when variability > 0.";
    Seed, Run, TRAINING, "1", Domain::Int { min: 0, max: u64::MAX }, fixed, "0",
        "Seed of the draws, used when variability > 0.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (position, axis) in Axis::ALL.iter().enumerate() {
            assert_eq!(AXES[position].axis, *axis);
            assert_eq!(axis.position(), position);
        }
        assert_eq!(AXES.len(), Axis::COUNT);
    }

    #[test]
    fn every_axis_is_described() {
        for info in AXES {
            assert!(info.doc.ends_with('.'), "{}", info.axis);
            assert!(!info.studies.is_empty(), "{}", info.axis);
        }
    }
}

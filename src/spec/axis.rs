//! The swept dimensions, each declared once.
//!
//! A row of `axes!` gives an axis its spelling, its meaning, the values that it takes and what a point has
//! where a spec leaves it out. The reader of specs, `where`, `sweep list axes`, the JSON Schema and the
//! input columns follow from it.

use itertools::Itertools;

use crate::catalog::{Catalog as Presets, DEFAULT_PRICES, Kind};
use crate::closed_set;
use crate::collective::{CollectiveOp, Protocol};
use crate::hardware::{AttentionKernel, Cluster, Gpu, Precision};
use crate::model::{CpExchange, ExpertDispatch, Family, Model, Module, Part};
use crate::simulation::{MixedLayout, RunSettings};
use crate::spec::custom::kind::CustomKind;
use crate::spec::value::AxisValue;
use crate::stack::{
    CudaGraphs, Fp8Recipe, Loss, Offload, Optimizer, PipelineSchedule, Recompute, Stack,
};

use AxisDefault::{
    Auto, Count, Name, Number, OfAxes, OfCluster, OfGpu, OfModel, OfNode, OfStack, OneOf, Required,
};
use Domain::{Bool, Catalog, Closed, Custom, Int, Power, Real, Several, Size, Stages};

closed_set! {
    /// Kind of study: what is simulated at each point.
    pub enum StudyKind: "kind of study" {
        /// Steps of a training job.
        Training = "training",
        /// Single communications on a cluster.
        Collective = "collective",
    }
}

closed_set! {
    /// Part of a point that an axis belongs to.
    pub(crate) enum AxisGroup: "axis group" {
        /// Computation of a step.
        Workload = "workload",
        /// Hardware that it runs on.
        Cluster = "cluster",
        /// Layout of the job.
        Parallelism = "parallelism",
        /// Exchange of data.
        Communication = "communication",
        /// Settings of the simulation itself.
        Run = "run",
    }
}

/// Values that an axis takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    /// A name of the catalogue, or one defined in the spec.
    Catalog(Kind),
    /// One of a closed set of names.
    Closed(&'static [&'static str]),
    /// One of some names, or several joined by `+`; with `none` where the second says so.
    Several(&'static [&'static str], bool),
    /// A built-in name, or one that the spec defines.
    Custom(CustomKind),
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
    /// A power with its unit: `"500 W"`.
    Power,
    /// Layers of each pipeline stage: `"4,6×14,5"`.
    Stages,
}

/// Type of an axis' column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// Count from zero on (bytes, for a size); 64 bits with a sign in a file.
    Int,
    /// 64-bit real number.
    Real,
    /// Yes or no.
    Bool,
}

impl Domain {
    /// Type of the column that holds such values.
    pub(crate) const fn column_type(self) -> ColumnType {
        match self {
            Catalog(_) | Closed(_) | Several(..) | Custom(_) | Stages => ColumnType::Text,
            Int { .. } | Size => ColumnType::Int,
            Real { .. } | Power => ColumnType::Real,
            Bool => ColumnType::Bool,
        }
    }
}

/// Value of an axis that a spec leaves out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AxisDefault {
    /// None: a spec gives the axis.
    Required,
    /// None: a spec gives either the axis or this one, from which it follows with the help of the others.
    OneOf(Axis, &'static [Axis]),
    /// `auto`, and what that amounts to, in words.
    Auto(&'static str),
    /// A count.
    Count(u64),
    /// A number.
    Number(f64),
    /// A name.
    Name(&'static str),
    /// The GPU's: in words, and as a value.
    OfGpu(&'static str, fn(&Gpu) -> AxisValue),
    /// The model's: in words, and as a value, which not every model has.
    OfModel(&'static str, fn(&Model) -> Option<AxisValue>),
    /// The stack's, for the model: in words, and as a value.
    OfStack(&'static str, fn(&Stack, &Model) -> AxisValue),
    /// The cluster preset's: in words, and as a value.
    OfCluster(&'static str, fn(&Cluster) -> AxisValue),
    /// The cluster preset's where its nodes have so many GPUs: in words, and as a value.
    OfNode(&'static str, fn(&Cluster, u32) -> AxisValue),
    /// Computed from other axes, in words, where all of them have values; else `auto`.
    OfAxes(&'static str, &'static [Axis]),
}

impl AxisDefault {
    /// Default in words; empty when the axis has to be given.
    pub(crate) fn words(self) -> String {
        match self {
            Required | OneOf(..) => String::new(),
            Count(count) => count.to_string(),
            Number(number) => number.to_string(),
            Name(words)
            | Auto(words)
            | OfGpu(words, _)
            | OfModel(words, _)
            | OfStack(words, _)
            | OfCluster(words, _)
            | OfNode(words, _)
            | OfAxes(words, _) => words.to_owned(),
        }
    }

    /// Other axes that the value of the axis follows from at once.
    pub(super) fn follows(self) -> Vec<Axis> {
        match self {
            Required | Auto(_) | Count(_) | Number(_) | Name(_) => Vec::new(),
            OneOf(other, rest) => [&[other], rest].concat(),
            OfGpu(..) => vec![Axis::Gpu],
            OfModel(..) => vec![Axis::Model],
            OfStack(..) => vec![Axis::Stack, Axis::Model],
            OfCluster(..) => vec![Axis::Cluster],
            OfNode(..) => vec![Axis::Cluster, Axis::GpusPerNode],
            OfAxes(_, axes) => axes.to_vec(),
        }
    }
}

/// Declaration of an axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AxisInfo {
    /// The axis.
    pub axis: Axis,
    /// Part of a point that it belongs to.
    pub group: AxisGroup,
    /// Meaning, in one sentence with a full stop.
    pub doc: &'static str,
    /// Unit of its values; empty for names and yes or no, `1` for counts.
    pub unit: &'static str,
    /// Values that it takes.
    pub domain: Domain,
    /// Value where a spec leaves it out.
    pub default: AxisDefault,
    /// Kinds of study that have it.
    pub studies: &'static [StudyKind],
    /// Values as a spec may give them; empty where the domain says enough.
    example: &'static str,
}

impl AxisInfo {
    /// Whether the axis takes `auto` beside the values of its domain.
    pub(crate) const fn takes_auto(&self) -> bool {
        matches!(self.default, Auto(_) | OfAxes(..))
    }

    /// The axis with some of its values, as a line of a spec: `tp = [1, 2, 4]`.
    pub(crate) fn example(&self) -> String {
        let axis = self.axis;
        if !self.example.is_empty() {
            return format!("{axis} = {}", self.example);
        }
        let values = match self.domain {
            Int { min, max } => {
                let counts = [1, 2, 4]
                    .into_iter()
                    .filter(|count| (min..=max).contains(count));
                format!("[{}]", counts.map(|count| count.to_string()).join(", "))
            }
            Real { min, .. } => format!("{min:?}"),
            Closed(names) => format!("{:?}", &names[..names.len().min(2)]),
            Several(names, _) => format!("[{:?}, {:?}]", names[0], names[..2].join("+")),
            Custom(kind) => format!("{:?}", &kind.built_in()[..2]),
            Bool => "[false, true]".to_owned(),
            Catalog(kind) => format!("{:?}", Presets::builtin().names(kind)[0]),
            Size => "\"64 MiB\"".to_owned(),
            Power => "\"500 W\"".to_owned(),
            Stages => "\"4,6×14,5\"".to_owned(),
        };
        format!("{axis} = {values}")
    }
}

impl Axis {
    /// Number of axes.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Place in `ALL` and in `AXES`.
    pub(crate) const fn position(self) -> usize {
        self as usize
    }

    /// Declaration of the axis.
    pub(crate) const fn info(self) -> &'static AxisInfo {
        &AXES[self.position()]
    }

    /// Whether a kind of study has the axis.
    pub(crate) fn belongs_to(self, kind: StudyKind) -> bool {
        self.info().studies.contains(&kind)
    }

    /// The other axis of an exclusive pair, of which a spec gives one: `gpus` for `nodes`.
    pub(crate) const fn alternative(self) -> Option<Self> {
        match self.info().default {
            OneOf(other, _) => Some(other),
            Required | Auto(_) | Count(_) | Number(_) | Name(_) | OfGpu(..) | OfModel(..)
            | OfStack(..) | OfCluster(..) | OfNode(..) | OfAxes(..) => None,
        }
    }
}

const TRAINING: &[StudyKind] = &[StudyKind::Training];
const COLLECTIVE: &[StudyKind] = &[StudyKind::Collective];
const BOTH: &[StudyKind] = &[StudyKind::Training, StudyKind::Collective];

/// Ranks of one group: more than any machine has, few enough for 32 bits.
const RANKS: Domain = Int {
    min: 1,
    max: 16_000_000,
};

/// Largest count of a column, whose integers have a sign.
pub(crate) const COUNT_MAX: u64 = i64::MAX.cast_unsigned();

/// Declares the axes, one a row: meaning, name = spelling, group, studies, unit, domain, default, and an example where
/// that of the domain would tell little.
macro_rules! axes {
    ($(
        $(#[doc = $doc:literal])+
        $axis:ident = $name:literal, $group:ident, $studies:ident, $unit:literal, $domain:expr, $default:expr
        $(, $example:literal)?;
    )+) => {
        closed_set! {
            /// Swept dimension.
            pub enum Axis: "axis" { $( $(#[doc = $doc])+ $axis = $name ),+ }
        }

        /// Every axis, in the order of `Axis::ALL`.
        pub(crate) const AXES: &[AxisInfo] = &[ $( AxisInfo {
            axis: Axis::$axis,
            group: AxisGroup::$group,
            doc: Axis::$axis.meaning(),
            unit: $unit,
            domain: $domain,
            default: $default,
            studies: $studies,
            example: [$($example,)? ""][0],
        } ),+ ];
    };
}

axes! {
    /// Network that is trained: a preset, or one defined in the spec.
    Model = "model", Workload, TRAINING, "", Catalog(Kind::Models), Required,
        r#"["llama3-8b", "llama3-70b"]"#;
    /// Samples (sequences or images) per optimizer step; or batch_per_gpu in its place.
    GlobalBatch = "global_batch", Workload, TRAINING, "1", Int { min: 1, max: 2_000_000_000 },
        OneOf(Axis::BatchPerGpu, &[Axis::Gpus]),
        "[256, 512, 1024]";
    /// Samples per optimizer step and GPU, for weak scaling; in place of global_batch.
    BatchPerGpu = "batch_per_gpu", Workload, TRAINING, "1", Int { min: 1, max: 1_000_000 },
        OneOf(Axis::GlobalBatch, &[Axis::Gpus]),
        "4";
    /// Samples per forward pass of one replica.
    MicroBatch = "micro_batch", Workload, TRAINING, "1", Int { min: 1, max: 1_000_000 },
        Auto("auto"),
        r#"["auto", 1, 2]"#;
    /// Tokens per sample.
    SeqLen = "seq_len", Workload, TRAINING, "token", Int { min: 1, max: 100_000_000 },
        OfModel("the model's", seq_len),
        "{ from = 4096, to = 32768, times = 2 }";
    /// Mean tokens of the documents that a sample is packed of; tokens attend to those of their own document alone.
    DocumentLength = "document_length", Workload, TRAINING, "token", Int { min: 1, max: 100_000_000 },
        Auto("a sample is one document"),
        r#"["auto", 1024]"#;
    /// Rank of the adapters that are trained beside each linear layer of a frozen network (LoRA).
    LoraRank = "lora_rank", Workload, TRAINING, "1", Int { min: 1, max: 65_536 },
        Auto("every weight is trained"),
        r#"["auto", 8, 16]"#;
    /// Parts of a model of images and text that are not trained.
    Frozen = "frozen", Workload, TRAINING, "", Several(Part::NAMES, true), Auto("every part is trained"),
        r#"["none", "encoder", "encoder+decoder"]"#;
    /// Number format of the matrix products.
    Precision = "precision", Workload, TRAINING, "", Closed(Precision::NAMES),
        OfGpu("bf16, fp16 where the GPU lacks it", |gpu| AxisValue::name(gpu.default_precision().as_str())),
        r#"["bf16", "fp8"]"#;
    /// How 8-bit tensors get their scale where precision is fp8; auto is as the stack does.
    Fp8Recipe = "fp8_recipe", Workload, TRAINING, "", Closed(Fp8Recipe::NAMES), Auto("as the stack does"),
        r#"["current", "block"]"#;
    /// Tokens of the busiest expert over the mean of all experts; 1 is balanced.
    ExpertImbalance = "expert_imbalance", Workload, TRAINING, "1", Real { min: 1.0, max: 10_000.0 },
        OfStack("the stack's; 1 for most", |stack, model| AxisValue::Real(stack.expert_imbalance(model).over_mean())),
        "[1.0, 1.3]";
    /// Attention kernel; auto is the best that GPU and stack have.
    Attention = "attention", Workload, TRAINING, "", Closed(AttentionKernel::NAMES), Auto("auto"),
        r#"["unfused", "flash2"]"#;
    /// Scope of CUDA graphs, which the host does not launch kernel by kernel; auto is as the stack does.
    CudaGraphs = "cuda_graphs", Workload, TRAINING, "", Closed(CudaGraphs::NAMES), Auto("as the stack does"),
        r#"["none", "layer"]"#;
    /// Software generation: what is fused, what overlaps, what waits.
    Stack = "stack", Workload, TRAINING, "", Catalog(Kind::Stacks), Name("current"),
        r#"["megatron-2021", "current"]"#;
    /// Operation of a collective study.
    Op = "op", Communication, COLLECTIVE, "", Closed(CollectiveOp::NAMES), Required,
        r#"["all-reduce", "all-gather"]"#;
    /// Buffer of a collective study, counted as nccl-tests counts it.
    Size = "size", Communication, COLLECTIVE, "B", Size, Required,
        r#"{ from = "8 B", to = "1 GiB", times = 8 }"#;
    /// GPU: a preset, one defined in the spec, or several types in one job, each with its number of GPUs.
    Gpu = "gpu", Cluster, BOTH, "", Catalog(Kind::Gpus), Required,
        r#"["h100-sxm", "8xa100-80gb-sxm + 8xh100-sxm"]"#;
    /// Servers; or gpus in its place.
    Nodes = "nodes", Cluster, BOTH, "1", Int { min: 1, max: 1_000_000 },
        OneOf(Axis::Gpus, &[Axis::GpusPerNode]),
        "{ from = 1, to = 64, times = 2 }";
    /// GPUs: whole nodes above one, part of a full node below; in place of nodes.
    Gpus = "gpus", Cluster, BOTH, "1", RANKS, OneOf(Axis::Nodes, &[Axis::GpusPerNode]),
        "[4, 8, 64]";
    /// GPUs of one server; of a server with more, they have the NICs beside them.
    GpusPerNode = "gpus_per_node", Cluster, BOTH, "1", Int { min: 1, max: 1_024 },
        OfCluster("the cluster's", |cluster| AxisValue::Int(u64::from(cluster.gpus_per_node))),
        "4";
    /// Node and fabric: NVLink domain, NICs, switches.
    Cluster = "cluster", Cluster, BOTH, "", Catalog(Kind::Clusters),
        OfGpu("the GPU's usual one", |gpu| AxisValue::name(&gpu.cluster)),
        r#"["dgx-h100", "aws-p5"]"#;
    /// Network between nodes: one of the program's, or one that the spec describes.
    Topology = "topology", Cluster, BOTH, "", Custom(CustomKind::Topologies),
        OfCluster("the cluster's", |cluster| AxisValue::name(cluster.fabric.topology.as_str())),
        r#"["rail", "fat-tree"]"#;
    /// Downlink over uplink capacity of the leaf switches.
    Oversubscription = "oversubscription", Cluster, BOTH, "1", Real { min: 1.0, max: 1_000.0 },
        OfCluster("the cluster's", |cluster| AxisValue::Real(cluster.fabric.oversubscription)),
        "[1.0, 2.0, 4.0]";
    /// Network rate per GPU, one direction.
    NicGbitPerS = "nic_gbit_per_s", Cluster, BOTH, "Gbit/s", Real { min: 0.001, max: 1_000_000.0 },
        OfNode("the cluster's", |cluster, gpus| {
            AxisValue::Real(cluster.nic_bandwidth_of_each(gpus).as_gbit_per_s())
        }),
        "[100, 400]";
    /// GPUs that one scale-up domain joins: fewer than the cluster's cut a rack's or slice's network off, down to a node's.
    DomainGpus = "domain_gpus", Cluster, BOTH, "1", Int { min: 1, max: 65_536 },
        OfNode("the cluster's", |cluster, gpus| {
            AxisValue::Int(u64::from(cluster.domain_of_nodes(gpus)))
        }),
        "[8, 64]";
    /// Price list by which the GPUs are rented.
    Prices = "prices", Cluster, TRAINING, "", Catalog(Kind::Prices), Name(DEFAULT_PRICES),
        r#"["verda-2026", "aws-2026"]"#;
    /// Power limit set on each GPU, which slows its products; auto is the GPU's own. In clauses: watts.
    PowerCap = "power_cap", Cluster, TRAINING, "W", Power, Auto("the GPU's own limit"),
        r#"["auto", "500 W"]"#;
    /// Power usage effectiveness: energy of the building over that of its machines.
    Pue = "pue", Cluster, TRAINING, "1", Real { min: 1.0, max: 10.0 },
        OfCluster("the cluster's, 1 where it states none", |cluster| AxisValue::Real(cluster.pue)),
        "[1.0, 1.2]";
    /// Tensor-parallel ranks.
    Tp = "tp", Parallelism, TRAINING, "1", RANKS, Auto("auto");
    /// Pipeline stages.
    Pp = "pp", Parallelism, TRAINING, "1", RANKS, Auto("auto");
    /// Context-parallel ranks.
    Cp = "cp", Parallelism, TRAINING, "1", RANKS, Auto("auto"),
        "[1, 2]";
    /// How context-parallel ranks get the keys and values of one another's tokens.
    CpExchange = "cp_exchange", Parallelism, TRAINING, "", Closed(CpExchange::NAMES), Auto("auto");
    /// Expert-parallel ranks.
    Ep = "ep", Parallelism, TRAINING, "1", RANKS, Auto("auto"),
        "[1, 2]";
    /// Model chunks per pipeline stage.
    Vpp = "vpp", Parallelism, TRAINING, "1", Int { min: 1, max: 1_000 }, Auto("auto"),
        r#"["auto", 2]"#;
    /// Data-parallel replicas; given, it must agree with gpus / (tp·pp·cp).
    Dp = "dp", Parallelism, TRAINING, "1", RANKS,
        OfAxes("gpus / (tp·pp·cp)", &[Axis::Gpus, Axis::Tp, Axis::Pp, Axis::Cp]),
        "[1, 2]";
    /// Tensor-parallel ranks inside experts.
    Etp = "etp", Parallelism, TRAINING, "1", RANKS, Auto("auto");
    /// Layers of each pipeline stage, chunk-major with vpp > 1: "4,6×14,5".
    LayersPerStage = "layers_per_stage", Parallelism, TRAINING, "", Stages,
        Auto("even, embedding and loss counted as the stack does"),
        r#""16×2""#;
    /// ZeRO stage; 3 is FSDP.
    Zero = "zero", Parallelism, TRAINING, "1", Int { min: 0, max: 3 }, Auto("auto"),
        "[1, 3]";
    /// Ranks that share one set of ZeRO-3's shards; fewer than dp·cp are hybrid sharding (HSDP), which copies across.
    ZeroGroup = "zero_group", Parallelism, TRAINING, "1", Int { min: 2, max: 16_000_000 }, Auto("auto"),
        r#"["auto", 8]"#;
    /// Whether tensor parallelism shards the tokens of norms too.
    SequenceParallel = "sequence_parallel", Parallelism, TRAINING, "", Bool,
        Auto("auto");
    /// Activations that the backward pass computes again instead of keeping them.
    Recompute = "recompute", Parallelism, TRAINING, "", Closed(Recompute::NAMES), Auto("auto");
    /// Modules that the backward pass computes again, of Megatron-Core and MaxText: recompute = selective, by name.
    RecomputeModules = "recompute_modules", Parallelism, TRAINING, "", Several(Module::NAMES, false),
        Auto("what the stack's selective recomputation repeats"),
        r#"["core_attn", "layernorm+mlp"]"#;
    /// Layers of each pipeline stage that the backward pass computes again as a whole: recompute = full, of so many.
    RecomputeLayers = "recompute_layers", Parallelism, TRAINING, "1", Int { min: 1, max: 1_000_000 },
        Auto("all, or as few as make it fit"),
        "[4, 8]";
    /// How much of the logits exists at once.
    Loss = "loss", Workload, TRAINING, "", Closed(Loss::NAMES), Auto("the stack's");
    /// Rule by which weights follow their gradients: bytes of its state, and time of its step.
    Optimizer = "optimizer", Workload, TRAINING, "", Closed(Optimizer::NAMES), Auto("the stack's, AdamW"),
        r#"["adamw", "adamw-8bit", "muon"]"#;
    /// State in the host's memory, copied over the GPU's link to it while it is used.
    Offload = "offload", Workload, TRAINING, "", Several(Offload::NAMES, true), Auto("the stack's, none"),
        r#"["none", "optimizer", "optimizer+activations"]"#;
    /// Order in which a pipeline stage works through its microbatches.
    Schedule = "schedule", Parallelism, TRAINING, "", Closed(PipelineSchedule::NAMES), Auto("auto");
    /// Sharing of a job among several types of GPU: pipeline stages, or data-parallel replicas, of each.
    Mixed = "mixed", Parallelism, TRAINING, "", Closed(MixedLayout::NAMES), Auto("replicas");
    /// Algorithm of the gradient reduction and of every other all-reduce, or a schedule that reduces the gradients.
    Collective = "collective", Communication, BOTH, "", Custom(CustomKind::Collectives),
        Auto("auto"),
        r#"["ring", "tree"]"#;
    /// Wire protocol of a collective study.
    Protocol = "protocol", Communication, COLLECTIVE, "", Closed(Protocol::NAMES), Auto("auto");
    /// Whether data-parallel communication runs beside compute.
    OverlapDp = "overlap_dp", Communication, TRAINING, "", Bool,
        Auto("as the usual framework for that layout");
    /// Whether tensor-parallel communication runs beside compute.
    OverlapTp = "overlap_tp", Communication, TRAINING, "", Bool,
        Auto("as the usual framework for that layout");
    /// Whether sends between pipeline stages run beside compute.
    OverlapPp = "overlap_pp", Communication, TRAINING, "", Bool,
        Auto("as the usual framework for that layout");
    /// How tokens get to their experts: permuted copies by all-to-all, all gathered, or each once to a place by a library.
    ExpertDispatch = "expert_dispatch", Communication, TRAINING, "", Closed(ExpertDispatch::NAMES),
        Auto("the stack's first that the fabric carries"),
        r#"["all-to-all", "hybridep"]"#;
    /// Whether exchanges with experts run beside the compute of another microbatch: with vpp over 1, or pp 1.
    OverlapEp = "overlap_ep", Communication, TRAINING, "", Bool,
        Auto("as the stack does with vpp over 1");
    /// Gradient bucket.
    BucketMib = "bucket_mib", Communication, TRAINING, "MiB", Real { min: 0.001, max: 1_000_000.0 },
        Auto("the framework's"),
        "[25.0, 100.0]";
    /// Coefficient of variation of kernel times; 0 is deterministic.
    Variability = "variability", Run, TRAINING, "1", Real { min: 0.0, max: 10.0 }, Number(0.0),
        "[0.0, 0.05]";
    /// Simulated steps, used when variability > 0.
    Iterations = "iterations", Run, TRAINING, "1", Int { min: 1, max: 1_000_000 },
        Count(RunSettings::ITERATIONS as u64),
        "100";
    /// Seed of the draws, used when variability > 0; each point draws its own by its number.
    Seed = "seed", Run, TRAINING, "1", Int { min: 0, max: COUNT_MAX }, Count(0),
        "[0, 1, 2]";
}

/// Tokens of a model's samples; images have none.
fn seq_len(model: &Model) -> Option<AxisValue> {
    (model.family != Family::Cnn).then(|| AxisValue::Int(u64::from(model.seq_len())))
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

    #[test]
    fn the_axes_of_an_exclusive_pair_name_each_other() {
        for axis in Axis::ALL {
            let back = axis.alternative().map(Axis::alternative);
            assert!(back.is_none_or(|back| back == Some(*axis)), "{axis}");
        }
    }
}

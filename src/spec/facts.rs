//! Numbers of the catalogue that `where` can name: `model.params`, `gpu.memory_gib`.

use crate::catalog::{Catalog, Kind};
use crate::hardware::{Cluster, Gpu, Precision};
use crate::model::Model;

/// One number of a GPU, model or cluster.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// What has it.
    pub kind: Kind,
    /// Its name after the dot: `params`.
    pub name: &'static str,
    /// What it is, in one sentence with a full stop.
    pub doc: &'static str,
    read: Read,
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Gpu(fn(&Gpu) -> Option<f64>),
    Model(fn(&Model) -> Option<f64>),
    Cluster(fn(&Cluster) -> Option<f64>),
}

const fn gpu(name: &'static str, doc: &'static str, read: fn(&Gpu) -> Option<f64>) -> Fact {
    Fact {
        kind: Kind::Gpus,
        name,
        doc,
        read: Read::Gpu(read),
    }
}

const fn model(name: &'static str, doc: &'static str, read: fn(&Model) -> Option<f64>) -> Fact {
    Fact {
        kind: Kind::Models,
        name,
        doc,
        read: Read::Model(read),
    }
}

const fn cluster(name: &'static str, doc: &'static str, read: fn(&Cluster) -> Option<f64>) -> Fact {
    Fact {
        kind: Kind::Clusters,
        name,
        doc,
        read: Read::Cluster(read),
    }
}

/// Every number that a clause can name.
pub const FACTS: &[Fact] = &[
    gpu(
        "memory_gib",
        "Memory that the driver reports, in GiB.",
        |gpu| Some(gpu.memory.as_gib()),
    ),
    gpu(
        "memory_gbyte_per_s",
        "Memory bandwidth of the data sheet, in GB/s.",
        |gpu| Some(gpu.memory_bandwidth.as_bytes_per_s() / 1e9),
    ),
    gpu(
        "tflops",
        "Dense peak in bf16 (fp16 where the GPU lacks it), in TFLOP/s.",
        |gpu| peak(gpu, gpu.default_precision()),
    ),
    gpu(
        "tflops_fp8",
        "Dense peak in fp8, in TFLOP/s; null where the GPU lacks it.",
        |gpu| peak(gpu, Precision::Fp8),
    ),
    gpu(
        "sms",
        "Streaming multiprocessors or compute units.",
        |gpu| Some(f64::from(gpu.sms)),
    ),
    gpu(
        "power_w",
        "Board power limit, in watts; null when not published.",
        |gpu| gpu.power.map(crate::units::Power::as_watts),
    ),
    gpu(
        "price_usd_per_hour",
        "Rent of one GPU and hour, in US dollars; null without a price.",
        |gpu| gpu.price.as_ref().map(|price| price.usd_per_hour),
    ),
    model(
        "params",
        "Parameters, multi-token-prediction layers left out.",
        |model| Some(model.parameters().without_mtp() as f64),
    ),
    model(
        "active_params",
        "Parameters that one token uses.",
        |model| Some(model.parameters().active() as f64),
    ),
    model(
        "layers",
        "Layers; null for convolutional networks.",
        |model| model.transformer().map(|it| f64::from(it.layers)),
    ),
    model(
        "hidden",
        "Width of the residual stream; null for convolutional networks.",
        |model| model.transformer().map(|it| f64::from(it.hidden)),
    ),
    model(
        "experts",
        "Routed experts of a layer; null without experts.",
        |model| {
            let moe = model.transformer()?.moe?;
            Some(f64::from(moe.experts))
        },
    ),
    model(
        "seq_len",
        "Tokens per sample unless the spec says otherwise.",
        |model| Some(f64::from(model.seq_len)),
    ),
    cluster("gpus_per_node", "GPUs of one server.", |cluster| {
        Some(f64::from(cluster.gpus_per_node))
    }),
    cluster("domain_gpus", "GPUs of one scale-up domain.", |cluster| {
        Some(f64::from(cluster.domain_gpus))
    }),
    cluster(
        "nic_gbit_per_s",
        "Network rate per GPU and direction, in Gbit/s.",
        |cluster| Some(cluster.nic_bandwidth_per_gpu().as_gbit_per_s()),
    ),
];

fn peak(gpu: &Gpu, precision: Precision) -> Option<f64> {
    gpu.peaks
        .get(precision)
        .map(crate::units::FlopRate::as_tflops)
}

/// The names of a kind's numbers.
pub(super) fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
    FACTS
        .iter()
        .filter(move |fact| fact.kind == kind)
        .map(|fact| fact.name)
}

/// A number of the thing with a name; `None` where the thing does not have it.
pub(super) fn number(catalog: &Catalog, kind: Kind, name: &str, fact: &str) -> Option<f64> {
    let fact = FACTS.iter().find(|it| it.kind == kind && it.name == fact)?;
    match fact.read {
        Read::Gpu(read) => read(catalog.gpus.get(name)?),
        Read::Model(read) => read(catalog.models.get(name)?),
        Read::Cluster(read) => read(catalog.clusters.get(name)?),
    }
}

//! Numbers of the catalogue that `where` can name: `model.params`, `gpu.memory_gib`.

use crate::catalog::Catalog;
use crate::data_table::quantity::Dollars;
use crate::hardware::{Cluster, Gpu, Precision};
use crate::model::Model;
use crate::spec::axis::Axis;
use crate::spec::point::GridPoint;
use crate::units::{FlopRate, Power};

/// Number of the GPU, model or cluster of a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// Name in a clause: `model.params`.
    pub name: &'static str,
    read: Read,
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Gpu(fn(&Gpu) -> Option<f64>),
    Model(fn(&Model) -> Option<f64>),
    Cluster(fn(&Cluster) -> Option<f64>),
}

impl Fact {
    /// The fact with a name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FACTS.iter().find(|fact| fact.name == name)
    }

    /// Axis that names the thing which has the number.
    pub(super) const fn axis(&self) -> Axis {
        match self.read {
            Read::Gpu(_) => Axis::Gpu,
            Read::Model(_) => Axis::Model,
            Read::Cluster(_) => Axis::Cluster,
        }
    }

    /// The number at a point; `None` where its GPU, model or cluster does not have it.
    pub(super) fn of(&self, catalog: &Catalog, point: &GridPoint) -> Option<f64> {
        let name = point.text(self.axis())?;
        match self.read {
            Read::Gpu(read) => read(catalog.gpus.get(name)?),
            Read::Model(read) => read(catalog.models.get(name)?),
            Read::Cluster(read) => read(catalog.clusters.get(name)?),
        }
    }
}

macro_rules! facts {
    ($( $(#[doc = $doc:literal])+ $name:literal = $read:expr; )+) => {
        /// Every number that a clause can name.
        pub(crate) const FACTS: &[Fact] = &[ $( Fact {
            name: $name,
            read: $read,
        } ),+ ];
    };
}

facts! {
    /// Memory that the driver reports, in GiB.
    "gpu.memory_gib" = Read::Gpu(|gpu| Some(gpu.memory.as_gib()));
    /// Memory bandwidth of the data sheet, in GB/s.
    "gpu.memory_gbyte_per_s" = Read::Gpu(|gpu| Some(gpu.memory_bandwidth.as_bytes_per_s() / 1e9));
    /// Dense peak in bf16 (fp16 where the GPU lacks it), in TFLOP/s.
    "gpu.tflops" = Read::Gpu(|gpu| peak(gpu, gpu.default_precision()));
    /// Dense peak in fp8, in TFLOP/s; null where the GPU lacks it.
    "gpu.tflops_fp8" = Read::Gpu(|gpu| peak(gpu, Precision::Fp8));
    /// Streaming multiprocessors or compute units.
    "gpu.sms" = Read::Gpu(|gpu| Some(f64::from(gpu.sms)));
    /// Board power limit, in watts; null when not published.
    "gpu.power_w" = Read::Gpu(|gpu| gpu.power.map(Power::as_watts));
    /// Rent of one GPU and hour, in US dollars; null without a price.
    "gpu.price_usd_per_hour" = Read::Gpu(|gpu| gpu.price_per_hour.map(Dollars::usd));
    /// Parameters, multi-token-prediction layers left out.
    "model.params" = Read::Model(|model| Some(model.parameters().without_mtp() as f64));
    /// Parameters that one token uses.
    "model.active_params" = Read::Model(|model| Some(model.parameters().active() as f64));
    /// Layers; null for convolutional networks.
    "model.layers" = Read::Model(|model| model.transformer().map(|it| f64::from(it.layers)));
    /// Width of the residual stream; null for convolutional networks.
    "model.hidden" = Read::Model(|model| model.transformer().map(|it| f64::from(it.hidden)));
    /// Routed experts of a layer; null without experts.
    "model.experts" = Read::Model(|model| Some(f64::from(model.transformer()?.moe?.experts)));
    /// Tokens per sample unless the spec says otherwise.
    "model.seq_len" = Read::Model(|model| Some(f64::from(model.seq_len())));
    /// GPUs of one server.
    "cluster.gpus_per_node" = Read::Cluster(|cluster| Some(f64::from(cluster.gpus_per_node)));
    /// GPUs of one scale-up domain.
    "cluster.domain_gpus" = Read::Cluster(|cluster| Some(f64::from(cluster.domain_gpus)));
    /// Network rate per GPU and direction, in Gbit/s.
    "cluster.nic_gbit_per_s" = Read::Cluster(|it| Some(it.nic_bandwidth_per_gpu().as_gbit_per_s()));
}

fn peak(gpu: &Gpu, precision: Precision) -> Option<f64> {
    gpu.peaks.get(precision).map(FlopRate::as_tflops)
}

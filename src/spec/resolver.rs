//! Names of a point to values of the catalogue, with the point's changes applied.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::Catalog;
use crate::hardware::{Cluster, Gpu};
use crate::model::{Family, Model};
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::{AxisValue, GridPoint, OwnTables};
use crate::units::Bandwidth;

/// Changed clusters that are kept: more than a sensible sweep has, little enough to stay small.
const CLUSTERS_KEPT: usize = 4_096;

/// Looks up what the names of a point stand for.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) catalog: Arc<Catalog>,
    pub(super) own: Arc<OwnTables>,
    kind: StudyKind,
    changed: RwLock<BTreeMap<ClusterChange, Arc<Cluster>>>,
}

/// A cluster with the changes that a point makes to it; reals by their bits, to be compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ClusterChange {
    name: Arc<str>,
    gpus_per_node: u32,
    topology: Arc<str>,
    oversubscription: u64,
    nic_gbit_per_s: u64,
}

impl Resolver {
    pub(super) fn new(catalog: Arc<Catalog>, own: Arc<OwnTables>, kind: StudyKind) -> Self {
        Self {
            catalog,
            own,
            kind,
            changed: RwLock::new(BTreeMap::new()),
        }
    }

    /// The GPU of a point.
    ///
    /// # Panics
    /// If the catalogue does not have it: the reader of specs checks every name.
    pub(super) fn gpu(&self, point: &GridPoint) -> &Arc<Gpu> {
        let name = point.text(Axis::Gpu).expect("every point has a GPU");
        &self.catalog.gpus[name]
    }

    /// The model of a point of a training study.
    pub(super) fn model(&self, point: &GridPoint) -> &Arc<Model> {
        let name = point.text(Axis::Model).expect("training has a model");
        &self.catalog.models[name]
    }

    /// Gives every axis that was left out the value that it has by default.
    pub(super) fn complete(&self, point: &mut GridPoint) {
        self.complete_cluster(point);
        if self.kind == StudyKind::Training {
            self.complete_workload(point);
            complete_layout(point);
        }
        for axis in Axis::ALL {
            if axis.info().auto && *axis != Axis::Dp && axis.belongs_to(self.kind) {
                point.set_default(*axis, || AxisValue::Auto);
            }
        }
    }

    fn complete_cluster(&self, point: &mut GridPoint) {
        let usual = self.gpu(point).cluster.as_str();
        point.set_default(Axis::Cluster, || AxisValue::Text(usual.into()));
        let name = point.text(Axis::Cluster).expect("set one line above");
        let cluster = &self.catalog.clusters[name];
        point.set_default(Axis::GpusPerNode, || {
            AxisValue::Int(u64::from(cluster.gpus_per_node))
        });
        point.set_default(Axis::Topology, || {
            AxisValue::Text(cluster.fabric.topology.as_str().into())
        });
        point.set_default(Axis::Oversubscription, || {
            AxisValue::Real(cluster.fabric.oversubscription)
        });
        point.set_default(Axis::NicGbitPerS, || {
            AxisValue::Real(cluster.nic_bandwidth_per_gpu().as_gbit_per_s())
        });
        let per_node = point.int(Axis::GpusPerNode).expect("set above");
        if let Some(nodes) = point.int(Axis::Nodes) {
            point.set(Axis::Gpus, AxisValue::Int(nodes * per_node));
        } else if let Some(gpus) = point.int(Axis::Gpus)
            && (gpus <= per_node || gpus.is_multiple_of(per_node))
        {
            point.set(Axis::Nodes, AxisValue::Int(gpus.div_ceil(per_node)));
        }
    }

    fn complete_workload(&self, point: &mut GridPoint) {
        let model = Arc::clone(self.model(point));
        if model.family != Family::Cnn {
            point.set_default(Axis::SeqLen, || AxisValue::Int(u64::from(model.seq_len)));
        }
        let precision = self.gpu(point).default_precision();
        point.set_default(Axis::Precision, || {
            AxisValue::Text(precision.as_str().into())
        });
        point.set_default(Axis::Stack, || AxisValue::Text("current".into()));
        point.set_default(Axis::Etp, || AxisValue::Int(1));
        point.set_default(Axis::Variability, || AxisValue::Real(0.0));
        point.set_default(Axis::Iterations, || AxisValue::Int(32));
        point.set_default(Axis::Seed, || AxisValue::Int(0));
    }

    /// The cluster of a completed point, its changes applied.
    pub(super) fn cluster(&self, point: &GridPoint) -> Arc<Cluster> {
        let name = point
            .text(Axis::Cluster)
            .expect("completed points have a cluster");
        let preset = &self.catalog.clusters[name];
        let change = ClusterChange {
            name: name.into(),
            gpus_per_node: point
                .int(Axis::GpusPerNode)
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(preset.gpus_per_node),
            topology: point
                .text(Axis::Topology)
                .unwrap_or(preset.fabric.topology.as_str())
                .into(),
            oversubscription: point
                .number(Axis::Oversubscription)
                .unwrap_or(preset.fabric.oversubscription)
                .to_bits(),
            nic_gbit_per_s: point
                .number(Axis::NicGbitPerS)
                .unwrap_or_else(|| preset.nic_bandwidth_per_gpu().as_gbit_per_s())
                .to_bits(),
        };
        if change.is_none(preset) {
            return Arc::clone(preset);
        }
        let kept = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = kept.get(&change) {
            return Arc::clone(cluster);
        }
        drop(kept);
        let cluster = Arc::new(change.applied(preset, &self.own));
        let mut kept = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < CLUSTERS_KEPT {
            kept.insert(change, Arc::clone(&cluster));
        }
        cluster
    }
}

impl ClusterChange {
    fn is_none(&self, preset: &Cluster) -> bool {
        self.gpus_per_node == preset.gpus_per_node
            && *self.topology == *preset.fabric.topology.as_str()
            && self.oversubscription == preset.fabric.oversubscription.to_bits()
            && self.nic_gbit_per_s == preset.nic_bandwidth_per_gpu().as_gbit_per_s().to_bits()
    }

    /// The preset with the changes: fewer GPUs of a node take their NICs along, and a domain that was
    /// one node stays one.
    fn applied(&self, preset: &Cluster, own: &OwnTables) -> Cluster {
        let mut cluster = preset.clone();
        if self.gpus_per_node != preset.gpus_per_node {
            let nics = u64::from(preset.nics_per_node) * u64::from(self.gpus_per_node);
            let per_old = u64::from(preset.gpus_per_node);
            cluster.nics_per_node = u32::try_from(nics / per_old).unwrap_or(u32::MAX).max(1);
            cluster.gpus_per_node = self.gpus_per_node;
            if preset.domain_gpus == preset.gpus_per_node {
                cluster.domain_gpus = self.gpus_per_node;
            }
        }
        let nic_gbit_per_s = f64::from_bits(self.nic_gbit_per_s);
        let gpus_per_nic = f64::from(cluster.gpus_per_node) / f64::from(cluster.nics_per_node);
        cluster.nic_bandwidth = Bandwidth::gbit_per_s(nic_gbit_per_s * gpus_per_nic);
        if let Some(topology) = own.topology(&self.topology) {
            cluster.fabric.topology = topology;
        }
        cluster.fabric.oversubscription = f64::from_bits(self.oversubscription);
        cluster
    }
}

/// `dp` follows when every other group is given.
fn complete_layout(point: &mut GridPoint) {
    if point.value(Axis::Dp) == Some(&AxisValue::Auto) {
        point.clear(Axis::Dp);
    }
    let groups = [Axis::Tp, Axis::Pp, Axis::Cp].map(|axis| point.int(axis));
    let ([Some(tp), Some(pp), Some(cp)], Some(gpus)) = (groups, point.int(Axis::Gpus)) else {
        return;
    };
    let replica = tp.saturating_mul(pp).saturating_mul(cp);
    if gpus.is_multiple_of(replica) {
        point.set_default(Axis::Dp, || AxisValue::Int(gpus / replica));
    }
}

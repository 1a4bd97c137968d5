//! Defaults of a point, and the GPU, model and cluster that its names stand for.

use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::Catalog;
use crate::hardware::{Cluster, Gpu};
use crate::memo::Memo;
use crate::model::Model;
use crate::spec::axis::{Axis, AxisDefault, StudyKind};
use crate::spec::custom::CustomTables;
use crate::spec::point::GridPoint;
use crate::spec::value::AxisValue;
use crate::units::Bandwidth;

/// Changed clusters that are remembered: more than a sensible sweep has, little enough to stay small.
const MOST_CLUSTERS: usize = 4_096;

/// Why every axis with a default has a value.
pub(super) const COMPLETED: &str = "the point was completed";

/// Values of the catalogue that the names of a point stand for, and the defaults that they give.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) catalog: Arc<Catalog>,
    pub(super) custom: Arc<CustomTables>,
    kind: StudyKind,
    changed: RwLock<Memo<ClusterChange, Arc<Cluster>, MOST_CLUSTERS>>,
}

/// Changes that a point makes to a cluster preset; reals by their bits, to be compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClusterChange {
    name: Arc<str>,
    gpus_per_node: u32,
    topology: Arc<str>,
    oversubscription: u64,
    nic_gbit_per_s: u64,
}

impl Resolver {
    pub(super) fn new(catalog: Arc<Catalog>, custom: Arc<CustomTables>, kind: StudyKind) -> Self {
        Self {
            catalog,
            custom,
            kind,
            changed: RwLock::default(),
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

    /// Gives every axis that was left out its default.
    ///
    /// `dp` given as `auto` counts as left out, since it follows from the other groups.
    pub(super) fn complete(&self, point: &mut GridPoint) {
        if point.value(Axis::Dp) == Some(&AxisValue::Auto) {
            point.clear(Axis::Dp);
        }
        for axis in Axis::ALL {
            if !point.has(*axis)
                && axis.belongs_to(self.kind)
                && let Some(value) = self.default(*axis, point)
            {
                point.set(*axis, value);
            }
        }
        complete_size(point);
        complete_replicas(point);
    }

    /// Default of an axis, as far as it does not follow from other axes.
    fn default(&self, axis: Axis, point: &GridPoint) -> Option<AxisValue> {
        match axis.info().default {
            AxisDefault::Required | AxisDefault::OneOf(..) | AxisDefault::OfAxes(..) => None,
            AxisDefault::Auto(_) => Some(AxisValue::Auto),
            AxisDefault::Count(count) => Some(AxisValue::Int(count)),
            AxisDefault::Number(number) => Some(AxisValue::Real(number)),
            AxisDefault::Name(name) => Some(AxisValue::name(name)),
            AxisDefault::OfGpu(_, value) => Some(value(self.gpu(point))),
            AxisDefault::OfModel(_, value) => value(self.model(point)),
            AxisDefault::OfCluster(_, value) => Some(value(self.preset(point))),
            AxisDefault::OfNode(_, value) => {
                let gpus = point.int(Axis::GpusPerNode)?;
                Some(value(self.preset(point), gpus as u32))
            }
        }
    }

    /// The cluster preset of a point.
    fn preset(&self, point: &GridPoint) -> &Arc<Cluster> {
        let usual = || self.gpu(point).cluster.as_str();
        let name = point.text(Axis::Cluster).unwrap_or_else(usual);
        &self.catalog.clusters[name]
    }

    /// The cluster of a completed point, its changes applied.
    pub(super) fn cluster(&self, point: &GridPoint) -> Arc<Cluster> {
        let preset = self.preset(point);
        let number = |axis| point.number(axis).expect(COMPLETED);
        let change = ClusterChange {
            name: preset.name.as_str().into(),
            gpus_per_node: point.int(Axis::GpusPerNode).expect(COMPLETED) as u32,
            topology: point.text(Axis::Topology).expect(COMPLETED).into(),
            oversubscription: number(Axis::Oversubscription).to_bits(),
            nic_gbit_per_s: number(Axis::NicGbitPerS).to_bits(),
        };
        if change.is_none(preset) {
            return Arc::clone(preset);
        }
        let known = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = known.get(&change) {
            return Arc::clone(cluster);
        }
        drop(known);
        let cluster = Arc::new(change.applied(preset, &self.custom));
        let mut known = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(change, Arc::clone(&cluster));
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

    /// The preset with the changes.
    fn applied(&self, preset: &Cluster, custom: &CustomTables) -> Cluster {
        let topology = custom.topology(&self.topology);
        let topology = topology.unwrap_or_else(|| preset.fabric.topology.clone());
        let resized = preset.with_gpus_per_node(self.gpus_per_node);
        let own = resized.nic_bandwidth_per_gpu().as_gbit_per_s().to_bits();
        let cluster = if self.nic_gbit_per_s == own {
            resized
        } else {
            resized.with_nic_rate(Bandwidth::gbit_per_s(f64::from_bits(self.nic_gbit_per_s)))
        };
        cluster.with_topology(topology, f64::from_bits(self.oversubscription))
    }
}

/// Gives a point its GPUs by its nodes, or its nodes by its GPUs where those are whole nodes.
fn complete_size(point: &mut GridPoint) {
    let per_node = point.int(Axis::GpusPerNode).expect(COMPLETED);
    if let Some(nodes) = point.int(Axis::Nodes) {
        point.set(Axis::Gpus, AxisValue::Int(nodes * per_node));
    } else if let Some(gpus) = point.int(Axis::Gpus)
        && (gpus <= per_node || gpus.is_multiple_of(per_node))
    {
        point.set(Axis::Nodes, AxisValue::Int(gpus.div_ceil(per_node)));
    }
}

/// Gives a point its data-parallel replicas where every other group is given.
fn complete_replicas(point: &mut GridPoint) {
    let groups = [Axis::Tp, Axis::Pp, Axis::Cp].map(|axis| point.int(axis));
    let ([Some(tp), Some(pp), Some(cp)], Some(gpus)) = (groups, point.int(Axis::Gpus)) else {
        return;
    };
    let replica = tp.saturating_mul(pp).saturating_mul(cp);
    if !point.has(Axis::Dp) && gpus.is_multiple_of(replica) {
        point.set(Axis::Dp, AxisValue::Int(gpus / replica));
    }
}

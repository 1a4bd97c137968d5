//! Defaults of a point, and the GPU, model and cluster that its names stand for.

use std::sync::{Arc, PoisonError, RwLock};

use itertools::Itertools as _;

use crate::catalog::{Catalog, DEFAULT_PRICES};
use crate::hardware::{Cluster, Gpu, Precision};
use crate::memo::Memo;
use crate::model::Model;
use crate::simulation::{GpuPool, Infeasible};
use crate::spec::axis::{Axis, AxisDefault, StudyKind};
use crate::spec::custom::CustomTables;
use crate::spec::mixed_gpus::{self, MixedGpus};
use crate::spec::point::GridPoint;
use crate::spec::value::AxisValue;
use crate::stack::{CURRENT, RecipeChange, Stack};
use crate::units::Bandwidth;

/// Changed clusters, or GPUs, that are remembered: more than a sensible sweep has, little enough to stay small.
const MOST_CHANGED: usize = 4_096;

/// Why every axis with a default has a value.
pub(super) const COMPLETED: &str = "the point was completed";

/// Values of the catalogue that the names of a point stand for, and the defaults that they give.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) catalog: Arc<Catalog>,
    pub(super) custom: Arc<CustomTables>,
    kind: StudyKind,
    changed: RwLock<Memo<ClusterChange, Arc<Cluster>, MOST_CHANGED>>,
    rented: RwLock<Memo<Rental, Arc<Gpu>, MOST_CHANGED>>,
    recipes: RwLock<Memo<StackChange, Arc<Stack>, MOST_CHANGED>>,
}

/// Changes that a point makes to a cluster preset; reals by their bits, to be compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClusterChange {
    name: Arc<str>,
    gpus_per_node: u32,
    topology: Arc<str>,
    oversubscription: u64,
    nic_gbit_per_s: u64,
    domain_gpus: u32,
    pue: u64,
}

/// Name of a stack, and what a point changes of its recipes.
type StackChange = (Arc<str>, RecipeChange);

/// A GPU as a job rents it: under a power limit, at the price of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rental {
    gpu: Arc<str>,
    /// Power limit in watts, by its bits.
    power_cap: Option<u64>,
    prices: Arc<str>,
    /// GPUs of the job that share a node.
    sharing: u32,
}

impl Resolver {
    pub(super) fn new(catalog: Arc<Catalog>, custom: Arc<CustomTables>, kind: StudyKind) -> Self {
        Self {
            catalog,
            custom,
            kind,
            changed: RwLock::default(),
            rented: RwLock::default(),
            recipes: RwLock::default(),
        }
    }

    /// The GPU of a point; `None` where it has several types.
    ///
    /// # Panics
    /// If the point has none.
    pub(super) fn gpu(&self, point: &GridPoint) -> Option<&Arc<Gpu>> {
        let name = point.text(Axis::Gpu).expect("every point has a GPU");
        self.catalog.gpus.get(name)
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
        if let Some(mixed) = types_of(point) {
            self.complete_mixed(point, &mixed);
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
            AxisDefault::OfGpu(_, value) => Some(value(self.gpu(point)?)),
            AxisDefault::OfModel(_, value) => value(self.model(point)),
            AxisDefault::OfStack(_, value) => {
                let stack = point.text(Axis::Stack).unwrap_or(CURRENT);
                Some(value(&self.catalog.stacks[stack], self.model(point)))
            }
            AxisDefault::OfCluster(_, value) => Some(value(self.preset(point)?)),
            AxisDefault::OfNode(_, value) => {
                let gpus = point.int(Axis::GpusPerNode)?;
                Some(value(self.preset(point)?, gpus as u32))
            }
        }
    }

    /// The cluster preset of a point; `None` where its types of GPU have one each.
    fn preset(&self, point: &GridPoint) -> Option<&Arc<Cluster>> {
        let usual = || Some(self.gpu(point)?.cluster.as_str());
        let name = point.text(Axis::Cluster).or_else(usual)?;
        Some(&self.catalog.clusters[name])
    }

    /// Gives a point of several types of GPU its size, and the defaults that all types share.
    fn complete_mixed(&self, point: &mut GridPoint, mixed: &MixedGpus) {
        let types: Vec<GridPoint> = mixed
            .types()
            .map(|(count, name)| self.of_type(point, count, name))
            .collect();
        for axis in Axis::ALL {
            let of_hardware = match axis.info().default {
                AxisDefault::OfGpu(..) | AxisDefault::OfCluster(..) | AxisDefault::OfNode(..) => {
                    !point.has(*axis) && axis.belongs_to(self.kind)
                }
                AxisDefault::Required
                | AxisDefault::OneOf(..)
                | AxisDefault::OfAxes(..)
                | AxisDefault::OfModel(..)
                | AxisDefault::OfStack(..)
                | AxisDefault::Auto(_)
                | AxisDefault::Count(_)
                | AxisDefault::Number(_)
                | AxisDefault::Name(_) => false,
            };
            let mut values = types.iter().map(|of_type| of_type.value(*axis));
            match values.all_equal_value() {
                Ok(Some(shared)) if of_hardware => point.set(*axis, shared.clone()),
                Err(_) if of_hardware && *axis == Axis::Precision => {
                    point.set(*axis, AxisValue::name(Precision::Fp16.as_str()));
                }
                Ok(_) | Err(_) => {}
            }
        }
        if !point.has(Axis::Gpus) {
            point.set(Axis::Gpus, AxisValue::Int(mixed.gpus()));
        }
        let nodes = types.iter().map(|of_type| of_type.int(Axis::Nodes));
        if let Some(nodes) = nodes
            .sum::<Option<u64>>()
            .filter(|_| !point.has(Axis::Nodes))
        {
            point.set(Axis::Nodes, AxisValue::Int(nodes));
        }
    }

    /// A point's GPUs of one type as a job of their own.
    fn of_type(&self, point: &GridPoint, gpus: u64, name: &str) -> GridPoint {
        let mut of_type = point.clone();
        of_type.set(Axis::Gpu, AxisValue::name(name));
        of_type.set(Axis::Gpus, AxisValue::Int(gpus));
        of_type.clear(Axis::Nodes);
        of_type.clear(Axis::Dp);
        self.complete(&mut of_type);
        of_type
    }

    /// The types of GPU of a completed point of training, where it has several: each in its nodes and scale-up domains, on a
    /// network between them that is as slow as that of the slowest.
    ///
    /// # Errors
    /// If the types do not come in whole nodes, cannot talk to one another, or are not as many GPUs as the point gives.
    pub(super) fn pools(&self, point: &GridPoint) -> Result<Vec<GpuPool>, Infeasible> {
        let Some(mixed) = types_of(point) else {
            return Ok(Vec::new());
        };
        let mut types: Vec<(u64, GridPoint)> = mixed
            .types()
            .map(|(count, name)| (count, self.of_type(point, count, name)))
            .collect();
        let nodes = types.iter().map(|(_, of_type)| of_type.int(Axis::Nodes));
        let nodes: Option<u64> = nodes.sum();
        for (axis, given, stated) in [
            (Axis::Gpus, point.int(Axis::Gpus), Some(mixed.gpus())),
            (Axis::Nodes, point.int(Axis::Nodes), nodes),
        ] {
            if let (Some(given), Some(stated)) = (given, stated)
                && given != stated
            {
                return Err(Infeasible::Limit(format!(
                    "gpu {mixed} is {stated} {axis}, and {axis} is {given}: leave it out"
                )));
            }
        }
        let clusters = types.iter().map(|(_, of_type)| self.cluster(of_type));
        let clusters = clusters.collect::<Result<Vec<_>, Infeasible>>()?;
        let each = std::iter::zip(mixed.types(), &clusters);
        let each: Vec<(u64, &str, &Cluster)> = each
            .map(|((count, name), cluster)| (count, name, &**cluster))
            .collect();
        mixed_gpus::check_types(&each)?;
        let rates = types.iter().map(|(_, it)| it.number(Axis::NicGbitPerS));
        let slowest = rates.flatten().fold(f64::INFINITY, f64::min);
        let pools = types.iter_mut().map(|(count, of_type)| {
            // GPUs of other types are in no scale-up domain of this one.
            let domain = of_type.int(Axis::DomainGpus).expect(COMPLETED);
            let domain = greatest_common_divisor(domain, *count);
            of_type.set(Axis::DomainGpus, AxisValue::Int(domain));
            of_type.set(Axis::NicGbitPerS, AxisValue::Real(slowest));
            Ok(GpuPool {
                gpu: self.rented_gpu(of_type, *count as u32)?,
                cluster: self.cluster(of_type)?,
                gpus: *count as u32,
            })
        });
        pools.collect()
    }

    /// The GPU of a completed point of training as its job of so many GPUs rents it: with the power limit that is set
    /// on it, and the price of the point's list.
    ///
    /// # Errors
    /// If the GPU has no such power limit.
    pub(super) fn rented_gpu(&self, point: &GridPoint, gpus: u32) -> Result<Arc<Gpu>, Infeasible> {
        let gpu = self
            .gpu(point)
            .expect("one type of GPU is rented at a time");
        let cap = point.value(Axis::PowerCap).and_then(AxisValue::as_power);
        let prices = point.text(Axis::Prices).expect(COMPLETED);
        if cap.is_none() && prices == DEFAULT_PRICES {
            return Ok(Arc::clone(gpu));
        }
        let per_node = point.int(Axis::GpusPerNode).expect(COMPLETED) as u32;
        let rental = Rental {
            gpu: gpu.name.as_str().into(),
            power_cap: cap.map(|cap| cap.as_watts().to_bits()),
            prices: prices.into(),
            sharing: gpus.min(per_node),
        };
        let known = self.rented.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(rented) = known.get(&rental) {
            return Ok(Arc::clone(rented));
        }
        drop(known);
        let mut rented = match cap {
            Some(cap) => gpu.with_power_cap(cap).map_err(Infeasible::Limit)?,
            None => Gpu::clone(gpu),
        };
        let rent = self.catalog.rent(prices, &gpu.name);
        rented.price_per_hour = rent.map(|rent| rent.of_each(rental.sharing));
        let rented = Arc::new(rented);
        let mut known = self.rented.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(rental, Arc::clone(&rented));
        Ok(rented)
    }

    /// The stack of a completed point with the recipes that it changes.
    pub(super) fn stack(&self, point: &GridPoint, change: &RecipeChange) -> Arc<Stack> {
        let stack = &self.catalog.stacks[point.text(Axis::Stack).expect(COMPLETED)];
        if change.is_none() {
            return Arc::clone(stack);
        }
        let key = (stack.name.as_str().into(), change.clone());
        let known = self.recipes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(changed) = known.get(&key) {
            return Arc::clone(changed);
        }
        drop(known);
        let changed = Arc::new(stack.with(change));
        let mut known = self.recipes.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Arc::clone(&changed));
        changed
    }

    /// The cluster of a completed point, its changes applied.
    ///
    /// # Errors
    /// If its scale-up domain is not made of whole nodes.
    pub(super) fn cluster(&self, point: &GridPoint) -> Result<Arc<Cluster>, Infeasible> {
        let preset = self
            .preset(point)
            .expect("each type of GPU has its cluster");
        let number = |axis| point.number(axis).expect(COMPLETED);
        let change = ClusterChange {
            name: preset.name.as_str().into(),
            gpus_per_node: point.int(Axis::GpusPerNode).expect(COMPLETED) as u32,
            topology: point.text(Axis::Topology).expect(COMPLETED).into(),
            oversubscription: number(Axis::Oversubscription).to_bits(),
            nic_gbit_per_s: number(Axis::NicGbitPerS).to_bits(),
            domain_gpus: point.int(Axis::DomainGpus).expect(COMPLETED) as u32,
            pue: point
                .number(Axis::Pue)
                .map_or(preset.pue.to_bits(), f64::to_bits),
        };
        if !change.domain_gpus.is_multiple_of(change.gpus_per_node) {
            return Err(Infeasible::Indivisible {
                what: format!("domain_gpus {}", change.domain_gpus),
                by: format!("the {} GPUs of a node", change.gpus_per_node),
            });
        }
        if change.is_none(preset) {
            return Ok(Arc::clone(preset));
        }
        let known = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = known.get(&change) {
            return Ok(Arc::clone(cluster));
        }
        drop(known);
        let cluster = Arc::new(change.applied(preset, &self.custom));
        let mut known = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(change, Arc::clone(&cluster));
        Ok(cluster)
    }
}

impl ClusterChange {
    fn is_none(&self, preset: &Cluster) -> bool {
        self.gpus_per_node == preset.gpus_per_node
            && *self.topology == *preset.fabric.topology.as_str()
            && self.oversubscription == preset.fabric.oversubscription.to_bits()
            && self.nic_gbit_per_s == preset.nic_bandwidth_per_gpu().as_gbit_per_s().to_bits()
            && self.domain_gpus == preset.domain_gpus
            && self.pue == preset.pue.to_bits()
    }

    /// The preset with the changes.
    fn applied(&self, preset: &Cluster, custom: &CustomTables) -> Cluster {
        let topology = custom.topology(&self.topology);
        let topology = topology.unwrap_or_else(|| preset.fabric.topology.clone());
        let resized = preset.with_gpus_per_node(self.gpus_per_node);
        let own = resized.nic_bandwidth_per_gpu().as_gbit_per_s().to_bits();
        let mut cluster = if self.nic_gbit_per_s == own {
            resized
        } else {
            resized.with_nic_rate(Bandwidth::gbit_per_s(f64::from_bits(self.nic_gbit_per_s)))
        };
        cluster.domain_gpus = self.domain_gpus;
        cluster.pue = f64::from_bits(self.pue);
        cluster.with_topology(topology, f64::from_bits(self.oversubscription))
    }
}

/// The types of GPU of a point, where it has several.
fn types_of(point: &GridPoint) -> Option<MixedGpus> {
    let text = point
        .text(Axis::Gpu)
        .filter(|text| MixedGpus::is_in(text))?;
    Some(MixedGpus::parse(text).expect("the reader of specs parsed it before"))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Gives a point its GPUs by its nodes, or its nodes by its GPUs where those are whole nodes.
fn complete_size(point: &mut GridPoint) {
    let Some(per_node) = point.int(Axis::GpusPerNode) else {
        // Several types of GPU in nodes of their own stated their size.
        return;
    };
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

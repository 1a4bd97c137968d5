//! The points of a sweep, decoded on demand and never stored.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::catalog::{Catalog, Kind};
use crate::simulation::{Infeasible, Scenario};
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::checks::twin;
use crate::spec::condition::{Expression, Field, Operand};
use crate::spec::product::{Digit, Product};
use crate::spec::resolution::{self, mixed};
use crate::spec::resolver::Resolver;
use crate::spec::{AxisValue, GridPoint, OwnTables, facts};

/// The points of a sweep: a union of products, then single points.
#[derive(Debug)]
pub struct Plan {
    kind: StudyKind,
    blocks: Vec<Block>,
    defaults: Vec<(Axis, AxisValue)>,
    clauses: Vec<Clause>,
    resolver: Resolver,
}

/// One product and the numbers of its points.
#[derive(Debug)]
struct Block {
    numbers: Range<u64>,
    product: Product,
}

/// One clause of `where`.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) text: String,
    pub(super) expression: Expression,
}

/// How many points `where` keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Points of the full product.
    pub points: u64,
    /// Points that every clause keeps.
    pub kept: u64,
    /// Points that each clause drops by itself, in the order of the clauses.
    pub dropped: Vec<(String, u64)>,
    /// Whether the counts are exact; else they are scaled up from a sample.
    pub exact: bool,
}

/// What a plan is made of.
pub(super) struct PlanParts {
    pub(super) kind: StudyKind,
    pub(super) products: Vec<Product>,
    pub(super) defaults: Vec<(Axis, AxisValue)>,
    pub(super) clauses: Vec<Clause>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) own: Arc<OwnTables>,
}

impl Plan {
    /// Numbers the points; `None` when there are more than 63 bits can count.
    pub(super) fn new(parts: PlanParts) -> Option<Self> {
        let mut blocks = Vec::with_capacity(parts.products.len());
        let mut first = 0_u64;
        for product in parts.products {
            let end = first
                .checked_add(product.len()?)
                .filter(|end| i64::try_from(*end).is_ok())?;
            blocks.push(Block {
                numbers: first..end,
                product,
            });
            first = end;
        }
        Some(Self {
            kind: parts.kind,
            blocks,
            defaults: parts.defaults,
            clauses: parts.clauses,
            resolver: Resolver::new(parts.catalog, parts.own, parts.kind),
        })
    }

    /// Number of points before `where`.
    pub fn len(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.numbers.end)
    }

    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a point is.
    pub fn kind(&self) -> StudyKind {
        self.kind
    }

    /// The axes that have more than one value, in the order of the file.
    pub fn varied(&self) -> Vec<Axis> {
        let mut seen: Vec<(Axis, AxisValue, bool)> = Vec::new();
        for (axis, values) in self.blocks.iter().flat_map(|block| {
            let digits = block.product.digits.iter();
            digits.flat_map(|digit| digit.axes.iter())
        }) {
            let first = values.get(0);
            let several = values.iter().take(1_000).any(|value| value != first);
            match seen.iter_mut().find(|(known, ..)| known == axis) {
                Some((_, value, varies)) => *varies |= several || *value != first,
                None => seen.push((*axis, first, several)),
            }
        }
        // An axis that only some blocks give differs from its default in the others, unless equal to it.
        seen.into_iter()
            .filter(|(axis, first, several)| *several || self.leaves_out(*axis, first))
            .map(|(axis, ..)| axis)
            .collect()
    }

    /// The first values that an axis takes, each once in the order of the file, and how many there are;
    /// a number of values that repeat across tables counts those that were looked at.
    pub fn values_of(&self, axis: Axis, first: usize) -> (Vec<AxisValue>, u64) {
        const LOOKED_AT: usize = 1_000;
        let mut distinct: Vec<AxisValue> = Vec::new();
        let mut longest = 0;
        for block in &self.blocks {
            let digits = block.product.digits.iter();
            for (_, values) in digits
                .flat_map(|digit| &digit.axes)
                .filter(|(known, _)| *known == axis)
            {
                longest = longest.max(values.len());
                for value in values.iter().take(LOOKED_AT) {
                    if !distinct.contains(&value) {
                        distinct.push(value);
                    }
                }
            }
        }
        let count = if longest > LOOKED_AT as u64 {
            longest
        } else {
            distinct.len() as u64
        };
        distinct.truncate(first);
        (distinct, count)
    }

    /// Whether some block does not give an axis, and its default is not `value`.
    fn leaves_out(&self, axis: Axis, value: &AxisValue) -> bool {
        self.blocks
            .iter()
            .filter(|block| block.product.axes().all(|given| given != axis))
            .any(|block| self.point(block.numbers.start).value(axis) != Some(value))
    }

    /// The point with a number.
    ///
    /// # Panics
    /// If the plan has no such point.
    pub fn point(&self, index: u64) -> GridPoint {
        assert!(
            index < self.len(),
            "the plan has {} points, none is number {index}",
            self.len()
        );
        let block = &self.blocks[self.table_of(index)];
        self.decoded(index, &block.product, index - block.numbers.start)
    }

    /// Which grid, or which single point behind the grids, a number belongs to.
    pub(super) fn table_of(&self, index: u64) -> usize {
        self.blocks
            .partition_point(|block| block.numbers.end <= index)
    }

    fn decoded(&self, index: u64, product: &Product, at: u64) -> GridPoint {
        let mut point = GridPoint::new(index);
        product.decode(at, |axis, value| point.set(axis, value));
        for (axis, value) in &self.defaults {
            if twin(*axis).is_none_or(|twin| !point.has(twin)) {
                point.set_default(*axis, || value.clone());
            }
        }
        self.resolver.complete(&mut point);
        point
    }

    /// Whether every clause of `where` keeps a point.
    pub fn keeps(&self, point: &GridPoint) -> bool {
        self.clauses
            .iter()
            .all(|clause| self.clause_keeps(clause, point))
    }

    fn clause_keeps(&self, clause: &Clause, point: &GridPoint) -> bool {
        clause.expression.holds(&|field| self.operand(field, point))
    }

    fn operand(&self, field: &Field, point: &GridPoint) -> Operand {
        match field {
            Field::Axis(axis) => match point.value(*axis) {
                Some(AxisValue::Text(text)) => Operand::Text(Arc::clone(text)),
                Some(AxisValue::Int(count)) => Operand::Number(*count as f64),
                Some(AxisValue::Real(number)) => Operand::Number(*number),
                Some(AxisValue::Bool(answer)) => Operand::Bool(*answer),
                Some(AxisValue::Size(size)) => Operand::Number(size.as_f64()),
                Some(AxisValue::Auto) => Operand::Null,
                None => derived_batch(*axis, point).map_or(Operand::Null, Operand::Number),
            },
            Field::Catalog(kind, fact) => {
                let axis = match kind {
                    Kind::Gpus => Axis::Gpu,
                    Kind::Models => Axis::Model,
                    Kind::Clusters => Axis::Cluster,
                    Kind::Stacks => Axis::Stack,
                };
                point
                    .text(axis)
                    .and_then(|name| facts::number(&self.resolver.catalog, *kind, name, fact))
                    .map_or(Operand::Null, Operand::Number)
            }
        }
    }

    /// The points of a range of numbers that `where` keeps, in order.
    pub fn kept(&self, numbers: Range<u64>) -> impl Iterator<Item = GridPoint> + '_ {
        numbers
            .map(|index| self.point(index))
            .filter(|point| self.keeps(point))
    }

    /// What the simulation plays at a point, every name resolved.
    ///
    /// # Errors
    /// Why the point cannot run, as far as its values alone tell: GPUs that are no whole nodes, a
    /// precision that the GPU lacks, groups that do not fit into the job.
    pub fn scenario(&self, point: &GridPoint) -> Result<Scenario, Infeasible> {
        resolution::scenario(&self.resolver, self.kind, point)
    }

    /// Counts what `where` keeps and drops, looking at no more than about `looks` points.
    ///
    /// Axes that no clause reads do not have to be walked: they multiply the counts. What is left is
    /// counted one by one, or, where that is still too much, at places drawn with a fixed seed.
    pub fn tally(&self, looks: u64) -> Tally {
        let mut tally = Tally {
            points: self.len(),
            kept: 0,
            dropped: self
                .clauses
                .iter()
                .map(|clause| (clause.text.clone(), 0))
                .collect(),
            exact: true,
        };
        if self.clauses.is_empty() {
            tally.kept = tally.points;
            return tally;
        }
        let read = self.axes_read();
        let share = (looks / (self.blocks.len() as u64).max(1)).max(1);
        for block in &self.blocks {
            self.tally_block(block, &read, share, &mut tally);
        }
        tally
    }

    fn tally_block(&self, block: &Block, read: &BTreeSet<Axis>, looks: u64, tally: &mut Tally) {
        let product = projected(&block.product, read);
        let whole = block.numbers.end - block.numbers.start;
        let seen = product
            .len()
            .expect("a factor of a product that has a length");
        let exact = seen <= looks;
        let looked = seen.min(looks);
        tally.exact &= exact;
        let mut kept = 0;
        let mut dropped = vec![0; self.clauses.len()];
        for look in 0..looked {
            // Evenly spaced places would beat with the lengths of the axes; drawn ones do not.
            let at = if exact { look } else { mixed(0, look) % seen };
            let point = self.decoded(block.numbers.start, &product, at);
            let mut keeps = true;
            for (clause, count) in self.clauses.iter().zip(&mut dropped) {
                if !self.clause_keeps(clause, &point) {
                    keeps = false;
                    *count += 1;
                }
            }
            kept += u64::from(keeps);
        }
        let scaled = |count: u64| {
            let scaled = u128::from(count) * u128::from(whole) / u128::from(looked);
            u64::try_from(scaled).expect("no more than the block has")
        };
        tally.kept += scaled(kept);
        for ((_, total), count) in tally.dropped.iter_mut().zip(dropped) {
            *total += scaled(count);
        }
    }

    /// Every axis on which the verdict of a clause depends.
    fn axes_read(&self) -> BTreeSet<Axis> {
        let mut axes = BTreeSet::new();
        for clause in &self.clauses {
            clause.expression.fields(&mut |field| match field {
                Field::Axis(axis) => {
                    axes.insert(*axis);
                    axes.extend(rests_on(*axis));
                }
                Field::Catalog(kind, _) => axes.extend(match kind {
                    Kind::Gpus => [Axis::Gpu].as_slice(),
                    Kind::Models => &[Axis::Model],
                    Kind::Clusters => &[Axis::Gpu, Axis::Cluster],
                    Kind::Stacks => &[Axis::Stack],
                }),
            });
        }
        axes
    }
}

/// Of two twins the one that was not given, for clauses: the batch per GPU of a global batch.
fn derived_batch(axis: Axis, point: &GridPoint) -> Option<f64> {
    let gpus = point.number(Axis::Gpus)?;
    if axis == Axis::GlobalBatch {
        return Some(point.number(Axis::BatchPerGpu)? * gpus);
    }
    let global = point.number(Axis::GlobalBatch)?;
    (axis == Axis::BatchPerGpu).then_some(global / gpus)
}

/// The other axes that the resolved value of an axis follows from.
fn rests_on(axis: Axis) -> &'static [Axis] {
    const SIZE: &[Axis] = &[
        Axis::Nodes,
        Axis::Gpus,
        Axis::GpusPerNode,
        Axis::Cluster,
        Axis::Gpu,
    ];
    match axis {
        Axis::Nodes | Axis::Gpus => SIZE,
        Axis::GlobalBatch | Axis::BatchPerGpu => &[
            Axis::GlobalBatch,
            Axis::BatchPerGpu,
            Axis::Nodes,
            Axis::Gpus,
            Axis::GpusPerNode,
            Axis::Cluster,
            Axis::Gpu,
        ],
        Axis::Dp => &[
            Axis::Tp,
            Axis::Pp,
            Axis::Cp,
            Axis::Nodes,
            Axis::Gpus,
            Axis::GpusPerNode,
            Axis::Cluster,
            Axis::Gpu,
        ],
        Axis::GpusPerNode
        | Axis::Cluster
        | Axis::Topology
        | Axis::Oversubscription
        | Axis::NicGbitPerS => &[Axis::Cluster, Axis::Gpu],
        Axis::SeqLen => &[Axis::Model],
        Axis::Precision => &[Axis::Gpu],
        Axis::Model
        | Axis::MicroBatch
        | Axis::Attention
        | Axis::Stack
        | Axis::Op
        | Axis::Size
        | Axis::Gpu
        | Axis::Tp
        | Axis::Pp
        | Axis::Cp
        | Axis::Ep
        | Axis::Vpp
        | Axis::Etp
        | Axis::LayersPerStage
        | Axis::Zero
        | Axis::SequenceParallel
        | Axis::Recompute
        | Axis::Schedule
        | Axis::Collective
        | Axis::Protocol
        | Axis::OverlapDp
        | Axis::OverlapTp
        | Axis::OverlapPp
        | Axis::BucketMib
        | Axis::Variability
        | Axis::Iterations
        | Axis::Seed => &[],
    }
}

/// The product with every digit that no clause reads held at its first value.
fn projected(product: &Product, read: &BTreeSet<Axis>) -> Product {
    let digits = product.digits.iter().map(|digit| {
        if digit.axes.iter().any(|(axis, _)| read.contains(axis)) {
            digit.clone()
        } else {
            digit.first()
        }
    });
    Product {
        digits: digits.collect::<Vec<Digit>>(),
    }
}

//! Points of a sweep, decoded on demand and never stored.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use itertools::Itertools;

use crate::catalog::Catalog;
use crate::halt;
use crate::simulation::{Infeasible, Scenario};
use crate::spec::axis::{Axis, StudyKind};
use crate::spec::axis_values::AxisValues;
use crate::spec::condition::{Expression, Field, Operand};
use crate::spec::custom::CustomTables;
use crate::spec::point::GridPoint;
use crate::spec::product::{Digit, Product};
use crate::spec::resolver::{COMPLETED, Resolver};
use crate::spec::scenario::{self, mixed};
use crate::spec::value::AxisValue;

/// Axis values that are compared with one another.
const LOOKED_AT: usize = 1_000;

/// Points of a sweep: a union of products, then single points.
#[derive(Debug)]
pub struct Plan {
    kind: StudyKind,
    blocks: Vec<Block>,
    defaults: Vec<(Axis, AxisValue)>,
    clauses: Vec<Clause>,
    resolver: Resolver,
}

/// Product with the numbers of its points.
#[derive(Debug)]
struct Block {
    numbers: Range<u64>,
    product: Product,
}

/// Clause of `where`.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) text: String,
    pub(super) expression: Expression,
}

/// Points that `where` keeps and drops.
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

/// Parts of a plan.
pub(super) struct PlanParts {
    pub(super) kind: StudyKind,
    pub(super) products: Vec<Product>,
    pub(super) defaults: Vec<(Axis, AxisValue)>,
    pub(super) clauses: Vec<Clause>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) custom: Arc<CustomTables>,
}

impl Plan {
    /// Numbers the points; `None` when there are more than 63 bits can number.
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
            resolver: Resolver::new(parts.catalog, parts.custom, parts.kind),
        })
    }

    /// Number of points before `where`.
    pub fn len(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.numbers.end)
    }

    /// Whether no clause of `where` can drop a point.
    pub(crate) const fn keeps_all(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Every axis that a block gives with its values, block by block in the order of the file.
    fn given(&self) -> impl Iterator<Item = &(Axis, AxisValues)> {
        self.blocks.iter().flat_map(|block| block.product.axes())
    }

    /// The first so many axes of a grid with all their values, by the place of the grid in the file.
    pub(super) fn grid_axes(&self, grid: usize, axes: usize) -> Vec<(Axis, Vec<AxisValue>)> {
        let given = self.blocks[grid].product.axes().take(axes);
        given
            .map(|(axis, values)| (*axis, values.iter().collect()))
            .collect()
    }

    /// The axes that have more than one value, in the order of the file.
    pub(crate) fn varied(&self) -> Vec<Axis> {
        let differs = |axis: Axis| {
            let mut values = self
                .given()
                .filter(|(given, _)| *given == axis)
                .flat_map(|(_, values)| values.iter().take(LOOKED_AT));
            // Blocks that leave the axis out have its default.
            values.next().is_some_and(|first| {
                values.any(|value| value != first) || self.leaves_out(axis, &first)
            })
        };
        let axes = self.given().map(|(axis, _)| *axis).unique();
        axes.filter(|axis| differs(*axis)).collect()
    }

    /// The first values that an axis takes, each once in the order of the file, and how many there are;
    /// a number of values that repeat across tables counts those that were looked at.
    pub(crate) fn values_of(&self, axis: Axis, first: usize) -> (Vec<AxisValue>, u64) {
        let mut distinct: Vec<AxisValue> = Vec::new();
        let mut longest = 0;
        for (_, values) in self.given().filter(|(given, _)| *given == axis) {
            longest = longest.max(values.len());
            for value in values.iter().take(LOOKED_AT) {
                if !distinct.contains(&value) {
                    distinct.push(value);
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
            .filter(|block| block.product.axes().all(|(given, _)| *given != axis))
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

    /// Place of the grid, or of the single point behind the grids, that a number belongs to.
    pub(super) fn table_of(&self, index: u64) -> usize {
        self.blocks
            .partition_point(|block| block.numbers.end <= index)
    }

    fn decoded(&self, index: u64, product: &Product, at: u64) -> GridPoint {
        let mut point = self.given_point(index, product, at);
        self.resolver.complete(&mut point);
        point
    }

    /// A combination with the values that the spec gives, before the defaults of the axes.
    fn given_point(&self, index: u64, product: &Product, at: u64) -> GridPoint {
        let mut point = GridPoint::new(index);
        product.decode(at, |axis, value| point.set(axis, value));
        for (axis, value) in &self.defaults {
            let has = |axis| point.has(axis);
            if !has(*axis) && !axis.alternative().is_some_and(has) {
                point.set(*axis, value.clone());
            }
        }
        point
    }

    /// A point of the plan with another value of one axis.
    ///
    /// Axes that the spec leaves out follow the change (another GPU brings its usual cluster), and what is
    /// `auto` is chosen anew. Where nodes may change their size the job keeps its GPUs, not its nodes. The
    /// altered point is a plan of its own: its number is 0, and no clause of `where` drops it.
    ///
    /// # Panics
    /// If the plan has no such point.
    pub(crate) fn altered(&self, point: &GridPoint, axis: Axis, value: AxisValue) -> GridPoint {
        let block = &self.blocks[self.table_of(point.index)];
        let at = point.index - block.numbers.start;
        let mut altered = self.given_point(0, &block.product, at);
        let other_nodes = matches!(axis, Axis::Gpu | Axis::Cluster | Axis::GpusPerNode);
        if other_nodes && altered.has(Axis::Nodes) {
            altered.clear(Axis::Nodes);
            altered.set(
                Axis::Gpus,
                point.value(Axis::Gpus).expect(COMPLETED).clone(),
            );
        }
        if !altered.has(Axis::Nodes) && !altered.has(Axis::Gpus) {
            // Types of GPU that state the size of the job give way to one that does not.
            let gpus = point.value(Axis::Gpus).expect(COMPLETED);
            altered.set(Axis::Gpus, gpus.clone());
        }
        if let Some(alternative) = axis.alternative() {
            altered.clear(alternative);
        }
        altered.set(axis, value);
        self.resolver.complete(&mut altered);
        altered
    }

    /// The values that the spec gives for a point, with another number of GPUs in place of its size.
    ///
    /// # Panics
    /// If the plan has no such point.
    pub(crate) fn with_gpus(&self, index: u64, gpus: u32) -> Vec<(Axis, AxisValue)> {
        let block = &self.blocks[self.table_of(index)];
        let mut point = self.given_point(0, &block.product, index - block.numbers.start);
        point.clear(Axis::Nodes);
        point.set(Axis::Gpus, AxisValue::Int(gpus.into()));
        let values = point.iter();
        values.map(|(axis, value)| (axis, value.clone())).collect()
    }

    /// Whether every clause of `where` keeps a point.
    pub(crate) fn keeps(&self, point: &GridPoint) -> bool {
        self.clauses
            .iter()
            .all(|clause| self.clause_keeps(clause, point))
    }

    fn clause_keeps(&self, clause: &Clause, point: &GridPoint) -> bool {
        let catalog = &self.resolver.catalog;
        clause
            .expression
            .holds(&|field| operand(field, point, catalog))
    }

    /// The points of a range of numbers that `where` keeps, in order; a halt ends them.
    pub fn kept(&self, numbers: Range<u64>) -> impl Iterator<Item = GridPoint> + '_ {
        numbers
            .take_while(|_| !halt::is_raised())
            .map(|index| self.point(index))
            .filter(|point| self.keeps(point))
    }

    /// The scenario of a point, every name resolved.
    ///
    /// # Errors
    /// If its GPUs are no whole nodes, or its batch has more samples than a step can have. Whatever else
    /// cannot run is an outcome of the simulation.
    pub fn scenario(&self, point: &GridPoint) -> Result<Scenario, Infeasible> {
        scenario::scenario(&self.resolver, self.kind, point)
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
        let mut open = Vec::new();
        for clause in &self.clauses {
            clause.expression.fields(&mut |field| {
                open.push(match field {
                    Field::Axis(axis) => *axis,
                    Field::Fact(fact) => fact.axis(),
                    Field::Column(_) => return,
                });
            });
        }
        let mut axes = BTreeSet::new();
        while let Some(axis) = open.pop() {
            if axes.insert(axis) {
                open.extend(axis.info().default.follows());
            }
        }
        axes
    }
}

/// The value that a field has at a point, before it ran.
pub(super) fn operand(field: &Field, point: &GridPoint, catalog: &Catalog) -> Operand {
    match field {
        Field::Axis(axis) => match point.value(*axis) {
            Some(AxisValue::Text(text)) => Operand::Text(Arc::clone(text)),
            Some(AxisValue::Int(count)) => Operand::Number(*count as f64),
            Some(AxisValue::Real(number)) => Operand::Number(*number),
            Some(AxisValue::Bool(answer)) => Operand::Bool(*answer),
            Some(AxisValue::Size(size)) => Operand::Number(size.as_f64()),
            Some(AxisValue::Power(power)) => Operand::Number(power.as_watts()),
            Some(AxisValue::Auto) => Operand::Null,
            None => derived_batch(*axis, point).map_or(Operand::Null, Operand::Number),
        },
        Field::Fact(fact) => fact
            .of(catalog, point)
            .map_or(Operand::Null, Operand::Number),
        // A point that has not run has no results.
        Field::Column(_) => Operand::Null,
    }
}

/// The batch that a spec leaves out, for clauses: per GPU where it gives the global one, or the other way round.
fn derived_batch(axis: Axis, point: &GridPoint) -> Option<f64> {
    let gpus = point.number(Axis::Gpus)?;
    if axis == Axis::GlobalBatch {
        return Some(point.number(Axis::BatchPerGpu)? * gpus);
    }
    let global = point.number(Axis::GlobalBatch)?;
    (axis == Axis::BatchPerGpu).then_some(global / gpus)
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

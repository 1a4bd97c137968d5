//! Combinations of axis values.

use crate::spec::axis::Axis;
use crate::spec::value::AxisValue;

/// Point of a plan: a value for every axis, defaults resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct GridPoint {
    /// Number in the full product, before `where`.
    pub index: u64,
    values: Box<[Option<AxisValue>; Axis::COUNT]>,
}

impl GridPoint {
    /// A point without any value yet.
    pub(crate) fn new(index: u64) -> Self {
        Self {
            index,
            values: Box::new([const { None }; Axis::COUNT]),
        }
    }

    /// The value of an axis, defaults resolved; `None` where the axis does not apply or is not known.
    ///
    /// `nodes` and `gpus` are both there whichever of them the spec gives, unless the GPUs are no
    /// whole nodes. Of `global_batch` and `batch_per_gpu` only the given one is.
    pub(crate) fn value(&self, axis: Axis) -> Option<&AxisValue> {
        self.values[axis.position()].as_ref()
    }

    /// The value of an axis, if it is a name.
    pub fn text(&self, axis: Axis) -> Option<&str> {
        self.value(axis).and_then(AxisValue::as_text)
    }

    /// The value of an axis, if it is a count.
    pub fn int(&self, axis: Axis) -> Option<u64> {
        self.value(axis).and_then(AxisValue::as_int)
    }

    /// The value of an axis as a number: a count, a real number, or a size in bytes.
    pub(crate) fn number(&self, axis: Axis) -> Option<f64> {
        self.value(axis).and_then(AxisValue::as_number)
    }

    /// Every axis that has a value, in the order of `Axis::ALL`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Axis, &AxisValue)> {
        Axis::ALL
            .iter()
            .filter_map(|axis| self.value(*axis).map(|value| (*axis, value)))
    }

    /// Whether an axis has a value.
    pub(crate) fn has(&self, axis: Axis) -> bool {
        self.values[axis.position()].is_some()
    }

    /// Gives an axis a value.
    pub(crate) fn set(&mut self, axis: Axis, value: AxisValue) {
        self.values[axis.position()] = Some(value);
    }

    /// Takes the value of an axis away.
    pub(crate) fn clear(&mut self, axis: Axis) {
        self.values[axis.position()] = None;
    }
}

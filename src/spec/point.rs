//! One combination of axis values.

use crate::spec::{Axis, AxisValue};

/// One point of the plan, defaults resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct GridPoint {
    /// Its number in the full product, before `where`.
    pub index: u64,
    values: Box<[Option<AxisValue>; Axis::COUNT]>,
}

impl GridPoint {
    /// A point without any value yet.
    pub fn new(index: u64) -> Self {
        Self {
            index,
            values: Box::new([const { None }; Axis::COUNT]),
        }
    }

    /// The value of an axis, defaults resolved; `None` where the axis does not apply or is not known.
    ///
    /// `nodes` and `gpus` are both there whichever of them the spec gives, unless the GPUs are no
    /// whole nodes. Of `global_batch` and `batch_per_gpu` only the given one is.
    pub fn value(&self, axis: Axis) -> Option<&AxisValue> {
        self.values[axis.position()].as_ref()
    }

    /// The name that an axis has.
    pub fn text(&self, axis: Axis) -> Option<&str> {
        self.value(axis).and_then(AxisValue::as_text)
    }

    /// The count that an axis has.
    pub fn int(&self, axis: Axis) -> Option<u64> {
        self.value(axis).and_then(AxisValue::as_int)
    }

    /// The number that an axis has.
    pub fn number(&self, axis: Axis) -> Option<f64> {
        self.value(axis).and_then(AxisValue::as_number)
    }

    /// Every axis that has a value, in the order of `Axis::ALL`.
    pub fn iter(&self) -> impl Iterator<Item = (Axis, &AxisValue)> {
        Axis::ALL
            .iter()
            .filter_map(|axis| self.value(*axis).map(|value| (*axis, value)))
    }

    /// Whether an axis has a value.
    pub fn has(&self, axis: Axis) -> bool {
        self.values[axis.position()].is_some()
    }

    /// Gives an axis a value.
    pub fn set(&mut self, axis: Axis, value: AxisValue) {
        self.values[axis.position()] = Some(value);
    }

    /// Takes the value of an axis away.
    pub fn clear(&mut self, axis: Axis) {
        self.values[axis.position()] = None;
    }

    /// Sets an axis that has no value yet.
    pub fn set_default(&mut self, axis: Axis, value: impl FnOnce() -> AxisValue) {
        self.values[axis.position()].get_or_insert_with(value);
    }
}

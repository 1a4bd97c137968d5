//! Values of one axis, in order.

use crate::spec::value::AxisValue;

/// Values of one axis; a long range is never written out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AxisValues {
    /// Written out.
    List(Vec<AxisValue>),
    /// `from`, `from + step`, … of counts.
    Counts { from: u64, step: u64, len: u64 },
    /// `from`, `from + step`, … of real numbers, none over `to`.
    Reals {
        from: f64,
        to: f64,
        step: f64,
        len: u64,
    },
}

impl AxisValues {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::List(values) => values.len() as u64,
            Self::Counts { len, .. } | Self::Reals { len, .. } => *len,
        }
    }

    pub(super) fn get(&self, at: u64) -> AxisValue {
        match self {
            Self::List(values) => values[at as usize].clone(),
            Self::Counts { from, step, .. } => AxisValue::Int(from + step * at),
            Self::Reals { from, to, step, .. } => {
                AxisValue::Real((from + step * at as f64).min(*to))
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = AxisValue> {
        (0..self.len()).map(|at| self.get(at))
    }
}

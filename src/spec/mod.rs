//! Text to spec to plan.

pub mod analysis;
pub mod axis;
pub mod point;
pub mod value;

pub use analysis::{AnalysisSettings, BottleneckThresholds};
pub use axis::{AXES, Axis, AxisGroup, AxisInfo, ColumnType, Domain, Shelf, StudyKind};
pub use point::GridPoint;
pub use value::AxisValue;

//! Measured cases, and how far the simulator is from them.
//!
//! A file of cases is a CSV whose header tells what was measured ([`CaseKind`]), or a JSON network of flows. Each row
//! becomes a [`Case`]: what to simulate, or why that is not possible. [`judge`] simulates them; [`Assessment`] says
//! by group how far predictions lie off; [`listing`] and [`page`] write both down.

pub mod assessment;
pub mod case;
pub mod errors;
pub mod listing;
pub mod page;
pub mod series;
pub mod table;

mod collectives;
mod flows;
mod judgement;
mod memory;
mod nearest;
mod row_facts;
mod steps;

pub use assessment::{Assessment, FittedConstant, KindAssessment};
pub use case::{
    Case, CaseGroups, CaseResult, CaseStatus, Figure, Judged, MemoryMeasure, Score, SeriesPlace,
    Subject,
};
pub use errors::{ErrorSummary, GroupErrors};
pub use judgement::judge;
pub use nearest::{Confidence, NearCase, confidence};
pub use series::{Ranking, ScalingErrors};
pub use table::{CaseKind, MeasuredTable, Row, TableFault, TableFaults};

use crate::catalog::Catalog;

/// The files of cases that ship with the program: name and text.
pub const SHIPPED: &[(&str, &str)] = &[
    (
        "data/validation/training.csv",
        include_str!("../../data/validation/training.csv"),
    ),
    (
        "data/validation/layouts.csv",
        include_str!("../../data/validation/layouts.csv"),
    ),
    (
        "data/validation/memory.csv",
        include_str!("../../data/validation/memory.csv"),
    ),
];

/// The cases of a file, `file` being its name in messages.
///
/// # Errors
/// All faults of the file: no header that tells the kind, missing columns, cells that hold what they cannot, no
/// rows.
pub fn read_cases(file: &str, text: &str, catalog: &Catalog) -> Result<Vec<Case>, TableFaults> {
    if text.trim_start().starts_with('{') {
        return flows::cases(file, text);
    }
    let table = MeasuredTable::read(file, text)?;
    match table.kind {
        CaseKind::Step => steps::cases(&table, catalog),
        CaseKind::Memory => memory::cases(&table, catalog),
        CaseKind::Collective => collectives::measured(&table, catalog),
        CaseKind::IdealCollective => collectives::ideal(&table, catalog),
        CaseKind::Flow => Err(TableFaults(vec![TableFault {
            file: file.to_owned(),
            line: 1,
            field: 1,
            message: "flows are read from JSON with `links` and `flows`".to_owned(),
        }])),
    }
}

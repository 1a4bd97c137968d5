//! `sweep list columns`: the columns of points.parquet.

use serde_json::{Value, json};

use super::listing::{Listing, table, wanted};
use crate::cli::exit::Failure;
use crate::record::{Column, columns};
use crate::report::text::Text;
use crate::spec::{ColumnType, StudyKind};

/// Columns with type, unit and meaning, by kind of study.
pub(super) fn listing(names: &[String]) -> Result<Listing, Failure> {
    let kinds = StudyKind::ALL.iter();
    let all = kinds.flat_map(|kind| columns::table(*kind).iter().map(|column| (*kind, column)));
    let wanted = wanted("column", names, all, |(_, column)| column.name)?;
    let row = |(kind, column): &(StudyKind, &Column)| {
        let column_type = match column.column_type() {
            ColumnType::Text => "text",
            ColumnType::Int => "i64",
            ColumnType::Real => "f64",
            ColumnType::Bool => "bool",
        };
        json!({
            "study": kind.as_str(),
            "name": column.name,
            "type": column_type,
            "unit": column.unit,
            "group": column.group.as_str(),
            "meaning": column.doc,
        })
    };
    let json: Vec<Value> = wanted.iter().map(row).collect();
    let mut text = Text::default();
    for of_kind in json.chunk_by(|a, b| a["study"] == b["study"]) {
        let kind = of_kind[0]["study"].as_str().unwrap_or_default();
        let table = table(&["name", "type", "unit", "group", "meaning"], of_kind);
        writeln!(text, "points.parquet of a {kind} study\n{table}");
    }
    Ok(Listing {
        text: text.finish(),
        json,
    })
}

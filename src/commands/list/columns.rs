//! `sweep list columns`: the columns of points.parquet.

use super::entry::{ColumnEntry, Entry};
use super::listed::Listed;
use super::listing::{Listing, table, wanted};
use crate::commands::failure::Failure;
use crate::record::{Column, point_table};
use crate::report::text::Text;
use crate::spec::{ColumnType, Spec, StudyKind};

/// Columns with type, unit and meaning, by kind of study, the metrics of a spec among them.
pub(super) fn listing(spec: Option<&Spec>, names: &[String]) -> Result<Listing, Failure> {
    let all = StudyKind::ALL.iter().flat_map(|kind| {
        let of_kind = spec.filter(|spec| spec.kind == *kind);
        let metrics = of_kind.map_or(&[][..], |spec| &spec.metrics);
        let table = point_table(*kind, metrics).into_iter();
        table.map(|column| (*kind, column))
    });
    let wanted = wanted("column", names, all, |(_, column)| column.name)?;
    let row = |(kind, column): &(StudyKind, Column)| {
        let column_type = match column.column_type() {
            ColumnType::Text => "text",
            ColumnType::Int => "i64",
            ColumnType::Real => "f64",
            ColumnType::Bool => "bool",
        };
        ColumnEntry {
            study: *kind,
            name: column.name,
            column_type,
            unit: column.unit,
            group: column.group.as_str(),
            meaning: column.doc,
        }
    };
    let rows: Vec<ColumnEntry> = wanted.iter().map(row).collect();
    let mut text = Text::default();
    for of_kind in rows.chunk_by(|a, b| a.study == b.study) {
        let kind = of_kind[0].study;
        let table = table(&["name", "type", "unit", "group", "meaning"], of_kind);
        writeln!(text, "points.parquet of a {kind} study\n{table}");
    }
    Ok(Listing {
        text: text.finish(),
        what: Listed::Columns,
        entries: rows.into_iter().map(Entry::Column).collect(),
    })
}

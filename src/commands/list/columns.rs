//! `sweep list columns`: the columns of points.parquet and of scaling.parquet.

use super::entry::{ColumnEntry, Entry};
use super::listed::Listed;
use super::listing::{Listing, table, wanted};
use crate::analysis::scaling_columns;
use crate::commands::failure::Failure;
use crate::record::{Column, ColumnWords, point_table};
use crate::report::text::Text;
use crate::runner::folder::names;
use crate::spec::{ColumnType, Spec, StudyKind};

/// Columns with type, unit and meaning, by file and kind of study, the metrics of a spec among those of points.parquet.
pub(super) fn listing(spec: Option<&Spec>, asked: &[String]) -> Result<Listing, Failure> {
    let all = StudyKind::ALL.iter().flat_map(|kind| {
        let of_kind = spec.filter(|spec| spec.kind == *kind);
        let metrics = of_kind.map_or(&[][..], |spec| &spec.metrics);
        let table = point_table(*kind, metrics);
        let table: Vec<ColumnWords> = table.iter().map(Column::words).collect();
        table
            .into_iter()
            .map(|column| (names::POINTS, *kind, column))
    });
    let scaling = scaling_columns().into_iter();
    let scaling = scaling.map(|column| (names::SCALING, StudyKind::Training, column));
    let all = all.chain(scaling);
    let wanted = wanted("column", asked, all, |(.., column)| column.name)?;
    let row = |(file, kind, column): &(&'static str, StudyKind, ColumnWords)| {
        let column_type = match column.column_type {
            ColumnType::Text => "text",
            ColumnType::Int => "i64",
            ColumnType::Real => "f64",
            ColumnType::Bool => "bool",
        };
        ColumnEntry {
            file,
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
    for of_kind in rows.chunk_by(|a, b| (a.file, a.study) == (b.file, b.study)) {
        let (file, kind) = (of_kind[0].file, of_kind[0].study);
        let table = table(&["name", "type", "unit", "group", "meaning"], of_kind);
        writeln!(text, "{file} of a {kind} study\n{table}");
    }
    Ok(Listing {
        text: text.finish(),
        what: Listed::Columns,
        entries: rows.into_iter().map(Entry::Column).collect(),
    })
}

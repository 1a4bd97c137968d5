//! Reads the rows of collective studies: each communication that ran, with its place (cluster and what
//! else of it varies).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::collective_runs::{AUTO, CollectiveRun, Transfer};
use super::gathered_curves::GatheredCurves;
use super::places::{Places, place_axes};
use super::points::{Reason, ReasonColumns};
use crate::record::{
    Column, Counts, MemberColumn, NumberColumn, PointColumn, PointStatus, ReadError, Rows,
    TextColumn, columns,
};
use crate::spec::Axis;

/// The rows of one or several files.
#[derive(Debug, Default)]
pub(super) struct TransferReader {
    /// Curves of the communications that ran.
    pub(super) curves: GatheredCurves,
    /// Places of the rows, whether they ran or not.
    pub(super) places: Places,
    /// Rows by status.
    pub(super) counts: Counts,
    /// One infeasible row of each kind of reason, in words.
    pub(super) examples: BTreeMap<String, String>,
}

/// Columns besides those of the places.
const FIXED: &[Column] = &[
    columns::POINT,
    columns::STATUS,
    columns::REASON,
    columns::REASON_KIND,
    columns::GPUS,
    columns::TIME_S,
    columns::BUSBW_BYTES_PER_S,
    columns::COLLECTIVE_USED,
];

/// Every column that [`TransferReader`] reads.
pub(super) fn transfer_columns() -> Vec<Column> {
    place_axes()
        .chain([Axis::Op, Axis::Size, Axis::Collective])
        .map(|axis| Column::of_axis(axis.info()))
        .chain(FIXED.iter().copied())
        .collect()
}

impl TransferReader {
    /// Adds the rows of one record batch; `source` is the place of its file among those analysed.
    ///
    /// # Errors
    /// If a column is missing, of another type or unit, or holds an impossible value.
    pub(super) fn add(&mut self, rows: &Rows, source: u32) -> Result<(), ReadError> {
        let columns = TransferColumns::new(rows)?;
        let inputs = place_axes()
            .map(|axis| rows.words(&Column::of_axis(axis.info())))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.len() {
            let place = self.places.number(inputs.iter().map(|words| &words[row]));
            let status = rows.status(&columns.status, row)?;
            let reason = columns.reason.get(row);
            self.counts
                .add(status, reason.as_ref().and_then(|it| it.kind));
            match status {
                PointStatus::Ok => {
                    let transfer = columns.transfer(row, source, place)?;
                    self.curves.add(transfer);
                }
                PointStatus::Infeasible => {
                    self.keep_example(columns.point.get(row), reason.as_ref());
                }
                PointStatus::Crashed => {}
            }
        }
        Ok(())
    }

    fn keep_example(&mut self, point: u64, reason: Option<&Reason>) {
        if let Some(reason) = reason
            && !self.examples.contains_key(reason.kind())
        {
            let example = format!("point {point}: {}", reason.as_str());
            self.examples.insert(reason.kind().to_owned(), example);
        }
    }
}

/// Columns of some rows, found and cast.
struct TransferColumns<'a> {
    rows: &'a Rows,
    point: PointColumn,
    status: MemberColumn<PointStatus>,
    reason: ReasonColumns,
    op: TextColumn,
    gpus: NumberColumn,
    collective: TextColumn,
    size: NumberColumn,
    time: NumberColumn,
    busbw: NumberColumn,
    used: TextColumn,
}

impl<'a> TransferColumns<'a> {
    fn new(rows: &'a Rows) -> Result<Self, ReadError> {
        let of_axis = |axis: Axis| Column::of_axis(axis.info());
        Ok(Self {
            point: rows.points()?,
            status: rows.members(&columns::STATUS)?,
            reason: ReasonColumns::new(rows)?,
            op: rows.text(&of_axis(Axis::Op))?,
            gpus: rows.numbers(&columns::GPUS)?,
            collective: rows.text(&of_axis(Axis::Collective))?,
            size: rows.numbers(&of_axis(Axis::Size))?,
            time: rows.numbers(&columns::TIME_S)?,
            busbw: rows.numbers(&columns::BUSBW_BYTES_PER_S)?,
            used: rows.text(&columns::COLLECTIVE_USED)?,
            rows,
        })
    }

    /// A row whose point ran.
    fn transfer(&self, row: usize, source: u32, place: usize) -> Result<Transfer, ReadError> {
        let name = |column: &TextColumn| column.get(row).map(Arc::clone);
        Ok(Transfer {
            op: name(&self.op).unwrap_or_default(),
            place,
            gpus: self.rows.positive(&self.gpus, row)? as u64,
            collective: name(&self.collective).unwrap_or_else(|| AUTO.into()),
            run: CollectiveRun {
                point: self.point.get(row),
                source,
                size_bytes: self.rows.positive(&self.size, row)? as u64,
                time_s: self.rows.not_negative(&self.time, row)?,
                // A single GPU takes no time, over which there is no bandwidth.
                busbw_bytes_per_s: self.busbw.get(row).unwrap_or(0.0),
                collective_used: name(&self.used).unwrap_or_default(),
            },
        })
    }
}

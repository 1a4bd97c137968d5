//! The rows of collective studies: each communication that ran, with the place that it ran on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::busbw::{AUTO, CollectiveRun};
use super::error::AnalysisError;
use super::findings::Counts;
use super::input::{MemberColumn, NumberColumn, Rows, TextColumn};
use super::places::{Places, place_axes};
use super::points::{Reason, ReasonColumns};
use crate::record::{Column, PointStatus, columns};
use crate::spec::Axis;

/// One communication that ran.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Operation.
    pub(super) op: Arc<str>,
    /// Number of its place.
    pub(super) place: usize,
    /// GPUs.
    pub(super) gpus: u64,
    /// Algorithm that was asked for, [`AUTO`] where it was left open.
    pub(super) collective: Arc<str>,
    /// Its size, and what came of it.
    pub(super) run: CollectiveRun,
}

/// The rows of one or several files.
#[derive(Debug, Default)]
pub(super) struct TransferReader {
    /// Those that ran, in the order of the rows.
    pub(super) transfers: Vec<Transfer>,
    /// Where the rows belong, whether they ran or not.
    pub(super) places: Places,
    /// How many rows ended how.
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
    pub(super) fn add(&mut self, rows: Rows<'_>, source: u32) -> Result<(), AnalysisError> {
        let columns = TransferColumns::new(rows)?;
        let inputs = place_axes()
            .map(|axis| rows.words(axis))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.len() {
            let place = self.places.number(inputs.iter().map(|words| &words[row]));
            let point = columns.point.get(row).unwrap_or(row as f64) as u64;
            let status = rows.status(&columns.status, row, point)?;
            let reason = columns.reason.get(row);
            self.counts.add(status, reason.as_ref());
            match status {
                PointStatus::Ok => {
                    let transfer = columns.transfer(row, point, source, place)?;
                    self.transfers.push(transfer);
                }
                PointStatus::Infeasible => self.keep_example(point, reason.as_ref()),
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

/// The columns of one record batch, found and cast.
struct TransferColumns<'a> {
    rows: Rows<'a>,
    point: NumberColumn,
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
    fn new(rows: Rows<'a>) -> Result<Self, AnalysisError> {
        let of_axis = |axis: Axis| Column::of_axis(axis.info());
        Ok(Self {
            point: rows.numbers(&columns::POINT)?,
            status: rows.members(&columns::STATUS)?,
            reason: ReasonColumns::new(&rows)?,
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
    fn transfer(
        &self,
        row: usize,
        point: u64,
        source: u32,
        place: usize,
    ) -> Result<Transfer, AnalysisError> {
        let size = Column::of_axis(Axis::Size.info());
        let name = |column: &TextColumn| column.get(row).map(Arc::clone);
        Ok(Transfer {
            op: name(&self.op).unwrap_or_default(),
            place,
            gpus: (self.rows).positive(&self.gpus, &columns::GPUS, row, point)? as u64,
            collective: name(&self.collective).unwrap_or_else(|| AUTO.into()),
            run: CollectiveRun {
                point,
                source,
                size_bytes: self.rows.positive(&self.size, &size, row, point)? as u64,
                time_s: self.time(row, point)?,
                // A single GPU takes no time, over which there is no bandwidth.
                busbw_bytes_per_s: self.busbw.get(row).unwrap_or(0.0),
                collective_used: name(&self.used).unwrap_or_default().as_ref().to_owned(),
            },
        })
    }

    /// Not a comparison with zero alone: NaN is refused too.
    fn time(&self, row: usize, point: u64) -> Result<f64, AnalysisError> {
        match self.time.raw(row) {
            Some(seconds) if seconds >= 0.0 && seconds.is_finite() => Ok(seconds),
            other => {
                let found = other.map_or_else(|| "null".to_owned(), |value| value.to_string());
                let expected = "seconds, not negative";
                Err(self
                    .rows
                    .bad_value(&columns::TIME_S, point, &found, expected))
            }
        }
    }
}

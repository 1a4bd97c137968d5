//! Merges files of points into one, in the order of the grid.
//!
//! Each file holds its points in rising order. A file is opened only when its first point is due, so
//! that memory holds one batch of each file that overlaps there.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use parquet::file::statistics::Statistics;

use crate::record::column::Column;
use crate::record::columns;
use crate::record::custom_columns::point_table;
use crate::record::provenance::Provenance;
use crate::record::read::PointsReader;
use crate::record::read_error::ReadError;
use crate::record::rows::Rows;
use crate::record::write::{TableWriter, WriteError};

/// Rows that are interleaved at a time.
const ROWS_AT_A_TIME: usize = 1_024;

/// Why files could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The joined file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file does not hold what this program writes.
    #[error("results `{}` have other columns than this program writes; run the sweep again", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
    },
}

/// Writes the rows of `files`, which hold points of one run, by rising point. Where several files hold a point, the row of the last such
/// file counts. `look` is called with every point written.
///
/// # Errors
/// If a file cannot be read or the joined one cannot be written.
pub(crate) fn merge_points(
    files: &[PathBuf],
    provenance: &Provenance,
    schema: &SchemaRef,
    writer: &mut TableWriter,
    mut look: impl FnMut(u64),
) -> Result<(), MergeError> {
    let mut waiting = Vec::with_capacity(files.len());
    for (rank, path) in files.iter().enumerate() {
        if let Some(first) = first_point(path)? {
            waiting.push((first, rank, path));
        }
    }
    let table = point_table(provenance.study, &provenance.metrics);
    waiting.sort_unstable();
    let mut waiting = waiting.into_iter().peekable();
    let mut open: Vec<Source> = Vec::new();
    let mut rows = JoinedRows::default();
    loop {
        let opened = open.iter().map(Source::point).min();
        let due = waiting.peek().map(|(first, ..)| *first);
        let Some(point) = opened.into_iter().chain(due).min() else {
            break;
        };
        while let Some((_, rank, path)) = waiting.next_if(|(first, ..)| *first == point) {
            open.extend(Source::open(path, rank, &table, schema)?);
        }
        let due = waiting.peek().map_or(u64::MAX, |(first, ..)| *first);
        if let [only] = open.as_mut_slice()
            && only.last_point() < due
        {
            rows.write(writer)?;
            writer.write(&only.rest(&mut look))?;
            only.refill()?;
            open.retain(|source| !source.is_empty());
            continue;
        }
        look(point);
        let holders = open.iter().filter(|source| source.point() == point);
        let last = holders.map(|source| source.rank).max();
        for source in open.iter_mut().filter(|source| source.point() == point) {
            if Some(source.rank) == last {
                rows.take(source);
            }
            source.at += 1;
        }
        if rows.picks.len() == ROWS_AT_A_TIME {
            rows.write(writer)?;
        }
        for source in &mut open {
            source.refill()?;
        }
        open.retain(|source| !source.is_empty());
    }
    rows.write(writer)?;
    Ok(())
}

/// Points of a file whose rows rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PointRange {
    /// The first point.
    pub first: u64,
    /// The last point.
    pub last: u64,
    /// Number of rows.
    pub rows: u64,
}

/// Points of a file that has one row group, by its statistics; `None` where it has several, or none.
///
/// # Errors
/// If it cannot be opened.
pub(crate) fn point_range(file: &Path) -> Result<Option<PointRange>, ReadError> {
    let reader = PointsReader::open(file)?;
    let Some((rows, statistics)) = reader.only_group(columns::POINT.name) else {
        return Ok(None);
    };
    let Some(Statistics::Int64(values)) = statistics else {
        return Ok(None);
    };
    let ends = values.min_opt().zip(values.max_opt());
    Ok(ends.map(|(first, last)| PointRange {
        first: first.cast_unsigned(),
        last: last.cast_unsigned(),
        rows,
    }))
}

/// First point of a file, by its statistics where it has them; `None` where it has no rows.
fn first_point(path: &Path) -> Result<Option<u64>, ReadError> {
    let reader = PointsReader::open(path)?;
    if let Some(Statistics::Int64(values)) = reader.first_statistics(columns::POINT.name)
        && let Some(least) = values.min_opt()
    {
        return Ok(Some(least.cast_unsigned()));
    }
    let mut rows = reader.rows_by(&[columns::POINT], 1)?;
    rows.next()
        .map(|rows| Ok(rows?.points()?.get(0)))
        .transpose()
}

/// One file, read batch by batch.
struct Source {
    rank: usize,
    path: PathBuf,
    schema: SchemaRef,
    rows: Box<dyn Iterator<Item = Result<Rows, ReadError>>>,
    batch: RecordBatch,
    at: usize,
    /// Index of the batch among those of the next write, and the number of that write.
    place: Option<(usize, usize)>,
}

impl Source {
    /// `None` where the file has no rows.
    fn open(
        path: &Path,
        rank: usize,
        table: &[Column],
        schema: &SchemaRef,
    ) -> Result<Option<Self>, MergeError> {
        let reader = PointsReader::open(path)?;
        let mut source = Self {
            rank,
            path: path.to_owned(),
            schema: SchemaRef::clone(schema),
            rows: Box::new(reader.rows_by(table, ROWS_AT_A_TIME)?),
            batch: RecordBatch::new_empty(SchemaRef::clone(schema)),
            at: 0,
            place: None,
        };
        source.refill()?;
        Ok((!source.is_empty()).then_some(source))
    }

    fn is_empty(&self) -> bool {
        self.at >= self.batch.num_rows()
    }

    /// The point of the next row.
    fn point(&self) -> u64 {
        self.point_of(self.at)
    }

    /// The point of the batch's last row.
    fn last_point(&self) -> u64 {
        self.point_of(self.batch.num_rows() - 1)
    }

    fn point_of(&self, row: usize) -> u64 {
        let points = self.batch.column(0).as_primitive::<Int64Type>();
        points.value(row).cast_unsigned()
    }

    /// The rows of the batch that are not yet merged.
    fn rest(&mut self, look: &mut impl FnMut(u64)) -> RecordBatch {
        let rest = self.batch.slice(self.at, self.batch.num_rows() - self.at);
        while !self.is_empty() {
            look(self.point());
            self.at += 1;
        }
        rest
    }

    /// Reads on when the batch is used up.
    fn refill(&mut self) -> Result<(), MergeError> {
        while self.is_empty() {
            let Some(rows) = self.rows.next() else {
                return Ok(());
            };
            let columns = rows?.batch().columns().to_vec();
            // Batches come without the file's metadata, which the schema holds.
            let whole = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns);
            self.batch = whole.map_err(|_| MergeError::Columns {
                path: self.path.clone(),
            })?;
            self.at = 0;
            self.place = None;
        }
        Ok(())
    }
}

/// Rows of several batches to be interleaved into one.
#[derive(Default)]
struct JoinedRows {
    batches: Vec<RecordBatch>,
    picks: Vec<(usize, usize)>,
    writes: usize,
}

impl JoinedRows {
    /// Takes the next row of a source.
    fn take(&mut self, source: &mut Source) {
        let known = source.place.filter(|(_, write)| *write == self.writes);
        let place = known.map_or(self.batches.len(), |(place, _)| place);
        if known.is_none() {
            self.batches.push(source.batch.clone());
            source.place = Some((place, self.writes));
        }
        self.picks.push((place, source.at));
    }

    fn write(&mut self, writer: &mut TableWriter) -> Result<(), MergeError> {
        if self.picks.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let joined = interleave_record_batch(&batches, &self.picks)
            .expect("all batches have the schema of the points");
        writer.write(&joined)?;
        self.batches.clear();
        self.picks.clear();
        self.writes += 1;
        Ok(())
    }
}

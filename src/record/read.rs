//! Parquet files to rows, also those that another program has rewritten.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;

use crate::files::{open_entry, open_regular};
use crate::record::column::{Column, data_type};
use crate::record::columns;
use crate::record::custom_columns::metric_columns_of;
use crate::record::provenance::{SCHEMA_VERSION, keys};
use crate::record::read_error::{ReadError, ReadFault};
use crate::record::rows::{Rows, check_unit};
use crate::record::table_files::table_files;
use crate::simulation::guarded;
use crate::spec::{Portion, StudyKind};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 8_192;

/// Columns that earlier versions did not write yet; where they are missing every cell is null.
const LATER: &[&str] = &[
    columns::REASON_KIND.name,
    columns::TIGHT.name,
    columns::GOODPUT.name,
    columns::DAYS.name,
    columns::TOTAL_COST_USD.name,
    columns::TOTAL_ENERGY_KWH.name,
];

/// Reads columns of one `points.parquet` by name, in any order and among any others.
#[derive(Debug)]
pub(crate) struct PointsReader {
    path: PathBuf,
    /// Further files of a dataset, by rising point.
    rest: Vec<PathBuf>,
    kind: StudyKind,
    metadata: BTreeMap<String, String>,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl PointsReader {
    /// Opens a file, or the first of a dataset, and reads its metadata.
    ///
    /// A file that another program wrote has lost its metadata; the kind of study then follows from
    /// its columns.
    ///
    /// # Errors
    /// If it cannot be opened, is no Parquet file, or is of another version.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        log::debug!(path:% = path.display(); "opened table");
        if !path.is_dir() {
            return Self::opened(path, open_regular).map_err(|fault| fault.of(path));
        }
        let files = table_files(path).map_err(|error| ReadFault::Open(error).of(path))?;
        let Some((first, rest)) = files.split_first() else {
            return Err(ReadFault::Open(ErrorKind::IsADirectory.into()).of(path));
        };
        let mut reader = Self::opened(first, open_entry).map_err(|fault| fault.of(first))?;
        reader.rest = rest.to_vec();
        Ok(reader)
    }

    fn opened(path: &Path, open: fn(&Path) -> io::Result<File>) -> Result<Self, ReadFault> {
        let file = open(path).map_err(ReadFault::Open)?;
        let builder = decoding(|| builder(file))?.map_err(ReadFault::NotParquet)?;
        let metadata: BTreeMap<String, String> = builder
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
            .collect();
        if let Some(found) = metadata.get(keys::SCHEMA_VERSION)
            && !found
                .parse()
                .is_ok_and(|version| (1..=SCHEMA_VERSION).contains(&version))
        {
            return Err(ReadFault::SchemaVersion(found.clone()));
        }
        let times = builder.schema().field_with_name(columns::TIME_S.name);
        let kind = match metadata.get(keys::STUDY).and_then(|kind| kind.parse().ok()) {
            Some(kind) => kind,
            None if times.is_ok() => StudyKind::Collective,
            None => StudyKind::Training,
        };
        Ok(Self {
            path: path.to_owned(),
            rest: Vec::new(),
            kind,
            metadata,
            builder,
        })
    }

    /// Kind of study that the rows belong to.
    pub(crate) const fn kind(&self) -> StudyKind {
        self.kind
    }

    /// A value of the file's metadata; [`keys`] lists those of this program.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The portion of its spec's points that the file has, as its metadata say.
    pub(crate) fn portion(&self) -> Portion {
        let number = |key| self.metadata(key)?.parse().ok();
        Portion {
            limit: number(keys::LIMIT),
            shard: self.metadata(keys::SHARD).and_then(|it| it.parse().ok()),
            max_events: number(keys::MAX_EVENTS),
        }
    }

    /// Metrics that the run's spec added; none of a file that another program has rewritten without metadata.
    pub(crate) fn metrics(&self) -> Vec<Column> {
        metric_columns_of(self.builder.schema())
    }

    /// Refuses a file that lacks a column or has it in another unit; metrics belong to single specs, so that other files
    /// lack them.
    fn check(&self, column: &Column) -> Result<(), ReadFault> {
        match self.builder.schema().field_with_name(column.name) {
            Ok(field) => check_unit(field, column),
            Err(_) if LATER.contains(&column.name) || column.is_metric() => Ok(()),
            Err(_) => Err(ReadFault::MissingColumn(column.name)),
        }
    }

    /// Reads the given columns, in that order, whatever their order in the file, a few thousand rows at
    /// a time; each in the type that [`crate::record`] writes.
    ///
    /// # Errors
    /// If a column is missing; while reading, if one holds something else or the file is damaged.
    pub(crate) fn rows(
        self,
        wanted: &[Column],
    ) -> Result<impl Iterator<Item = Result<Rows, ReadError>> + use<>, ReadError> {
        self.rows_by(wanted, BATCH_ROWS)
    }

    /// As [`PointsReader::rows`], so many rows at a time.
    pub(super) fn rows_by(
        mut self,
        wanted: &[Column],
        rows: usize,
    ) -> Result<impl Iterator<Item = Result<Rows, ReadError>> + use<>, ReadError> {
        let rest = std::mem::take(&mut self.rest);
        let columns = wanted.to_vec();
        let of_rest = rest.into_iter().flat_map(move |path| {
            let reader = Self::opened(&path, open_entry).map_err(|fault| fault.of(&path));
            // Of one type with the rows: a file that cannot be read is one fault in place of them.
            let (found, fault) = match reader.and_then(|it| it.rows_of_file(&columns, rows)) {
                Ok(found) => (Some(found), None),
                Err(fault) => (None, Some(Err(fault))),
            };
            found.into_iter().flatten().chain(fault)
        });
        Ok(self.rows_of_file(wanted, rows)?.chain(of_rest))
    }

    fn rows_of_file(
        self,
        wanted: &[Column],
        rows: usize,
    ) -> Result<impl Iterator<Item = Result<Rows, ReadError>> + use<>, ReadError> {
        let path: Arc<Path> = self.path.as_path().into();
        let of = Arc::clone(&path);
        for column in wanted {
            self.check(column).map_err(|fault| fault.of(&path))?;
        }
        // Decoding a text column without any value costs more than one with values, and a study leaves most of
        // its axes open.
        let wanted: Vec<(Column, bool)> = wanted
            .iter()
            .map(|column| (*column, self.is_null(column.name)))
            .collect();
        let with_values = wanted.iter().filter(|(_, is_null)| !is_null);
        let mask = ProjectionMask::columns(
            self.builder.parquet_schema(),
            with_values.map(|(column, _)| column.name),
        );
        let fields: Vec<Field> = wanted.iter().map(|(column, _)| column.field()).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut batches = decoded(self.builder.with_projection(mask), rows, &path)?;
        let mut read = move |batch: Result<RecordBatch, ReadError>| {
            let found = Rows::new(&path, batch?);
            let arrays = wanted
                .iter()
                .map(|(column, is_null)| {
                    if *is_null {
                        let nulls = data_type(column.column_type());
                        return Ok(new_null_array(&nulls, found.len()));
                    }
                    found.column(column)
                })
                .collect::<Result<Vec<_>, _>>()?;
            let whole = RecordBatch::try_new(Arc::clone(&schema), arrays)
                .map_err(|error| ReadFault::Damaged(error.into()).of(&path))?;
            Ok(Rows::new(&path, whole))
        };
        let mut ended = false;
        Ok(iter::from_fn(move || {
            if ended {
                return None;
            }
            let next = decoding(|| batches.next().map(&mut read));
            ended = next.is_err();
            next.unwrap_or_else(|fault| Some(Err(fault.of(&of))))
        }))
    }

    /// Statistics of a column in the first row group that has any.
    pub(super) fn first_statistics(&self, name: &str) -> Option<&Statistics> {
        let place = self.place(name)?;
        let groups = self.builder.metadata().row_groups();
        groups
            .iter()
            .find_map(|group| group.column(place).statistics())
    }

    /// Rows of a file that has one row group, and the statistics of a column there.
    pub(super) fn only_group(&self, name: &str) -> Option<(u64, Option<&Statistics>)> {
        let [group] = self.builder.metadata().row_groups() else {
            return None;
        };
        let statistics = group.column(self.place(name)?).statistics();
        Some((u64::try_from(group.num_rows()).ok()?, statistics))
    }

    fn place(&self, name: &str) -> Option<usize> {
        let columns = self.builder.parquet_schema().columns();
        columns
            .iter()
            .position(|column| column.path().string() == name)
    }

    /// Whether the file's statistics say that a column has no value.
    fn is_null(&self, name: &str) -> bool {
        let Some(place) = self.place(name) else {
            return self.builder.schema().field_with_name(name).is_err();
        };
        let groups = self.builder.metadata().row_groups();
        groups.iter().all(|group| {
            let statistics = group.column(place).statistics();
            let nulls = statistics.and_then(Statistics::null_count_opt);
            nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows()))
        })
    }
}

/// Result of decoding; some damage makes the decoder panic.
fn decoding<T>(decode: impl FnOnce() -> T) -> Result<T, ReadFault> {
    guarded(&mut (), |()| decode()).map_err(|crash| ReadFault::Undecodable(crash.to_string()))
}

fn decoded(
    builder: ParquetRecordBatchReaderBuilder<File>,
    rows: usize,
    path: &Path,
) -> Result<impl Iterator<Item = Result<RecordBatch, ReadError>> + use<>, ReadError> {
    let (path, of) = (path.to_owned(), path.to_owned());
    let damaged = move |source: ParquetError| ReadFault::Damaged(source).of(&path);
    let batches = decoding(|| builder.with_batch_size(rows).build())
        .map_err(|fault| fault.of(&of))?
        .map_err(&damaged)?;
    Ok(batches.map(move |batch| batch.map_err(|error| damaged(error.into()))))
}

/// Opens the file with the Arrow types that its writer noted.
///
/// pandas notes a text column without any value as a dictionary of nulls, which the decoder cannot
/// make: the types then follow from Parquet's own alone.
fn builder(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?)?;
    let of_nulls = |data_type: &DataType| match data_type {
        DataType::Dictionary(_, values) => **values == DataType::Null,
        _ => false,
    };
    let fields = builder.schema().fields();
    if !fields.iter().any(|field| of_nulls(field.data_type())) {
        return Ok(builder);
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
}

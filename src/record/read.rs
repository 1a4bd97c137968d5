//! Parquet files to tables, also those that another program has rewritten.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;

use crate::record::column::{Column, UNIT_KEY, data_type};
use crate::record::columns;
use crate::record::provenance::{SCHEMA_VERSION, keys};
use crate::spec::{ColumnType, StudyKind};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 8_192;

/// Columns that earlier versions did not write yet; where they are missing every cell is null.
const LATER: &[&str] = &[columns::REASON_KIND.name];

/// Why results could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open results `{}`: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not Parquet, or is cut off.
    #[error("results `{}` are no whole Parquet file: {source}", path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// Another version of the columns.
    #[error(
        "results `{}` have columns of version {found}, this program reads version {SCHEMA_VERSION}; run the sweep again",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A column is not there.
    #[error("results `{}` have no column `{column}`; run the sweep again with this version", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A column holds something else.
    #[error("column `{column}` of results `{}` holds {found} where {expected} is expected", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The Arrow type found, or a value that is none of the column's.
        found: String,
        /// What the column holds, in words.
        expected: &'static str,
    },
    /// A column is in another unit than this version writes.
    #[error(
        "column `{column}` of results `{}` is in `{found}` where `{expected}` is expected; \
         convert it, or read the run with the version that wrote it",
        path.display()
    )]
    Unit {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The unit in the file.
        found: String,
        /// The unit of this version.
        expected: &'static str,
    },
    /// A page of the file cannot be decoded.
    #[error("results `{}` are damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
}

/// Reads columns of one `points.parquet` by name, in any order and among any others.
#[derive(Debug)]
pub struct PointsReader {
    path: PathBuf,
    kind: StudyKind,
    metadata: BTreeMap<String, String>,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl PointsReader {
    /// Opens a file and finds out what it holds.
    ///
    /// A file that another program wrote has lost its metadata; the kind of study is then told by
    /// its columns.
    ///
    /// # Errors
    /// If it cannot be opened, is no Parquet file, or is of another version.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path)
            .and_then(|file| {
                if file.metadata()?.is_dir() {
                    return Err(io::Error::from(io::ErrorKind::IsADirectory));
                }
                Ok(file)
            })
            .map_err(|source| ReadError::Open {
                path: path.to_owned(),
                source,
            })?;
        let builder = builder(file).map_err(|source| ReadError::NotParquet {
            path: path.to_owned(),
            source,
        })?;
        let metadata: BTreeMap<String, String> = builder
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
            .collect();
        if let Some(found) = metadata.get(keys::SCHEMA_VERSION)
            && *found != SCHEMA_VERSION.to_string()
        {
            return Err(ReadError::SchemaVersion {
                path: path.to_owned(),
                found: found.clone(),
            });
        }
        let kind = match metadata.get(keys::STUDY).and_then(|kind| kind.parse().ok()) {
            Some(kind) => kind,
            None if has_column(&builder, columns::TIME_S.name) => StudyKind::Collective,
            None => StudyKind::Training,
        };
        Ok(Self {
            path: path.to_owned(),
            kind,
            metadata,
            builder,
        })
    }

    /// Kind of study that the rows belong to.
    pub const fn kind(&self) -> StudyKind {
        self.kind
    }

    /// A value of the file's metadata; [`keys`] lists those of this program.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        let rows = self.builder.metadata().file_metadata().num_rows();
        usize::try_from(rows).unwrap_or(0)
    }

    /// Whether the file has a column of that name.
    pub fn has(&self, name: &str) -> bool {
        has_column(&self.builder, name)
    }

    /// Whether a column is there, in the unit that this version writes. Files that other programs
    /// wrote carry no units; the name holds them then.
    fn check(&self, column: &Column) -> Result<(), ReadError> {
        let path = || self.path.clone();
        let Ok(field) = self.builder.schema().field_with_name(column.name) else {
            if LATER.contains(&column.name) {
                return Ok(());
            }
            return Err(ReadError::MissingColumn {
                path: path(),
                column: column.name,
            });
        };
        match field.metadata().get(UNIT_KEY) {
            Some(unit) if unit != column.unit => Err(ReadError::Unit {
                path: path(),
                column: column.name,
                found: unit.clone(),
                expected: column.unit,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the given columns, in that order, whatever their order in the file, and turns each
    /// into the type that [`crate::record`] writes.
    ///
    /// # Errors
    /// If a column is missing or holds something else, or the file is damaged.
    pub fn read(self, wanted: &[Column]) -> Result<Vec<RecordBatch>, ReadError> {
        self.stream(wanted)?.collect()
    }

    /// The same a few thousand rows at a time, for files that need not lie in memory whole.
    ///
    /// # Errors
    /// If a column is missing; while reading, if one holds something else or the file is damaged.
    pub fn stream(
        self,
        wanted: &[Column],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ReadError>>, ReadError> {
        for column in wanted {
            self.check(column)?;
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
        let schema: SchemaRef = Arc::new(Schema::new(
            wanted
                .iter()
                .map(|(column, _)| column.field())
                .collect::<Vec<Field>>(),
        ));
        let path = self.path;
        let damaged = |path: &Path, source: ParquetError| ReadError::Damaged {
            path: path.to_owned(),
            source,
        };
        let batches = self
            .builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|source| damaged(&path, source))?;
        Ok(batches.map(move |batch| {
            let batch = batch.map_err(|error| damaged(&path, error.into()))?;
            let arrays = wanted
                .iter()
                .map(|(column, is_null)| {
                    if *is_null {
                        let nulls = data_type(column.read.column_type());
                        return Ok(new_null_array(&nulls, batch.num_rows()));
                    }
                    canonical(&path, column, &batch)
                })
                .collect::<Result<Vec<_>, _>>()?;
            RecordBatch::try_new(Arc::clone(&schema), arrays)
                .map_err(|error| damaged(&path, error.into()))
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

    fn place(&self, name: &str) -> Option<usize> {
        let columns = self.builder.parquet_schema().columns();
        columns
            .iter()
            .position(|column| column.path().string() == name)
    }

    /// Whether the file's statistics say that a column has no value.
    fn is_null(&self, name: &str) -> bool {
        let Some(place) = self.place(name) else {
            return !self.has(name);
        };
        let groups = self.builder.metadata().row_groups();
        groups.iter().all(|group| {
            let statistics = group.column(place).statistics();
            let nulls = statistics.and_then(Statistics::null_count_opt);
            nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows()))
        })
    }
}

/// Every row of a file that this program wrote, so many at a time.
///
/// # Errors
/// If it cannot be opened, is no Parquet file, or a page of it cannot be decoded.
pub fn batches(
    path: &Path,
    rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, ReadError>> + use<>, ReadError> {
    let reader = PointsReader::open(path)?;
    let path = reader.path;
    let damaged = move |source: ParquetError| ReadError::Damaged {
        path: path.clone(),
        source,
    };
    let batches = reader
        .builder
        .with_batch_size(rows)
        .build()
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

fn has_column(builder: &ParquetRecordBatchReaderBuilder<File>, name: &str) -> bool {
    builder.schema().column_with_name(name).is_some()
}

/// A column in the type that this program writes: pandas turns counts with nulls into floats,
/// `DuckDB` turns dictionaries into plain text.
fn canonical(path: &Path, column: &Column, batch: &RecordBatch) -> Result<ArrayRef, ReadError> {
    let Some(array) = batch.column_by_name(column.name) else {
        return Err(ReadError::MissingColumn {
            path: path.to_owned(),
            column: column.name,
        });
    };
    let column_type = column.read.column_type();
    let wrong = |found: String| ReadError::ColumnType {
        path: path.to_owned(),
        column: column.name,
        found,
        expected: match column_type {
            ColumnType::Text => "text",
            ColumnType::Int => "counts",
            ColumnType::Real => "numbers",
            ColumnType::Bool => "true or false",
        },
    };
    let source = array.data_type();
    let fits = match column_type {
        ColumnType::Text => is_text(source),
        ColumnType::Int | ColumnType::Real => source.is_numeric(),
        ColumnType::Bool => *source == DataType::Boolean,
    };
    if !fits && *source != DataType::Null {
        return Err(wrong(source.to_string()));
    }
    if let (ColumnType::Int, Some(floats)) =
        (column_type, array.as_any().downcast_ref::<Float64Array>())
        && let Some(bad) = floats
            .iter()
            .flatten()
            .find(|value| !(value.is_nan() || (*value >= 0.0 && value.fract() == 0.0)))
    {
        return Err(wrong(bad.to_string()));
    }
    let options = CastOptions::default();
    let cast = cast_with_options(array, &data_type(column_type), &options)
        .map_err(|error| wrong(error.to_string()))?;
    let lost = cast.null_count() > array.null_count();
    let was_float = matches!(source, DataType::Float32 | DataType::Float64);
    if lost && !was_float && *source != DataType::Null {
        return Err(wrong(format!("values out of range ({source})")));
    }
    Ok(cast)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

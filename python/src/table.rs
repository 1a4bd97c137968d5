//! Tables of results, handed out through Arrow's PyCapsule interface.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchIterator};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type, Schema, SchemaRef};
use arrow::ffi::FFI_ArrowSchema;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use clustersweep::commands::save_rows;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::attended::alone;
use crate::errors::exception;
use crate::study::{Study, portion};

/// Rows of one schema, in batches.
#[pyclass(frozen, module = "clustersweep._core")]
pub(crate) struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    /// The table of some batches; without columns where there is none.
    pub(crate) fn new(batches: Vec<RecordBatch>) -> Self {
        let first = batches.first().map(RecordBatch::schema);
        Self {
            schema: first.unwrap_or_else(|| Arc::new(Schema::empty())),
            batches,
        }
    }

    /// The table of some batches of a schema.
    pub(crate) fn of_schema(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }
}

#[pymethods]
impl Table {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The interface allows a producer to ignore the request; a reader casts then.
        let _ = requested_schema;
        let batches = self.batches.clone().into_iter().map(Ok);
        let reader = RecordBatchIterator::new(batches, Arc::clone(&self.schema));
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.schema.as_ref());
        let schema = schema.map_err(|error| PyValueError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// Writes the rows as a run: `points.parquet` and `spec.toml` in a folder.
    fn save(
        &self,
        py: Python<'_>,
        study: &Study,
        folder: PathBuf,
        limit: Option<u64>,
        shard: Option<&str>,
        max_events: Option<u64>,
    ) -> PyResult<()> {
        let portion =
            portion(limit, shard, max_events).map_err(|failure| exception(py, &failure))?;
        let (spec, batches) = (study.spec(), self.batches.clone());
        alone(py, move || save_rows(&spec, portion, &batches, &folder))
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[getter]
    fn column_names(&self) -> Vec<&str> {
        let fields = self.schema.fields().iter();
        fields.map(|field| field.name().as_str()).collect()
    }

    /// The batches that the table consists of, a table each.
    fn batches(&self) -> Vec<Self> {
        let batches = self.batches.iter().cloned();
        batches
            .map(|batch| Self::of_schema(Arc::clone(&self.schema), vec![batch]))
            .collect()
    }

    /// The table with a column of numbers behind the others.
    fn with_column(
        &self,
        name: String,
        values: Vec<Option<f64>>,
        unit: String,
        doc: String,
    ) -> PyResult<Self> {
        let rows = self.num_rows();
        if values.len() != rows {
            let given = values.len();
            let message = format!("`{name}` has {given} values for {rows} rows");
            return Err(PyValueError::new_err(message));
        }
        let metadata = HashMap::from([("unit".to_owned(), unit), ("doc".to_owned(), doc)]);
        let field = Field::new(name, DataType::Float64, true).with_metadata(metadata);
        let fields = self.schema.fields().iter().cloned();
        let fields: Fields = fields.chain([Arc::new(field)]).collect();
        let schema = Schema::new_with_metadata(fields, self.schema.metadata().clone());
        let schema = Arc::new(schema);
        let column: ArrayRef = Arc::new(Float64Array::from(values));
        let mut from = 0;
        let wider = |batch: &RecordBatch| {
            let part = column.slice(from, batch.num_rows());
            from += batch.num_rows();
            let columns = batch.columns().iter().cloned().chain([part]).collect();
            RecordBatch::try_new(Arc::clone(&schema), columns)
        };
        let batches: Result<Vec<_>, _> = self.batches.iter().map(wider).collect();
        let batches = batches.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self::of_schema(Arc::clone(&schema), batches))
    }

    /// Values of a column; `None` where a cell is null.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyList>> {
        let values = PyList::empty(py);
        for batch in &self.batches {
            let column = batch.column_by_name(name);
            let column = column.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
            append_values(&values, column)?;
        }
        Ok(values)
    }
}

/// Appends the values of an array to a list.
fn append_values(values: &Bound<'_, PyList>, column: &ArrayRef) -> PyResult<()> {
    if let Some(counts) = column.as_primitive_opt::<Int64Type>() {
        counts.iter().try_for_each(|value| values.append(value))
    } else if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        numbers.iter().try_for_each(|value| values.append(value))
    } else if let Some(switches) = column.as_boolean_opt() {
        switches.iter().try_for_each(|value| values.append(value))
    } else {
        let text = cast(column, &DataType::Utf8);
        let text = text.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut text = text.as_string::<i32>().iter();
        text.try_for_each(|value| values.append(value))
    }
}

//! Failures as Python exceptions, with the text of the command line.

use std::panic;

use clustersweep::commands::Failure;
use clustersweep::spec::Diagnostic;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Leaves panics to the exceptions that they become.
pub(crate) fn quiet_panics() {
    panic::set_hook(Box::new(|_| {}));
}

/// The exception of a failure: `SpecError`, `FileError`, `UsageError` or `SimulatorFault`.
pub(crate) fn exception(py: Python<'_>, failure: &Failure) -> PyErr {
    made(py, failure).unwrap_or_else(|error| error)
}

fn made(py: Python<'_>, failure: &Failure) -> PyResult<PyErr> {
    let name = match failure {
        _ if failure.is_io() => "FileError",
        Failure::Spec(_) => "SpecError",
        Failure::Fault(_) => "SimulatorFault",
        Failure::Usage(_) | Failure::Io(_) => "UsageError",
    };
    let class = py.import("clustersweep.errors")?.getattr(name)?;
    let error = class.call1((failure.to_string(),))?;
    if let Failure::Spec(_) = failure
        && !failure.is_io()
    {
        error.setattr("faults", faults(py, failure.diagnostics())?)?;
    }
    Ok(PyErr::from_value(error))
}

/// Every fault of a spec as a dict.
fn faults<'py>(py: Python<'py>, found: &[Diagnostic]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for fault in found {
        let dict = PyDict::new(py);
        dict.set_item("message", &fault.message)?;
        let place = fault.place.as_ref();
        let at = place.map(clustersweep::spec::Place::line_column);
        dict.set_item("source", place.map(|it| it.source.name.as_str()))?;
        dict.set_item(
            "path",
            place
                .and_then(|it| it.path.as_ref())
                .map(ToString::to_string),
        )?;
        dict.set_item("line", at.map(|(line, _)| line))?;
        dict.set_item("column", at.map(|(_, column)| column))?;
        dict.set_item("hints", &fault.hints)?;
        list.append(dict)?;
    }
    Ok(list)
}

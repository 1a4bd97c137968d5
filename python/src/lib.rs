//! The native half of the Python package `clustersweep`: what its Python files call, which people do not import.
//!
//! Values cross the border as Arrow tables through the PyCapsule interface, without copies, or as JSON text.
//! Simulations run on a thread of their own, without the GIL, while the calling thread looks at signals.

mod attended;
mod commands;
mod errors;
mod study;
mod table;

use pyo3::prelude::*;

/// Native functions of `clustersweep`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::quiet_panics();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<study::Study>()?;
    module.add_class::<table::Table>()?;
    module.add_class::<commands::Analysis>()?;
    module.add_function(wrap_pyfunction!(commands::read_points, module)?)?;
    module.add_function(wrap_pyfunction!(commands::run_spec, module)?)?;
    module.add_function(wrap_pyfunction!(commands::analyze, module)?)?;
    module.add_function(wrap_pyfunction!(commands::answer, module)?)?;
    module.add_function(wrap_pyfunction!(commands::diff, module)?)?;
    module.add_function(wrap_pyfunction!(commands::validate, module)?)?;
    module.add_function(wrap_pyfunction!(commands::catalog, module)?)?;
    module.add_function(wrap_pyfunction!(commands::model_file, module)?)?;
    module.add_function(wrap_pyfunction!(commands::merge, module)?)?;
    module.add_function(wrap_pyfunction!(attended::_panic, module)?)?;
    Ok(())
}

//! The extension module `heartlens._heartlens`: host's library for Python. `python/heartlens` is what users import.
//!
//! Nothing is computed here. Arrays become records in memory, arguments become [`heartlens::Options`], results become
//! columns, and errors exceptions. The interpreter is left alone while work is done, and asked now and then whether
//! Ctrl-C was pressed.

mod analysis;
mod arguments;
mod beats;
mod command;
mod errors;
mod features;
mod many;
mod model;
mod monitor;
mod record;
mod tables;
mod verbs;
mod watch;

use pyo3::prelude::*;

/// What `import heartlens` gives is listed in `heartlens/__init__.py`.
#[pymodule]
fn _heartlens(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // NumPy is loaded now, and not in the middle of a call that Ctrl-C may end.
    numpy::dtype::<f32>(module.py());
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<analysis::Analysis>()?;
    module.add_class::<beats::Beat>()?;
    module.add_class::<beats::Beats>()?;
    module.add_class::<record::BeatList>()?;
    module.add_class::<features::Views>()?;
    module.add_class::<many::Records>()?;
    module.add_class::<many::Row>()?;
    module.add_class::<model::Model>()?;
    module.add_class::<monitor::Event>()?;
    module.add_class::<monitor::Monitor>()?;
    module.add_class::<tables::Part>()?;
    module.add_class::<record::Lead>()?;
    module.add_class::<record::Record>()?;
    module.add_class::<verbs::Compiled>()?;
    module.add_function(wrap_pyfunction!(analysis::classify, module)?)?;
    module.add_function(wrap_pyfunction!(analysis::signal, module)?)?;
    module.add_function(wrap_pyfunction!(features::detect, module)?)?;
    module.add_function(wrap_pyfunction!(features::views, module)?)?;
    module.add_function(wrap_pyfunction!(many::classify_records, module)?)?;
    module.add_function(wrap_pyfunction!(record::read, module)?)?;
    module.add_function(wrap_pyfunction!(tables::records_of, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::compile, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(command::main, module)?)
}

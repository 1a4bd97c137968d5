//! A finished run extended by further values of its axes.

use std::path::{Path, PathBuf};

use crate::commands::failure::Failure;
use crate::commands::points::provenance;
use crate::commands::run::RunRequest;
use crate::commands::run_source::{RunSource, newer_spec};
use crate::runner::{NewerRows, RunFolder, check_extended};
use crate::spec::{Overrides, Spec, Syntax};

/// The spec of the run in the request's folder, extended by the values that a spec has besides.
///
/// # Errors
/// If the folder holds no finished run of this program, or the two specs differ in more than values of axes.
pub fn extended(spec: &Spec, request: &RunRequest) -> Result<Spec, Failure> {
    let path = request.folder(spec);
    let shown = path.display();
    let (own, table) = extendable(&path)?;
    let of_own = provenance(&own, request.portion);
    check_extended(&table, &of_own).map_err(Failure::usage)?;
    let text = own
        .extended_by(spec)
        .map_err(|why| Failure::usage(format!("cannot extend `{shown}`: {why}")))?;
    let name = format!("{shown}, extended");
    Ok(Spec::parse(
        &name,
        &text,
        Syntax::Toml,
        &Overrides::default(),
    )?)
}

/// The spec of a folder's rows, and a table that has it: of an extension that was cut off, that of the extension.
fn extendable(path: &Path) -> Result<(Spec, PathBuf), Failure> {
    if let Some(newer) = NewerRows::of(&RunFolder::existing(path)) {
        return Ok((newer_spec(&newer)?, newer.table));
    }
    let source = RunSource::new(path)?;
    Ok((source.spec_of_points()?, source.points))
}

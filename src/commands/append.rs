//! A finished run extended by further values of its axes.

use crate::commands::failure::Failure;
use crate::commands::points::provenance;
use crate::commands::run::RunRequest;
use crate::commands::run_source::RunSource;
use crate::runner::check_extended;
use crate::spec::{Overrides, Spec, Syntax};

/// The spec of the run in the request's folder, extended by the values that a spec has besides.
///
/// # Errors
/// If the folder holds no finished run of this program, or the two specs differ in more than values of axes.
pub fn extended(spec: &Spec, request: &RunRequest) -> Result<Spec, Failure> {
    let path = request.folder(spec);
    let shown = path.display();
    let source = RunSource::new(&path)?;
    let own = source.spec_of_points()?;
    let of_own = provenance(&own, request.portion);
    check_extended(&source.points, &of_own).map_err(Failure::usage)?;
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

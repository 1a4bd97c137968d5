//! `sweep schema`.

use crate::catalog::Catalog;
use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::commands::Failure;
use crate::spec::schema::schema;

pub(super) fn run() -> Result<ExitStatus, Failure> {
    terminal::print(&format!("{:#}\n", schema(Catalog::builtin())))
}

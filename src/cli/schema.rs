//! `sweep schema`.

use schemars::JsonSchema;
use serde_json::Value;

use crate::analysis::diff::Diff;
use crate::catalog::Catalog;
use crate::cli::event::Event;
use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::closed_set;
use crate::commands::Failure;
use crate::commands::explain_document::{ExplainDocument, PointDocument};
use crate::commands::findings_document::{AnalyzeDocument, RunDocument};
use crate::commands::list::ListDocument;
use crate::commands::plan::PlanDocument;
use crate::commands::verify::VerifyDocument;
use crate::commands::where_points::PointsDocument;
use crate::document::Document;
use crate::report::accuracy::ValidateDocument;
use crate::report::answer_document::AnswerDocument;
use crate::runner::Manifest;
use crate::spec::schema::schema;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the schema is of: a spec, or JSON that a command writes
    #[arg(long, value_name = "WHAT", default_value = SPEC, value_parser = names())]
    of: String,
}

/// Name of the schema of a spec.
const SPEC: &str = "spec";

fn names() -> Vec<&'static str> {
    [&[SPEC], Document::NAMES].concat()
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let schema = match args.of.parse() {
        Ok(document) => schema_of(document),
        Err(closed_set::UnknownName { .. }) => schema(Catalog::builtin()),
    };
    terminal::print(&format!("{schema:#}\n"))
}

/// The schema of a document, made from the type that is written.
fn schema_of(document: Document) -> Value {
    fn with<T: JsonSchema>(document: Document) -> Value {
        document.schema_with::<T>()
    }
    match document {
        Document::Run => with::<RunDocument<'_>>(document),
        Document::Analyze => with::<AnalyzeDocument<'_>>(document),
        Document::Answer => with::<AnswerDocument<'_>>(document),
        Document::Diff => with::<Diff>(document),
        Document::Explain => with::<ExplainDocument<'_>>(document),
        Document::Point => with::<PointDocument>(document),
        Document::Points => with::<PointsDocument<'_>>(document),
        Document::Validate => with::<ValidateDocument<'_>>(document),
        Document::Verify => with::<VerifyDocument<'_>>(document),
        Document::Plan => with::<PlanDocument<'_>>(document),
        Document::List => with::<ListDocument<'_>>(document),
        Document::Progress => with::<Event<'_>>(document),
        Document::Manifest => with::<Manifest>(document),
    }
}

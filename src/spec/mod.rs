//! Text to spec to plan.
//!
//! A spec is read in four steps, each of which notes every fault that it finds:
//! text → tree with places (`syntax`), files merged (`load`) → catalogue with the spec's own tables →
//! axes and values (`read`, `values`) → [`Plan`], which decodes points on demand.
//!
//! # Why …?
//!
//! *Why is the tree read by hand and not by serde?* Serde stops at the first fault and a spec should
//! not have to be run five times to find five of them; and the same structure comes from three syntaxes.
//!
//! *Why is `[grid]` kept as digits?* A grid of 10⁹ points is a number with a few digits. It is opened at
//! once, any point of it can be made without the others, and a shard is a range of numbers.

pub mod analysis;
pub mod axis;
pub mod diagnostic;
pub mod facts;
pub mod overrides;
pub mod own;
pub mod plan;
pub mod point;
pub mod portion;
pub mod schema;
pub mod source;
pub mod value;

mod checks;
mod condition;
mod load;
mod product;
mod range;
mod read;
mod repeated;
mod resolution;
mod resolver;
mod settings;
mod stages;
mod syntax;
mod text;
mod values;

use std::path::Path;
use std::sync::Arc;

pub use analysis::{AnalysisSettings, BottleneckThresholds};
pub use axis::{AXES, Axis, AxisGroup, AxisInfo, ColumnType, Domain, StudyKind};
pub use diagnostic::{Diagnostic, Severity};
pub use overrides::Overrides;
pub use own::{OwnKind, OwnTables};
pub use plan::{Plan, Tally};
pub use point::GridPoint;
pub use portion::{NoShard, Portion, Shard};
pub use schema::schema;
pub use source::{Place, Source, SpecError, Syntax};
pub use value::AxisValue;

use crate::catalog::{Catalog, CatalogFault, FaultPlace, Kind, overlay};
use checks::check_axes;
use condition::{Malformed, parse as parse_condition};
use diagnostic::Faults;
use plan::{Clause, PlanParts};
use read::{ClauseText, Heading, Parts, PartsReader, find, heading, products};
use syntax::Entry;
use values::Reader;

/// Points that are looked at to see that `where` keeps some.
const LOOKS: u64 = 200_000;

/// A checked spec.
#[derive(Debug)]
pub struct Spec {
    /// Its name: that of the run folder.
    pub name: String,
    /// The question it answers.
    pub description: String,
    /// What one point is.
    pub kind: StudyKind,
    /// How findings are made.
    pub analysis: AnalysisSettings,
    /// Doubts that do not stand in the way of a run.
    pub warnings: Vec<Diagnostic>,
    catalog: Arc<Catalog>,
    own: Arc<OwnTables>,
    plan: Plan,
    resolved: String,
}

/// What names stand for.
#[derive(Clone, Copy)]
struct Named<'a> {
    catalog: &'a Arc<Catalog>,
    own: &'a Arc<OwnTables>,
}

impl Spec {
    /// Reads a spec from a file, with the files that it includes and what the command line changes.
    ///
    /// # Errors
    /// If the file cannot be read, or with every fault of the spec.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, SpecError> {
        let mut faults = Faults::default();
        let top = load::load(path, &mut faults)?;
        Self::from_entries(&top, &path.display().to_string(), overrides, faults)
    }

    /// Reads a spec from a text that is no file; `name` stands for it in messages.
    ///
    /// # Errors
    /// With every fault of the spec.
    pub fn parse(
        name: &str,
        text: &str,
        syntax: Syntax,
        overrides: &Overrides,
    ) -> Result<Self, SpecError> {
        let source = Arc::new(Source {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        let mut faults = Faults::default();
        let top = load::parse_text(&source, syntax, &mut faults);
        Self::from_entries(&top, name, overrides, faults)
    }

    fn from_entries(
        top: &[Entry],
        file: &str,
        overrides: &Overrides,
        mut faults: Faults,
    ) -> Result<Self, SpecError> {
        // A text that could not be parsed has no keys whose absence would mean anything.
        if top.is_empty() && !faults.is_empty() {
            return Err(SpecError::Faults(faults.into_found()));
        }
        let mut heading = heading(top, file, &mut faults);
        let tables = own_tables(top);
        let catalog = Arc::new(own_catalog(top, &tables, &mut faults));
        let own = Arc::new(OwnTables::read(top, &mut faults));
        let reader = Reader {
            catalog: &catalog,
            own: &tables,
        };
        let mut parts = PartsReader::new(reader, heading.kind, &mut faults).parts(top);
        overrides.apply(&mut parts, reader, heading.kind, &mut faults);
        heading.clauses.extend(overrides.clauses());
        check_axes(&parts, heading.kind, &mut faults);
        let clauses = conditions(&heading, &catalog, &own, &mut faults);
        let named = Named {
            catalog: &catalog,
            own: &own,
        };
        let plan = plan(&heading, &parts, clauses, named, &mut faults);
        let (Some(plan), true) = (plan, faults.is_empty()) else {
            return Err(SpecError::Faults(faults.into_found()));
        };
        check_kept(&plan, &heading, &mut faults);
        if !faults.is_empty() {
            return Err(SpecError::Faults(faults.into_found()));
        }
        Ok(Self {
            warnings: repeated::points(&parts, &plan).into_iter().collect(),
            resolved: text::resolved(&heading, &parts, &tables),
            name: heading.name,
            description: heading.description,
            kind: heading.kind,
            analysis: heading.analysis,
            catalog,
            own,
            plan,
        })
    }

    /// The points.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The catalogue with the spec's own tables.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Topologies and collectives that the spec describes itself.
    pub fn own(&self) -> &Arc<OwnTables> {
        &self.own
    }

    /// The spec as it is run, in TOML: includes and the command line's changes resolved, so that it
    /// runs by itself.
    pub fn resolved_text(&self) -> String {
        self.resolved.clone()
    }

    /// BLAKE3 of the resolved text, in hexadecimal.
    pub fn hash(&self) -> String {
        blake3::hash(self.resolved.as_bytes()).to_hex().to_string()
    }
}

/// The spec's own tables, places left out and schedule files replaced by what they hold.
fn own_tables(top: &[Entry]) -> toml::Table {
    let catalog = Kind::NAMES.iter();
    let mut tables: toml::Table = catalog
        .chain(OwnKind::NAMES)
        .filter_map(|kind| find(top, kind))
        .filter_map(|entry| Some((entry.key.clone(), entry.node.to_toml()?)))
        .collect();
    let collectives = tables
        .get_mut(OwnKind::Collectives.as_str())
        .and_then(toml::Value::as_table_mut);
    for (_, collective) in collectives.into_iter().flatten() {
        if let Some(table) = collective.as_table_mut() {
            table.remove("file");
        }
    }
    tables
}

fn own_catalog(top: &[Entry], tables: &toml::Table, faults: &mut Faults) -> Catalog {
    if tables.is_empty() {
        return Catalog::builtin().clone();
    }
    overlay(Catalog::builtin(), tables).unwrap_or_else(|found| {
        faults.extend(found.iter().map(|fault| placed(top, fault)));
        Catalog::builtin().clone()
    })
}

/// A fault of a catalogue table at the place of its path.
fn placed(top: &[Entry], fault: &CatalogFault) -> Diagnostic {
    let mut entries = top;
    let mut last = None;
    for part in &fault.path {
        let Some(entry) = find(entries, part) else {
            break;
        };
        last = Some(entry);
        entries = entry.node.table().unwrap_or_default();
    }
    let diagnostic = match last {
        Some(entry) => {
            let place = match fault.place {
                FaultPlace::Key => &entry.key_place,
                FaultPlace::Value => &entry.node.place,
            };
            Diagnostic::error(place, fault.message.clone())
        }
        None => Diagnostic::error_without_place(format!("{}: {}", fault.dotted(), fault.message)),
    };
    diagnostic.maybe_hint(fault.hint.clone())
}

fn conditions(
    heading: &Heading,
    catalog: &Catalog,
    own: &OwnTables,
    faults: &mut Faults,
) -> Vec<Clause> {
    let fields = |kind| facts::names(kind).collect();
    let names = |domain| match domain {
        Domain::Catalog(kind) => catalog.names(kind).into_iter().map(str::to_owned).collect(),
        Domain::Closed(names) => names.iter().map(|name| (*name).to_owned()).collect(),
        Domain::Own(kind) => own.names(kind),
        Domain::Int { .. } | Domain::Real { .. } | Domain::Bool | Domain::Size | Domain::Stages => {
            Vec::new()
        }
    };
    let known = condition::Known {
        fields: &fields,
        names: &names,
        kind: heading.kind,
    };
    heading
        .clauses
        .iter()
        .filter_map(|clause| {
            let parsed = parse_condition(&clause.text, &known);
            let expression = faults.ok(parsed.map_err(|fault| malformed(clause, fault)))?;
            Some(Clause {
                text: clause.text.clone(),
                expression,
            })
        })
        .collect()
}

fn malformed(clause: &ClauseText, fault: Malformed) -> Diagnostic {
    let place = clause.place.within(&clause.text, fault.span);
    Diagnostic::error(&place, fault.message).maybe_hint(fault.hint)
}

fn plan(
    heading: &Heading,
    parts: &Parts,
    clauses: Vec<Clause>,
    named: Named<'_>,
    faults: &mut Faults,
) -> Option<Plan> {
    if !faults.is_empty() {
        return None;
    }
    let products = products(parts);
    if products.is_empty() {
        faults.push(
            Diagnostic::error_without_place("the spec has no points")
                .hint("write the axes under [grid], or explicit points under [[point]]"),
        );
        return None;
    }
    let defaults = parts
        .defaults
        .iter()
        .map(|given| (given.axis, given.values.clone()))
        .collect();
    let plan = Plan::new(PlanParts {
        kind: heading.kind,
        products,
        defaults,
        clauses,
        catalog: Arc::clone(named.catalog),
        own: Arc::clone(named.own),
    });
    if plan.is_none() {
        let sizes: Vec<String> = products_described(parts);
        faults.push(Diagnostic::error_without_place(format!(
            "the grid has more points than 63 bits can number: {}",
            sizes.join(" + ")
        )));
    }
    plan
}

/// The lengths of the axes of each product: `gpu 4 × nodes 8`.
fn products_described(parts: &Parts) -> Vec<String> {
    products(parts)
        .iter()
        .take(10)
        .map(|product| {
            let digits = product.digits.iter().filter_map(|digit| {
                let (axis, values) = digit.axes.first()?;
                Some(format!("{axis} {}", values.len()))
            });
            digits.collect::<Vec<_>>().join(" × ")
        })
        .collect()
}

/// Refuses a `where` that keeps nothing, and says which clause drops how much.
fn check_kept(plan: &Plan, heading: &Heading, faults: &mut Faults) {
    if heading.clauses.is_empty() || plan.kept(0..plan.len().min(1_000)).next().is_some() {
        return;
    }
    let tally = plan.tally(LOOKS);
    // A sample that keeps nothing proves nothing: the run will tell.
    if tally.kept > 0 || !tally.exact {
        return;
    }
    for (clause, (_, dropped)) in heading.clauses.iter().zip(&tally.dropped) {
        if *dropped > 0 {
            let message = format!(
                "`where` drops every point; this clause drops {dropped} of {}",
                tally.points
            );
            faults.push(Diagnostic::error(&clause.place, message));
        }
    }
}

#[cfg(test)]
mod tests;

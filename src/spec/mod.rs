//! Specs: from text to a plan of points.
//!
//! A spec is read in steps, each of which notes every fault that it finds:
//! text → tree with places (`syntax`), files merged (`load`) → catalogue with the spec's tables →
//! axes and values (`read`, `one_value`, `range`) → [`Plan`], which decodes points on demand.
//!
//! # Why …?
//!
//! *Why is the tree read by hand and not by serde?* Serde stops at the first fault and a spec should
//! not have to be run five times to find five of them; and the same structure comes from three syntaxes.
//!
//! *Why is `[grid]` kept as digits?* A grid of 10⁹ points is a number with a few digits. It is opened at
//! once, any point of it can be made without the others, and a shard is a range of numbers.

pub(crate) mod analysis;
pub(crate) mod axis;
pub(crate) mod custom;
pub(crate) mod diagnostic;
pub(crate) mod error;
mod extension;
pub(crate) mod facts;
pub(crate) mod overrides;
pub(crate) mod plan;
pub(crate) mod point;
pub(crate) mod portion;
pub(crate) mod schema;
pub(crate) mod source;
pub(crate) mod value;

mod axis_values;
mod charts;
mod checks;
mod condition;
mod config_json;
mod file;
mod followers;
mod key_path;
mod keys;
mod layers_per_stage;
mod load;
mod measured;
mod metrics;
mod mixed_gpus;
mod names;
mod one_value;
mod own_prices;
mod phases;
mod price_lists;
mod prices;
mod product;
mod question;
mod range;
mod read;
mod recipes;
mod repeated;
mod resolver;
mod result_columns;
mod run_settings;
mod scalars;
mod scenario;
mod settings;
mod syntax;
mod text;
mod toml_fault;
mod yaml_fault;

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use itertools::Itertools;

pub(crate) use analysis::BottleneckThresholds;
pub(crate) use analysis::LeftOut;
pub use analysis::{AnalysisSettings, BesideStep, Phase};
pub(crate) use axis::{AXES, AxisGroup, AxisInfo, Domain};
pub use axis::{Axis, ColumnType, StudyKind};
pub(crate) use config_json::model_of_config;
pub(crate) use custom::{CustomKind, CustomTables};
pub use diagnostic::{Diagnostic, Severity};
pub use error::SpecError;
pub(crate) use followers::follow_from;
pub use key_path::KeyPath;
pub use metrics::Metric;
pub use overrides::Overrides;
pub(crate) use own_prices::OwnPrices;
pub(crate) use plan::{Plan, Tally};
pub(crate) use point::GridPoint;
pub use portion::{Portion, Shard};
pub use question::Question;
pub(crate) use result_columns::{ResultColumn, ResultColumns};
pub(crate) use run_settings::{changed_keys, run_settings};
pub(crate) use source::Source;
pub use source::{Place, Syntax};
pub(crate) use value::AxisValue;

use crate::catalog::{Catalog, CatalogFault, FaultPlace, Kind, OWN_PRICES, overlay};
use crate::interval::OwnRuns;
pub(crate) use charts::Chart;
use checks::{check_axes, check_mixed_gpus, check_precision};
pub(crate) use condition::Operand;
use condition::parse as parse_condition;
use diagnostic::Faults;
use names::{Misspelt, Names};
use plan::{Clause, PlanParts};
use read::{Heading, Parts, heading, malformed, parts, products};
use syntax::{Entry, Node, Value, find};

/// Further clauses that are named where `where` drops every point.
const CLAUSES_NAMED: usize = 5;

/// Key of the price lists.
const PRICES: &str = Kind::Prices.as_str();

/// Points that are looked at to see that `where` keeps some.
const LOOKS: u64 = 200_000;

/// A checked spec.
#[derive(Debug)]
pub struct Spec {
    /// Name, which is that of the run folder.
    pub name: String,
    /// Question that the sweep answers.
    pub description: String,
    /// Kind of study.
    pub kind: StudyKind,
    /// Settings of the analysis.
    pub analysis: AnalysisSettings,
    /// Columns that the spec adds to the results.
    pub metrics: Arc<[Metric]>,
    /// Charts that the spec adds to the report.
    pub(crate) charts: Vec<Chart>,
    /// Doubts that do not prevent a run.
    pub warnings: Vec<Diagnostic>,
    names: Names,
    custom: Arc<CustomTables>,
    measured: OwnRuns,
    plan: Plan,
    resolved: String,
}

impl Spec {
    /// Reads a spec from a file, with the files that it includes and what the command line changes; its metrics and
    /// charts can name `columns`.
    ///
    /// # Errors
    /// If the file cannot be read, or with every fault of the spec.
    pub(crate) fn load_knowing(
        columns: &ResultColumns,
        path: &Path,
        overrides: &Overrides,
    ) -> Result<Self, SpecError> {
        let mut faults = Faults::default();
        let top = load::load(path, &mut faults)?;
        Self::from_entries(
            columns,
            &top,
            &path.display().to_string(),
            overrides,
            faults,
        )
    }

    /// Reads a spec from a text that is no file; `name` stands for it in messages. Its metrics and charts can name
    /// `columns`.
    ///
    /// # Errors
    /// With every fault of the spec.
    pub(crate) fn parse_knowing(
        columns: &ResultColumns,
        name: &str,
        text: &str,
        syntax: Syntax,
        overrides: &Overrides,
    ) -> Result<Self, SpecError> {
        let source = Source {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let mut faults = Faults::default();
        let top = load::parse_text(source, syntax, &mut faults);
        Self::from_entries(columns, &top, name, overrides, faults)
    }

    fn from_entries(
        columns: &ResultColumns,
        top: &[Entry],
        file: &str,
        overrides: &Overrides,
        mut faults: Faults,
    ) -> Result<Self, SpecError> {
        // A text that could not be parsed has no keys whose absence would mean anything.
        if top.is_empty() && !faults.is_empty() {
            return Err(SpecError::Faults(faults.into_found()));
        }
        let mut heading = heading(top, file, overrides.question(), &mut faults);
        let tables = defined_tables(top);
        let names = Names {
            kind: heading.kind,
            catalog: Arc::new(catalog(top, &tables, &mut faults)),
            tables,
            misspelt: Misspelt::default(),
        };
        let custom = Arc::new(CustomTables::read(top, &mut faults));
        let metrics = metrics::read(top, &names, columns, &mut faults);
        let of_points = (columns.points)(names.kind);
        let charts = charts::read(top, &of_points, &metrics, &mut faults);
        let asked = measured::read(top, &names, &mut faults);
        let mut parts = parts(&names, top, &mut faults);
        overrides.apply(&mut parts, &names, &mut faults);
        heading.clauses.extend(overrides.clauses());
        check_axes(&parts, heading.kind, &mut faults);
        let clauses = conditions(&heading, &names, &mut faults);
        let plan = plan(&parts, clauses, &names, &custom, &mut faults);
        let measured = if faults.is_empty() {
            measured::predicted(asked, &names, &custom, &mut faults)
        } else {
            OwnRuns::default()
        };
        let Some(plan) = plan.filter(|plan| {
            if faults.is_empty() {
                check_kept(plan, &heading, &mut faults);
                prices::check(&parts, plan, &names, &mut faults);
                check_precision(&parts, &names, &mut faults);
                check_mixed_gpus(&parts, &names, &mut faults);
                recipes::check(&parts, plan, &names, &mut faults);
            }
            faults.is_empty()
        }) else {
            return Err(SpecError::Faults(faults.into_found()));
        };
        Ok(Self {
            warnings: warnings(top, (&parts, &names), &plan, &heading.analysis.question),
            resolved: text::resolved(&heading, &parts, &names.tables),
            name: heading.name,
            description: heading.description,
            kind: heading.kind,
            analysis: heading.analysis,
            metrics: metrics.into(),
            charts,
            names,
            custom,
            measured,
            plan,
        })
    }

    /// The points.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The catalogue with the entries that the spec defines.
    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.names.catalog
    }

    /// Measured runs of one's own.
    pub(crate) const fn measured(&self) -> &OwnRuns {
        &self.measured
    }

    /// Topologies and collectives that the spec defines.
    pub(crate) fn custom(&self) -> &Arc<CustomTables> {
        &self.custom
    }

    /// Reads a value of an axis as it is typed on the command line, without quotes.
    ///
    /// # Errors
    /// If a point of the spec does not have the axis, or the axis not the value.
    pub(crate) fn value(&self, axis: Axis, text: &str) -> Result<AxisValue, SpecError> {
        overrides::typed_value(axis, text, &self.names)
    }

    /// The spec as it is run, in TOML: includes and the command line's changes resolved, so that it
    /// runs by itself.
    pub fn resolved_text(&self) -> String {
        self.resolved.clone()
    }

    /// Whether every point of another spec is the same, whatever limits the questions set.
    pub(crate) fn has_points_of(&self, other: &Self) -> bool {
        let points = |spec: &Self| match text::limits(&spec.analysis.question).as_str() {
            "" => spec.resolved.clone(),
            limits => spec.resolved.replace(limits, ""),
        };
        points(self) == points(other)
    }

    /// The text of a spec of some of the points with other sizes, each by its number with its GPUs, in place of the grid;
    /// everything else is the same.
    ///
    /// # Panics
    /// If the plan has no such point.
    pub(crate) fn with_sizes(&self, name: &str, sizes: &[(u64, u32)]) -> String {
        let mut table: toml::Table = self.resolved.parse().expect("a resolved text is TOML");
        for key in ["grid", "zip", "point", "where"] {
            table.remove(key);
        }
        table.insert("name".to_owned(), name.into());
        let points = sizes.iter().map(|(point, gpus)| {
            let values = self.plan.with_gpus(*point, *gpus).into_iter();
            let lines = values.map(|(axis, value)| format!("{axis} = {}\n", value.to_toml()));
            format!("\n[[point]]\n{}", lines.collect::<String>())
        });
        let text = toml::to_string(&table).expect("a table of plain values has a text");
        std::iter::once(text).chain(points).collect()
    }

    /// BLAKE3 of the resolved text, in hexadecimal.
    pub fn hash(&self) -> String {
        blake3::hash(self.resolved.as_bytes()).to_hex().to_string()
    }
}

/// Tables by name of the catalogue's kinds, of custom kinds, of metrics and of charts, and measured runs, without places.
fn defined_tables(top: &[Entry]) -> toml::Table {
    let kinds = Kind::NAMES.iter().chain(CustomKind::NAMES);
    let kinds = kinds.chain(&["metrics", "charts", "measured"]);
    kinds
        .filter_map(|kind| find(top, kind))
        // The name of a price list is a value, not a list.
        .filter(|entry| entry.key != PRICES || entry.node.table().is_some())
        .filter_map(|entry| Some((entry.key.clone(), entry.node.to_toml()?)))
        .map(|(key, value)| {
            let value = match value {
                toml::Value::Table(list) if key == PRICES => price_lists::lists(list).into(),
                other => other,
            };
            (key, value)
        })
        .collect()
}

/// A fault for each key of a definition that has no value, which would be that of its `base` unseen.
fn refuse_nothing(key: &str, node: &Node, faults: &mut Faults) {
    match &node.value {
        Value::Null => {
            let hint = "leave the key out, and a `base` or the default decides: null (None in Python) takes nothing away";
            let fault = Diagnostic::error(&node.place, format!("`{key}` has no value"));
            faults.push(fault.hint(hint));
        }
        Value::List(items) => items
            .iter()
            .for_each(|item| refuse_nothing(key, item, faults)),
        Value::Table(entries) => {
            for Entry { key, node, .. } in entries {
                refuse_nothing(key, node, faults);
            }
        }
        _ => {}
    }
}

/// The built-in catalogue with a spec's tables laid over it.
fn catalog(top: &[Entry], tables: &toml::Table, faults: &mut Faults) -> Catalog {
    if tables.is_empty() {
        return Catalog::builtin().clone();
    }
    for entry in Kind::NAMES.iter().filter_map(|kind| find(top, kind)) {
        refuse_nothing(&entry.key, &entry.node, faults);
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
            // A spec's only price list stands under `[prices]` itself.
            if part == OWN_PRICES {
                continue;
            }
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

fn conditions(heading: &Heading, names: &Names, faults: &mut Faults) -> Vec<Clause> {
    heading
        .clauses
        .iter()
        .filter_map(|clause| {
            let parsed = parse_condition(&clause.text, names);
            let placed = |fault| malformed(&clause.place, &clause.text, fault);
            let expression = faults.ok(parsed.map_err(placed))?;
            Some(Clause {
                text: clause.text.clone(),
                expression,
            })
        })
        .collect()
}

fn plan(
    parts: &Parts,
    clauses: Vec<Clause>,
    names: &Names,
    custom: &Arc<CustomTables>,
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
    let sizes = products
        .iter()
        .take(10)
        .map(ToString::to_string)
        .join(" + ");
    let defaults = parts.defaults.iter();
    let plan = Plan::new(PlanParts {
        kind: names.kind,
        products,
        defaults: defaults
            .map(|given| (given.axis, given.values.clone()))
            .collect(),
        clauses,
        catalog: Arc::clone(&names.catalog),
        custom: Arc::clone(custom),
    });
    if plan.is_none() {
        faults.push(Diagnostic::error_without_place(format!(
            "the grid has more points than 63 bits can number: {sizes}"
        )));
    }
    plan
}

/// Doubts that do not prevent a run.
fn warnings(
    top: &[Entry],
    (parts, names): (&Parts, &Names),
    plan: &Plan,
    question: &Question,
) -> Vec<Diagnostic> {
    let analysis = find(top, "analysis");
    let idle = analysis.map(|entry| settings::without_effect(&entry.node, question));
    let repeated = repeated::points(parts, plan).into_iter();
    let idle = idle.into_iter().flatten();
    let without_experts = recipes::without_experts(parts, names);
    repeated.chain(idle).chain(without_experts).collect()
}

/// Refuses a `where` that keeps no point, and says which clause drops how many.
fn check_kept(plan: &Plan, heading: &Heading, faults: &mut Faults) {
    if heading.clauses.is_empty() || plan.kept(0..plan.len().min(1_000)).next().is_some() {
        return;
    }
    let tally = plan.tally(LOOKS);
    // A sample that keeps nothing proves nothing: the run will tell.
    if tally.kept > 0 || !tally.exact {
        return;
    }
    let clauses = heading.clauses.iter().zip(&tally.dropped);
    let by_drops = clauses.map(|(clause, (_, dropped))| (clause, *dropped));
    let mut by_drops = by_drops.sorted_by_key(|(_, dropped)| Reverse(*dropped));
    let Some((most, dropped)) = by_drops.next() else {
        return;
    };
    let message = format!(
        "`where` drops every point; this clause drops {dropped} of {}",
        tally.points
    );
    let fault = Diagnostic::error(&most.place, message);
    let others = by_drops.filter(|(_, dropped)| *dropped > 0);
    faults.push(
        others
            .take(CLAUSES_NAMED)
            .fold(fault, |fault, (clause, dropped)| {
                fault.hint(format!("`{}` drops {dropped}", clause.text))
            }),
    );
}

#[cfg(test)]
mod tests;

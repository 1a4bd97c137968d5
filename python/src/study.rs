//! A spec in Python's hands.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use clustersweep::commands::{
    Detail, Failure, FolderRun, HeldResult, PlanOverview, PointCounter, PointReport, RunRequest,
    Timeline, extended, point_count, run_rows, varied_values,
};
use clustersweep::runner::Interrupt;
use clustersweep::spec::{Overrides, Portion, Shard, Spec, Syntax};
use pyo3::prelude::*;

use crate::attended::{Attendant, alone, attended};
use crate::errors::exception;
use crate::table::Table;

/// A checked spec.
#[pyclass(frozen, module = "clustersweep._core")]
pub(crate) struct Study {
    spec: Arc<Spec>,
}

/// Text for people, and JSON for programs.
pub(crate) type TextAndJson = (String, String);

/// Shows the progress of a run, and hands finished rows to a function.
struct Watcher {
    counter: Arc<PointCounter>,
    /// Points to simulate, once they are counted.
    total: Arc<OnceLock<u64>>,
    interrupt: Interrupt,
    /// Takes the points that are done, infeasible, crashed, and all of them.
    poll: Option<Py<PyAny>>,
    /// Takes a table of finished rows.
    on_rows: Option<Py<PyAny>>,
}

impl Attendant<RecordBatch> for Watcher {
    fn take(&mut self, py: Python<'_>, rows: RecordBatch) -> PyResult<()> {
        if let Some(on_rows) = &self.on_rows {
            on_rows.call1(py, (Table::new(vec![rows]),))?;
        }
        self.tick(py)
    }

    fn tick(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(poll) = &self.poll else {
            return Ok(());
        };
        let [done, infeasible, crashed] = self.counter.counts();
        let total = self.total.get().copied();
        poll.call1(py, (done, infeasible, crashed, total))?;
        Ok(())
    }

    fn stop(&self) {
        self.interrupt.stop();
    }
}

fn overrides(set: Vec<(String, String)>, where_clauses: Vec<String>) -> Overrides {
    Overrides {
        set,
        where_clauses,
        ..Overrides::default()
    }
}

/// The portion of a limit, a shard as text (`2/8`), and the most events of a point.
pub(crate) fn portion(
    limit: Option<u64>,
    shard: Option<&str>,
    max_events: Option<u64>,
) -> Result<Portion, Failure> {
    let shard = shard.map(str::parse::<Shard>).transpose();
    let shard = shard.map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Portion {
        limit,
        shard,
        max_events,
    })
}

/// The longest wall time of a point from seconds.
fn timeout(seconds: Option<f64>) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let time = Duration::try_from_secs_f64(seconds).ok();
    let time = time.filter(|time| *time > Duration::ZERO);
    let wrong = || {
        Failure::Usage(format!(
            "`point_timeout` takes seconds over zero, or a timedelta; {seconds} is none"
        ))
    };
    time.map(Some).ok_or_else(wrong)
}

/// Treatment of a result that a folder holds, by its name in Python.
fn held_result(held: &str) -> HeldResult {
    match held {
        "resume" => HeldResult::Resume,
        "overwrite" => HeldResult::Overwrite,
        "append" => HeldResult::Append,
        _ => HeldResult::Refuse,
    }
}

/// Notes the number of points to simulate, where it is known.
fn note(total: &OnceLock<u64>, points: Option<u64>) {
    if let Some(points) = points {
        total.get_or_init(|| points);
    }
}

impl Study {
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            spec: Arc::new(spec),
        }
    }

    pub(crate) fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.spec)
    }
}

#[pymethods]
impl Study {
    /// Reads a spec from a file.
    #[staticmethod]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        set: Vec<(String, String)>,
        where_clauses: Vec<String>,
    ) -> PyResult<Self> {
        alone(py, move || {
            Ok(Spec::load(&path, &overrides(set, where_clauses))?)
        })
        .map(Self::new)
    }

    /// Reads a spec from JSON; `name` stands for it in messages.
    #[staticmethod]
    fn parse(
        py: Python<'_>,
        name: String,
        text: String,
        set: Vec<(String, String)>,
        where_clauses: Vec<String>,
    ) -> PyResult<Self> {
        alone(py, move || {
            let overrides = overrides(set, where_clauses);
            Ok(Spec::parse(&name, &text, Syntax::Json, &overrides)?)
        })
        .map(Self::new)
    }

    #[getter]
    fn name(&self) -> &str {
        &self.spec.name
    }

    #[getter]
    fn description(&self) -> &str {
        &self.spec.description
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.spec.kind.as_str()
    }

    #[getter]
    fn grid_points(&self) -> u64 {
        self.spec.plan().len()
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        let warnings = self.spec.warnings.iter();
        warnings.map(ToString::to_string).collect()
    }

    fn to_toml(&self) -> String {
        self.spec.resolved_text()
    }

    /// The axes that take several values, each with its values as they are typed.
    fn varied(&self) -> Vec<(String, Vec<String>)> {
        varied_values(&self.spec)
    }

    /// The study with axes replaced.
    fn with_axes(&self, py: Python<'_>, set: Vec<(String, String)>) -> PyResult<Self> {
        let (name, text) = (self.spec.name.clone(), self.spec.resolved_text());
        alone(py, move || {
            let overrides = overrides(set, Vec::new());
            Ok(Spec::parse(&name, &text, Syntax::Toml, &overrides)?)
        })
        .map(Self::new)
    }

    /// The study with another question; what is not named stays.
    fn with_question(&self, py: Python<'_>, question: Vec<(String, String)>) -> PyResult<Self> {
        let (name, text) = (self.spec.name.clone(), self.spec.resolved_text());
        alone(py, move || {
            let overrides = Overrides {
                question,
                ..Overrides::default()
            };
            Ok(Spec::parse(&name, &text, Syntax::Toml, &overrides)?)
        })
        .map(Self::new)
    }

    fn plan(
        &self,
        py: Python<'_>,
        limit: Option<u64>,
        shard: Option<&str>,
        threads: Option<NonZeroUsize>,
    ) -> PyResult<TextAndJson> {
        let portion = portion(limit, shard, None).map_err(|failure| exception(py, &failure))?;
        let spec = self.spec();
        alone(py, move || {
            let plan = PlanOverview::of(&spec, portion, threads);
            Ok((plan.text(), plan.json().to_string()))
        })
    }

    /// One point: text, JSON and row.
    fn point(&self, py: Python<'_>, point: u64) -> PyResult<(String, String, Table)> {
        let spec = self.spec();
        alone(py, move || {
            let report = PointReport::of(&spec, point)?;
            let (text, json) = (report.text(), report.json().to_string());
            Ok((text, json, Table::new(vec![report.row()])))
        })
    }

    fn explain(&self, py: Python<'_>, point: u64, what_if: Vec<String>) -> PyResult<TextAndJson> {
        let spec = self.spec();
        alone(py, move || {
            let explanation = PointReport::of(&spec, point)?.explain(&what_if)?;
            Ok((explanation.text(), explanation.json().to_string()))
        })
    }

    /// The timeline of a point as Chrome trace JSON.
    fn trace(&self, py: Python<'_>, point: u64) -> PyResult<String> {
        let spec = self.spec();
        alone(py, move || Ok(Timeline::of(&spec, point)?.chrome_json))
    }

    /// Simulates points and returns their rows.
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn rows(
        &self,
        py: Python<'_>,
        limit: Option<u64>,
        shard: Option<&str>,
        threads: Option<NonZeroUsize>,
        fail_fast: bool,
        max_events: Option<u64>,
        point_timeout: Option<f64>,
        poll: Option<Py<PyAny>>,
        on_rows: Option<Py<PyAny>>,
    ) -> PyResult<Table> {
        let portion =
            portion(limit, shard, max_events).map_err(|failure| exception(py, &failure))?;
        let point_timeout = timeout(point_timeout).map_err(|failure| exception(py, &failure))?;
        let (spec, interrupt) = (self.spec(), Interrupt::default());
        let mut watcher = Watcher {
            counter: Arc::default(),
            total: Arc::default(),
            interrupt: interrupt.clone(),
            poll,
            on_rows,
        };
        let (counter, total) = (Arc::clone(&watcher.counter), Arc::clone(&watcher.total));
        let is_watched = watcher.on_rows.is_some();
        let request = RunRequest {
            portion,
            threads,
            fail_fast,
            point_timeout,
            ..RunRequest::default()
        };
        let (schema, batches) = attended(py, &mut watcher, move |post| {
            note(&total, point_count(&spec, portion));
            let mut batches = Vec::new();
            let schema = run_rows(&spec, &request, &interrupt, &*counter, |batch| {
                batches.push(batch.clone());
                !is_watched || post.send(batch)
            })?;
            Ok((schema, batches))
        })?;
        Ok(Table::of_schema(schema, batches))
    }

    /// Simulates points into a run folder; returns text and JSON of the findings.
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn run(
        &self,
        py: Python<'_>,
        out: PathBuf,
        limit: Option<u64>,
        shard: Option<&str>,
        threads: Option<NonZeroUsize>,
        fail_fast: bool,
        max_events: Option<u64>,
        point_timeout: Option<f64>,
        no_join: bool,
        held: &str,
        poll: Option<Py<PyAny>>,
    ) -> PyResult<TextAndJson> {
        let portion =
            portion(limit, shard, max_events).map_err(|failure| exception(py, &failure))?;
        let point_timeout = timeout(point_timeout).map_err(|failure| exception(py, &failure))?;
        let (spec, interrupt) = (self.spec(), Interrupt::default());
        let request = RunRequest {
            out: Some(out),
            portion,
            threads,
            fail_fast,
            point_timeout,
            no_join,
            held: held_result(held),
        };
        let mut watcher = Watcher {
            counter: Arc::default(),
            total: Arc::default(),
            interrupt: interrupt.clone(),
            poll,
            on_rows: None,
        };
        let (counter, total) = (Arc::clone(&watcher.counter), Arc::clone(&watcher.total));
        attended(py, &mut watcher, move |_| {
            let spec = match request.held {
                HeldResult::Append => Arc::new(extended(&spec, &request)?),
                HeldResult::Refuse | HeldResult::Resume | HeldResult::Overwrite => spec,
            };
            let run = FolderRun::open(&spec, &request)?;
            note(&total, run.points_left());
            let concluded = run.simulate(&interrupt, &*counter)?.conclude()?;
            Ok((concluded.text(Detail::Full)?, concluded.json().to_string()))
        })
    }
}

//! The answer to a planner's question, from the rows of its runs.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use itertools::Itertools;
use serde_json::Value;

use crate::analysis::{Answer, ChartValues, Choice, StudyFindings, Verdict};
use crate::commands::failure::Failure;
use crate::commands::findings::{Results, find, write_findings};
use crate::commands::points::{provenance, threads};
use crate::commands::run::RunRequest;
use crate::commands::run_source::RunSource;
use crate::commands::trust;
use crate::document::Document;
use crate::files::is_table;
use crate::record::provenance::keys;
use crate::record::{PointsReader, Provenance};
use crate::report::answer_document::AnswerDocument;
use crate::report::answer_sentences;
use crate::report::planned::Planned;
use crate::runner::manifest;
use crate::spec::{Axis, Overrides, Portion, Question, Spec, StudyKind, Syntax};

/// Models whose choices are held against measured cases.
const TRUSTED: usize = 8;

/// A spec with a question, or a finished run of one.
#[derive(Debug)]
pub enum Asked {
    /// A run whose rows have the answer, and its spec with what is asked.
    Run(RunSource, Spec),
    /// A spec that is to be run first.
    Spec(Spec),
}

impl Asked {
    /// Subject at a path: the folder of a run, or else a spec.
    ///
    /// # Errors
    /// If it cannot be read, or a run is asked what its rows cannot say.
    pub fn at(path: &Path, overrides: &Overrides) -> Result<Self, Failure> {
        if path.extension().is_some_and(|it| it == "parquet") {
            return Err(Failure::usage(format!(
                "`{}` is a bare file, which says nothing of its question; name the run folder or the spec",
                path.display()
            )));
        }
        if !path.is_dir() {
            return Ok(Self::Spec(of_training(Spec::load(path, overrides)?)?));
        }
        if !overrides.set.is_empty() || !overrides.where_clauses.is_empty() {
            return Err(Failure::usage(format!(
                "`{}` is a finished run, whose points `--set` and `--where` cannot change; answer its spec instead",
                path.display()
            )));
        }
        let source = RunSource::with_sound_rows(path)?;
        let own = source.spec_of_points()?;
        let spec = of_training(Spec::load(&path.join("spec.toml"), overrides)?)?;
        check_amount(path, &own.analysis.question, &spec.analysis.question)?;
        Ok(Self::Run(source, spec))
    }

    /// The run that a folder holds of the same points, whatever limits were asked for then; else the spec.
    ///
    /// # Errors
    /// If the folder holds a run whose files cannot be read.
    pub fn or_finished(self, request: &RunRequest) -> Result<Self, Failure> {
        let Self::Spec(spec) = self else {
            return Ok(self);
        };
        let folder = request.folder(&spec);
        if !folder.join("spec.toml").is_file() || !is_table(&folder.join("points.parquet")) {
            return Ok(Self::Spec(spec));
        }
        let source = RunSource::with_sound_rows(&folder)?;
        let held = source.spec_of_points()?;
        let reader = PointsReader::open(&source.points).map_err(Failure::io)?;
        let of_now = provenance(&held, request.portion);
        let of_this_program = [
            (keys::VERSION, Some(Provenance::version())),
            (keys::CATALOG_HASH, Some(of_now.catalog_hash.as_str())),
            (keys::LIMIT, None),
            (keys::SHARD, None),
        ];
        let mut same = of_this_program.iter();
        let of_this_program = same.all(|(key, value)| reader.metadata(key) == *value);
        Ok(if of_this_program && held.has_points_of(&spec) {
            log::info!(path:% = folder.display(); "took the rows of a finished run");
            Self::Run(source, spec)
        } else {
            Self::Spec(spec)
        })
    }
}

/// Refuses a collective study, in which nothing is trained.
fn of_training(spec: Spec) -> Result<Spec, Failure> {
    match spec.kind {
        StudyKind::Training => Ok(spec),
        StudyKind::Collective => Err(Failure::usage(format!(
            "`{}` is a collective study, in which nothing is trained; a question is asked of a training study",
            spec.name
        ))),
    }
}

/// Refuses another amount than that of a run, whose rows have the time of their own.
fn check_amount(path: &Path, own: &Question, asked: &Question) -> Result<(), Failure> {
    if (own.tokens, own.samples) == (asked.tokens, asked.samples) {
        return Ok(());
    }
    // All digits: two amounts that differ have to look different.
    let exact = |amount: f64| match amount {
        small if small < 1e6 => small.to_string(),
        large => format!("{large:e}"),
    };
    let words = |question: &Question| match (question.tokens, question.samples) {
        (Some(tokens), _) => format!("{} tokens", exact(tokens)),
        (None, Some(samples)) => format!("{} samples", exact(samples)),
        (None, None) => "no tokens".to_owned(),
    };
    let path = path.display();
    Err(Failure::usage(format!(
        "the rows of `{path}` are for {}, not for {}; ask its study, which is run for them then: \
         `sweep answer {path}/spec.toml --out FOLDER`, in Python `answer(results.study, …)`",
        words(own),
        words(asked)
    )))
}

/// The answer to a question, with everything that it rests on.
#[derive(Clone, Debug)]
pub struct Answered {
    planned: Planned,
    charts: Vec<ChartValues>,
    runs: Vec<PathBuf>,
}

impl Answered {
    /// The answer that the rows of some runs of one study give, each with its spec; the first one's question is asked.
    ///
    /// # Errors
    /// If a run cannot be read, or is no training.
    pub fn of(
        runs: &[(&RunSource, &Spec)],
        number_of_threads: Option<NonZeroUsize>,
    ) -> Result<Self, Failure> {
        let files: Vec<&Path> = runs.iter().map(|(run, _)| run.points.as_path()).collect();
        let specs: Vec<Option<&Spec>> = runs.iter().map(|(_, spec)| Some(*spec)).collect();
        let Some((_, first)) = runs.first() else {
            return Err(Failure::usage("no run is named"));
        };
        let results = Results {
            files: &files,
            specs: &specs,
            settings: &first.analysis,
            axis: Axis::Gpus,
            threads: threads(number_of_threads),
        };
        let StudyFindings::Training(mut findings) = find(&results)? else {
            return Err(Failure::usage(format!(
                "the rows of `{}` are no training",
                first.name
            )));
        };
        findings.refined = runs.len().checked_sub(2).map(|before| before as u32 + 1);
        let charts = results.charts()?;
        let named = findings.answers.iter().take(TRUSTED).flat_map(ends);
        let trust = trust::of_choices(&findings, &specs, named)?;
        let folder = |(run, _): &(&RunSource, &Spec)| {
            let folder = run.folder.as_ref().map(|folder| folder.path().to_owned());
            folder.unwrap_or_else(|| run.points.clone())
        };
        Ok(Self {
            planned: Planned {
                title: first.description.clone(),
                findings,
                trust,
            },
            charts,
            runs: runs.iter().map(folder).collect(),
        })
    }

    /// The answer for people.
    pub fn text(&self) -> String {
        self.planned.text()
    }

    /// Where the rows are, in a line: `rows and report: results/plan`.
    pub fn files(&self) -> String {
        let runs = self.runs.iter().map(|run| run.display()).join(" and ");
        format!("rows and report: {runs}\n")
    }

    /// The answer in sentences.
    pub fn sentences(&self) -> Vec<String> {
        answer_sentences(&self.planned.findings)
    }

    /// The answer for programs, `clustersweep.answer/1`.
    pub fn json(&self) -> Value {
        Document::Answer.of(&AnswerDocument::new(&self.planned, &self.runs))
    }

    /// Puts the report and the scaling of all rows into the folder of the last run.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write_beside(&self, run: &RunSource, spec: &Spec) -> Result<(), Failure> {
        let Some(folder) = &run.folder else {
            return Ok(());
        };
        let found = StudyFindings::Training(self.planned.findings.clone());
        let origin = provenance(spec, Portion::default());
        let question = Some(self.planned.title.as_str()).filter(|title| !title.is_empty());
        let (charts, trust) = (&self.charts, self.planned.trust.first());
        write_findings(folder, &origin, &found, charts, question, trust)?;
        manifest::refresh_files(folder).map_err(Failure::io)
    }

    /// The folder beside the first run for the sizes that are offered.
    pub fn refined_folder(&self) -> PathBuf {
        let folder = self.runs.first().cloned().unwrap_or_default();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        folder.with_file_name(format!("{name}-refined"))
    }

    /// Points of the first run with other sizes that may be within the limits more cheaply, each with its GPUs.
    fn offered(&self) -> Vec<(u64, u32)> {
        let verdicts = self
            .planned
            .findings
            .answers
            .iter()
            .filter_map(|it| it.verdict.as_ref());
        let between = verdicts.filter_map(|verdict| verdict.between.as_ref());
        let sizes = between.flat_map(|it| it.gpus.iter().map(|gpus| (it.choice.point, *gpus)));
        sizes.collect()
    }

    /// A spec of the sizes that are offered; `None` where none are.
    ///
    /// # Errors
    /// If the points of the spec cannot be given another size.
    pub fn refined(&self, spec: &Spec) -> Result<Option<Spec>, Failure> {
        let sizes = self.offered();
        if sizes.is_empty() {
            return Ok(None);
        }
        let name = format!("{}-refined", spec.name);
        let text = spec.with_sizes(&name, &sizes);
        Ok(Some(Spec::parse(
            &name,
            &text,
            Syntax::Toml,
            &Overrides::default(),
        )?))
    }
}

/// The cheapest and the fastest choice within the limits, else the nearest miss; without limits both ends of the front.
fn ends(answer: &Answer) -> Vec<Choice> {
    let within = |verdict: &Verdict| match (verdict.cheapest(), verdict.fastest()) {
        (Some(cheapest), Some(fastest)) => vec![*cheapest, *fastest],
        _ => verdict
            .misses
            .first()
            .map(|it| it.choice)
            .into_iter()
            .collect(),
    };
    let ends = answer.verdict.as_ref().map_or_else(
        || {
            answer
                .cheapest()
                .into_iter()
                .chain(answer.fastest())
                .copied()
                .collect()
        },
        within,
    );
    let mut ends: Vec<Choice> = ends;
    ends.dedup();
    ends
}

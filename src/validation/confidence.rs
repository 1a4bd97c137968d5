//! Confidence in the predictions of a point: errors of the shipped cases nearest to it.

use itertools::Itertools as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::interval::{Features, NEAR};
use crate::simulation::{Layout, TrainingScenario};

use super::case::{Case, CaseStatus, Judged};
use super::errors::mean;
use super::files::{SHIPPED, read_cases};
use super::judgement::judge;
use crate::measured::{CaseKind, Score};

/// Number of nearest cases whose errors are averaged.
const NEAREST: usize = 5;

/// A shipped case near a point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub(crate) struct NearCase {
    /// Name of the case.
    pub id: String,
    /// Document that published it.
    pub source: String,
    /// Model, parameters, GPUs, precision and stack of the run, in words.
    pub run: String,
    /// Distance of the run from the point; 0 is the same run.
    pub distance: f64,
    /// Predicted over measured − 1; `None` where the case is predicted not to run.
    pub relative_error: Option<f64>,
}

/// Accuracy of one kind of prediction near a point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    /// The verdict in words.
    pub sentence: String,
    /// Mean absolute relative error of the nearest cases.
    pub mean_error: Option<f64>,
    /// The nearest cases, nearest first; none where all are out of reach.
    pub cases: Vec<NearCase>,
    /// Model, parameters, GPUs, precision and stack of the nearest run that was measured, also where it is out of reach.
    pub nearest_run: Option<String>,
}

/// Accuracy of the predictions near a training point.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Confidence {
    /// Accuracy of step times.
    pub step_time: Accuracy,
    /// Accuracy of memory peaks.
    pub memory: Accuracy,
}

/// Accuracy near a training point, from the nearest shipped cases (see [`Features::distance`]).
///
/// The five nearest within a distance of 3 are simulated with the built-in catalogue. `layout` is the layout that the
/// point ran with; `None` where it did not run, then the requested one counts.
///
/// # Panics
/// Never: the shipped cases are read in a test.
pub(crate) fn confidence(scenario: &TrainingScenario, layout: Option<&Layout>) -> Confidence {
    let catalog = Catalog::builtin();
    let point = Features::of(scenario, layout);
    let cases: Vec<(f64, Case)> = SHIPPED
        .iter()
        .flat_map(|(file, text)| {
            read_cases(file, text, catalog).expect("the shipped cases are read in a test")
        })
        .filter(|case| case.score == Score::Value && case.ran && case.measured.is_some())
        .filter_map(|case| {
            let features = Features::of(case.training()?, None);
            Some((point.distance(&features), case))
        })
        // Equal distances keep the order of the files.
        .sorted_by(|a, b| a.0.total_cmp(&b.0))
        .collect();
    Confidence {
        step_time: accuracy(CaseKind::Step, &cases),
        memory: accuracy(CaseKind::Memory, &cases),
    }
}

fn accuracy(kind: CaseKind, ascending: &[(f64, Case)]) -> Accuracy {
    let mut of_kind = ascending.iter().filter(|(_, case)| case.kind == kind);
    let near: Vec<&(f64, Case)> = of_kind
        .clone()
        .take_while(|(distance, _)| *distance <= NEAR)
        .take(NEAREST)
        .collect();
    let nearest = of_kind.next();
    let nearest_run = nearest.and_then(|(_, case)| Some(in_words(case.training()?)));
    if near.is_empty() {
        return Accuracy {
            sentence: out_of_reach(nearest),
            mean_error: None,
            cases: Vec::new(),
            nearest_run,
        };
    }
    let judged = judge(near.iter().map(|(_, case)| case.clone()).collect());
    let cases: Vec<NearCase> = near
        .iter()
        .zip(&judged)
        .map(|((distance, _), judged)| near_case(*distance, judged))
        .collect();
    let errors: Vec<f64> = cases
        .iter()
        .filter_map(|case| case.relative_error.map(f64::abs))
        .collect();
    let mean_error = (!errors.is_empty()).then(|| mean(&errors));
    Accuracy {
        sentence: sentence(cases.len(), mean_error, cases.len() - errors.len()),
        mean_error,
        cases,
        nearest_run,
    }
}

fn near_case(distance: f64, judged: &Judged) -> NearCase {
    let case = &judged.case;
    let ran = judged.result.status != CaseStatus::Infeasible;
    NearCase {
        id: case.id.clone(),
        source: case.groups.source.clone(),
        run: case.training().map(in_words).unwrap_or_default(),
        distance,
        relative_error: judged.relative_error().filter(|_| ran),
    }
}

/// Model, parameters, GPUs, precision and stack of a run.
fn in_words(scenario: &TrainingScenario) -> String {
    format!(
        "{} of {} B on {} {}, {}, {}",
        scenario.model.family,
        billions(scenario),
        scenario.gpus,
        scenario.gpu.name,
        scenario.workload.precision,
        scenario.stack.name
    )
}

fn billions(scenario: &TrainingScenario) -> f64 {
    let billions = scenario.model.parameters().without_mtp() as f64 / 1e9;
    // Three digits are what names of models have.
    let scale = 10_f64.powi(2 - libm::log10(billions.max(1e-3)).floor() as i32);
    (billions * scale).round() / scale
}

fn sentence(cases: usize, mean_error: Option<f64>, missed: usize) -> String {
    let named = if cases == 1 {
        "nearest validated case".to_owned()
    } else {
        format!("nearest {cases} validated cases")
    };
    let missed = match missed {
        0 => String::new(),
        1 => "; 1 of them is judged not to run, but ran".to_owned(),
        more => format!("; {more} of them are judged not to run, but ran"),
    };
    match mean_error {
        Some(error) => format!("{named}: {:.1}% mean error{missed}", 100.0 * error),
        None => format!("{named}: no error to state{missed}"),
    }
}

fn out_of_reach(nearest: Option<&(f64, Case)>) -> String {
    match nearest {
        None => "no measured run is near: there is none".to_owned(),
        Some((distance, case)) => format!(
            "no measured run is within a distance of {NEAR:.1}: the nearest, {} ({}), is {distance:.1} away",
            case.id,
            case.training().map(in_words).unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Gpu;
    use crate::simulation::{self, Outcome, Scenario, Scratch};
    use std::sync::Arc;

    fn shipped(kind: CaseKind) -> Vec<Case> {
        SHIPPED
            .iter()
            .flat_map(|(file, text)| {
                read_cases(file, text, Catalog::builtin()).expect("shipped cases can be read")
            })
            .filter(|case| case.kind == kind && case.score == Score::Value)
            .collect()
    }

    // A run that was measured is 0 away from itself, so its own error heads the list.
    #[test]
    fn a_measured_run_is_its_own_nearest_case() {
        let case = shipped(CaseKind::Step)
            .into_iter()
            .find(|case| case.groups.gpu == "h100-sxm" && case.groups.family == "decoder")
            .expect("decoders on H100 are among the shipped cases");
        let scenario = case.training().expect("steps are training");
        let outcome = simulation::simulate(
            &Scenario::Training(Box::new(scenario.clone())),
            &mut Scratch::default(),
        );
        let Outcome::Completed(report) = outcome else {
            panic!("{} runs", case.id)
        };
        let steps = confidence(scenario, Some(&report.layout)).step_time;
        assert_eq!(steps.cases.len(), 5);
        assert!(steps.cases[0].distance < 1e-12, "{:?}", steps.cases[0]);
        let sum: f64 = steps
            .cases
            .iter()
            .map(|case| case.relative_error.expect("these run").abs())
            .sum();
        let mean = steps.mean_error.expect("five errors have a mean");
        assert!((mean - sum / 5.0).abs() < 1e-12);
        assert_eq!(
            steps.sentence,
            format!("nearest 5 validated cases: {:.1}% mean error", 100.0 * mean)
        );
    }

    // A million times the bandwidth is 20 doublings, half of them counted: 10 and 0.5 for another GPU, beyond 3 even
    // where another case has 8 times the bandwidth.
    #[test]
    fn a_point_far_from_everything_is_told_so() {
        let case = &shipped(CaseKind::Step)[0];
        let mut scenario = case.training().expect("steps are training").clone();
        let mut gpu = Gpu::clone(&scenario.gpu);
        gpu.name = "of the future".to_owned();
        gpu.memory_bandwidth = gpu.memory_bandwidth.scaled(1e6);
        scenario.gpu = Arc::new(gpu);
        let Confidence { step_time, memory } = confidence(&scenario, None);
        for verdict in [step_time, memory] {
            assert!(verdict.cases.is_empty() && verdict.mean_error.is_none());
            assert!(
                verdict
                    .sentence
                    .starts_with("no measured run is within a distance of 3.0: the nearest, "),
                "{}",
                verdict.sentence
            );
        }
    }
}

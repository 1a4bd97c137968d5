//! Shipped cases that resemble a point, as a measure of how far to trust what is said about it.

use crate::catalog::Catalog;
use crate::hardware::Gpu;
use crate::model::Family;
use crate::simulation::{Layout, Scenario, TrainingScenario};
use crate::stack::Stack;

use super::case::{Case, CaseStatus, Judged, Score};
use super::judgement::judge;
use super::table::CaseKind;
use super::{SHIPPED, read_cases};

/// Cases that are looked at.
const NEAREST: usize = 5;

/// Distance beyond which a case says nothing about a point: another GPU, precision and stack, or a mixture of
/// experts against a dense model with another stack.
const REACH: f64 = 3.0;

/// One shipped case near a point.
#[derive(Clone, Debug, PartialEq)]
pub struct NearCase {
    /// Name of the case.
    pub id: String,
    /// Document that published it.
    pub source: String,
    /// What was run, in words: model, parameters, GPUs, precision, stack.
    pub run: String,
    /// How far it is from the point; 0 is the same run.
    pub distance: f64,
    /// Predicted over measured − 1; `None` where the case is judged not to run.
    pub relative_error: Option<f64>,
}

/// How far the predictions of one kind are off near a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Confidence {
    /// What was measured: steps or peaks of memory.
    pub kind: CaseKind,
    /// The nearest cases, nearest first; none where all are out of reach.
    pub cases: Vec<NearCase>,
    /// Mean of their absolute relative errors.
    pub mean_error: Option<f64>,
    /// The verdict in words.
    pub sentence: String,
}

/// How far predictions are off near a training point: for step times and for peaks of memory.
///
/// The distance is a sum over what two runs may differ in. Model family: 2 between dense decoders and mixtures of
/// experts, 8 between any others. GPU: 0.5 if it is another, and the mean of |ln| of the ratios of bf16 (or fp16) peak
/// and memory bandwidth over ln 2. Precision: 0.25 among formats of one width, else 1. Stack: 1 unless
/// it differs in its name alone. Size of the model:
/// 1 per factor of 4; GPUs: 1 per factor of 8; tp, pp, cp and ep, where the case states them: 1 per factor of 8 each.
/// The five nearest within a distance of 3 are simulated with the built-in catalogue. `layout` is what the point ran
/// with; `None` where it did not run, then what it asks for counts.
///
/// # Panics
/// Never: the shipped cases are read in a test.
pub fn confidence(scenario: &TrainingScenario, layout: Option<&Layout>) -> Vec<Confidence> {
    let catalog = Catalog::builtin();
    let mut cases: Vec<(f64, Case)> = SHIPPED
        .iter()
        .flat_map(|(file, text)| {
            read_cases(file, text, catalog).expect("the shipped cases are read in a test")
        })
        .filter(|case| case.score == Score::Value && case.ran && case.measured.is_some())
        .filter_map(|case| Some((distance(scenario, layout, training(&case)?), case)))
        .collect();
    // Equal distances keep the order of the files.
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    [CaseKind::Step, CaseKind::Memory]
        .into_iter()
        .map(|kind| of_kind(kind, &cases))
        .collect()
}

fn training(case: &Case) -> Option<&TrainingScenario> {
    let subject = case.subject.as_ref().ok()?;
    match &subject.points.first()?.1 {
        Scenario::Training(training) => Some(training),
        Scenario::Collective(_) => None,
    }
}

fn of_kind(kind: CaseKind, cases: &[(f64, Case)]) -> Confidence {
    let of_kind = cases.iter().filter(|(_, case)| case.kind == kind);
    let near: Vec<&(f64, Case)> = of_kind
        .clone()
        .take_while(|(distance, _)| *distance <= REACH)
        .take(NEAREST)
        .collect();
    if near.is_empty() {
        return Confidence {
            kind,
            cases: Vec::new(),
            mean_error: None,
            sentence: out_of_reach(of_kind.clone().next()),
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
    let mean_error = (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64);
    Confidence {
        kind,
        sentence: in_words(cases.len(), mean_error, cases.len() - errors.len()),
        cases,
        mean_error,
    }
}

fn near_case(distance: f64, judged: &Judged) -> NearCase {
    let case = &judged.case;
    let ran = judged.result.status == CaseStatus::Ok;
    NearCase {
        id: case.id.clone(),
        source: case.groups.source.clone(),
        run: training(case).map(run_in_words).unwrap_or_default(),
        distance,
        relative_error: judged.relative_error().filter(|_| ran),
    }
}

fn run_in_words(scenario: &TrainingScenario) -> String {
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

fn in_words(cases: usize, mean_error: Option<f64>, missed: usize) -> String {
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
        None => "no case within reach: none was measured".to_owned(),
        Some((distance, case)) => format!(
            "no case within reach: the nearest, {} ({}), is {distance:.1} away, beyond {REACH:.1}",
            case.id,
            training(case).map(run_in_words).unwrap_or_default()
        ),
    }
}

/// See [`confidence`].
fn distance(point: &TrainingScenario, layout: Option<&Layout>, case: &TrainingScenario) -> f64 {
    let precisions = (point.workload.precision, case.workload.precision);
    let precision = if precisions.0 == precisions.1 {
        0.0
    } else if precisions.0.high() == precisions.0
        && precisions.1.high() == precisions.1
        && precisions.0.storage_bytes() == precisions.1.storage_bytes()
    {
        0.25
    } else {
        1.0
    };
    let stack = f64::from(u8::from(!is_same_generation(&point.stack, &case.stack)));
    let size = factor(billions(point), billions(case), 4.0);
    let gpus = factor(f64::from(point.gpus), f64::from(case.gpus), 8.0);
    families(point.model.family, case.model.family)
        + gpu_distance(&point.gpu, &case.gpu)
        + precision
        + stack
        + size
        + gpus
        + layout_distance(point, layout, case)
}

/// Whether a case's stack is the point's but for its name. A case may have formats of its own, so that its stack is
/// looked up by name.
fn is_same_generation(point: &Stack, case: &Stack) -> bool {
    if point.name == case.name {
        return true;
    }
    let Some(whole) = Catalog::builtin().stacks.get(&case.name) else {
        return false;
    };
    let renamed = Stack {
        name: point.name.clone(),
        title: point.title.clone(),
        frameworks: point.frameworks.clone(),
        years: point.years,
        ..Stack::clone(whole)
    };
    renamed == *point
}

/// 1 per factor of `base` between two sizes.
fn factor(a: f64, b: f64, base: f64) -> f64 {
    (libm::log(a / b) / libm::log(base)).abs()
}

fn families(a: Family, b: Family) -> f64 {
    match (a, b) {
        _ if a == b => 0.0,
        (Family::Decoder, Family::Moe) | (Family::Moe, Family::Decoder) => 2.0,
        (Family::Decoder | Family::Encoder | Family::Moe | Family::Cnn, _) => 8.0,
    }
}

fn gpu_distance(a: &Gpu, b: &Gpu) -> f64 {
    if a.name == b.name {
        return 0.0;
    }
    let peak = |gpu: &Gpu| gpu.peaks.get(gpu.default_precision());
    let peaks = match (peak(a), peak(b)) {
        (Some(a), Some(b)) => factor(a.as_flops_per_s(), b.as_flops_per_s(), 2.0),
        (_, None) | (None, _) => 1.0,
    };
    let bandwidth = |gpu: &Gpu| gpu.memory_bandwidth.as_bytes_per_s();
    let bandwidths = factor(bandwidth(a), bandwidth(b), 2.0);
    0.5 + f64::midpoint(peaks, bandwidths)
}

fn layout_distance(
    point: &TrainingScenario,
    layout: Option<&Layout>,
    case: &TrainingScenario,
) -> f64 {
    let (asked, stated) = (&point.layout, &case.layout);
    let used = |of: fn(&Layout) -> u32, asked: Option<u32>| layout.map(of).or(asked);
    [
        (used(|it| it.tp, asked.tp), stated.tp),
        (used(|it| it.pp, asked.pp), stated.pp),
        (used(|it| it.cp, asked.cp), stated.cp),
        (used(|it| it.ep, asked.ep), stated.ep),
    ]
    .into_iter()
    .map(|sizes| match sizes {
        (Some(a), Some(b)) => factor(f64::from(a), f64::from(b), 8.0),
        (_, None) | (None, _) => 0.0,
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{self, Outcome, Scratch};
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
        let scenario = training(&case).expect("steps are training");
        let outcome = simulation::simulate(
            &Scenario::Training(Box::new(scenario.clone())),
            &mut Scratch::default(),
        );
        let Outcome::Completed(report) = outcome else {
            panic!("{} runs", case.id)
        };
        let steps = &confidence(scenario, Some(&report.layout))[0];
        assert_eq!(steps.kind, CaseKind::Step);
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
        let mut scenario = training(case).expect("steps are training").clone();
        let mut gpu = Gpu::clone(&scenario.gpu);
        gpu.name = "of the future".to_owned();
        gpu.memory_bandwidth = gpu.memory_bandwidth.scaled(1e6);
        scenario.gpu = Arc::new(gpu);
        for verdict in confidence(&scenario, None) {
            assert!(verdict.cases.is_empty() && verdict.mean_error.is_none());
            assert!(
                verdict
                    .sentence
                    .starts_with("no case within reach: the nearest, "),
                "{}",
                verdict.sentence
            );
        }
    }

    // 8 times the GPUs are 1, another stack 1, 8 times the tensor-parallel ranks 1.
    #[test]
    fn distances_add_up() {
        let case = &shipped(CaseKind::Step)[0];
        let own = training(case).expect("steps are training");
        let mut other = own.clone();
        other.gpus *= 8;
        assert!((distance(&other, None, own) - 1.0).abs() < 1e-12);
        let mut renamed = Stack::clone(&own.stack);
        renamed.name = "another".to_owned();
        renamed.host.cuda_graphs = !renamed.host.cuda_graphs;
        other.stack = Arc::new(renamed);
        assert!((distance(&other, None, own) - 2.0).abs() < 1e-12);
        other.layout.tp = own.layout.tp.map(|tp| 8 * tp);
        let tp = f64::from(u8::from(own.layout.tp.is_some()));
        assert!((distance(&other, None, own) - 2.0 - tp).abs() < 1e-12);
    }
}

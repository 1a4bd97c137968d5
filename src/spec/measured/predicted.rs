//! Measured runs beside their predictions.

use std::sync::Arc;

use super::asked::{AskedRun, AskedRuns, Speed, TableRun};
use crate::interval::{Features, OwnRun, OwnRuns};
use crate::simulation::{
    Scenario, Scratch, StepReport, TrainingScenario, Unstated, guarded, simulate_training,
};
use crate::spec::axis::StudyKind;
use crate::spec::custom::CustomTables;
use crate::spec::diagnostic::{Diagnostic, Faults};
use crate::spec::names::Names;
use crate::spec::plan::{Plan, PlanParts};
use crate::spec::source::Place;
use crate::units::three_digits;

/// Largest ratio of measured and predicted time, either way: beyond it something else than the model's error differs.
const RATIO_MAX: f64 = 3.0;

/// Largest ratio of the times of two runs of one configuration.
const REPEATS_MAX: f64 = 1.5;

/// A run with its prediction, and its place.
struct Predicted {
    run: OwnRun,
    place: Place,
}

/// Simulates measured runs; repeats become one run. A run that cannot have been made, or that is too far from its
/// prediction or from another run of the same configuration, is a fault.
pub(in crate::spec) fn predicted(
    asked: AskedRuns,
    names: &Names,
    custom: &Arc<CustomTables>,
    faults: &mut Faults,
) -> OwnRuns {
    let mut known: Vec<Predicted> = Vec::new();
    let mut scratch = Scratch::default();
    for asked in asked.0 {
        let predicted = match asked {
            AskedRun::Table(run) => of_table(&run, names, custom, &mut scratch),
            AskedRun::Row(row) => simulated(&row.jobs, &row.place, &row.name, &mut scratch).map(
                |(simulated_s, features, _)| Predicted {
                    run: OwnRun {
                        name: row.name,
                        features,
                        simulated_s,
                        measured_s: vec![row.step_time_s],
                    },
                    place: row.place,
                },
            ),
        };
        if let Some(predicted) = faults.ok(predicted.and_then(within_limit)) {
            faults.ok(add(&mut known, predicted));
        }
    }
    OwnRuns::new(known.into_iter().map(|it| it.run).collect())
}

fn of_table(
    asked: &TableRun,
    names: &Names,
    custom: &Arc<CustomTables>,
    scratch: &mut Scratch,
) -> Result<Predicted, Diagnostic> {
    let plan = Plan::new(PlanParts {
        kind: StudyKind::Training,
        products: vec![asked.product.clone()],
        defaults: Vec::new(),
        clauses: Vec::new(),
        catalog: Arc::clone(&names.catalog),
        custom: Arc::clone(custom),
    });
    let plan = plan.expect("one point can be numbered");
    let scenario = match plan.scenario(&plan.point(0)) {
        Ok(Scenario::Training(scenario)) => *scenario,
        Ok(Scenario::Collective(_)) => unreachable!("the plan is one of training"),
        Err(why) => return Err(refused(&asked.place, &asked.name, &why.to_string())),
    };
    let jobs = [(1.0, as_it_was_made(scenario))];
    let (simulated_s, features, step) = simulated(&jobs, &asked.place, &asked.name, scratch)?;
    let job = &jobs[0].1;
    let step_time_s = match asked.speed {
        Speed::StepTime(seconds) => seconds,
        Speed::Tokens(rate) => step.tokens as f64 / rate,
        Speed::TokensPerGpu(rate) => step.tokens as f64 / (rate * f64::from(job.gpus)),
        Speed::Samples(rate) => f64::from(job.workload.global_batch) / rate,
    };
    Ok(Predicted {
        run: OwnRun {
            name: asked.name.clone(),
            features,
            simulated_s,
            measured_s: vec![step_time_s],
        },
        place: asked.place.clone(),
    })
}

/// A job with what its run leaves open as the framework usually has it, and nothing left to chance.
fn as_it_was_made(mut scenario: TrainingScenario) -> TrainingScenario {
    scenario.layout.unstated = Unstated::Usual;
    scenario.run.variability = 0.0;
    scenario
}

/// Seconds of a step of weighted jobs, and features and step of the first.
fn simulated(
    jobs: &[(f64, TrainingScenario)],
    place: &Place,
    name: &str,
    scratch: &mut Scratch,
) -> Result<(f64, Features, StepReport), Diagnostic> {
    let mut seconds = 0.0;
    let mut first = None;
    for (weight, job) in jobs {
        if !job.pools.is_empty() {
            let message = format!("measured run `{name}` is one on several types of GPU");
            let fault = Diagnostic::error(place, message);
            return Err(fault.hint("leave it out: no distance to such a run is known"));
        }
        let step = match guarded(scratch, |scratch| simulate_training(job, scratch)) {
            Ok(Ok(step)) => step,
            Ok(Err(why)) => return Err(refused(place, name, &why.to_string())),
            Err(crash) => {
                return Err(refused(
                    place,
                    name,
                    &format!("the simulator crashed: {crash}"),
                ));
            }
        };
        seconds += weight * step.step_time().as_secs_f64();
        first.get_or_insert_with(|| (Features::of(job, Some(&step.layout)), step));
    }
    let (features, step) = first.expect("a run has a job");
    Ok((seconds, features, step))
}

fn refused(place: &Place, name: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        place,
        format!("measured run `{name}` cannot have run: {why}"),
    )
    .hint("give the layout that ran, or leave the run out")
}

fn within_limit(predicted: Predicted) -> Result<Predicted, Diagnostic> {
    let run = &predicted.run;
    let ratio = run.ratio();
    if (1.0 / RATIO_MAX..=RATIO_MAX).contains(&ratio) {
        return Ok(predicted);
    }
    let [measured, simulated] = [run.ratio() * run.simulated_s, run.simulated_s].map(three_digits);
    let message = format!(
        "measured run `{}` took {measured} s a step where {simulated} s are predicted: {} times as long; a correction by \
         more than {RATIO_MAX} would hide another cause",
        run.name,
        three_digits(ratio)
    );
    Err(Diagnostic::error(&predicted.place, message).hint(
        "check its batch, its layout and what its time is of: one optimizer step of the whole job",
    ))
}

/// Adds a run to those that are known, as a repeat where one of them has its configuration.
fn add(known: &mut Vec<Predicted>, new: Predicted) -> Result<(), Diagnostic> {
    let Some(same) = known.iter_mut().find(|it| it.run.repeats(&new.run)) else {
        known.push(new);
        return Ok(());
    };
    same.run.measured_s.extend(&new.run.measured_s);
    let times = &same.run.measured_s;
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let most = times.iter().copied().fold(0.0, f64::max);
    if most <= REPEATS_MAX * least {
        return Ok(());
    }
    let message = format!(
        "measured runs `{}` and `{}` are of one configuration and took {} to {} s a step",
        same.run.name,
        new.run.name,
        three_digits(least),
        three_digits(most)
    );
    let fault = Diagnostic::error(&new.place, message).also_at([&same.place]);
    Err(fault.hint("keep the right one, or give both the axes in which they differ"))
}

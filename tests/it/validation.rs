//! The simulator held against measurements.

use std::path::{Path, PathBuf};

use clustersweep::catalog::Catalog;
use clustersweep::report::accuracy;
use clustersweep::validation::{
    Assessment, CaseKind, CaseStatus, ErrorSummary, Judged, KindAssessment, SHIPPED, judge,
    read_cases,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn judged(file: &str, text: &str) -> Vec<Judged> {
    judge(read_cases(file, text, Catalog::builtin()).unwrap())
}

fn shipped() -> Vec<Judged> {
    SHIPPED
        .iter()
        .flat_map(|(file, text)| judged(file, text))
        .collect()
}

/// A file of the measurements that lie beside the checkout, where they do.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn beside(name: &str) -> Option<Vec<Judged>> {
    let path: PathBuf = root().join("../shared/validation").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    Some(judged(name, &text))
}

fn assessed(judged: &[Judged], kind: CaseKind) -> KindAssessment {
    let assessment = Assessment::of(judged, Catalog::builtin());
    let mut kinds = assessment.kinds.into_iter();
    kinds.find(|assessed| assessed.kind == kind).unwrap()
}

fn subset(assessment: &KindAssessment, name: &str) -> ErrorSummary {
    let mut subsets = assessment.subsets.iter();
    subsets.find(|group| group.name == name).unwrap().errors
}

// The page in docs/ was written by this program from the cases that ship with it.
#[test]
fn the_accuracy_page_is_what_the_program_writes_today() {
    let judged = shipped();
    let assessment = Assessment::of(&judged, Catalog::builtin());
    for (name, text) in [
        (accuracy::PAGE, accuracy::page(&assessment)),
        (accuracy::PLOT, accuracy::plot(&judged)),
    ] {
        let path = root().join("docs").join(name);
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "{} is out of date; run `sweep validate --write-docs docs`",
            path.display()
        );
    }
}

// Rows of the file = rows of the answer: nothing is dropped on the way.
#[test]
fn every_shipped_row_has_a_result_and_every_miss_a_reason() {
    for (file, text) in SHIPPED {
        let rows = csv::Reader::from_reader(text.as_bytes()).records().count();
        let judged = judged(file, text);
        assert_eq!(judged.len(), rows, "{file}");
        for case in judged {
            assert_eq!(
                case.result.reason.is_some(),
                case.result.status != CaseStatus::Ok,
                "{}",
                case.case.id
            );
        }
    }
}

#[test]
fn a_row_that_cannot_be_simulated_says_why_and_counts_as_a_miss() {
    let text = "id,gpu,gpus,model,global_batch,measured_step_time_s\n\
                a,h100-sxm,8,llama3-8b,128,10\n\
                b,abacus,8,llama3-8b,128,10\n\
                c,h100-sxm,8,my-own,128,10\n";
    let judged = judged("own.csv", text);
    let statuses: Vec<CaseStatus> = judged.iter().map(|case| case.result.status).collect();
    assert_eq!(
        statuses,
        [
            CaseStatus::Ok,
            CaseStatus::Unsupported,
            CaseStatus::Unsupported
        ]
    );
    let reason = |index: usize| judged[index].result.reason.clone().unwrap();
    assert!(reason(1).contains("unknown GPU `abacus`"), "{}", reason(1));
    assert!(
        reason(2).contains("unknown model `my-own`"),
        "{}",
        reason(2)
    );
    assert!(judged[1].is_miss() && judged[2].is_miss() && !judged[0].is_miss());
}

// A microbatch of 126 on 8 replicas takes 65 rounds of 1,008 and one of 16: the step lies between 65 and 66 rounds.
#[test]
fn a_last_microbatch_may_be_short() {
    let row = |batch: u32| {
        format!(
            "id,gpu,gpus,model,global_batch,micro_batch,tp,pp,dp,seq_len,framework,year,measured_step_time_s\n\
             a,a100-80gb-sxm,8,bert-large,{batch},126,1,1,8,128,PyTorch DDP,2021,20\n"
        )
    };
    let predicted = |batch| judged("own.csv", &row(batch))[0].result.predicted.unwrap();
    let (fewer, between, more) = (predicted(65_520), predicted(65_536), predicted(66_528));
    assert!(fewer < between && between < more);
    // 16 of the 1,008 samples of a round: 1.6% of the way.
    let share = (between - fewer) / (more - fewer);
    assert!((share - 16.0 / 1008.0).abs() < 1e-6, "{share}");
}

// Bounds that the model meets with the rows that lie beside the checkout; a change that loses accuracy shows here.
#[test]
fn all_measured_steps_are_predicted_within_the_bounds() {
    let Some(judged) = beside("training.csv") else {
        return;
    };
    let steps = assessed(&judged, CaseKind::Step);
    let language = subset(&steps, "language models");
    println!("language models: {language:?}");
    assert!(language.median < 0.08, "median {}", language.median);
    assert!(language.mean < 0.12, "mean {}", language.mean);
    assert!(
        steps.judged_infeasible.is_some_and(|share| share <= 0.015),
        "{:?}",
        steps.missed
    );
    let others = subset(&steps, "encoder and cnn");
    assert!(others.mean < 0.16, "mean {}", others.mean);
}

#[test]
fn all_measured_peaks_of_memory_are_predicted_within_the_bounds() {
    let Some(judged) = beside("memory.csv") else {
        return;
    };
    let memory = assessed(&judged, CaseKind::Memory);
    let all = subset(&memory, "all scored");
    println!("memory: {all:?}");
    assert!(all.median < 0.05, "median {}", all.median);
    assert!(all.mean < 0.07, "mean {}", all.mean);
    assert!(memory.judged_feasible <= 2, "{:?}", memory.missed);
}

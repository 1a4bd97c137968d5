//! A file of measured cases that cannot be read ends with its places, a row that cannot be simulated with its reason.

use crate::desk::Desk;

const MEMORY: &str = "id,gpu,gpus,model,global_batch,measured_gib";
const STEPS: &str = "id,gpu,gpus,model,global_batch,measured_step_time_s";

/// Header, rows, and what is said; lines and fields count from 1.
const FILES: &[(&str, &str, &str)] = &[
    ("", "", "own.csv:1:1: the file is empty"),
    (
        "id,gpu,gpus",
        "a,h100-sxm,8",
        "own.csv:1:1: no column tells what was measured",
    ),
    (MEMORY, "", "own.csv:2:1: no rows below the header"),
    (STEPS, "", "own.csv:2:1: no rows below the header"),
    (
        "id,gpu,model,global_batch,measured_gib",
        "a,h100-sxm,llama3-8b,8,3",
        "own.csv:1:6: column `gpus` is missing",
    ),
    (
        MEMORY,
        "a,h100-sxm,8,llama3-8b,8",
        "own.csv:2:6: 5 fields where the header has 6",
    ),
    (
        MEMORY,
        "a,h100-sxm,8,llama3-8b,8,forty",
        "own.csv:2:6: column `measured_gib`: `forty` is no number",
    ),
    (
        MEMORY,
        "a,h100-sxm,8,llama3-8b,8,-40",
        "own.csv:2:6: column `measured_gib`: `-40` has to be finite",
    ),
    (
        MEMORY,
        "a,h100-sxm,8,llama3-8b,8,0",
        "own.csv:2:6: column `measured_gib`: `0` has to be above 0",
    ),
    (
        MEMORY,
        "a,h100-sxm,8,llama3-8b,8,",
        "own.csv:2:6: column `measured_gib`: is empty",
    ),
    (
        STEPS,
        "a,h100-sxm,8,llama3-8b,8,1\nb,h100-sxm,8,llama3-8b,8,-1",
        "own.csv:3:6: column `measured_step_time_s`: `-1` has to be finite",
    ),
    (
        STEPS,
        "a,h100-sxm,8,llama3-8b,8,nan",
        "own.csv:2:6: column `measured_step_time_s`: `nan` has to be finite",
    ),
    (
        STEPS,
        "a,h100-sxm,8,llama3-8b,8,1e-300",
        "own.csv:2:6: column `measured_step_time_s`: `1e-300` has to be at least 1e-12",
    ),
    (
        "id,op,gpu,gpus,nodes,size_bytes,busbw_GBps",
        "a,all-reduce,h100-sxm,8,1,1024,1e308",
        "own.csv:2:7: column `busbw_GBps`: `1e308` has to be at most 1e18",
    ),
    (
        STEPS,
        "a,h100-sxm,4000000000,llama3-8b,8,1",
        "own.csv:2:3: column `gpus`: `4000000000` has to be a whole number from 1 to 16777216",
    ),
    (
        STEPS,
        "a,h100-sxm,8,llama3-8b,x,1",
        "own.csv:2:5: column `global_batch`: `x` is no number",
    ),
    (
        "id,gpu,gpus,model,global_batch,measured_gib,fits",
        "a,h100-sxm,8,llama3-8b,8,40,maybe",
        "own.csv:2:7: column `fits`: `maybe` has to be yes or no",
    ),
];

#[test]
fn what_no_file_may_hold_is_named_with_line_and_column() {
    let desk = Desk::new();
    for (header, rows, said) in FILES {
        let text = match (*header, *rows) {
            ("", _) => String::new(),
            (header, "") => format!("{header}\n"),
            (header, rows) => format!("{header}\n{rows}\n"),
        };
        desk.write("own.csv", text);
        desk.sweep(&["validate", "own.csv"])
            .expect_code(2)
            .expect_stderr(&[said]);
    }
}

#[test]
fn what_cannot_be_simulated_is_a_row_with_its_reason() {
    let desk = Desk::new();
    let rows = [
        ("", "a,h1000,8,llama3-8b,8,40", "unknown GPU `h1000`"),
        (
            "",
            "a,h100-sxm,8,mystery-9b,8,40",
            "unknown model `mystery-9b`, and the row gives no architecture",
        ),
        (
            "",
            "a,h100-sxm,12,llama3-8b,12,40",
            "12 GPUs are not whole nodes of 8",
        ),
        (
            ",precision",
            "a,h100-sxm,8,llama3-8b,8,40,bf17",
            "unknown precision `bf17`",
        ),
        (
            ",recompute",
            "a,h100-sxm,8,llama3-8b,8,40,sometimes",
            "unknown recomputation `sometimes`",
        ),
        (
            ",tp,pp,cp",
            "a,h100-sxm,8,llama3-8b,8,40,3,1,1",
            "gpus 8 cannot be divided by tp 3",
        ),
        (
            ",tp,pp,cp",
            "a,h100-sxm,8,llama3-8b,8,40,16777216,16777216,16777216",
            "needs 18446744073709551615 GPUs",
        ),
        (
            ",tp,pp,cp,micro_batch",
            "a,h100-sxm,8,llama3-8b,8,40,1,1,11,1",
            "needs 11 GPUs",
        ),
        (
            ",notes,tp,pp,cp",
            "a,h100-sxm,8,llama3-8b,8,40,PP STAGE 7,4,2,1",
            "stage 7, the layout has stages 0 to 1",
        ),
        (
            ",layers,hidden,heads",
            "a,h100-sxm,8,my-own,8,40,10,1000,7",
            "`hidden` = 1000 is not a multiple of `heads` = 7",
        ),
    ];
    for (columns, row, reason) in rows {
        desk.write("own.csv", format!("{MEMORY}{columns}\n{row}\n"));
        let csv = desk
            .sweep(&["validate", "own.csv", "--format", "csv"])
            .expect_code(0)
            .stdout;
        assert_eq!(csv.lines().count(), 2, "{csv}");
        assert!(csv.contains(reason), "{reason} in\n{csv}");
    }
}

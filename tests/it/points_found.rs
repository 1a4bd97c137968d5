//! `sweep explain RUN --where`: points found by what holds for them.

use serde_json::Value;

use crate::question::asked;

// Of the ten points one has this GPU and size; five have the GPU, the fastest per sample of which has the most GPUs.
#[test]
fn a_point_is_found_by_what_holds_for_it() {
    let desk = asked();
    desk.sweep(&["run", "asked.toml", "--progress", "never"])
        .expect_code(0);
    let explain = |clause: &str| {
        let arguments = [
            "explain",
            "results/asked",
            "--where",
            clause,
            "--format",
            "json",
        ];
        let ended = desk.sweep(&arguments).expect_code(0);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let one = explain("gpu == 'b200' and gpus == 64");
    assert_eq!(
        (&one["point"], &one["gpu"]),
        (&8.into(), &"b200".into()),
        "{one}"
    );
    let several = explain("gpu == 'b200'");
    assert_eq!(several["schema"], "clustersweep.points/1");
    let points: Vec<u64> = several["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["point"].as_u64().unwrap())
        .collect();
    assert_eq!(points, [9, 8, 7, 6, 5]);
    desk.sweep(&["explain", "results/asked", "--where", "gpus == 3"])
        .expect_code(2)
        .expect_stderr(&["`where` drops every point"]);
    desk.sweep(&["explain", "results/asked"]).expect_code(2);
}

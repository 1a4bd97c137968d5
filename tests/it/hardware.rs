//! Chips and clusters: what is said where nothing was measured, slices and racks in a row, lists of 80 columns.

use serde_json::Value;

use crate::desk::Desk;

// The widest names, numbers and lists of the catalogue fit, of a kind and of an entry with its sources.
#[test]
fn the_lists_fit_80_columns() {
    let desk = Desk::new();
    for what in [
        "gpus",
        "models",
        "clusters",
        "stacks",
        "prices",
        "collectives",
        "topologies",
        "axes",
        "columns",
        "gpus vr200",
        "gpus rtx-4090",
        "models deepseek-v3",
        "clusters dgx-h100",
        "stacks current",
        "prices aws-2026",
        "axes recompute_modules",
        "columns memory_peak_by_gpu_gib",
    ] {
        let words: Vec<&str> = ["list"].into_iter().chain(what.split(' ')).collect();
        let listed = desk.sweep(&words).expect_code(0).stdout;
        for line in listed.lines() {
            // A word of a source that is longer cannot be broken.
            let is_long = line.trim().chars().count() > 70 && !line.trim().contains(' ');
            assert!(line.chars().count() <= 80 || is_long, "{what}: {line}");
        }
    }
    let gpus = desk.sweep(&["list", "gpus"]).expect_code(0).stdout;
    for part in [
        "Nothing was measured on these",
        "trainium2",
        "Announced, not on sale: vr200.",
    ] {
        assert!(gpus.contains(part), "{gpus}");
    }
}

#[test]
fn a_chip_without_measurements_says_so_in_its_list_and_in_explain() {
    let desk = Desk::new();
    let text = |gpu: &str| {
        format!("[grid]\ngpu = \"{gpu}\"\ngpus = 16\nmodel = \"llama3-8b\"\nglobal_batch = 64\n")
    };
    for (gpu, says) in [
        ("vera-rubin", "vr200 is announced"),
        ("trn2", "Nothing was measured on trainium2"),
        ("gh200", ""),
    ] {
        let listed = desk.sweep(&["list", "gpus", gpu]).expect_code(0).stdout;
        desk.write("chip.toml", text(gpu));
        desk.sweep(&["run", "chip.toml", "-o", "run", "--overwrite"])
            .expect_code(0);
        let explained = desk.sweep(&["explain", "run", "0"]).expect_code(0).stdout;
        let json = desk.sweep(&["explain", "run", "0", "--format", "json"]);
        let json: Value = serde_json::from_str(&json.expect_code(0).stdout).unwrap();
        assert_eq!(json["unmeasured"].is_null(), says.is_empty());
        assert!(
            listed.contains(says) && explained.contains(says),
            "{listed}{explained}"
        );
        assert_eq!(listed.contains("easured on"), !says.is_empty(), "{listed}");
    }
}

/// A column of a run's only chart-free output: the numbers of `--format json`.
fn numbers(desk: &Desk, spec: &str, column: &str) -> Vec<f64> {
    desk.write("spec.toml", spec);
    desk.sweep(&["run", "spec.toml", "-o", "run", "--overwrite"])
        .expect_code(0);
    let count = spec.matches("# point").count();
    (0..count)
        .map(|point| {
            let one = desk.sweep(&["explain", "run", &point.to_string(), "--format", "json"]);
            let json: Value = serde_json::from_str(&one.expect_code(0).stdout).unwrap();
            json[column].as_f64().unwrap_or(f64::NAN)
        })
        .collect()
}

// An expert layer over 8 GPUs fits a rack's NVLink, but not a tray's of 4: without the rack's network the tokens cross
// the NICs, at 50 instead of 900 GB/s, and the step is slower.
#[test]
fn a_racks_scale_up_network_can_be_cut_off_in_a_row() {
    let desk = Desk::new();
    let spec = "[[grid]]\ngpu = \"gb200\"\ngpus = 32\nmodel = \"qwen3-30b-a3b\"\nglobal_batch = 64\nep = 8\ntp = 1\npp = 1\n\
                domain_gpus = [\n72, # point\n4, # point\n]\n";
    let times = numbers(&desk, spec, "step_time_s");
    assert!(times[0] < times[1], "{times:?}");
    let outside = numbers(&desk, spec, "inter_node_bytes");
    assert!(outside[0] == 0.0 && outside[1] > 0.0, "{outside:?}");
}

// 64 chips of TPU v6e as one slice, or as two that only the data-centre network joins.
#[test]
fn slices_of_a_tpu_meet_over_the_data_centre_network() {
    let desk = Desk::new();
    let spec = "[[grid]]\ngpu = \"tpu-v6e\"\ngpus = 64\nmodel = \"llama3-8b\"\nglobal_batch = 256\n\
                domain_gpus = [\n256, # point\n32, # point\n]\n";
    let times = numbers(&desk, spec, "step_time_s");
    let outside = numbers(&desk, spec, "inter_node_bytes");
    assert!(times[0] < times[1], "{times:?}");
    assert!(outside[0] == 0.0 && outside[1] > 0.0, "{outside:?}");
}

// 12 GPUs are no whole nodes of 8: the row says so, as for every size that does not divide.
#[test]
fn a_domain_is_made_of_whole_nodes() {
    let desk = Desk::new();
    desk.write(
        "spec.toml",
        "[grid]\ngpu = \"h100-sxm\"\nnodes = 3\nmodel = \"llama3-8b\"\nglobal_batch = 24\ndomain_gpus = 12\n",
    );
    desk.sweep(&["run", "spec.toml", "-o", "run"])
        .expect_code(0);
    let explained = desk.sweep(&["explain", "run", "0"]).stdout;
    assert!(
        explained.contains("domain_gpus 12 cannot be divided"),
        "{explained}"
    );
}

//! Names as people type them: accepted where they fit one preset, else suggestions.

use serde_json::Value;

use crate::desk::Desk;

fn spec(gpu: &str, model: &str, rest: &str) -> String {
    format!("[grid]\ngpu = \"{gpu}\"\nmodel = \"{model}\"\nnodes = 1\nglobal_batch = 8\n{rest}")
}

// What runs is the spec with the presets' names in it, so that rows and later runs have those.
#[test]
fn an_alias_is_accepted_and_the_row_holds_the_presets_name() {
    for (gpu, model, topology, names) in [
        (
            "a6000",
            "gpt2",
            "FatTree",
            ["rtx-a6000", "gpt2-small", "fat-tree"],
        ),
        (
            "MI300",
            "llama-3-70b",
            "3D-torus",
            ["mi300x", "llama3-70b", "torus3d"],
        ),
        (
            "H100_SXM",
            "meta-llama/Llama-3-8B",
            "clos",
            ["h100-sxm", "llama3-8b", "fat-tree"],
        ),
    ] {
        let desk = Desk::new();
        let text = spec(gpu, model, &format!("topology = \"{topology}\"\n"));
        desk.write("names.toml", text);
        desk.sweep(&["run", "names.toml", "-o", "run"])
            .expect_code(0);
        let resolved = String::from_utf8(desk.read("run/spec.toml")).unwrap();
        for name in names {
            assert!(resolved.contains(&format!("[\"{name}\"]")), "{resolved}");
        }
        let explained = desk
            .sweep(&["explain", "run", "0", "--format", "json"])
            .expect_code(0);
        let point: Value = serde_json::from_str(&explained.stdout).unwrap();
        let text = point.to_string();
        assert!(text.contains(&format!("\"{}\"", names[0])), "{text}");
    }
}

#[test]
fn a_clause_a_base_and_the_command_line_take_aliases_too() {
    let desk = Desk::new();
    let own = "[gpus.mine]\nbase = \"mi300\"\ncluster = \"MI300X_node\"\n";
    let text = format!(
        "where = \"model == 'gpt2'\"\n{}{own}",
        spec("mine", "gpt2", "")
    );
    desk.write("names.toml", text);
    desk.sweep(&["plan", "names.toml", "--set", "cluster=P5"])
        .expect_code(0);
    let listed = desk.sweep(&["list", "gpus", "a6000"]).expect_code(0);
    assert!(
        listed.stdout.contains("GPU rtx-a6000 (also a6000"),
        "{}",
        listed.stdout
    );
    desk.sweep(&["list", "topologies", "fattree"])
        .expect_code(0);
}

// The names that go on where the typed one ends come first; H800, one edit away, is another product.
#[test]
fn a_name_of_several_presets_is_refused_with_all_of_them() {
    let desk = Desk::new();
    for (gpu, hint) in [
        ("h100", "did you mean `h100-sxm` or `h100-pcie`?"),
        (
            "a100",
            "did you mean `a100-40gb-sxm`, `a100-80gb-sxm` or `a100-80gb-pcie`?",
        ),
        ("h1000", "did you mean `h100-sxm`?"),
        ("h900", "`sweep list gpus` shows them"),
    ] {
        desk.write("names.toml", spec(gpu, "llama3-8b", ""));
        desk.sweep(&["plan", "names.toml"])
            .expect_code(2)
            .expect_stderr(&[&format!("unknown GPU `{gpu}`"), hint, ":2:7"]);
    }
}

// An alias of the catalogue gives way to a name of the spec, and two entries cannot share one.
#[test]
fn a_specs_own_name_wins_and_its_aliases_are_its_own() {
    let desk = Desk::new();
    let own = "[gpus.a6000]\nbase = \"l40s\"\naliases = [\"my card\"]\n";
    desk.write("names.toml", spec("My-Card", "gpt2", own));
    desk.sweep(&["run", "names.toml", "-o", "run"])
        .expect_code(0);
    let resolved = String::from_utf8(desk.read("run/spec.toml")).unwrap();
    assert!(resolved.contains("gpu = [\"a6000\"]"), "{resolved}");

    let taken = "[gpus.mine]\nbase = \"l40s\"\naliases = [\"mi300\"]\n";
    desk.write("taken.toml", spec("mine", "gpt2", taken));
    desk.sweep(&["plan", "taken.toml"])
        .expect_code(2)
        .expect_stderr(&["alias `mi300` names `mi300x` already", ":8:1"]);
}

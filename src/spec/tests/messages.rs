//! Specs with faults, and the messages about them.

use super::*;

// What has no value in a definition would silently be that of the `base`; in the grid and at the top it is refused too.
#[test]
fn a_key_without_a_value_is_refused_wherever_it_stands() {
    let json = r#"{"grid": {"gpu": "mine", "nodes": 1, "model": "llama3-8b", "global_batch": 8, "tp": null},
"gpus": {"mine": {"base": "h100-sxm", "price_per_hour": null, "peaks": {"fp8": null}}}}"#;
    insta::assert_snapshot!(faults(json, Syntax::Json), @r#"
    error: `price_per_hour` has no value
     --> test:2:57
      |
    2 | "gpus": {"mine": {"base": "h100-sxm", "price_per_hour": null, "peaks": {"fp8": null}}}}
      |                                                         ^^^^
      |
      = note: at `gpus.mine.price_per_hour`
      = help: leave the key out, and a `base` or the default decides: null (None in Python) takes nothing away

    error: `fp8` has no value
     --> test:2:80
      |
    2 | "gpus": {"mine": {"base": "h100-sxm", "price_per_hour": null, "peaks": {"fp8": null}}}}
      |                                                                                ^^^^
      |
      = note: at `gpus.mine.peaks.fp8`
      = help: leave the key out, and a `base` or the default decides: null (None in Python) takes nothing away

    error: `tp` is a whole number from 1 to 16000000 or "auto", not nothing
     --> test:1:85
      |
    1 | {"grid": {"gpu": "mine", "nodes": 1, "model": "llama3-8b", "global_batch": 8, "tp": null},
      |                                                                                     ^^^^
      |
      = note: at `grid.tp`
    "#);
    let yaml = "grid:\n  gpu: h100-sxm\n  nodes: 1\n  model: mine\n  global_batch: 8\nmodels:\n  mine:\n    base: llama3-8b\n    layers:\n";
    insta::assert_snapshot!(faults(yaml, Syntax::Yaml), @r"
    error: `layers` has no value
     --> test:9:11
      |
    9 |     layers:
      |           ^
      |
      = note: at `models.mine.layers`
      = help: leave the key out, and a `base` or the default decides: null (None in Python) takes nothing away
    ");
}

#[test]
fn the_size_of_a_message_is_meant() {
    for name in ["message", "message_size", "message_bytes", "bytes"] {
        let toml = format!(
            "kind = \"collective\"\n[grid]\ngpu = \"h100-sxm\"\nnodes = 1\nop = \"all-reduce\"\n{name} = \"1 MiB\"\n"
        );
        let said = faults(&toml, Syntax::Toml);
        assert!(said.contains("did you mean `size`?"), "{said}");
    }
}

#[test]
fn faults_of_yaml_and_json_name_the_path() {
    let yaml =
        "grid:\n  gpu: h100-sxm\n  nodes: [1, 2, 0]\n  model: llama3-8b\n  global_batch: 8\n";
    insta::assert_snapshot!(faults(yaml, Syntax::Yaml), @r"
    error: nodes = 0 is out of range
     --> test:3:17
      |
    3 |   nodes: [1, 2, 0]
      |                 ^
      |
      = note: at `grid.nodes[2]`
      = help: `nodes` is a whole number from 1 to 1000000
    ");
    let json =
        r#"{"grid": {"gpu": "h100-sxm", "nodes": 1, "model": "llama3-8b", "global_bach": 8}}"#;
    insta::assert_snapshot!(faults(json, Syntax::Json), @r#"
    error: unknown axis `global_bach`
     --> test:1:64
      |
    1 | {"grid": {"gpu": "h100-sxm", "nodes": 1, "model": "llama3-8b", "global_bach": 8}}
      |                                                                ^^^^^^^^^^^^^
      |
      = note: at `grid.global_bach`
      = help: did you mean `global_batch`?
    "#);
    for (text, syntax) in [
        ("{\"grid\": {", Syntax::Json),
        ("{\"grid\": {\"gpu\": 1, \"gpu\": 2}}", Syntax::Json),
        ("grid: [", Syntax::Yaml),
        ("a: 1\na: 2\n", Syntax::Yaml),
        ("[1, 2]", Syntax::Json),
        ("", Syntax::Yaml),
    ] {
        assert!(faults(text, syntax).starts_with("error: "), "{text}");
    }
}

// One cause each, however often it shows: a preset that is not there, numbers in quotes, an axis twice over
// in a zip that three grids share, a header left out, clauses that together keep nothing.
#[test]
fn one_cause_is_one_message() {
    let point = "[[point]]\ngpu = 'h1000'\nnodes = 1\nmodel = 'llama3-8b'\nglobal_batch = 1\n";
    let grid = "[[grid]]\ngpu = 'h100-sxm'\nmodel = 'llama3-8b'\nglobal_batch = 8\n";
    let zip = "[[zip]]\nnodes = [1, 2]\ngpus = [8, 16]\n";
    let collective = "gpu = 'h100-sxm'\nnodes = 1\nop = 'broadcast'\nsize = '8 B'\n";
    let outside = "gpu = 'h100-sxm'\nnodes = 1\nmodel = 'llama3-8b'\nglobal_batch = 8\n";
    let wheres = "where = ['gpus > 1000', 'nodes > 100', \"gpu == 'b200'\"]\n";
    for (text, said) in [
        (
            format!(
                "where = \"gpu != 'h1000'\"\n{}[gpus.mine]\nbase = 'h1000'\n",
                point.repeat(60)
            ),
            "unknown GPU `h1000`",
        ),
        (
            BASE.replace("nodes = [1, 2]", "nodes = ['1', '2', '4', '8']"),
            "not text `1`",
        ),
        (
            BASE.replace("nodes = [1, 2]", "nodes = [0, -1, 2_000_000]"),
            "nodes = 0 is out of range",
        ),
        (
            format!("{}{zip}", grid.repeat(3)),
            "`nodes` and `gpus` are both given",
        ),
        (
            outside.to_owned(),
            "unknown keys `gpu`, `nodes`, `model`, `global_batch`",
        ),
        (format!("{wheres}{BASE}"), "`where` drops every point"),
        (
            "[grid]\ngpu = 'h100-sxm'\nnodes = 1\nop = 'broadcast'\nsize = '8 B'\nprotocol = 'll'\n".to_owned(),
            "axis `op` does not belong to a training study",
        ),
        (
            format!("kind = 'collective'\n[[point]]\n{collective}tp = 1\npp = 1\n[[point]]\n{collective}zero = 1\n"),
            "likewise at 8:1 (pp), 14:1 (zero)",
        ),
        (
            format!("{}[models.big]\nfamily = 'decoder'\n", BASE.replace("llama3-8b", "big")),
            "`heads`, `vocab` and `seq_len` are missing",
        ),
        (BASE.replace("[1, 2]", "[1, 2"), "this `[` is never closed"),
    ] {
        let message = faults(&text, Syntax::Toml);
        assert_eq!(message.matches("error: ").count(), 1, "{message}");
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn deep_nesting_is_a_fault_in_every_syntax() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    // One message: what the parser says about the brackets behind its limit helps no one.
    let message = faults(&format!("x = {deep}"), Syntax::Toml);
    assert_eq!(message.matches("nested too deeply").count(), 1, "{message}");
    assert!(!message.contains("unclosed"), "{message}");
    for syntax in [Syntax::Json, Syntax::Yaml] {
        let message = faults(&deep, syntax);
        assert!(
            ["nest", "depth", "recurs"]
                .iter()
                .any(|word| message.contains(word)),
            "{message}"
        );
    }
}

#[test]
fn faults_of_the_command_line_are_shown_like_those_of_a_file() {
    let text = format!("{BASE}\n[[zip]]\ntp = [1, 2]\npp = [2, 1]\n");
    let overrides = Overrides {
        where_clauses: vec!["nodes >> 1".to_owned()],
        ..set(&["tp=4", "nodes=1,two", "nodez=1", "gpu=", "nodes"])
    };
    let error = Spec::parse("test.toml", &text, Syntax::Toml, &overrides).expect_err("five faults");
    insta::assert_snapshot!(error.to_string(), @r"
    error: axis `tp` is zipped in test.toml (line 9)
     --> --set:1:1
      |
    1 | tp=4
      | ^^
      |
      = help: --set replaces a grid axis or a default; change the zip in the spec

    error: `nodes` is a whole number from 1 to 1000000, not text `two`
     --> --set:1:9
      |
    1 | nodes=1,two
      |         ^^^

    error: unknown axis `nodez`
     --> --set:1:1
      |
    1 | nodez=1
      | ^^^^^
      |
      = help: did you mean `nodes`?
      = help: write --set AXIS=VALUE[,VALUE…]

    error: a value of `gpu` is missing
     --> --set:1:5
      |
    1 | gpu=
      |     ^

    error: a value of `nodes` is missing
     --> --set:1:7
      |
    1 | nodes=
      |       ^

    error: unexpected `>`
     --> --where:1:8
      |
    1 | nodes >> 1
      |        ^
    ");
}

// Numbers of the command line stand there without quotes: they are told as the numbers that they are, with a way out where one is that whole
// number. Text in quotes that is such a number is told to lose them, text that is another number is not.
#[test]
fn numbers_that_an_axis_does_not_take_are_told_as_numbers() {
    let typed = |typed: &str| {
        let overrides = set(&[typed]);
        let refused = Spec::parse("test.toml", BASE, Syntax::Toml, &overrides);
        refused.expect_err(typed).to_string()
    };
    let written = |value: &str| {
        let text = BASE.replace("nodes = [1, 2]", &format!("nodes = {value}"));
        faults(&text, Syntax::Toml)
    };
    let whole = "error: `nodes` is a whole number from 1 to 1000000, not";
    for (told, found, way_out) in [
        (typed("nodes=1e3"), "`1000.0`", Some("write it as 1000")),
        (typed("nodes=1.5"), "`1.5`", None),
        (typed("nodes=99999999999999999999"), "`1e20`", None),
        (typed("nodes=two"), "text `two`", None),
        (written("2.0"), "`2.0`", Some("write it as 2")),
        (written("'2'"), "text `2`", Some("write it without quotes")),
        (written("'1.5'"), "text `1.5`", None),
    ] {
        assert!(told.starts_with(&format!("{whole} {found}\n")), "{told}");
        let help = way_out.map(|way_out| format!("= help: {way_out}"));
        assert_eq!(
            told.matches("= help: ").count(),
            usize::from(help.is_some()),
            "{told}"
        );
        assert!(told.contains(&help.unwrap_or_default()), "{told}");
    }
    let far = typed("nodes=9999999999");
    assert!(far.contains("nodes = 9999999999 is out of range"), "{far}");
}

// What frameworks call otherwise is named, where the nearest spelling would be another thing (`prices` for `slices`).
#[test]
fn what_other_programs_call_otherwise_is_named() {
    let grid = "[grid]\ngpu = 'h100-sxm'\nnodes = 1\nmodel = 'm'\nglobal_batch = 8\n";
    let family = |name: &str| format!("{grid}[models.m]\nfamily = '{name}'\n");
    for (text, said) in [
        (
            format!("{grid}slices = 2\n"),
            "`domain_gpus` says how many GPUs a slice joins",
        ),
        (family("multimodal"), "[models.NAME.encoder]"),
        (family("VLM"), "[models.NAME.encoder]"),
        (family("mllm"), "[models.NAME.encoder]"),
    ] {
        let faults = faults(&text, Syntax::Toml);
        assert!(
            faults.contains(said) && !faults.contains("did you mean"),
            "{faults}"
        );
    }
}

#[test]
fn files_that_are_no_spec_are_refused_with_one_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let load = |name: &str| Spec::load(&path(name), &Overrides::default()).expect_err("no spec");

    assert!(matches!(load("missing.toml"), SpecError::Read { .. }));
    assert!(matches!(load("."), SpecError::Read { .. }));
    std::fs::write(path("bytes.toml"), b"name = 'a'\nx = \xff\n").expect("a file");
    let error = load("bytes.toml").to_string();
    assert!(
        error.contains("not UTF-8: byte 0xff") && error.contains(":2:5"),
        "{error}"
    );
    // 17 MiB of comment.
    std::fs::write(path("large.toml"), "#".repeat(17 << 20)).expect("a file");
    assert!(load("large.toml").to_string().contains("at most 16 MiB"));
    // Two files that include each other.
    std::fs::write(path("a.toml"), "include = 'b.toml'\n").expect("a file");
    std::fs::write(path("b.toml"), "include = 'a.toml'\n").expect("a file");
    let error = load("a.toml").to_string();
    assert!(
        error.contains("`a.toml` includes itself") && error.contains("b.toml:1:11"),
        "{error}"
    );
    // What is wrong in an included file is shown there.
    std::fs::write(path("c.toml"), "include = 'd.toml'\n").expect("a file");
    std::fs::write(path("d.toml"), "[defaults]\ntp = 0\n").expect("a file");
    let error = load("c.toml").to_string();
    assert!(
        error.contains("tp = 0 is out of range") && error.contains("d.toml:2:6"),
        "{error}"
    );
}

// A point has a table, ten keys and ten values: 21 nodes, 1,050,000 in all, which every syntax takes, from a file too: some 10 MB.
// Two million items are over the limit, and are told as that.
#[test]
fn fifty_thousand_points_of_ten_keys_fit_into_every_syntax() {
    let keys = [
        ("gpu", "\"h100-sxm\""),
        ("nodes", "2"),
        ("op", "\"broadcast\""),
        ("collective", "\"ring\""),
        ("size", "\"1 B\""),
        ("gpus_per_node", "8"),
        ("nic_gbit_per_s", "400.0"),
        ("oversubscription", "1.0"),
        ("domain_gpus", "8"),
        ("topology", "\"fat-tree\""),
    ];
    let point = |open: &str, between: &str, quote: &str, is: &str, close: &str| {
        let keys = keys.map(|(key, value)| format!("{quote}{key}{quote}{is}{value}"));
        format!("{open}{}{close}", keys.join(between)).repeat(50_000)
    };
    let json = point("{", ", ", "\"", ": ", "},\n");
    let json = format!(
        "{{\"kind\":\"collective\",\"point\":[{}]}}",
        json.trim_end_matches(",\n")
    );
    let yaml = format!(
        "kind: collective\npoint:\n{}",
        point("- {", ", ", "", ": ", "}\n")
    );
    let toml = format!(
        "kind = 'collective'\n{}",
        point("[[point]]\n", "\n", "", " = ", "\n\n")
    );
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("a.json", json), ("a.yaml", yaml), ("a.toml", toml)] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        let spec = Spec::load(&path, &Overrides::default());
        // Not the fault itself, whose places all hold the text.
        let spec = spec.unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(spec.plan().len(), 50_000);
    }
    let many = format!("[grid]\nnodes = [{}1]\n", "1,".repeat(2_000_000));
    let told = Spec::parse("many", &many, Syntax::Toml, &Overrides::default());
    let told = told.expect_err("over the limit").to_string();
    assert!(
        told.contains("too many keys and values") && told.contains("ranges"),
        "{told}"
    );
    let many = format!("grid:\n  nodes: [{}1]\n", "1,".repeat(1_999_999));
    let told = Spec::parse("many", &many, Syntax::Yaml, &Overrides::default());
    let told = told.expect_err("over the limit").to_string();
    assert!(told.contains("too many keys and values"), "{told}");
    assert!(!told.contains("not YAML"), "{told}");
}

// One name of an axis and one of a GPU, misspelt at 100,000 points: two faults with all their places and the names that were
// meant, looked for once.
#[test]
fn a_misspelt_name_is_looked_for_once() {
    let spec = |points: String| {
        let told = Spec::parse("many", &points, Syntax::Toml, &Overrides::default());
        told.expect_err("misspelt").to_string()
    };
    let point = "[[point]]\nnoeds = 1\ngpu = 'h10-sxm'\n";
    let told = spec(point.repeat(100_000));
    assert_eq!(told.matches("did you mean `nodes`?").count(), 1, "{told}");
    assert_eq!(told.matches("did you mean `h100-sxm`").count(), 1, "{told}");
    assert!(told.contains("99996 more"), "{told}");
}

/// Holds faults against what they say and where, in the words of a spec: never a function or a type of the program that reads it.
fn expect_own_words(syntax: Syntax, texts: &[(String, &str, &str)]) {
    for (text, said, place) in texts {
        let told = faults(text, syntax);
        assert!(
            told.contains(said) && told.contains(&format!("--> test:{place}")),
            "{told}"
        );
        let first = told.lines().next().unwrap_or_default();
        for word in ["Policy", "Options", "from_", "_with", "{ ", "budget"] {
            assert!(!first.contains(word), "{told}");
        }
        assert!(syntax == Syntax::Yaml || !told.contains("YAML"), "{told}");
    }
}

#[test]
fn faults_of_json_are_told_in_own_words() {
    let deep = |count: usize| format!("{{\"a\": {}{}}}", "[".repeat(count), "]".repeat(count));
    let no_comma = "JSON has no comma before the end";
    let texts = [
        (
            r#"{"name": "a", "name": "b"}"#,
            "key `name` is given twice",
            "1:15",
        ),
        (
            r#"{"a": 1e400}"#,
            "`1e400` is no number that a spec takes",
            "1:7",
        ),
        (&deep(100), "nest too deep", "1:"),
        (&deep(200), "nest too deep", "1:"),
        (r#"{"a": [1, 2,]}"#, no_comma, "1:13"),
        (r#"{"a": 1,}"#, no_comma, "1:9"),
        ("// one\n{}", "a comment", "1:1"),
        ("{\"a\": [1, 2", "ends too soon", "1:"),
        ("{}\n{}", "a spec is one object", "2:1"),
    ];
    expect_own_words(
        Syntax::Json,
        &texts.map(|(text, said, place)| (text.to_owned(), said, place)),
    );
}

#[test]
fn faults_of_yaml_are_told_in_own_words() {
    let bomb = (0..9).fold("a0: &a0 [x, x]\n".to_owned(), |text, at| {
        let items = format!("*a{at}, ").repeat(9);
        text + &format!("a{}: &a{} [{items}]\n", at + 1, at + 1)
    });
    let texts = [
        ("name: a\nname: b\n", "key `name` is given twice", "2:1"),
        (
            "grid:\n  nodes: 1\n---\ngrid: 2\n",
            "a spec is one document",
            "4:1",
        ),
        (&bomb, "stand for too many values", "7:"),
        ("a: *x\n", "no value before this has the name", "1:4"),
        ("a:\n\tb: 1\n", "tabs", "2:"),
    ];
    expect_own_words(
        Syntax::Yaml,
        &texts.map(|(text, said, place)| (text.to_owned(), said, place)),
    );
}

// Editors on Windows begin a file with a mark of its encoding: every syntax is read behind it, and places are the same.
#[test]
fn a_byte_order_mark_is_read_over() {
    let grid = "\u{feff}{\"grid\": {\"gpu\": \"h100-sxm\", \"nodes\": 1, \"model\": \"gpt2-small\", \"global_batch\": 8}}";
    for (syntax, text) in [
        (Syntax::Json, grid.to_owned()),
        (Syntax::Yaml, grid.to_owned()),
        (
            Syntax::Toml,
            "\u{feff}[grid]\ngpu = 'h100-sxm'\nnodes = 1\nmodel = 'gpt2-small'\nglobal_batch = 8\n"
                .to_owned(),
        ),
    ] {
        let spec = Spec::parse("a", &text, syntax, &Overrides::default());
        spec.unwrap_or_else(|fault| panic!("{fault}"));
    }
}

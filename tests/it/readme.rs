//! The README and the guide show what the program prints.
//!
//! A block opened by ```` ```console ```` holds commands after `$ ` and under each what it prints on
//! stdout. A line `…` stands for any number of lines. Blocks run one after another in one folder.
//!
//! `UPDATE_README=1 cargo test readme` puts what is printed now into every block without `…`.

use std::fs;
use std::path::Path;

use crate::desk::Desk;

/// A command of the README and the lines that it says are printed.
struct Example {
    command: String,
    printed: Vec<String>,
}

fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            examples.push(Example {
                command: command.to_owned(),
                printed: Vec::new(),
            });
        } else if inside && let Some(example) = examples.last_mut() {
            example.printed.push(line.trim_end().to_owned());
        }
    }
    examples
}

/// Whether lines are as expected, `…` standing for any number of them.
fn agrees(expected: &[String], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|skipped| agrees(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, after)| line.trim_end() == first && agrees(rest, after)),
    }
}

/// The README with the lines under each command replaced, but where they hold `…`.
fn updated(readme: &str, prints: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut prints = prints.iter();
    let mut blocks = readme.split("```console\n");
    text.push_str(blocks.next().unwrap_or_default());
    for block in blocks {
        let (inside, after) = block.split_once("```").unwrap();
        text.push_str("```console\n");
        for part in inside.split("$ ").skip(1) {
            let (command, printed) = part.split_once('\n').unwrap();
            let ran = prints.clone().next().filter(|(ran, _)| ran == command);
            text.extend(["$ ", command, "\n"]);
            match ran {
                Some((_, now)) if printed.lines().all(|line| line != "…") => text.push_str(now),
                Some(_) | None => text.push_str(printed),
            }
            if ran.is_some() {
                prints.next();
            }
        }
        text.extend(["```", after]);
    }
    text
}

/// Runs the commands of a page and holds what they print against it; gives their number.
fn check(page: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(page)).unwrap();
    let examples = examples(&text);
    let desk = Desk::new();
    for folder in ["sweeps", "tests"] {
        std::os::unix::fs::symlink(root.join(folder), desk.path(folder)).unwrap();
    }
    let updates = std::env::var_os("UPDATE_README").is_some();
    let mut prints = Vec::new();
    for example in &examples {
        let words: Vec<&str> = example.command.split_whitespace().collect();
        let arguments = match words[..] {
            ["cargo", "run", "--release", "--", ref rest @ ..] | ["sweep", ref rest @ ..] => rest,
            // This test is part of it.
            ["scripts/test"] => continue,
            _ => panic!("{page} shows `{}`, which is no sweep", example.command),
        };
        let ended = desk.sweep(arguments).expect_code(0);
        let lines: Vec<&str> = ended.stdout.trim_end().lines().collect();
        assert!(
            updates || agrees(&example.printed, &lines),
            "`{}` prints\n{}\nwhere {page} says\n{}\nUPDATE_README=1 cargo test --test it readme puts it right",
            example.command,
            ended.stdout,
            example.printed.join("\n")
        );
        prints.push((example.command.clone(), ended.stdout));
    }
    if updates {
        fs::write(root.join(page), updated(&text, &prints)).unwrap();
    }
    prints.len()
}

#[test]
fn every_example_of_the_readme_prints_what_it_shows() {
    let shown = check("README.md");
    assert!(shown >= 3, "the README shows {shown} commands");
}

#[test]
fn every_example_of_the_guide_prints_what_it_shows() {
    assert!(check("docs/models.md") >= 1, "the page on models shows one");
}

#[test]
fn the_readme_shows_the_two_commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for command in ["cargo run --release -- run sweeps/llm.toml", "scripts/test"] {
        assert!(readme.contains(&format!("$ {command}\n")), "{command}");
    }
}

// The compiler and the tests of the schedules see that file.
#[test]
fn the_readme_shows_an_algorithm_that_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let shown = readme
        .split("```rust\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0));
    let compiled = root.join("src/collective/algorithm/tests/pairs.rs");
    let compiled = fs::read_to_string(compiled).unwrap();
    assert_eq!(shown.collect::<Vec<_>>(), [compiled]);
}

#[test]
fn an_ellipsis_stands_for_any_number_of_lines() {
    let expected = ["a", "…", "z"].map(str::to_owned);
    assert!(agrees(&expected, &["a", "z"]));
    assert!(agrees(&expected, &["a", "b", "c", "z"]));
    assert!(!agrees(&expected, &["a", "b"]));
    assert!(!agrees(&expected, &["b", "z"]));
}

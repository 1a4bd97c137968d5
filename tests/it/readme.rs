//! README and guide show what the program prints.
//!
//! A block opened by ```` ```console ```` holds commands after `$ ` and under each what it prints on
//! stdout. A line `…` stands for any number of lines. The blocks of all pages run one after another in
//! one folder, README first, then the pages as `docs/SUMMARY.md` lists them. A command that stands on
//! several pages runs once. A block ```` ```toml ```` whose first line is `# NAME.toml` is that file.
//! What is too costly to run stands in a block ```` ```sh ````: its sweeps are held by `--dry-run`.
//!
//! `UPDATE_README=1 cargo test --test it readme` puts what is printed now into every block. Beside `…`
//! as many lines are shown as before, found by what their first line says before its first figure.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::desk::Desk;
use crate::guide::{guide_pages, read_page, root};

/// A command of a page and the lines that it says are printed.
struct Example {
    command: String,
    printed: Vec<String>,
}

/// Lines of the blocks of one kind, block by block.
fn blocks<'a>(page: &'a str, kind: &str) -> Vec<Vec<&'a str>> {
    let mut blocks = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == format!("```{kind}");
            if inside {
                blocks.push(Vec::new());
            }
        } else if inside && let Some(block) = blocks.last_mut() {
            block.push(line);
        }
    }
    blocks
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in blocks(page, "console").concat() {
        if let Some(command) = line.strip_prefix("$ ") {
            examples.push(Example {
                command: command.to_owned(),
                printed: Vec::new(),
            });
        } else if let Some(example) = examples.last_mut() {
            example.printed.push(line.trim_end().to_owned());
        }
    }
    examples
}

/// Whether lines are as expected, `…` standing for any number of them.
fn agrees(expected: &[String], lines: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|skipped| agrees(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, after)| line == first && agrees(rest, after)),
    }
}

/// Words of a line before its first figure.
fn words(line: &str) -> &str {
    line.split(|c: char| c.is_ascii_digit())
        .next()
        .unwrap_or_default()
}

/// Lines of which a page shows parts, as printed now; the old ones where a part is not found again.
fn refreshed(shown: &[String], now: &[String]) -> Vec<String> {
    let parts: Vec<&[String]> = shown.split(|line| line == "…").collect();
    if parts.len() == 1 {
        return now.to_vec();
    }
    let mut lines = Vec::new();
    let mut at = 0;
    for (number, part) in parts.iter().enumerate() {
        let begin = if number == 0 {
            Some(0)
        } else if number + 1 == parts.len() {
            now.len().checked_sub(part.len())
        } else {
            now[at..]
                .iter()
                .position(|line| words(line) == words(&part[0]))
                .map(|found| at + found)
        };
        let found = begin.and_then(|begin| now.get(begin..begin + part.len()));
        let Some(found) = found.filter(|_| begin >= Some(at)) else {
            return shown.to_vec();
        };
        if number > 0 {
            lines.push("…".to_owned());
        }
        lines.extend_from_slice(found);
        at = begin.unwrap_or_default() + part.len();
    }
    lines
}

/// The page with the lines under each command that ran replaced by those printed now.
fn updated(page: &str, ran: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = String::new();
    let mut lines = page.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        text.extend([line, "\n"]);
        if line.starts_with("```") {
            inside = line == "```console";
        }
        let now = line.strip_prefix("$ ").and_then(arguments);
        let Some(now) = now.filter(|_| inside).and_then(|words| ran.get(&words)) else {
            continue;
        };
        let mut shown = Vec::new();
        while let Some(line) =
            lines.next_if(|line| !line.starts_with("$ ") && !line.starts_with("```"))
        {
            shown.push(line.to_owned());
        }
        for line in refreshed(&shown, now) {
            text.extend([line.as_str(), "\n"]);
        }
    }
    text
}

/// Arguments of `sweep` in a command of a page; none for the tests, which this one is part of.
fn arguments(command: &str) -> Option<String> {
    let given = command
        .strip_prefix("cargo run --release -- ")
        .or_else(|| command.strip_prefix("sweep "));
    assert!(
        given.is_some() || command == "scripts/test",
        "`{command}` is no sweep"
    );
    given.map(str::to_owned)
}

/// A folder with the sweeps of a checkout.
fn checkout() -> Desk {
    let desk = Desk::new();
    for folder in ["sweeps", "tests"] {
        std::os::unix::fs::symlink(root().join(folder), desk.path(folder)).unwrap();
    }
    desk
}

/// Writes the files that a page shows.
fn write_files(page: &str, desk: &Desk) {
    for block in blocks(page, "toml") {
        let name = block.first().and_then(|line| line.strip_prefix("# "));
        let is_file = |name: &&str| name.strip_suffix(".toml").is_some_and(|s| !s.contains(' '));
        if let Some(name) = name.filter(is_file) {
            desk.write(name, block.join("\n"));
        }
    }
}

#[test]
fn every_example_of_readme_and_guide_prints_what_it_shows() {
    let desk = checkout();
    let updates = std::env::var_os("UPDATE_README").is_some();
    let mut ran: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for page in guide_pages() {
        let text = read_page(&page);
        write_files(&text, &desk);
        for Example { command, printed } in examples(&text) {
            let Some(given) = arguments(&command) else {
                continue;
            };
            let now = ran.entry(given).or_insert_with_key(|given| {
                let words: Vec<&str> = given.split_whitespace().collect();
                let ended = desk.sweep(&words).expect_code(0);
                let lines = ended.stdout.trim_end().lines();
                lines.map(|line| line.trim_end().to_owned()).collect()
            });
            if !agrees(&printed, now) {
                wrong.push(format!(
                    "{page}: `{command}` prints\n{}\nand not\n{}",
                    now.join("\n"),
                    printed.join("\n")
                ));
            }
        }
        if updates {
            fs::write(root().join(&page), updated(&text, &ran)).unwrap();
        }
    }
    assert!(ran.len() >= 10, "the pages show {} commands", ran.len());
    assert!(
        updates || wrong.is_empty(),
        "{}\n\nUPDATE_README=1 cargo test --test it readme puts it right",
        wrong.join("\n\n")
    );
}

#[test]
fn every_sweep_that_is_too_costly_for_an_example_is_accepted() {
    let desk = checkout();
    let mut held = 0;
    for page in guide_pages() {
        let text = read_page(&page);
        for line in blocks(&text, "sh").concat() {
            let command = line.split(['>', '#']).next().unwrap_or_default();
            let command = command.trim_end().trim_end_matches(" 2");
            if let Some(given) = command.strip_prefix("sweep run ") {
                let words = given.split_whitespace();
                let words: Vec<&str> = ["run", "--dry-run"].into_iter().chain(words).collect();
                desk.sweep(&words).expect_code(0);
                held += 1;
            }
        }
    }
    assert!(held >= 2, "{held} sweeps stand in blocks of sh");
}

#[test]
fn the_readme_shows_the_two_commands_on_less_than_150_lines() {
    let readme = read_page("README.md");
    for command in ["cargo run --release -- run sweeps/llm.toml", "scripts/test"] {
        assert!(readme.contains(&format!("$ {command}\n")), "{command}");
    }
    let lines = readme.lines().count();
    assert!(lines < 150, "{lines} lines");
}

// The compiler and the tests of the schedules see that file.
#[test]
fn the_guide_shows_an_algorithm_that_compiles() {
    let page = read_page("docs/contributing.md");
    let shown = blocks(&page, "rust");
    let shown: Vec<String> = shown.iter().map(|block| block.join("\n") + "\n").collect();
    let compiled = Path::new("src/collective/algorithm/tests/pairs.rs");
    assert_eq!(shown, [fs::read_to_string(root().join(compiled)).unwrap()]);
}

/// Each word as a line.
fn lines(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn an_ellipsis_stands_for_any_number_of_lines() {
    let expected = lines("a … z");
    assert!(agrees(&expected, &lines("a z")));
    assert!(agrees(&expected, &lines("a b c z")));
    assert!(!agrees(&expected, &lines("a b")));
    assert!(!agrees(&expected, &lines("b z")));
}

#[test]
fn an_update_shows_as_many_lines_as_before_from_the_same_words_on() {
    let now = lines("a2 b2 c2 m2 n2 x2 y2 z2");
    // The first two, the one that begins with `m`, the last one.
    assert_eq!(
        refreshed(&lines("a1 b1 … m1 … z1"), &now),
        lines("a2 b2 … m2 … z2")
    );
    // Nothing begins with `q` any more.
    let lost = lines("a1 … q1 … z1");
    assert_eq!(refreshed(&lost, &now), lost);
    assert_eq!(refreshed(&lines("a1 z1"), &now), now);
    assert_eq!(refreshed(&lines("… z1"), &now), lines("… z2"));
}

#[test]
fn an_update_leaves_everything_else_alone() {
    let page = "# T\n\n```console\n$ sweep a\nold\n$ scripts/test\n```\n\n```sh\n$ sweep a\nold\n```\nend\n";
    let ran = BTreeMap::from([("a".to_owned(), lines("new lines"))]);
    let expected = page.replacen("old", "new\nlines", 1);
    assert_eq!(updated(page, &ran), expected);
}

// The page is held to the program by a test of its own; the fifth and sixth cell of a row are median and mean.
#[test]
fn the_errors_of_the_readme_are_those_of_the_accuracy_page() {
    let (readme, page) = (read_page("README.md"), read_page("docs/accuracy.md"));
    for family in ["decoder", "moe"] {
        let begin = format!("| step, {family} |");
        let row = page.lines().find(|line| line.starts_with(&begin)).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for error in &cells[4..6] {
            assert!(readme.contains(error), "{error} of {row}");
        }
    }
}

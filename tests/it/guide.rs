//! The pages of the guide: links lead somewhere, contents name every page, commands exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::desk::Desk;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read_page(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// README, then the pages of the guide as `docs/SUMMARY.md` lists them.
pub(crate) fn guide_pages() -> Vec<String> {
    let listed = links(&read_page("docs/SUMMARY.md"));
    let pages = listed.iter().map(|page| format!("docs/{page}"));
    ["README.md".to_owned()].into_iter().chain(pages).collect()
}

/// Lines of a page outside its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Targets of the links and pictures of a page.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        for after in line.split("](").skip(1) {
            targets.extend(after.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    targets
}

/// Anchors of a page's headings, as GitHub and mdBook name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let slugs = headings.map(|heading| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = times.entry(slug.clone()).or_default();
        *before += 1;
        if *before == 1 {
            slug
        } else {
            format!("{slug}-{}", *before - 1)
        }
    });
    slugs.collect()
}

/// The pages that lie in `docs/`, the contents themselves left out.
fn pages_in_docs() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "SUMMARY.md")
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut pages = guide_pages();
    pages.extend(["docs/SUMMARY.md", "CHANGELOG.md", "python/README.md"].map(str::to_owned));
    let mut wrong = Vec::new();
    for page in pages {
        let text = read_page(&page);
        for target in links(&text).iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(&page),
                file => root().join(&page).parent().unwrap().join(file),
            };
            let found = path.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&path).unwrap()).contains(anchor));
            if !found {
                wrong.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn the_contents_name_every_page_once() {
    let listed = links(&read_page("docs/SUMMARY.md"));
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(
        listed.len(),
        once.len(),
        "docs/SUMMARY.md names a page twice"
    );
    assert_eq!(once, pages_in_docs(), "docs/SUMMARY.md against docs/");
    let guide: BTreeSet<String> = links(&read_page("docs/README.md")).into_iter().collect();
    let missing: Vec<&String> = listed
        .iter()
        .filter(|page| *page != "README.md" && !guide.contains(*page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md lacks {missing:?}");
}

/// Words of `sweep …` in a page's text between backticks, and of its blocks of shell.
fn commands_named(text: &str) -> Vec<Vec<&str>> {
    let quoted = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2));
    let mut typed = Vec::new();
    let mut shell = false;
    for line in text.lines() {
        if line.starts_with("```") {
            shell = line == "```sh";
        } else if shell {
            typed.push(line);
        }
    }
    let commands = quoted.chain(typed).map(|code| code.split_whitespace());
    commands
        .map(Iterator::collect::<Vec<_>>)
        .filter(|words| words.len() > 1 && words[0] == "sweep")
        .collect()
}

#[test]
fn every_command_that_a_page_names_exists_with_its_options() {
    let desk = Desk::new();
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut held = 0;
    for page in guide_pages() {
        let text = read_page(&page);
        for words in commands_named(&text) {
            let lower = words[1].chars().all(|c| c.is_ascii_lowercase());
            let given: &[&str] = if lower {
                &[words[1], "--help"]
            } else {
                &["--help"]
            };
            let help = helps
                .entry(given.join(" "))
                .or_insert_with(|| desk.sweep(given).expect_code(0).stdout);
            let options = words.iter().filter(|word| word.starts_with("--"));
            for option in options.filter_map(|word| word.split('=').next()) {
                let exact = |word: &str| word.trim_end_matches(',') == option;
                if !help.split_whitespace().any(exact) {
                    wrong.push(format!("{page}: `{}`", words.join(" ")));
                }
            }
            held += 1;
        }
    }
    assert!(held >= 30, "{held} commands are named");
    assert!(wrong.is_empty(), "no such option:\n{}", wrong.join("\n"));
}

// The codes of `sweep --help`, each with a row in the one table of the guide; scripts/nightly is told to have the same.
#[test]
fn the_table_of_exit_codes_has_those_of_the_help() {
    let help = Desk::new().sweep(&["--help"]).expect_code(0).stdout;
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    let of_help: Vec<&str> = codes
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.parse::<u8>().is_ok())
        .collect();
    let page = read_page("docs/nights.md");
    let (_, table) = page
        .split_once("| code | means | says it |\n|---:|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let of_table: Vec<&str> = rows
        .map(|row| row.split('|').nth(1).unwrap().trim())
        .collect();
    assert_eq!(of_help, of_table);
    assert_eq!(of_help, ["0", "1", "2", "3", "130", "143"]);
}

// Pages of the book link to one another alone; what lies beside `docs/` is named. tests/book.py holds the book itself.
#[test]
fn no_link_leads_out_of_the_book() {
    let book: toml::Table = read_page("docs/book.toml").parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("."));
    let outside = pages_in_docs().into_iter().flat_map(|page| {
        let targets = links(&read_page(&format!("docs/{page}"))).into_iter();
        let outside = targets.filter(|target| target.starts_with("../"));
        outside
            .map(move |target| format!("{page}: {target}"))
            .collect::<Vec<_>>()
    });
    assert_eq!(outside.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn anchors_are_those_of_github() {
    let page = "# A chart\n```\n# no heading\n```\n## How, `auto`?\n## A chart\n";
    let expected = ["a-chart", "how-auto", "a-chart-1"].map(str::to_owned);
    assert_eq!(anchors(page), BTreeSet::from(expected));
}

#[test]
fn links_in_code_are_none() {
    let page = "[a](b.md) and ![c](d.png#e)\n```\n[f](g.md)\n```\n";
    assert_eq!(links(page), ["b.md", "d.png#e"]);
}

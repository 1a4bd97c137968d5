//! The rooms keep to their floors, and packages to their rooms.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Packages that only some rooms may name.
const OWNERS: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["spec"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("parquet", &["record"]),
    ("rayon", &["runner", "validation", "whatif"]),
    ("signal_hook", &["runner"]),
];

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Room to floor, from the table at the head of `src/lib.rs`.
fn floors() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(source_folder().join("lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, floor, rooms, ..] = cells[..] else {
            continue;
        };
        let Ok(floor) = floor.parse() else {
            continue;
        };
        for room in rooms.split(',') {
            let room = room.trim().trim_start_matches("[`").trim_end_matches("`]");
            floors.insert(room.to_owned(), floor);
        }
    }
    floors
}

/// Every source file with the room it belongs to.
fn files() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![source_folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(source_folder()).unwrap();
                let first = relative.iter().next().unwrap().to_str().unwrap();
                found.push((first.trim_end_matches(".rs").to_owned(), path));
            }
        }
    }
    found.sort();
    found
}

/// Code without comments and without the tests at its foot, which may name any room; text in quotes
/// stays, which no path in this crate resembles.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let product = if path.ends_with("tests.rs") {
        ""
    } else {
        text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
    };
    product
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names that follow `prefix` in the code: `crate::a` gives `a`, `crate::{a, b::c}` gives `a`, `b`.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect()
    };
    code.match_indices(prefix)
        .filter(|(at, _)| {
            let before = code[..*at].chars().next_back().unwrap_or(' ');
            !(before.is_alphanumeric() || before == '_')
        })
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                None => vec![name(rest)],
                Some(group) => {
                    let mut depth = 0;
                    let mut names = vec![name(group)];
                    for (place, letter) in group.char_indices() {
                        match letter {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => names.push(name(&group[place + 1..])),
                            _ => {}
                        }
                    }
                    names
                }
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn a_room_names_only_rooms_on_lower_floors() {
    let floors = floors();
    let mut wrong = Vec::new();
    for (room, path) in files() {
        if room == "lib" || room == "main" {
            continue;
        }
        let Some(own) = floors.get(&room) else {
            wrong.push(format!("`{room}` has no floor in src/lib.rs"));
            continue;
        };
        for named in names_after(&code(&path), "crate::") {
            if let Some(floor) = floors.get(&named)
                && named != room
                && floor >= own
            {
                wrong.push(format!(
                    "{}: `{room}` on floor {own} names `{named}` on floor {floor}",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_of_the_table_is_there() {
    let floors = floors();
    assert!(
        floors.len() > 10,
        "the table in src/lib.rs was read: {floors:?}"
    );
    for room in floors.keys() {
        let folder = source_folder().join(room);
        let file = source_folder().join(format!("{room}.rs"));
        assert!(
            folder.is_dir() || file.is_file(),
            "there is no room `{room}`"
        );
    }
}

#[test]
fn a_package_is_named_only_by_its_owners() {
    let mut wrong = Vec::new();
    for (room, path) in files() {
        let code = code(&path);
        for (package, owners) in OWNERS {
            let prefix = format!("{package}::");
            if !owners.contains(&room.as_str()) && !names_after(&code, &prefix).is_empty() {
                wrong.push(format!("{}: `{room}` names `{package}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// The reader of `use` lines is itself easy to get wrong.
#[test]
fn names_are_read_from_single_and_grouped_paths() {
    let code =
        "use crate::units::Bytes;\nuse crate::{model::{A, B}, stack};\nlet x = subcrate::no;";
    assert_eq!(names_after(code, "crate::"), ["units", "model", "stack"]);
}

//! Rooms keep to their floors, files of a room form no import cycle, packages keep to their rooms.
//!
//! Every file of `src/` is read as tokens (comments, strings and tests left out). A path that starts
//! with `crate`, `super`, `self` or a child module is followed, through re-exports, to the file that
//! defines what it names: that is an import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Packages and the rooms that may name them; no room for those that every room may name.
const OWNERS: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["spec"]),
    ("arrow", &["record", "analysis", "runner", "commands"]),
    (
        "blake3",
        &["analysis", "catalog", "record", "runner", "spec"],
    ),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    (
        "csv",
        &[
            "measured",
            "validation",
            "interval",
            "report",
            "cli",
            "commands",
        ],
    ),
    ("hdrhistogram", &["runner", "simulation"]),
    ("humantime", &["runner"]),
    ("indicatif", &["cli"]),
    ("itertools", &[]),
    ("libm", &[]),
    ("log", &[]),
    ("maud", &["report"]),
    // The binary alone.
    ("mimalloc", &[]),
    ("parquet", &["record"]),
    ("rayon", &["runner", "validation", "whatif"]),
    ("resvg", &["report"]),
    ("roaring", &["runner"]),
    ("roxmltree", &["collective"]),
    ("rustix", &["files"]),
    ("schemars", &[]),
    ("serde", &[]),
    ("serde_json", &[]),
    ("serde_saphyr", &["spec"]),
    ("signal_hook", &["runner"]),
    ("strsim", &["spelling"]),
    ("thiserror", &[]),
    (
        "toml",
        &[
            "data_table",
            "hardware",
            "catalog",
            "collective",
            "measured",
            "spec",
            "validation",
            "commands",
        ],
    ),
];

/// The code of one module: `collective::schedule::ring` is `["collective", "schedule", "ring"]`.
struct Module {
    path: Vec<String>,
    file: PathBuf,
    /// How often each identifier stands in it, tests left out.
    names: BTreeMap<String, usize>,
    /// Names that it re-exports, each with the path it stands for.
    exports: BTreeMap<String, Vec<String>>,
    /// Paths that are named outside re-exports, as written.
    paths: BTreeSet<Vec<String>>,
    /// Modules that it declares.
    children: BTreeSet<String>,
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every module by its path; those that are declared for tests only are left out.
static MODULES: LazyLock<BTreeMap<Vec<String>, Module>> = LazyLock::new(|| {
    let mut found = BTreeMap::new();
    read_module(&[], &source_folder().join("lib.rs"), &mut found);
    found
});

fn read_module(path: &[String], file: &Path, found: &mut BTreeMap<Vec<String>, Module>) {
    let text = fs::read_to_string(file).unwrap();
    let tokens: TokenStream = text.parse().unwrap();
    let tokens = without_tests(tokens);
    let mut module = Module {
        path: path.to_vec(),
        file: file.to_owned(),
        exports: BTreeMap::new(),
        paths: BTreeSet::new(),
        children: children(&tokens),
        names: BTreeMap::new(),
    };
    module.read_paths(&tokens);
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    for child in &module.children {
        let path: Vec<String> = path.iter().chain([child]).cloned().collect();
        let flat = folder.join(format!("{child}.rs"));
        let file = if flat.is_file() {
            flat
        } else {
            folder.join(child).join("mod.rs")
        };
        read_module(&path, &file, found);
    }
    found.insert(path.to_vec(), module);
}

/// Tokens without `#[cfg(test)]` items, at any depth of the top level.
fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_attribute = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == '#');
        let for_tests = is_attribute
            && tokens
                .peek()
                .is_some_and(|next| next.to_string().replace(' ', "") == "[cfg(test)]");
        if !for_tests {
            kept.push(token);
            continue;
        }
        // The item ends with its body in braces or with a semicolon.
        for skipped in tokens.by_ref() {
            match skipped {
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => break,
                TokenTree::Punct(mark) if mark.as_char() == ';' => break,
                TokenTree::Group(_)
                | TokenTree::Punct(_)
                | TokenTree::Ident(_)
                | TokenTree::Literal(_) => {}
            }
        }
    }
    kept
}

/// Names in `mod name;`.
fn children(tokens: &[TokenTree]) -> BTreeSet<String> {
    tokens
        .windows(3)
        .filter(|window| window[0].to_string() == "mod" && window[2].to_string() == ";")
        .map(|window| window[1].to_string())
        .collect()
}

impl Module {
    fn read_paths(&mut self, tokens: &[TokenTree]) {
        let mut start = 0;
        // A re-export runs from `pub` (or `pub(…)`) `use` to the semicolon.
        while start < tokens.len() {
            let after = usize::from(is_restriction(tokens.get(start + 1)));
            let exports = tokens[start].to_string() == "pub"
                && tokens
                    .get(start + 1 + after)
                    .is_some_and(|token| token.to_string() == "use");
            let end = if exports {
                let length = tokens[start..]
                    .iter()
                    .position(|token| token.to_string() == ";");
                start + length.unwrap()
            } else {
                start + 1
            };
            if exports {
                let mut leaves = Vec::new();
                use_leaves(&tokens[start + 2 + after..end], &[], &mut leaves);
                for (path, name) in leaves {
                    self.exports.insert(name, path);
                }
            }
            start = end.max(start + 1);
        }
        self.collect_paths(tokens);
        count_names(tokens, &mut self.names);
        // A name that a module re-exports and uses itself is an import of its own.
        for (name, path) in &self.exports {
            if self.names.get(name).is_some_and(|count| *count > 1) {
                self.paths.insert(path.clone());
            } else {
                self.paths.remove(path);
            }
        }
    }

    /// Notes every path that starts with `crate`, `super`, `self` or a child module.
    fn collect_paths(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                // `pub(in crate::spec)` restricts a name and imports none.
                TokenTree::Group(_) if at > 0 && tokens[at - 1].to_string() == "pub" => {}
                TokenTree::Group(group) => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.collect_paths(&inside);
                }
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    let starts = ["crate", "super", "self"].contains(&name.as_str())
                        || self.children.contains(&name);
                    let follows_path = at >= 2 && is_mark(&tokens[at - 1], ':');
                    if starts && !follows_path && is_separator(tokens, at + 1) {
                        let mut leaves = Vec::new();
                        use_leaves(&tokens[at..], &[], &mut leaves);
                        self.paths.extend(leaves.into_iter().map(|(path, _)| path));
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    tokens.len() > at + 1 && is_mark(&tokens[at], ':') && is_mark(&tokens[at + 1], ':')
}

fn is_restriction(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

fn count_names(tokens: &[TokenTree], counts: &mut BTreeMap<String, usize>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                count_names(&inside, counts);
            }
            TokenTree::Ident(name) => *counts.entry(name.to_string()).or_default() += 1,
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// The paths of a use tree (`a::{b, c::d as e}`), each with the name it brings in.
fn use_leaves(tokens: &[TokenTree], above: &[String], leaves: &mut Vec<(Vec<String>, String)>) {
    let mut path = above.to_vec();
    let mut at = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(name)) => {
                path.push(name.to_string());
                at += 1;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in inside.split(|token| is_mark(token, ',')) {
                    if !branch.is_empty() {
                        use_leaves(branch, &path, leaves);
                    }
                }
                return;
            }
            // `*`, or a path in an expression that ends here.
            Some(TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) | None => break,
        }
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    let renamed = tokens
        .get(at)
        .is_some_and(|token| token.to_string() == "as");
    let name = if renamed {
        tokens[at + 1].to_string()
    } else {
        path.last().cloned().unwrap_or_default()
    };
    leaves.push((path, name));
}

/// The module that defines what `path`, written in `from`, names; `None` outside this crate.
fn defining_module(from: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut at = from.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        first if MODULES[from].children.contains(first) => {}
        _ => return None,
    }
    while let Some(name) = rest.first() {
        let module = &MODULES[&at];
        if module.children.contains(name) {
            at.push(name.clone());
            rest = &rest[1..];
        } else if let Some(target) = module.exports.get(name) {
            let mut target = target.clone();
            if target.last().is_some_and(|last| last == "self") {
                target.pop();
            }
            let defined = defining_module(&at, &target)?;
            return Some(defined);
        } else {
            break;
        }
    }
    Some(at)
}

/// Files that each file imports from, by module path.
fn imports() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    MODULES
        .values()
        .map(|module| {
            let named = module
                .paths
                .iter()
                .filter_map(|path| defining_module(&module.path, path))
                .filter(|defined| *defined != module.path)
                .collect();
            (module.path.clone(), named)
        })
        .collect()
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

#[test]
fn a_room_names_only_rooms_on_lower_floors() {
    let floors = floors();
    let mut wrong = Vec::new();
    for (path, named) in imports() {
        let Some(room) = path.first() else {
            continue;
        };
        let Some(own) = floors.get(room) else {
            wrong.push(format!("`{room}` has no floor in src/lib.rs"));
            continue;
        };
        for other in named.iter().filter_map(|defined| defined.first()) {
            if other != room && floors.get(other).is_some_and(|floor| floor >= own) {
                wrong.push(format!(
                    "{}: `{room}` on floor {own} names `{other}` on floor {}",
                    MODULES[&path].file.display(),
                    floors[other]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_of_the_table_is_there() {
    let floors = floors();
    let rooms = &MODULES[&Vec::new()].children;
    assert!(floors.len() > 10, "the table in src/lib.rs: {floors:?}");
    assert_eq!(
        floors.keys().collect::<Vec<_>>(),
        rooms.iter().collect::<Vec<_>>()
    );
}

/// The shortest way from `start` back to itself, if there is one.
fn cycle_through<'a>(
    imports: &'a BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    start: &'a Vec<String>,
) -> Option<Vec<&'a Vec<String>>> {
    let mut paths = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in &paths {
            for next in imports.get(*path.last()?).into_iter().flatten() {
                let mut path = path.clone();
                path.push(next);
                if next == start {
                    return Some(path);
                }
                if seen.insert(next) {
                    longer.push(path);
                }
            }
        }
        paths = longer;
    }
    None
}

#[test]
fn no_files_import_from_one_another_in_a_cycle() {
    let imports = imports();
    let mut cycles = BTreeMap::new();
    for module in imports.keys() {
        if let Some(cycle) = cycle_through(&imports, module) {
            let mut members: Vec<_> = cycle[1..].to_vec();
            members.sort();
            let text: Vec<String> = cycle.iter().map(|path| path.join("::")).collect();
            cycles.entry(members).or_insert(text.join(" -> "));
        }
    }
    let cycles: Vec<String> = cycles.into_values().collect();
    assert!(
        cycles.is_empty(),
        "{} cycles\n{}",
        cycles.len(),
        cycles.join("\n")
    );
}

#[test]
fn a_package_is_named_only_by_its_owners() {
    let mut wrong = Vec::new();
    for module in MODULES.values() {
        let Some(room) = module.path.first() else {
            continue;
        };
        for (package, owners) in OWNERS.iter().filter(|(_, owners)| !owners.is_empty()) {
            if module.names.contains_key(*package) && !owners.contains(&room.as_str()) {
                wrong.push(format!(
                    "{}: `{room}` names `{package}`",
                    module.file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_has_an_owner() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let of_unix = &manifest["target"]["cfg(unix)"]["dependencies"];
    let packages: BTreeSet<String> = [&manifest["dependencies"], of_unix]
        .into_iter()
        .flat_map(|table| table.as_table().unwrap().keys())
        .map(|package| package.replace('-', "_"))
        .collect();
    let owned: BTreeSet<String> = OWNERS
        .iter()
        .map(|(package, _)| (*package).to_owned())
        .collect();
    assert_eq!(packages, owned);
}

// The reader of tokens is itself easy to get wrong.
#[test]
fn paths_are_read_through_groups_renames_and_re_exports() {
    let leaves = |text: &str| {
        let tokens: Vec<TokenTree> = text.parse::<TokenStream>().unwrap().into_iter().collect();
        let mut leaves = Vec::new();
        use_leaves(&tokens, &[], &mut leaves);
        leaves
            .into_iter()
            .map(|(path, name)| format!("{} as {name}", path.join("::")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        leaves("crate::{units::Bytes, model::{self, Layer as L}}"),
        [
            "crate::units::Bytes as Bytes",
            "crate::model::self as self",
            "crate::model::Layer as L"
        ]
    );

    let spec = ["spec".to_owned()];
    let path = ["crate", "units", "Bytes"].map(str::to_owned);
    assert_eq!(
        defining_module(&spec, &path),
        Some(vec!["units".to_owned()])
    );
    // The front door of a room re-exports what a file inside defines.
    let path = ["super", "spec", "Axis"].map(str::to_owned);
    let defined = defining_module(&spec, &path).unwrap();
    assert_eq!(defined, ["spec", "axis"]);
}

//! Lists the files of the catalogue, so that a preset is a file in `data/` and nothing else.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Folders of `data/` that the catalogue reads, with the member of `catalog::Kind` for each.
const FOLDERS: [(&str, &str); 5] = [
    ("clusters", "Clusters"),
    ("gpus", "Gpus"),
    ("models", "Models"),
    ("stacks", "Stacks"),
    ("prices", "Prices"),
];

fn main() {
    let data = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("data");
    let mut list = "&[\n".to_owned();
    for (folder, kind) in FOLDERS {
        let folder = data.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut names: Vec<String> = fs::read_dir(&folder)
            .expect("the folder is part of the sources")
            .map(|entry| entry.expect("a folder can be listed").file_name())
            .filter_map(|name| Some(name.to_str()?.strip_suffix(".toml")?.to_owned()))
            .collect();
        names.sort();
        for name in names {
            let path = folder.join(format!("{name}.toml"));
            let path = path.to_str().expect("cargo's own paths are UTF-8");
            writeln!(
                list,
                "File {{ kind: Kind::{kind}, name: {name:?}, text: include_str!({path:?}) }},"
            )
            .expect("a text can be written to");
        }
    }
    list.push(']');
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("catalog_files.rs"), list).expect("the folder is cargo's own");
}

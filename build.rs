//! Lists the files of the catalogue, so that a preset is a file in `data/` and nothing else; tells builds apart.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Folders of `data/` that the catalogue reads, with the member of `catalog::Kind` for each.
const FOLDERS: [(&str, &str); 5] = [
    ("clusters", "Clusters"),
    ("gpus", "Gpus"),
    ("models", "Models"),
    ("stacks", "Stacks"),
    ("prices", "Prices"),
];

/// Files that the program is made of.
const SOURCES: [&str; 3] = ["Cargo.lock", "data", "src"];

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    list_catalog(&root.join("data"));
    name_build(&root);
}

/// Names the build by its sources, so that two builds of one version are told apart and debug and release are not, and the
/// revision that was checked out.
fn name_build(root: &Path) {
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
        add_files(&root.join(source), &mut files);
    }
    files.sort();
    let mut hash = Fnv::default();
    for file in files {
        let name = file.strip_prefix(root).expect("it lies in the sources");
        let name = name.to_str().expect("cargo's own paths are UTF-8");
        // Paths have other separators elsewhere.
        hash.add(name.replace('\\', "/").as_bytes());
        hash.add(&fs::read(&file).expect("the file is part of the sources"));
    }
    println!("cargo::rustc-env=CLUSTERSWEEP_BUILD={:016x}", hash.0);
    let git = Command::new("git")
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
            "--exclude=*",
        ])
        .current_dir(root)
        .output();
    let described = git.ok().filter(|it| it.status.success());
    let revision = described.and_then(|it| String::from_utf8(it.stdout).ok());
    let revision = revision.as_deref().map_or("unknown", str::trim);
    println!("cargo::rustc-env=CLUSTERSWEEP_REVISION={revision}");
}

/// The files at or under a path; none where a package lacks it.
fn add_files(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else {
        files.extend(path.is_file().then(|| path.to_owned()));
        return;
    };
    for entry in entries {
        add_files(&entry.expect("a folder can be listed").path(), files);
    }
}

/// FNV-1a of 64 bits, of texts each with its length: enough to tell builds apart.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &[u8]) {
        for byte in (text.len() as u64).to_le_bytes().iter().chain(text) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn list_catalog(data: &Path) {
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

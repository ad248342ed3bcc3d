//! Embeds every file under `sql/`, so that adding a check means adding a file and no Rust; and makes a test of every fixture under
//! `fixtures/databases/`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=sql");
    println!("cargo::rerun-if-changed=fixtures/databases");
    println!("cargo::rerun-if-changed=src/build.rs");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let paths = sql_files(&root.join("sql"));
    write(&out.join("sql_files.rs"), &embedded(&root, &paths));
    write(&out.join("fixture_cases.rs"), &fixture_cases(&root, &paths));
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("OUT_DIR is writable");
}

/// The files as a list of their paths and texts.
fn embedded(root: &Path, paths: &[PathBuf]) -> String {
    let mut source = String::from("&[\n");
    for path in paths {
        let name = relative(root, path);
        println!("cargo::rerun-if-changed={name}");
        writeln!(source, "    ({name:?}, include_str!({path:?})),").expect("writing to a string");
    }
    source + "]\n"
}

/// For each folder of rules a macro that is given another one, and calls it with a test's name, a stem and a fixture's name.
fn fixture_cases(root: &Path, sql_files: &[PathBuf]) -> String {
    let mut source = String::new();
    for (macro_name, folder) in
        [("each_check", "sql/checks"), ("each_fix", "sql/fixes"), ("each_hazard", "sql/hazards")]
    {
        writeln!(source, "macro_rules! {macro_name} {{\n    ($case:ident) => {{")
            .expect("writing to a string");
        for stem in stems(root, sql_files, folder) {
            // A package without its tests has no fixtures.
            let mut fixtures = files(&root.join("fixtures/databases").join(&stem));
            fixtures.sort();
            for name in fixtures.iter().filter_map(|path| path.file_stem()?.to_str()) {
                let case = format!("{stem}_{name}").to_lowercase().replace('-', "_");
                writeln!(source, "        $case!({case}, {stem:?}, {name:?});").expect("writing to a string");
            }
        }
        source += "    };\n}\n";
    }
    source
}

/// The stems of the files in a folder, each once: `EVO101_orphaned_reference`.
fn stems(root: &Path, sql_files: &[PathBuf], folder: &str) -> Vec<String> {
    let names = sql_files.iter().map(|path| relative(root, path));
    let in_folder = names.filter_map(|name| Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_owned()));
    let mut stems: Vec<String> =
        in_folder.filter_map(|name| name.split('.').next().map(str::to_owned)).collect();
    stems.dedup();
    stems
}

fn relative(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).expect("collected under the root");
    relative.to_str().expect("file names under sql/ are UTF-8").replace('\\', "/")
}

/// All SQL files below a folder, sorted.
fn sql_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for path in files(folder) {
        if path.is_dir() {
            paths.extend(sql_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// What is in a folder; nothing where it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

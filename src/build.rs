//! Embeds every file under `sql/`, so that adding a check means adding a file and no Rust.

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=sql");
    println!("cargo::rerun-if-changed=src/build.rs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let mut paths = Vec::new();
    collect(&Path::new(&root).join("sql"), &mut paths);
    paths.sort();

    let mut source = String::from("&[\n");
    for path in paths {
        let name = path
            .strip_prefix(&root)
            .expect("collected under the root")
            .to_str()
            .expect("file names under sql/ are UTF-8")
            .replace('\\', "/");
        println!("cargo::rerun-if-changed={name}");
        writeln!(source, "    ({name:?}, include_str!({path:?})),").expect("writing to a string");
    }
    source.push_str("]\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("sql_files.rs");
    fs::write(out, source).expect("OUT_DIR is writable");
}

fn collect(directory: &Path, paths: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).expect("sql/ exists") {
        let path = entry.expect("sql/ is readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
}

//! A dump is examined like the database it comes from, whatever pg_dump made of it, and cannot do any harm.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::cluster::in_memory;
use crate::support::database::TestDatabase;
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run, on};

mod errors;
mod hostile;
mod stale_directories;

/// A folder with dumps.
pub struct Dumps {
    folder: TempDir,
}

impl Dumps {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs pg_dump on a database.
    pub fn dump(&self, database: &TestDatabase, name: &str, options: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut command = Command::new("pg_dump");
        command.args(options).arg("--file").arg(&path).arg("--dbname").arg(database.url());
        let output = command.output().expect("tests/setup.sh installs pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// Runs a command on a dump.
pub fn snapshot(path: &Path, arguments: &[&str]) -> Run {
    with_snapshot(path, arguments).run()
}

pub fn with_snapshot(path: &Path, arguments: &[&str]) -> Evodoctor {
    let arguments = arguments.iter().map(OsStr::new).chain([OsStr::new("--snapshot"), path.as_os_str()]);
    let program = Evodoctor::new(arguments).env("TMPDIR", in_memory().unwrap_or_else(std::env::temp_dir));
    // What names a live database must not be looked at.
    program
        .env("DATABASE_URL", "postgresql://nobody@192.0.2.1/none")
        .env("PGHOST", "192.0.2.1")
        .env("PGUSER", "nobody")
}

/// Code and key of every finding.
fn keys(run: &Run) -> BTreeSet<(String, String)> {
    let text = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let report = run.json();
    report["findings"].as_array().unwrap().iter().map(|f| (text(f, "code"), text(f, "key"))).collect()
}

/// A database with orphaned rows under constraints that are missing or claim to be valid.
async fn careless() -> TestDatabase {
    Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await
}

#[tokio::test]
async fn every_format_gives_the_findings_of_the_live_database() {
    let database = careless().await;
    let live = keys(&on(&database.url(), &["check", "--format", "json"]).ends(1));
    assert!(live.iter().any(|(code, _)| code == "EVO101"), "{live:?}");
    let dumps = Dumps::new();
    let plain = fs::read(dumps.dump(&database, "plain.sql", &[])).unwrap();
    let custom = fs::read(dumps.dump(&database, "custom", &["-Fc"])).unwrap();
    dumps.write("plain.gz", gzip(&plain));
    dumps.write("plain.zst", zstd::encode_all(&plain[..], 1).unwrap());
    dumps.write("custom.gz", gzip(&custom));
    dumps.dump(&database, "inserts.sql", &["--create", "--clean", "--inserts"]);
    dumps.dump(&database, "tar", &["-Ft"]);
    dumps.dump(&database, "directory", &["-Fd", "-j2"]);
    dumps.dump(&database, "one-schema", &["-Fc", "-Z0", "-n", "evolution_api"]);
    let formats = [
        ("plain.sql", "plain"),
        ("plain.gz", "plain"),
        ("plain.zst", "plain"),
        ("inserts.sql", "plain"),
        ("custom", "custom"),
        ("custom.gz", "custom"),
        ("tar", "tar"),
        ("directory", "directory"),
        ("one-schema", "custom"),
    ];
    for (name, format) in formats {
        let run = snapshot(&dumps.path(name), &["check", "--format", "json"]);
        assert_eq!(run.code, Some(1), "{name}: {}", run.stderr);
        let restore = &run.json()["database"]["restore"];
        let found = keys(&run);
        // A key whose rows break it claims here, too, to be valid.
        assert_eq!(found, live, "{name}");
        assert_eq!(restore["complaints"], serde_json::json!([]), "{name}");
        assert_eq!(restore["format"], format, "{name}");
        assert!(restore["dumped_from"].is_string() && restore["dumped_by"].is_string(), "{name}: {restore}");
        assert_eq!(restore["without_rows"], serde_json::json!([]), "{name}");
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_command_takes_a_dump_and_none_changes_it_for_good() {
    let database = careless().await;
    let dumps = Dumps::new();
    let dump = dumps.dump(&database, "evolution.dump", &["-Fc"]);
    let fixed = snapshot(&dump, &["fix", "EVO101", "EVO202", "--format", "json"]).ends(1).json();
    let live = on(&database.url(), &["fix", "EVO101", "EVO202", "--format", "json"]).ends(1).json();
    let rows = |report: &serde_json::Value| {
        let fixes = report["fixes"].as_array().unwrap().clone();
        fixes
            .iter()
            .map(|fix| (fix["code"].clone(), fix["row_diff"].as_array().unwrap().len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&fixed), rows(&live));
    let credentials = |report: &serde_json::Value| report["credentials"].clone();
    let list = ["credentials", "list", "--show-rows", "--format", "json"];
    assert_eq!(
        credentials(&snapshot(&dump, &list).ends(0).json()),
        credentials(&on(&database.url(), &list).ends(0).json())
    );
    let log = dumps.write(
        "access.log",
        "1.2.3.4 - - [21/Nov/2026:10:00:01 +0000] \"GET /instance/connectionState/x HTTP/1.1\" 404 61\n",
    );
    let log = log.to_str().unwrap();
    let run = snapshot(&dump, &["logs", log, "--format", "json"]);
    assert_eq!(run.json()["database"]["name"], database.name(), "{}", run.stderr);
    snapshot(&dump, &["history"]).ends(0);
    for arguments in [&["fix", "--apply"][..], &["undo", "1", "--apply"], &["fix", "--plan-out", "plan.json"]]
    {
        snapshot(&dump, arguments).ends(2).complains(&["removed afterwards", "next: "]);
    }
    for both in [["--database-url", "postgresql://h/d"], ["--env-file", ".env"]] {
        snapshot(&dump, &[&["check"][..], &both].concat()).ends(2).complains(&["cannot be used with"]);
    }
}

#[tokio::test]
async fn objects_of_the_original_server_do_not_block_a_restore() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let plain = fs::read_to_string(dumps.dump(&database, "plain.sql", &[])).unwrap();
    let foreign = "\\restrict abc\nSET transaction_timeout = 0;\nCREATE EXTENSION IF NOT EXISTS nosuch WITH SCHEMA public;\n\
         COMMENT ON EXTENSION nosuch IS 'x';\nCREATE ROLE evolution SUPERUSER;\n\
         CREATE PUBLICATION nosuch FOR ALL TABLES;\nCREATE FUNCTION public.f() RETURNS int LANGUAGE nosuch AS $$;$$;\n\
         GRANT ALL ON SCHEMA public TO evolution;\n\\unrestrict abc\n";
    let owners = plain.replace("OWNER TO postgres", "OWNER TO evolution");
    let dump = dumps.write("foreign.sql", format!("{foreign}{owners}"));
    let report = snapshot(&dump, &["check", "--format", "json", "--fail-on", "error"]).ends(0).json();
    assert_eq!(report["database"]["restore"]["complaints"], serde_json::json!([]));
    assert!(report["database"]["restore"]["ignored"].as_u64().unwrap() >= 6, "{report}");
    assert_eq!(report["release"]["from"], "2.3.7");
    let text = snapshot(&dump, &["check", "--fail-on", "error"]).ends(0).stdout;
    assert!(text.contains("foreign.sql") && !text.contains("nosuch"), "{text}");
}

#[tokio::test]
async fn the_evolution_database_of_a_cluster_dump_is_selected() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let other = "--\n-- PostgreSQL database cluster dump\n--\nCREATE ROLE x;\n\\connect template1\n\
         CREATE TABLE public.t (a int);\n\\connect -reuse-previous=on \"dbname='evo db'\"\n";
    let plain = fs::read_to_string(dumps.dump(&database, "plain.sql", &[])).unwrap();
    let dump = dumps.write(
        "cluster.sql",
        format!("{other}{plain}--\n-- PostgreSQL database cluster dump complete\n--\n"),
    );
    let report = snapshot(&dump, &["check", "--format", "json", "--fail-on", "error"]).ends(0).json();
    assert_eq!(report["database"]["name"], "evo db");
}

#[tokio::test]
async fn rows_that_a_dump_lacks_make_checks_undecided_and_never_clean() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    for (name, options) in
        [("schema.dump", &["-Fc", "--schema-only"][..]), ("schema.sql", &["--schema-only"])]
    {
        let dump = dumps.dump(&database, name, options);
        let run = snapshot(&dump, &["check", "--fail-on", "error"]).ends(3);
        assert!(run.stdout.contains("this dump has none"), "{}", run.stdout);
    }
    let without_messages = ["-Fc", "--exclude-table-data=evolution_api.\"Message\""];
    let dump = dumps.dump(&database, "partial.dump", &without_messages);
    let report = snapshot(&dump, &["check", "--format", "json", "--select", "EVO101,EVO104"]).ends(3).json();
    assert_eq!(report["database"]["restore"]["without_rows"], serde_json::json!(["Message"]));
    let outcome = |code: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["code"] == code).unwrap()["outcome"].clone()
    };
    assert_eq!((outcome("EVO101"), outcome("EVO104")), ("undecided".into(), "clean".into()));
}

#[tokio::test]
async fn a_dump_of_single_tables_gets_missing_schema_and_types() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let tables = ["Instance", "Chat", "Contact", "Message", "Session", "Setting", "_prisma_migrations"];
    let tables = tables.map(|name| format!("--table=evolution_api.\"{name}\""));
    for (name, format) in [("tables.dump", "-Fc"), ("tables.sql", "-Fp")] {
        let options: Vec<&str> = [format].into_iter().chain(tables.iter().map(String::as_str)).collect();
        let dump = dumps.dump(&database, name, &options);
        let check = ["check", "--format", "json", "--select", "EVO101,EVO104"];
        let report = snapshot(&dump, &check).json();
        assert_eq!(report["release"]["from"], "2.3.7", "{report}");
        let told = report["database"]["restore"]["complaints"].to_string();
        assert!(told.contains("InstanceConnectionStatus") && told.contains("is not in the dump"), "{told}");
    }
}

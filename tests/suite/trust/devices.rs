//! What the user names to be written may be a device, a pipe or a link to one: written into, and never replaced. And what could
//! not be written hides no commit.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::database::TestDatabase;
use crate::support::database_dump::text;
use crate::support::fixtures::Fixture;
use crate::support::program::{ended, on};

#[tokio::test]
async fn devices_and_links_to_them_are_written_into() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let url = database.url();
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    symlink("/dev/null", path("null")).expect("a link");
    symlink("/dev/null", path("null.prom")).expect("a link");
    on(&url, &["fix", "--plan-out", &path("null")]).ends(1);
    on(&url, &["check", "--output", &path("null"), "--metrics", &path("null.prom")]).ends(1);
    on(&url, &["check", "--write-baseline", &path("null")]).ends(0);
    for name in ["null", "null.prom"] {
        assert!(fs::symlink_metadata(path(name)).expect("there").is_symlink(), "{name} was replaced");
    }
    assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());

    // A pipe gets the whole plan, and is a pipe afterwards.
    Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo");
    let reader = Command::new("cat").arg(path("pipe")).stdout(Stdio::piped()).spawn().expect("cat");
    on(&url, &["fix", "--plan-out", &path("pipe")]).ends(1);
    let read = reader.wait_with_output().expect("cat ends").stdout;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&read).expect("a plan")["evodoctor_plan"], 1);
    assert!(fs::symlink_metadata(path("pipe")).expect("there").file_type().is_fifo());

    // Reports that may hold rows are the user's own; a link to a file stays one.
    on(&url, &["check", "--format", "json", "--output", &path("report")]).ends(1);
    on(&url, &["fix", "--plan-out", &path("plan")]).ends(1);
    for name in ["report", "plan"] {
        assert_eq!(fs::metadata(path(name)).expect("written").mode() & 0o777, 0o600, "{name}");
    }
    symlink(path("plan"), path("link")).expect("a link");
    on(&url, &["fix", "--plan-out", &path("link")]).ends(1);
    assert!(fs::symlink_metadata(path("link")).expect("there").is_symlink());
}

#[tokio::test]
async fn a_failed_report_does_not_hide_a_commit() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let full = |arguments: &[&str]| {
        let out = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let mut command = Command::new(env!("CARGO_BIN_EXE_evodoctor"));
        command.args(arguments).args(["--database-url", &database.url()]).stdin(Stdio::null());
        ended(command.stdout(out).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    let run = full(&["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(2);
    run.complains(&["run 1 is committed, but its report could not be written", "evodoctor undo 1"]);
    let runs = text(&mut database.connect().await, "SELECT count(*)::text FROM evodoctor.run").await;
    assert_eq!(runs, "1");
    let run = full(&["undo", "1", "--apply"]).ends(2);
    run.complains(&["run 1 is undone, but the report could not be written"]);
}

/// A number that jsonb holds and no program reads makes its check undecided, and no other.
#[tokio::test]
async fn an_out_of_range_number_makes_one_check_undecided() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let sql = r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."IntegrationSession" ("id", "sessionId", "remoteJid", "status", "updatedAt", "instanceId", "parameters")
            VALUES ('s', 's', 'j', 'opened', now(), 'gone', '{"n": 1e400}');
        INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId", "labels") VALUES ('c', 'j', 'gone', '1e400')"#;
    crate::support::database::execute(&mut database.connect().await, sql).await;
    let run = on(&database.url(), &["check", "--format", "json", "--fail-on", "never"]);
    assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
    let report = run.json();
    let undecided: Vec<&serde_json::Value> = report["checks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|check| check["outcome"] == "undecided")
        .collect();
    assert!(undecided.len() <= 2, "{undecided:#?}");
}

/// Too few files are an error, and no panic.
#[test]
fn too_few_files_are_an_error() {
    let program = env!("CARGO_BIN_EXE_evodoctor");
    for limit in [4, 5, 6, 8] {
        let script = format!(
            "ulimit -n {limit}; exec {program} check --database-url postgresql://nobody@127.0.0.1:1/x"
        );
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = ended(command.spawn().expect("it starts"));
        assert_eq!(run.code, Some(2), "{limit}: {}", run.stderr);
        assert!(run.stderr.contains("error:") && !run.stderr.contains("panicked"), "{limit}: {}", run.stderr);
    }
}

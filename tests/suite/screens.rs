//! What a person reads, whole: every command at 80 and at 200 columns, as snapshots in `tests/suite/snapshots/`. A change of wording
//! is reviewed there (`cargo insta review`, or `INSTA_UPDATE=always cargo nextest run -E 'test(/^screens::/)'` and `git diff`).

use std::path::Path;
use std::sync::LazyLock;

use insta::assert_snapshot;
use regex::Regex;

use crate::support::database::TestDatabase;
use crate::support::fixtures::Fixture;
use crate::support::program::Evodoctor;

const WIDTHS: [&str; 2] = ["80", "200"];

/// What differs from run to run, and what stands for it.
static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        // How long the name of the database is decides where these lines break.
        (r"(?s)database  .*?PostgreSQL \S+( \([^)]*\))?", "database  DATABASE"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?( UTC)?", "TIME"),
        // Where these lines break depends on the figures.
        (r"((?:readers and )?writers) of [^.;]*?\d+(\.\d+)?\s+(ms|s)\b", "$1 wait DURATION"),
        (r"\b(about|in|for)(\s+)\d+(\.\d+)? (ms|µs|s)\b", "$1${2}DURATION"),
        (r"(?m) +\d+(\.\d+)? (ms|s)$", "  DURATION"),
        // Names that hide what is personal are other ones in each run.
        (r"\b([a-z]+)-[0-9a-f]{8}\b", "$1-HIDDEN"),
        (r"\b(phone|client|name|text)-[0-9a-f]+…", "$1-HIDDEN…"),
        (r"\b([0-9a-f]{12}|[0-9a-f]{16,64})\b", "HASH"),
    ];
    patterns.map(|(pattern, stands)| (Regex::new(pattern).expect("a pattern"), stands)).into()
});

/// Runs a command at both widths, and compares all that it writes with the snapshots of this name.
fn compare(name: &str, arguments: &[&str], url: Option<&str>) {
    for width in WIDTHS {
        let mut program = Evodoctor::new(arguments).env("COLUMNS", width).env("TZ", "UTC");
        if let Some(url) = url {
            program = program.env("DATABASE_CONNECTION_URI", url);
        }
        let run = program.within(Path::new(env!("CARGO_MANIFEST_DIR"))).run();
        let code = run.code.expect("no signal");
        let mut text = format!("$ evodoctor {}\n{}", arguments.join(" "), run.stdout);
        if !run.stderr.is_empty() {
            text += &format!("--- stderr\n{}", run.stderr);
        }
        text += &format!("--- exit code {code}\n");
        for (pattern, stands) in CHANGING.iter() {
            text = pattern.replace_all(&text, *stands).into_owned();
        }
        assert_snapshot!(format!("{name}_{width}"), text);
    }
}

#[tokio::test]
async fn databases() {
    let broken = Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await;
    let url = broken.url();
    compare("check_broken", &["check"], Some(&url));
    compare("credentials_list", &["credentials", "list"], Some(&url));
    compare("preflight_broken", &["preflight", "--to", "2.3.7"], Some(&url));
    // Few enough that no hint about long locks appears.
    compare("fix_several", &["fix", "EVO102", "EVO108", "EVO207"], Some(&url));
    compare("fix_one", &["fix", "EVO101"], Some(&url));
    compare("history_empty", &["history"], Some(&url));

    let healthy = TestDatabase::new("2.3.7", "evolution_api").await;
    let url = healthy.url();
    compare("check_healthy", &["check"], Some(&url));
    compare("preflight_healthy", &["preflight", "--to", "2.4.0-rc2"], Some(&url));
    compare("fix_nothing", &["fix"], Some(&url));
    compare("undo_unknown", &["undo", "7"], Some(&url));
}

#[tokio::test]
async fn what_was_applied() {
    let broken = Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await;
    let url = broken.url();
    for width in WIDTHS {
        // Each width needs a run of its own to apply, and to take back.
        let apply = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"];
        let run = Evodoctor::new(apply).env("COLUMNS", width).env("DATABASE_CONNECTION_URI", &url).run();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    compare("history_applied", &["history"], Some(&url));
    compare("undo_dry_run", &["undo", "1"], Some(&url));
}

#[test]
fn logs_and_explanations() {
    compare(
        "logs_combined",
        &["logs", "fixtures/logs/nginx-combined.log", "--instances", "fixtures/logs/fetchInstances.json"],
        None,
    );
    compare("explain_code", &["explain", "EVO101"], None);
    compare("explain_list", &["explain"], None);
    compare(
        "explain_error",
        &["explain", "P3009 migrate found failed migrations in the target database"],
        None,
    );
    compare("explain_unknown", &["explain", "the dog ate it"], None);
}

#[test]
fn what_is_mistyped() {
    compare("no_command", &[], None);
    compare("no_database", &["check"], None);
    compare("unknown_command", &["chekc"], None);
    compare("unknown_code", &["fix", "EVO999"], Some("postgresql://u@127.0.0.1:1/db"));
    for command in
        ["check", "fix", "undo", "history", "credentials", "preflight", "logs", "snapshot", "explain", "demo"]
    {
        compare(&format!("help_{command}"), &[command, "-h"], None);
    }
}

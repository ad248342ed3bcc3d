//! Every command that prints or writes, in every format that it has, on a database in which every value is marked.

use std::fs;
use std::process::Command;

use clap::ValueEnum;
use evodoctor::cli::OutputFormat;
use tempfile::TempDir;

use super::{database, expect_clean, expect_nothing_personal, look};
use crate::support::cluster::in_memory;
use crate::support::database::execute;
use crate::support::program::{Evodoctor, Run, evodoctor, on};

use OutputFormat::{Github, Html, Human, Json};

/// What needs consent, all of it.
const EVERYTHING: &str = "deletes-rows,changes-rows,blocks-writes,rewrites-table,limits-undo";

/// A folder for what commands write.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("writable");
        self.path(name)
    }

    /// Looks at every byte of every file.
    fn expect_clean(&self) {
        for file in fs::read_dir(self.0.path()).expect("readable") {
            let path = file.expect("readable").path();
            let bytes = fs::read(&path).expect("a file");
            assert!(!bytes.is_empty(), "{} is empty", path.display());
            expect_nothing_personal(&String::from_utf8_lossy(&bytes), &path.display().to_string());
        }
    }
}

#[tokio::test]
async fn no_check_shows_personal_data() {
    let all = OutputFormat::value_variants();
    let (database, files) = (database("2.3.7").await, Files::new());
    let url = database.url();
    look(&url, &["check"], all);
    look(&url, &["preflight", "--to", "2.4.0-rc2"], all);
    look(&url, &["credentials", "list"], &[Human, Json, Html]);
    // A failed migration quotes a value of a row, which is in no sample.
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"INSERT INTO evolution_api."_prisma_migrations" (id, checksum, migration_name, logs, started_at)
        VALUES ('failed', 'x', '20990101000000_by_hand', 'A migration failed to apply.
Database error code: 22P02
Database error:
ERROR: invalid input value for enum "TriggerType": "Zuleika says QUOKKA"', '2025-01-01')"#,
    )
    .await;
    look(&url, &["check", "--select", "EVO301"], &[Human, Json, Html, Github]);
    execute(&mut connection, r#"DELETE FROM evolution_api."_prisma_migrations" WHERE id = 'failed'"#).await;

    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/migrations");
    look(&url, &["preflight", "--migrations", migrations, "--rehearse-on-live"], &[Json]);
    let targets = files.write("targets", &format!("planted {url}\n"));
    for format in ["human", "json"] {
        let arguments = ["check", "--targets", &targets, "--format", format, "-vv"];
        expect_clean(&evodoctor(&arguments), "check --targets");
    }
    let summary = files.path("summary.md");
    let arguments = ["check", "--format", "github", "--database-url", &url];
    expect_clean(&Evodoctor::new(arguments).env("GITHUB_STEP_SUMMARY", &summary).run(), "with a summary");
    for command in ["check", "preflight"] {
        let (baseline, metrics) =
            (files.path(&format!("{command}.json")), files.path(&format!("{command}.prom")));
        let arguments = [command, "--write-baseline", &baseline, "--metrics", &metrics];
        expect_clean(&on(&url, &arguments), command);
        expect_clean(&on(&url, &[command, "--baseline", &baseline]), "--baseline");
    }
    fs::remove_file(targets).expect("there");
    files.expect_clean();
}

#[tokio::test]
async fn no_repair_shows_personal_data() {
    let (database, files) = (database("2.3.7").await, Files::new());
    let url = database.url();
    look(&url, &["fix"], OutputFormat::value_variants());
    look(&url, &["fix", "EVO101", "--batch"], &[Human]);
    let plan = files.path("plan.json");
    expect_clean(&on(&url, &["fix", "--plan-out", &plan]), "fix --plan-out");
    let run = on(&url, &["fix", "--apply", "--plan", &plan, "--allow", EVERYTHING, "-vv"]);
    expect_clean(&run, "fix --apply --plan");
    let everywhere = [Human, Json, Html];
    look(&url, &["history"], &everywhere);
    look(&url, &["history", "--prune", "1"], &everywhere);
    look(&url, &["undo", "1"], &everywhere);
    expect_clean(&on(&url, &["undo", "1", "--into-schema", "kept", "--apply", "-vv"]), "--into-schema");
    expect_clean(&on(&url, &["undo", "1", "--apply", "-vv"]), "undo --apply");
    let run = on(&url, &["fix", "EVO101", "--batch", "--apply", "--allow", EVERYTHING, "-vv"]);
    expect_clean(&run, "fix --batch --apply");
    files.expect_clean();
}

#[tokio::test]
async fn kept_rows_are_not_shown() {
    let database = database("2.0.9-rc").await;
    let keep = ["preflight", "--to", "2.3.7", "--keep"];
    look(&database.url(), &keep, &[Human, Json, Html]);
    let run = on(&database.url(), &[&keep[..], &["--apply", "-vv"]].concat());
    expect_clean(&run, "preflight --keep --apply");
    look(&database.url(), &["history"], &[Json]);
    look(&database.url(), &["undo", "1", "--into-schema", "kept"], &[Human, Json, Html]);
}

#[tokio::test]
async fn no_snapshot_holds_anything_personal() {
    let (database, files) = (database("2.3.7").await, Files::new());
    let dump = files.path("staging.dump");
    let arguments =
        ["snapshot", "--database-url", &database.url(), "--output", &dump, "-vv", "--format", "json"];
    let run = Evodoctor::new(arguments).env("TMPDIR", in_memory().unwrap_or_else(std::env::temp_dir)).run();
    expect_clean(&run, "snapshot");
    let text = Command::new("pg_restore").arg("--file=-").arg(&dump).output().unwrap();
    assert!(text.status.success() && text.stdout.len() > 10_000, "{text:?}");
    expect_nothing_personal(&String::from_utf8_lossy(&text.stdout), "the snapshot");
    files.expect_clean();
}

#[test]
fn a_pasted_error_is_not_repeated() {
    let pasted = "[Evolution API] v2.3.7 ERROR [Zuleika] Invalid `prisma.contact.create()` P2002 Unique constraint failed \
        on the fields: (`apiKey`) DETAIL: Key (\"pushName\")=(Zuleika says QUOKKA) already exists. 5511987650321@s.whatsapp.net \
        https://wombat.example/PLATYPUS?text=ECHIDNA abcd-NUMBAT-0123456789";
    let said = |run: Run, what: &str| {
        assert!(run.stdout.contains("EVO"), "{what} finds no code: {run:?}");
        expect_clean(&run, what);
    };
    for format in ["human", "json"] {
        said(evodoctor(&["explain", pasted, "--format", format]), format);
        said(Evodoctor::new(["explain", "-", "--format", format]).input(pasted).run(), "on stdin");
    }
    let unknown = evodoctor(&["explain", "nothing that is known of Zuleika, QUOKKA and 5511987650321"]);
    expect_nothing_personal(&format!("{}{}", unknown.stdout, unknown.stderr), "an unknown text");
}

//! Promise 9: secrets stay secret, in whatever the program says, writes or keeps.

use std::fs;
use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tempfile::TempDir;

use crate::formats::FORMATS;
use crate::support::database::{TestDatabase, execute};
use crate::support::program::{Evodoctor, Run, on};
use crate::support::roles;

/// Stands in the middle of every secret; what may be shown of one is its beginning and its end.
const MARK: &str = "DO-NOT-SHOW";

/// Rows with a secret in every column that has one. All are orphans, so that they turn up in samples.
fn planted() -> String {
    let secret = |name: &str| format!("'{name}-{MARK}-{name}-0123456789'");
    let mut sql = "SET session_replication_role = replica; SET search_path = evolution_api;\n".to_owned();
    let tables = [
        ("OpenaiCreds", "name, \"apiKey\"", format!("'lost', {}", secret("openai"))),
        (
            "Proxy",
            "host, port, protocol, username, password",
            format!("'h', '1', 'http', 'u', {}", secret("proxy")),
        ),
        ("Chatwoot", "token", secret("chatwoot")),
        (
            "Webhook",
            "url, headers",
            format!("'https://x', '{{\"Authorization\": \"Bearer {MARK}-webhook\"}}'"),
        ),
        ("Dify", "\"botType\", \"apiKey\"", format!("'chatBot', {}", secret("dify"))),
        ("EvolutionBot", "\"apiKey\"", secret("bot")),
        ("Flowise", "\"apiKey\"", secret("flowise")),
        ("Evoai", "\"apiKey\"", secret("evoai")),
        ("N8n", "\"basicAuthUser\", \"basicAuthPass\"", format!("'u', {}", secret("n8n"))),
        (
            "Pusher",
            "\"appId\", key, secret, cluster, events",
            format!("'a', {}, {}, 'eu', '[]'", secret("pusherkey"), secret("pusher")),
        ),
        ("Setting", "\"wavoipToken\"", secret("wavoip")),
        (
            "IntegrationSession",
            "\"sessionId\", \"remoteJid\", status, parameters",
            format!("'s', 'jid', 'opened', '{{\"nested\": [{{\"apiKey\": \"{MARK}-parameter\"}}]}}'"),
        ),
        ("Typebot", "url, typebot", format!("'https://user:{MARK}-in-url@typebot.example/x', 't'")),
    ];
    for (table, columns, values) in tables {
        // Two rows, one of them with a short secret; the instances that they belong to do not exist.
        sql.push_str(&format!(
            "INSERT INTO \"{table}\" (id, \"updatedAt\", \"instanceId\", {columns}) VALUES ('{table}1', '2025-01-01', \
             'gone-{table}', {values});\n"
        ));
    }
    sql.push_str(&format!(
        "INSERT INTO \"Session\" (id, \"sessionId\", creds) VALUES ('s1', 'gone', '{{\"noiseKey\": \"{MARK}-creds\"}}');
        INSERT INTO \"Instance\" (id, name, token, \"disconnectionObject\")
            VALUES ('i1', 'alpha', 'token-{MARK}-1', '{{\"x\": \"{MARK}-disconnection\"}}'),
                   ('i2', 'beta', 'token-{MARK}-2', NULL);
        INSERT INTO \"OpenaiCreds\" (id, name, \"apiKey\", \"updatedAt\", \"instanceId\")
            VALUES ('c1', 'default', 'sk-{MARK}-used-0001', '2025-01-01', 'i1');
        INSERT INTO \"OpenaiSetting\" (id, \"openaiCredsId\", \"instanceId\", \"updatedAt\")
            VALUES ('x2', 'c1', 'i2', '2025-01-01');"
    ));
    sql
}

async fn database() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, &planted()).await;
    (database, connection)
}

#[track_caller]
fn hides(run: &Run, what: &str) {
    for text in [&run.stdout, &run.stderr] {
        if let Some(at) = text.find(MARK) {
            let around: String = text[..at + MARK.len()]
                .chars()
                .rev()
                .take(160)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect();
            panic!("{what} shows a secret: …{around}");
        }
    }
}

/// Runs a command in every format, loud and quiet. The last run's end is the one that is returned.
fn everywhere(url: &str, arguments: &[&str]) -> Run {
    let mut last = None;
    // -vv says whatever -v says.
    for more in [&["-vv"][..], &["--quiet"], &["--format", "json"]] {
        let all: Vec<&str> = arguments.iter().chain(more).copied().collect();
        let run = on(url, &all);
        hides(&run, &all.join(" "));
        last = Some(run);
    }
    last.expect("several")
}

#[tokio::test]
async fn no_output_shows_a_secret() {
    let (database, mut connection) = database().await;
    let url = database.url();
    let folder = TempDir::new().expect("a folder");
    let plan = folder.path().join("plan.json");
    let plan = plan.to_str().expect("UTF-8");

    everywhere(&url, &["check"]).ends(1);
    let run = everywhere(&url, &["fix"]).ends(1);
    let report = run.json();
    let diffs = report["fixes"][0]["row_diff"].as_array().expect("a list");
    assert!(diffs.len() >= 14, "every planted row is in a sample: {}", diffs.len());
    // Masked, not left out: one must be able to recognise a key.
    assert!(run.stdout.contains("open…89"), "{}", run.stdout);
    everywhere(&url, &["fix", "--plan-out", plan]).ends(1);
    assert_hidden_in(Path::new(plan));

    let consent = ["fix", "--apply", "--plan", plan, "--allow", "deletes-rows,changes-rows", "-vv"];
    let run = on(&url, &consent).ends(0);
    hides(&run, "applying");
    everywhere(&url, &["history"]).ends(0);
    everywhere(&url, &["undo", "1"]).ends(1);

    // Refusals speak of rows, too.
    let key: String =
        sqlx::query_scalar(r#"SELECT "apiKey" FROM evolution_api."OpenaiCreds" WHERE id = 'c1'"#)
            .fetch_one(&mut connection)
            .await
            .expect("there");
    let second = format!(
        "INSERT INTO evolution_api.\"OpenaiCreds\" (id, name, \"apiKey\", \"updatedAt\", \"instanceId\")
         VALUES ('c2', 'default', '{key}', '2025-01-01', 'i2')"
    );
    execute(&mut connection, &second).await;
    everywhere(&url, &["undo", "1"]).ends(2).complains(&["c1 of instance alpha", "c2 of instance beta"]);
    everywhere(&url, &["undo", "1", "--apply"]).ends(2);
    execute(&mut connection, r#"DELETE FROM evolution_api."OpenaiCreds" WHERE id = 'c2'"#).await;
    // The server's own words for a refused row.
    let same = format!(
        "INSERT INTO evolution_api.\"OpenaiCreds\" (id, name, \"apiKey\", \"updatedAt\", \"instanceId\")
         VALUES ('c3', 'new', 'openai-{MARK}-openai-0123456789', '2025-01-01', 'i2')"
    );
    execute(&mut connection, &same).await;
    everywhere(&url, &["undo", "1", "--apply"]).ends(2);
    execute(&mut connection, r#"DELETE FROM evolution_api."OpenaiCreds" WHERE id = 'c3'"#).await;
    hides(&on(&url, &["undo", "1", "--apply", "-vv"]).ends(0), "undoing");
}

/// What pipelines keep and show to more people than a terminal does.
#[tokio::test]
async fn no_format_shows_a_secret() {
    let (database, _connection) = database().await;
    let folder = TempDir::new().expect("a folder");
    let (summary, baseline) = (folder.path().join("summary.md"), folder.path().join("baseline.json"));
    for format in FORMATS.into_iter().chain(["html"]) {
        for command in ["check", "fix"] {
            let arguments =
                [command, "--select", "EVO101", "--format", format, "--database-url", &database.url()];
            let run = Evodoctor::new(arguments).env("GITHUB_STEP_SUMMARY", &summary).run().ends(1);
            assert!(run.stdout.contains("EVO101"), "{format} tells nothing");
            hides(&run, &format!("{command} --format {format}"));
        }
    }
    on(&database.url(), &["check", "--write-baseline", baseline.to_str().expect("UTF-8")]).ends(0);
    assert_hidden_in(&summary);
    assert_hidden_in(&baseline);
}

fn assert_hidden_in(path: &Path) {
    let text = fs::read_to_string(path).expect("written");
    assert!(!text.contains(MARK), "{} holds a secret", path.display());
}

/// What is kept to be brought back is kept from everybody else; after the undo there is no second copy.
#[tokio::test]
async fn our_schema_is_not_for_everybody() {
    let (database, mut connection) = database().await;
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let role = roles::reader(&mut connection, "evolution_api").await;
    let mut other = database.options().username(&role).connect().await.expect("it may connect");
    for table in ["quarantine", "run", "applied_fix"] {
        let sql = format!("SELECT FROM evodoctor.{table}");
        let error =
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut other).await.expect_err("not for everybody");
        let code = error.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{table}");
    }
    let kept = "SELECT count(*) FROM evodoctor.quarantine";
    let count: i64 = sqlx::query_scalar(kept).fetch_one(&mut connection).await.expect("a superuser may");
    assert!(count > 10);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    let count: i64 = sqlx::query_scalar(kept).fetch_one(&mut connection).await.expect("a superuser may");
    assert_eq!(count, 0, "rows are back, and a second copy of their secrets stayed");
}

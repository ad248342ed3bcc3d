//! Promise 9: secrets stay secret, in whatever the program says, writes or keeps.

mod dumps;

use std::fs;
use std::path::Path;

use clap::ValueEnum;
use evodoctor::cli::OutputFormat;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tempfile::TempDir;

use crate::ci_formats::FORMATS;
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

/// The quarantine is not readable by others; after the undo there is no second copy.
#[tokio::test]
async fn our_schema_is_not_readable_by_public() {
    let (database, mut connection) = database().await;
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let role = roles::reader(&mut connection, "evolution_api").await;
    let mut other = database.options().username(&role).connect().await.expect("it may connect");
    for table in ["quarantine_1_1", "quarantine_entry", "run", "applied_fix"] {
        let sql = format!("SELECT FROM evodoctor.{table}");
        let error =
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut other).await.expect_err("not for everybody");
        let code = error.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{table}");
    }
    let kept = "SELECT sum(count)::bigint FROM evodoctor.quarantine_entry";
    let count: i64 = sqlx::query_scalar(kept).fetch_one(&mut connection).await.expect("a superuser may");
    assert!(count > 10);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    let left =
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'evodoctor'::regnamespace AND relkind = 'r'
        AND (relname LIKE 'quarantine\\_1\\_%' OR relname LIKE 'work\\_%')";
    let count: i64 = sqlx::query_scalar(left).fetch_one(&mut connection).await.expect("a superuser may");
    assert_eq!(count, 0, "rows are back, and a second copy of their secrets stayed");
}

/// The password of a role, with what has to be percent-encoded.
const PASSWORD: &str = "p@ss/w0rd#DO-NOT-SHOW?&%";

/// The forms in which a password could turn up.
fn forms(secret: &str) -> Vec<String> {
    let percent =
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    vec![secret.to_owned(), percent.clone(), percent.to_lowercase(), base64(secret.as_bytes())]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let word = chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..=chunk.len()).map(move |at| char::from(DIGITS[(word >> (18 - 6 * at)) as usize & 63]))
    });
    digits.collect()
}

#[track_caller]
fn keeps(run: &Run, secrets: &[String], what: &str) {
    for text in [&run.stdout, &run.stderr] {
        for secret in secrets {
            assert!(!text.contains(secret.as_str()), "{what} shows {secret:?}:\n{text}");
        }
    }
    hides(run, what);
}

/// Every command, in every format that `--help` lists, at every level, on a database whose password is a secret, too.
#[tokio::test]
async fn every_command_in_every_format_at_every_level() {
    let (database, mut connection) = database().await;
    let named = format!(
        "SET search_path = evolution_api;
         UPDATE \"OpenaiCreds\" SET name = 'sk-proj-{MARK}-as-a-name-0001' WHERE id = 'c1';
         INSERT INTO \"Instance\" (id, name) VALUES ('i3', 'sk-proj-{MARK}-as-a-name-0002 '), ('i4', 'sk-proj-{MARK}-as-a-name-0002');
         RESET search_path"
    );
    execute(&mut connection, &named).await;
    let secrets = forms(PASSWORD);
    let role = format!("secretive_{:08x}", rand::random::<u32>());
    execute(&mut connection, &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")).await;
    let user = format!("{role}:{}@", secrets[1]);
    let url = database.url().replacen("postgres@", &user, 1);
    let commands: [&[&str]; 9] = [
        &["check"],
        &["check", "--paranoid"],
        &["fix"],
        &["preflight", "--to", "2.4.0-rc2"],
        &["history"],
        &["credentials", "list"],
        &["credentials", "share", "c1", "beta"],
        &["credentials", "release", "c1", "--to", "OpenaiCreds1"],
        &["undo", "7"],
    ];
    for format in OutputFormat::value_variants() {
        // The others know human and JSON only.
        let told =
            if matches!(format, OutputFormat::Human | OutputFormat::Json) { commands.len() } else { 4 };
        for command in &commands[..told] {
            let all = [command, &["--format", format.as_str()][..]].concat();
            let run = on(&url, &all);
            assert!(run.code.is_some_and(|code| code <= 3), "{all:?}: {}", run.stderr);
            keeps(&run, &secrets, &all.join(" "));
        }
    }
    for command in commands {
        // -vv says whatever -v says.
        let all = [command, &["-vv"]].concat();
        keeps(&on(&url, &all), &secrets, &all.join(" "));
    }

    // Connection strings that are not understood, wherever they come from.
    let folder = TempDir::new().expect("a folder");
    for spoiled in [
        url.replacen("postgresql", "mysql", 1),
        url.replacen("postgresql://", "postgresql:/", 1),
        url.replacen(&format!("{}@", secrets[1]), &format!("{PASSWORD}@"), 1),
        url.replacen("localhost:", "localhost:port", 1),
        url.replacen("localhost", "no such host", 1),
        format!("{url}&sslmode=sometimes"),
        format!("{url}&connect_timeout=soon"),
        format!("host=localhost user=postgres password={PASSWORD}"),
        format!("'{url}"),
        format!("postgresql://{role}:{}x@{}", secrets[1], url.split_once('@').expect("a host").1),
        url.replacen(database.name(), "nosuchdatabase", 1),
    ] {
        keeps(&on(&spoiled, &["check", "-vv"]), &secrets, &spoiled);
        let file = folder.path().join(".env");
        fs::write(&file, format!("A='\nDATABASE_CONNECTION_URI={spoiled}\nB=\"")).expect("writable");
        let file = file.to_str().expect("UTF-8");
        keeps(
            &Evodoctor::new(["check", "--env-file", file, "-vv"]).run(),
            &secrets,
            &format!(".env {spoiled}"),
        );
        let run = Evodoctor::new(["check", "-vv"]).env("DATABASE_URL", &spoiled).run();
        keeps(&run, &secrets, &format!("DATABASE_URL {spoiled}"));
    }
    execute(&mut connection, &format!("DROP ROLE {role}")).await;
}

/// Logs hold what clients send, which is private too.
#[test]
fn logs_and_pasted_errors_keep_secrets() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("access.log");
    let key = format!("sk-proj-{MARK}-0123456789abcdef");
    fs::write(
        &log,
        format!(
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/Alpha?apikey={MARK}key HTTP/1.1\" 404 91 \
             \"https://user:{MARK}pass@n8n.example/x?token={MARK}token\" \"n8n Bearer {MARK}-0123456789abcdef\"\n\
             {{\"ts\":1795233552.5,\"request\":{{\"remote_ip\":\"203.0.113.7\",\"method\":\"GET\",\"uri\":\"/instance/connect/ALPHA?apikey={MARK}x\",\
             \"headers\":{{\"Authorization\":[\"Bearer {MARK}-auth\"],\"Apikey\":[\"{MARK}\"],\"User-Agent\":[\"curl\"]}}}},\"status\":404}}\n\
             203.0.113.8 - {key} [21/Nov/2026:03:59:13 +0000] \"GET /instance/connect/{key} HTTP/1.1\" 404 91 \"-\" \"curl\"\n"
        ),
    )
    .expect("writable");
    let log = log.to_str().expect("UTF-8");
    let instances = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/fetchInstances.json");
    for format in OutputFormat::value_variants() {
        let run =
            Evodoctor::new(["logs", log, "--instances", instances, "--format", format.as_str(), "-vv"]).run();
        assert!(run.code.is_some_and(|code| code <= 1), "{}", run.stderr);
        hides(&run, &format!("logs --format {}", format.as_str()));
    }
    for text in [
        format!(
            "P2002 Unique constraint failed on the fields: (`apiKey`) DETAIL: Key (\"apiKey\")=({key}) already exists."
        ),
        format!(
            "new row for relation \"OpenaiCreds\" violates check constraint DETAIL: Failing row contains (c1, {key})"
        ),
        format!("nothing known {key}"),
    ] {
        hides(&Evodoctor::new(["explain", &text]).run(), "explain");
        hides(&Evodoctor::new(["explain", &text, "--format", "json"]).run(), "explain --format json");
    }
}

/// The server's own words for a row that a trigger or a constraint refuses.
#[tokio::test]
async fn refused_rows_are_not_shown() {
    let (database, mut connection) = database().await;
    let refusing = format!(
        "SET search_path = evolution_api;
         ALTER TABLE \"OpenaiSetting\" ADD CONSTRAINT odd CHECK (\"openaiCredsId\" <> 'c9');
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not sk-{MARK}-in-a-message-01' USING DETAIL = old::text, HINT = 'apiKey {MARK}'; END $$;
         CREATE TRIGGER refuse BEFORE DELETE ON \"OpenaiCreds\" FOR EACH ROW EXECUTE FUNCTION refuse();
         RESET search_path"
    );
    execute(&mut connection, &refusing).await;
    for level in ["-vv", "--quiet", "--format=json", "--format=github"] {
        let run = on(&database.url(), &["fix", "EVO101", "--allow", "fires-triggers", level]).ends(1);
        hides(&run, level);
        let shown = run.stdout.contains("sk-D…01");
        assert!(shown || ["--quiet", "--format=github"].contains(&level), "{level}: {}", run.stdout);
    }
}

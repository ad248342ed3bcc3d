//! Each check finds what its bad fixture shows, and nothing in the good one.

use evodoctor::checks::check::all_checks;
use serde_json::Value;

use crate::support::database::execute;
use crate::support::fixtures::{Expected, Fixture};
use crate::support::program::{evodoctor, on};

fn found(report: &Value, code: &str) -> Vec<Expected> {
    let mine = |finding: &&Value| finding["code"] == code;
    let mut found: Vec<Expected> = report["findings"]
        .as_array()
        .expect("findings are a list")
        .iter()
        .filter(mine)
        .map(|finding| Expected {
            key: finding["key"].as_str().expect("a key").to_owned(),
            count: finding["count"].as_i64().expect("a count"),
            severity: finding["severity"].as_str().expect("a severity").to_owned(),
            is_manual: finding["fix"]["applicability"] == "manual",
        })
        .collect();
    found.sort();
    found
}

/// What a check finds in a fixture, with Evolution's tables in this schema, is what the fixture says of itself.
async fn finds_what_it_shows(stem: &str, name: &str, schema: &str) {
    let (code, _) = stem.split_once('_').expect("a code and a name");
    let mut fixture = Fixture::read(stem, name);
    let database = fixture.database(schema).await;
    let report = evodoctor(&["check", "--format", "json", "--database-url", &database.url()]).json();
    fixture.finds.sort();
    assert_eq!(found(&report, code), fixture.finds);
    for finding in report["findings"].as_array().expect("a list") {
        assert!(finding["sample"].as_array().expect("a list").len() <= 5);
        let detail = finding["detail"].as_str().expect("a sentence");
        assert!(!detail.is_empty() && detail.trim() == detail, "{detail:?}");
    }
}

mod each_fixture {
    macro_rules! case {
        ($case:ident, $stem:literal, $name:literal) => {
            #[tokio::test]
            async fn $case() {
                super::finds_what_it_shows($stem, $name, "evolution_api").await;
            }
        };
    }
    each_check!(case);
}

mod each_fixture_in_a_schema_that_needs_quoting {
    macro_rules! case {
        // Where nothing is found nothing is quoted.
        ($case:ident, $stem:literal, "good") => {};
        ($case:ident, $stem:literal, $name:literal) => {
            #[tokio::test]
            async fn $case() {
                super::finds_what_it_shows($stem, $name, "we\"ird").await;
            }
        };
    }
    each_check!(case);
}

/// The predicate of a finding about rows selects the rows that it counted.
#[tokio::test]
async fn predicates_can_be_pasted() {
    use sqlx::{AssertSqlSafe, Row};
    for check in all_checks().iter().filter(|check| !check.rule.code.starts_with("EVO2")) {
        let code = &check.rule.code;
        let database = Fixture::read(&check.stem, "bad").database("evolution_api").await;
        let run =
            evodoctor(&["check", "--select", code, "--format", "json", "--database-url", &database.url()]);
        let mut connection = database.connect().await;
        for finding in run.json()["findings"].as_array().expect("a list") {
            let Some(predicate) = finding["predicate"].as_str() else { continue };
            let subject = finding["subject"].as_str().unwrap().split(['.', ' ']).next().unwrap();
            let table = if code.starts_with("EVO3") { "_prisma_migrations" } else { subject };
            let sql = format!("SELECT count(*) FROM evolution_api.\"{table}\" WHERE {predicate}");
            let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await;
            let row = row.unwrap_or_else(|error| panic!("{code}: {error}: {predicate}"));
            assert_eq!(row.get::<i64, _>(0), finding["count"].as_i64().unwrap(), "{code}: {predicate}");
        }
    }
}

/// No false alarm: a freshly migrated database of every release has advice at most.
#[tokio::test]
async fn a_fresh_database_of_every_release_is_clean() {
    use evodoctor::evolution::release::Release;
    for release in Release::all() {
        let database = crate::support::database::TestDatabase::new(release.version(), "evolution_api").await;
        let run = evodoctor(&["check", "--format", "json", "--database-url", &database.url()]);
        assert_eq!(run.code, Some(0), "{release}: {}{}", run.stdout, run.stderr);
        let report = run.json();
        assert_eq!(report["summary"]["errors"], 0, "{release}");
        assert_eq!(report["summary"]["warnings"], 0, "{release}");
        assert_eq!(report["summary"]["undecided"], 0, "{release}");
        let (from, to) =
            (report["release"]["from"].as_str().unwrap(), report["release"]["to"].as_str().unwrap());
        let (from, to) = (Release::find(from).unwrap(), Release::find(to).unwrap());
        assert!(from <= release && release <= to, "{release} is not in {from} to {to}");
    }
}

/// A hoster's server: thousands of instances, each with its own rows, give no finding and no slow check.
#[tokio::test]
async fn thousands_of_instances_are_checked() {
    use sqlx::Executor;
    let database = crate::support::database::TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let sql = r#"SET search_path = evolution_api;
        INSERT INTO "Instance" ("id", "name", "connectionStatus", "token", "integration", "clientName")
            SELECT md5('id' || n)::uuid::text, 'store ' || n, 'open', md5(n::text), 'WHATSAPP-BAILEYS', 'evolution'
            FROM generate_series(1, 5000) AS n;
        INSERT INTO "Setting" ("id", "updatedAt", "instanceId") SELECT 'se' || "id", now(), "id" FROM "Instance";
        INSERT INTO "Session" ("id", "sessionId", "creds") SELECT 'ss' || "id", "id", '{}' FROM "Instance";
        INSERT INTO "Chat" ("id", "remoteJid", "instanceId")
            SELECT md5(random()::text || n), 'jid' || n, "id" FROM "Instance", generate_series(1, 4) AS n;"#;
    connection.execute(sqlx::raw_sql(sql)).await.expect("the rows go in");
    let run = evodoctor(&["check", "--format", "json", "--database-url", &database.url()]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.json()["summary"]["warnings"], 0);
}

/// Where very many rows are wrong, all are counted and five are shown, also of a kind whose first row comes late.
#[tokio::test]
async fn many_wrong_rows_are_counted_and_five_are_shown() {
    let database = crate::support::database::TestDatabase::new("2.3.7", "evolution_api").await;
    let sql = r#"SET search_path = evolution_api;
        INSERT INTO "Instance" ("id", "name") VALUES ('i1', 'store');
        INSERT INTO "Chat" ("id", "remoteJid", "labels", "instanceId")
            SELECT 'c' || n, 'jid' || n, CASE WHEN n <= 1500 THEN '{"5": true}'::jsonb ELSE '"5"' END, 'i1'
            FROM generate_series(1, 1503) AS n;
        INSERT INTO "IntegrationSession" ("id", "sessionId", "remoteJid", "status", "awaitUser", "instanceId", "botId", "type", "updatedAt")
            SELECT 's' || n, n, 'jid' || n, 'opened', false, 'i1', CASE WHEN n > 4 THEN 'gone' END, 'typebot', now()
            FROM generate_series(1, 1204) AS n;
        INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId", "status")
            SELECT 'm' || n, '{}', 'conversation', '{}', 'web', n, 'i1', CASE WHEN n > 2 THEN '4' ELSE '-7' END
            FROM generate_series(1, 1302) AS n"#;
    execute(&mut database.connect().await, sql).await;
    let report =
        on(&database.url(), &["check", "--select", "EVO104,EVO107,EVO108", "--format", "json"]).ends(1);
    let report = report.json();
    let mut found: Vec<(&str, &str, u64, usize)> = Vec::new();
    for finding in report["findings"].as_array().expect("a list") {
        let text = |name: &str| finding[name].as_str().expect("text");
        let sample = finding["sample"].as_array().expect("a list");
        let ids: std::collections::BTreeSet<&str> =
            sample.iter().map(|row| row["id"].as_str().expect("an id")).collect();
        found.push((text("code"), text("key"), finding["count"].as_u64().expect("a number"), ids.len()));
    }
    found.sort();
    assert_eq!(
        found,
        [
            ("EVO104", "single value", 3, 3),
            ("EVO104", "unclear", 1500, 5),
            ("EVO107", "deleted bot", 1200, 5),
            ("EVO107", "no bot", 4, 4),
            ("EVO108", "0 to 5", 1300, 5),
            ("EVO108", "other numbers", 2, 2),
        ]
    );
}

/// A check is a file that a DBA can run by hand, and gets the same rows from, with what its header says of that.
#[tokio::test]
async fn checks_run_under_psql() {
    use evodoctor::database::shared_sql::SHARED;
    use evodoctor::database::sql_file::{FILES, SqlFile, variables_of};
    let mut given = vec![("schema", "we\"ird")];
    given.extend(SHARED.iter().map(|(name, text)| (*name, text.as_str())));
    let database = Fixture::read("EVO101_orphaned_reference", "everything").database("we\"ird").await;
    let report = evodoctor(&["check", "--format", "json", "--database-url", &database.url()]).json();
    let mut count = 0;
    for check in all_checks() {
        let path = format!("sql/checks/{}.sql", check.stem);
        let text = FILES.iter().find(|(name, _)| *name == path).expect("a file").1;
        // The others take what only the program knows, such as the release's own tables.
        let script = SqlFile::parse(text);
        let mut needed = variables_of(script.only_statement().expect("one query")).into_iter();
        if !needed.all(|variable| given.iter().any(|(name, _)| *name == variable)) {
            continue;
        }
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        let run = std::process::Command::new("psql")
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", &database.url()])
            .args(given.iter().flat_map(|(name, text)| ["-v".to_owned(), format!("{name}={text}")]))
            .arg("-f")
            .arg(file)
            .output()
            .expect("psql is installed by tests/setup.sh");
        let error = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{path}: {error}");
        let rows = String::from_utf8_lossy(&run.stdout).lines().filter(|line| !line.is_empty()).count();
        assert_eq!(rows, found(&report, &check.rule.code).len(), "{path}");
        count += 1;
    }
    assert!(count >= 24, "only {count} checks need no more than the schema and what is shared");
}

/// A sentence names what it speaks of, and what Postgres said of a migration that failed.
#[tokio::test]
async fn details_name_their_subject() {
    let database = Fixture::read("EVO402_confusable_instance_names", "bad").database("evolution_api").await;
    let run = on(&database.url(), &["check", "--select", "EVO402"]).ends(1);
    run.says(&["spaces only: \"Beta Store\", \"beta store\", \"betastore\""]);

    let database = Fixture::read("EVO301_failed_migration", "bad").database("evolution_api").await;
    let owner =
        r#"UPDATE evolution_api."_prisma_migrations" SET "logs" = E'ERROR: must be owner of table Chat\n'"#;
    execute(&mut database.connect().await, owner).await;
    let run = on(&database.url(), &["check", "--select", "EVO301"]).ends(1);
    run.says(&["failed with \"must be owner of table Chat\"", "ALTER ... OWNER TO"]);
}

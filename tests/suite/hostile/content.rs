//! Names and values of every kind: nothing in them is obeyed by a terminal, a pipeline, SQL or psql.

use clap::ValueEnum;
use evodoctor::cli::OutputFormat;
use evodoctor::database::ident::SqlFragment;
use evodoctor::database::release_schema::create_release_schema;
use evodoctor::evolution::release::Release;
use evodoctor::text::escape::is_hidden;
use tempfile::TempDir;

use crate::hostile::all_commands::{assert_same, fill, story, troubled};
use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::program::{Evodoctor, Run, on};

/// Quotes, a backslash, a variable of psql, dollar quotes, ANSI escapes, a right-to-left mark, a line that GitHub would
/// obey.
const ODD: &str = "a\u{1b}[2J\u{202e}\u{85}\u{200b}\u{7}'\"\\ % :schema :'schema' :\"schema\" $$ ${x}\n::error::owned\r\n##[error]owned";

#[tokio::test]
async fn hostile_names_are_only_text() {
    let schema = "we\"ird ' \\ :schema $$\u{202e}";
    let (database, mut connection) = troubled(schema).await;
    let (odd, name) = (SqlFragment::literal(ODD), SqlFragment::ident(&ODD[..60]));
    let sql = format!(
        r#"SET session_replication_role = replica; SET search_path = {schema};
        UPDATE "Instance" SET "name" = {odd} WHERE "name" = 'support';
        INSERT INTO "Instance" ("id", "name") VALUES ({odd}, {odd} || ' '), ('long', repeat('x', 255));
        UPDATE "OpenaiCreds" SET "name" = {odd} WHERE "id" = 'cm2credential0001';
        UPDATE "Message" SET "id" = "id" || {odd}, "pushName" = {odd}, "participant" = {odd},
                "message" = jsonb_build_object({odd}, {odd})
            WHERE "instanceId" = '00000000-dead-4000-8000-000000000000';
        UPDATE "Message" SET "message" = jsonb_build_object('conversation', repeat('x', 1000000))
            WHERE "messageTimestamp" = 1727740801;
        UPDATE "Chat" SET "labels" = jsonb_build_array({odd});
        INSERT INTO "_prisma_migrations" ("id", "checksum", "migration_name", "logs", "started_at") VALUES
            ('1', left({odd}, 64), '20990101000000_' || {odd}, {odd}, now()), ('2', left({odd}, 64), {odd}, {odd}, now());
        CREATE TABLE {name} ({name} text REFERENCES "Instance" ("id"));
        CREATE INDEX {index} ON "Message" ("pushName"); ALTER TABLE "Message" ADD {name} text DEFAULT {odd};
        CREATE TYPE {name_of_type} AS ENUM ('a');
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN COALESCE(new, old); END';
        CREATE TRIGGER {name} BEFORE DELETE OR UPDATE ON "Message" FOR EACH ROW EXECUTE FUNCTION {name}();
        RESET search_path; RESET session_replication_role"#,
        schema = SqlFragment::ident(schema),
        index = SqlFragment::ident(&format!("i{}", &ODD[..60])),
        name_of_type = SqlFragment::ident(&format!("t{}", &ODD[..60])),
    );
    execute(&mut connection, &sql).await;
    let before = state(&mut connection, &["evodoctor"]).await;
    let url = database.url();
    for format in OutputFormat::value_variants() {
        for command in [&["check"][..], &["fix", "--allow", "fires-triggers"]] {
            let run = on(&url, &[command, &["--format", format.as_str()]].concat());
            assert!(matches!(run.code, Some(0 | 1 | 3)), "{command:?} {}: {}", format.as_str(), run.stderr);
            is_only_text(&run, format.as_str());
        }
    }
    // --output writes a file of that name.
    let folder = TempDir::new().expect("a folder");
    for command in [
        &["check", "-vv"][..],
        &["credentials", "list"],
        &["credentials", "list", "--format", "json"],
        &["credentials", "share", "cm2credential0001", ODD],
        &["credentials", "share", ODD, ODD],
        &["credentials", "release", ODD],
        &["check", "--schema", ODD],
        &["check", "--baseline", ODD],
        &["check", "--output", ODD],
        &["check", "--select", ODD],
        &["fix", "--plan", ODD],
        &["preflight", "--to", ODD],
        &["preflight", "--to", "2.3.7"],
        &["preflight", "--to", "2.3.7", "--resolve"],
        &["fix", "-vv", "--apply", "--allow", "deletes-rows,changes-rows"],
        &["history"],
        &["undo", "1"],
        &["undo", "1", "--format", "json"],
    ] {
        let program =
            Evodoctor::new(command.iter().copied().chain(["--database-url", &url])).within(folder.path());
        is_only_text(&program.run(), &format!("{command:?}"));
    }
    is_only_text(&Evodoctor::new(["explain", ODD]).run(), "explain");
    let written = std::fs::read_to_string(folder.path().join(ODD)).expect("the file of --output");
    is_only_text(&Run { code: None, stdout: written, stderr: String::new() }, "--output");
    assert_ne!(state(&mut connection, &["evodoctor"]).await, before);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
}

/// No character that a terminal would obey, and no line of what a value holds that GitHub's runner would.
#[track_caller]
fn is_only_text(run: &Run, what: &str) {
    for text in [&run.stdout, &run.stderr] {
        if let Some(at) = text.find(|c| c != '\n' && is_hidden(c)) {
            let around: String =
                text[..at].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{what} writes {:?} after {around:?}", &text[at..].chars().next());
        }
        for line in text.lines().map(str::trim_start) {
            assert!(!line.starts_with("##[") && !line.starts_with("::error::owned"), "{what}: {line}");
        }
    }
}

async fn encoded(release: &str, schema: &str, encoding: &str) -> (TestDatabase, sqlx::PgConnection) {
    let database = TestDatabase::encoded(encoding).await;
    let mut connection = database.connect().await;
    let release = Release::find(release).expect("known");
    create_release_schema(&mut connection, schema, release).await.expect("built");
    (database, connection)
}

/// Without an encoding the server accepts any bytes; invalid UTF-8 is never shown and never reported as clean.
#[tokio::test]
async fn invalid_bytes_make_checks_undecided() {
    let (database, mut connection) = encoded("2.3.7", "public", "SQL_ASCII").await;
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO "Instance" ("id", "name") VALUES ('i1', E'caf\xe9 '), ('i2', 'beta');
        INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId") VALUES ('c', 'c', 'k', now(), 'i1');
        INSERT INTO "OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt") VALUES ('s', 'c', 'i2', now());
        INSERT INTO "Session" ("id", "sessionId", "creds") VALUES ('x', 'gone', E'\xff')"#,
    )
    .await;
    let before = state_in_bytes(&mut connection).await;
    let report = on(&database.url(), &["check", "--format", "json"]).ends(1).json();
    let undecided: Vec<_> = report["checks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|check| check["outcome"] == "undecided")
        .collect();
    assert!(!undecided.is_empty(), "{report:#}");
    for check in undecided {
        assert!(check["reason"].as_str().expect("a reason").contains("SQL_ASCII"), "{check}");
    }
    on(&database.url(), &["credentials", "list"]).ends(2).complains(&["convert_from"]);
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows"])
        .ends(2)
        .complains(&["SQL_ASCII", "rolled back"]);
    assert_eq!(state_in_bytes(&mut connection).await, before);
}

async fn state_in_bytes(connection: &mut sqlx::PgConnection) -> Vec<u8> {
    let sql =
        r#"SELECT string_agg(convert_to("id" || COALESCE("creds", ''), 'SQL_ASCII'), '') FROM "Session""#;
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("bytes")
}

/// An encoding with few characters holds all that the program itself says to the server: the same is found and done.
#[tokio::test]
async fn a_single_byte_encoding_works() {
    let mut told = Vec::new();
    for encoding in ["UTF8", "LATIN1"] {
        let (database, mut connection) = encoded("2.1.1", "evolution_api", encoding).await;
        fill(&mut connection, "evolution_api").await;
        execute(
            &mut connection,
            r#"SET session_replication_role = replica; SET search_path = evolution_api;
            UPDATE "Instance" SET "name" = 'café -> x.y -> ' || "name""#,
        )
        .await;
        let report = on(&database.url(), &["check", "--format", "json"]).ends(1).json();
        assert_eq!(report["summary"]["undecided"], 0, "{encoding}: {report:#}");
        assert!(report["findings"].to_string().contains(" \u{2192} "), "{report:#}");
        told.push(story(&database.url()));
    }
    assert_same("LATIN1", &told[0], &told[1]);
}

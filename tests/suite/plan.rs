//! Promise 3: what a dry run shows is what is applied. A plan is refused when anything is different by then.

use std::fs;
use std::path::PathBuf;

use sqlx::PgConnection;
use tempfile::TempDir;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, on};

const CONSENT: &str = "deletes-rows,changes-rows";

/// A broken database with a plan for it.
struct Planned {
    database: TestDatabase,
    connection: PgConnection,
    file: PathBuf,
    _folder: TempDir,
}

impl Planned {
    async fn new() -> Self {
        let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
        let folder = TempDir::new().expect("a folder for the plan");
        let file = folder.path().join("plan.json");
        let connection = database.connect().await;
        on(&database.url(), &["fix", "--plan-out", file.to_str().unwrap()]).ends(1);
        Self { database, connection, file, _folder: folder }
    }

    fn apply(&self) -> Run {
        let file = self.file.to_str().expect("UTF-8");
        on(&self.database.url(), &["fix", "--apply", "--plan", file, "--allow", CONSENT])
    }

    /// Changes the database as anybody might between evening and morning; the plan is then refused.
    async fn refused_after(sql: &str, complaints: &[&str]) {
        let mut planned = Self::new().await;
        execute(&mut planned.connection, &sql.replace("#", "evolution_api")).await;
        let before = state(&mut planned.connection, &[]).await;
        planned.apply().ends(2).complains(complaints);
        assert_eq!(state(&mut planned.connection, &[]).await, before, "after {sql}");
    }

    /// Spoils the file; it is then refused.
    async fn refused_with(&mut self, text: &str, complaint: &str) {
        let before = state(&mut self.connection, &[]).await;
        let whole = fs::read_to_string(&self.file).expect("written");
        fs::write(&self.file, text).expect("writable");
        self.apply().ends(2).complains(&[complaint]);
        assert_eq!(state(&mut self.connection, &[]).await, before);
        fs::write(&self.file, whole).expect("writable");
    }
}

#[tokio::test]
async fn a_plan_is_applied_as_it_was_shown() {
    let planned = Planned::new().await;
    let url = planned.database.url();
    let shown: serde_json::Value = serde_json::from_str(&fs::read_to_string(&planned.file).unwrap()).unwrap();
    let rehearsed = on(&url, &["fix", "--format", "json"]).ends(1).json();
    let again = on(&url, &["fix", "--format", "json"]).ends(1).json();
    assert_eq!(rehearsed["plan_hash"], again["plan_hash"], "two dry runs differ");
    assert_eq!(rehearsed["plan_hash"], shown["plan_hash"]);

    let file = planned.file.to_str().unwrap();
    let arguments = ["fix", "--apply", "--plan", file, "--allow", CONSENT, "--format", "json"];
    let applied = on(&url, &arguments).ends(0).json();
    assert_eq!(applied["run"]["applied"], true);
    assert_eq!(applied["plan_hash"], shown["plan_hash"], "something else was applied than shown");
    for (planned, applied) in
        shown["fixes"].as_array().unwrap().iter().zip(applied["fixes"].as_array().unwrap())
    {
        for part in ["code", "statements", "schema_diff", "hazards", "notes"] {
            assert_eq!(planned[part], applied[part]);
        }
        // Each run has its own pseudonyms.
        let rows = |fix: &serde_json::Value| {
            let mut rows = fix["row_diff"].clone();
            rows.as_array_mut().unwrap().iter_mut().for_each(|diff| diff["sample"] = serde_json::Value::Null);
            rows
        };
        assert_eq!(rows(planned), rows(applied));
    }
    on(&url, &["check"]).ends(0);
    // The ledger keeps the hash that was reviewed.
    let history = on(&url, &["history", "--format", "json"]).ends(0).json();
    assert_eq!(history["runs"][0]["plan_hash"], shown["plan_hash"]);
    // Once applied, the plan is of an older state.
    planned.apply().ends(2).complains(&["nothing was applied"]);
}

#[tokio::test]
async fn an_additional_row_refuses_the_plan() {
    let sql = r#"SET session_replication_role = replica; INSERT INTO #."MessageUpdate"
        ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
        VALUES ('u9', 'k', 'jid', true, 'READ', 'm99', 'i1')"#;
    Planned::refused_after(sql, &["EVO101 would now do something different", "nothing was applied"]).await;
}

/// As many rows as before, but others.
#[tokio::test]
async fn a_changed_row_refuses_the_plan() {
    let sql = r#"SET session_replication_role = replica;
        UPDATE #."MessageUpdate" SET "messageId" = 'm3' WHERE "id" = 'u3';
        UPDATE #."MessageUpdate" SET "messageId" = 'm77' WHERE "id" = 'u2'"#;
    Planned::refused_after(sql, &["EVO101 would now do something different"]).await;
    // The same row, with another content: it would be another row that goes.
    let sql = r#"UPDATE #."MessageUpdate" SET "status" = 'PLAYED' WHERE "id" = 'u3'"#;
    Planned::refused_after(sql, &["EVO101 would now do something different"]).await;
}

#[tokio::test]
async fn a_changed_schema_refuses_the_plan() {
    let sql = r#"ALTER TABLE #."OpenaiCreds" ADD COLUMN "note" text"#;
    Planned::refused_after(sql, &["EVO202 would now do something different"]).await;
    let sql = r#"CREATE INDEX "mine" ON #."OpenaiSetting" ("instanceId")"#;
    Planned::refused_after(sql, &["EVO204 would now do something different"]).await;
    let sql = r#"ALTER TABLE #."OpenaiSetting" DROP CONSTRAINT "OpenaiSetting_openaiCredsId_fkey";"#;
    Planned::refused_after(sql, &["the database has changed since the plan was made"]).await;
}

#[tokio::test]
async fn a_damaged_plan_file_is_refused() {
    let mut planned = Planned::new().await;
    let whole = fs::read_to_string(&planned.file).expect("written");
    planned.refused_with(&whole[..whole.len() / 2], "is not a plan, or not a whole one").await;
    planned.refused_with("", "is not a plan, or not a whole one").await;
    planned.refused_with("-- not JSON", "is not a plan, or not a whole one").await;
    planned.refused_with("{}", "is not a plan that this version of evodoctor can read").await;
    planned.refused_with("[1, 2]", "is not a plan that this version of evodoctor can read").await;
    planned.refused_with(r#"{"evodoctor_plan": 1}"#, "is not a whole plan").await;

    let changed = "has been changed since it was written";
    let statement = whole.replacen("ON DELETE CASCADE", "ON DELETE SET NULL", 1);
    assert_ne!(statement, whole);
    planned.refused_with(&statement, changed).await;
    let plan: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let hash = plan["plan_hash"].as_str().unwrap();
    planned.refused_with(&whole.replace(hash, &"0".repeat(hash.len())), changed).await;
    let checksum = plan["checksum"].as_str().unwrap();
    planned.refused_with(&whole.replace(checksum, &"0".repeat(checksum.len())), changed).await;
    let codes = whole.replacen("\"EVO204\"", "\"EVO203\"", 1);
    planned.refused_with(&codes, changed).await;

    // Whole again, it is as good as before.
    planned.apply().ends(0);
}

/// The plan's text was read by a person: a plan with another text is refused, even with a valid checksum.
#[tokio::test]
async fn an_edited_plan_text_is_refused() {
    use sha2::{Digest, Sha256};
    let mut planned = Planned::new().await;
    let whole: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&planned.file).expect("written")).expect("JSON");
    let edits: [fn(&mut serde_json::Value); 4] = [
        |plan| plan["fixes"][0]["statements"] = serde_json::json!(["SELECT 'harmless'"]),
        |plan| plan["fixes"][0]["notes"] = serde_json::json!(["nothing happens"]),
        |plan| plan["fixes"][0]["row_diff"][0]["count"] = 0.into(),
        |plan| plan["fixes"][0]["hazards"] = serde_json::json!([]),
    ];
    for edit in edits {
        let mut plan = whole.clone();
        edit(&mut plan);
        plan["checksum"] = serde_json::Value::Null;
        let digest: String =
            Sha256::digest(plan.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        plan["checksum"] = digest.into();
        planned.refused_with(&plan.to_string(), "the text of the plan was edited").await;
    }
    planned.apply().ends(0);
}

#[tokio::test]
async fn a_missing_or_unreadable_file_is_refused() {
    let mut planned = Planned::new().await;
    let before = state(&mut planned.connection, &[]).await;
    fs::remove_file(&planned.file).expect("written");
    planned.apply().ends(2).complains(&["cannot be read", "plan.json"]);
    fs::create_dir(&planned.file).expect("the name is free");
    planned.apply().ends(2).complains(&["cannot be read"]);
    fs::remove_dir(&planned.file).expect("made above");
    fs::write(&planned.file, [0xff, 0xfe, 0x00]).expect("writable");
    planned.apply().ends(2).complains(&["cannot be read"]);
    assert_eq!(state(&mut planned.connection, &[]).await, before);
}

/// The same failures, but not the same database.
#[tokio::test]
async fn a_plan_of_another_database_is_refused() {
    let planned = Planned::new().await;
    let other = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = other.connect().await;
    let before = state(&mut connection, &[]).await;
    let file = planned.file.to_str().unwrap();
    on(&other.url(), &["fix", "--apply", "--plan", file, "--allow", CONSENT]).ends(2).complains(&[
        "of another database",
        planned.database.name(),
        "nothing was applied",
    ]);
    assert_eq!(state(&mut connection, &[]).await, before);
}

/// Where the file cannot be written, the rehearsal is rolled back all the same.
#[tokio::test]
async fn a_plan_that_cannot_be_written_leaves_nothing() {
    let mut planned = Planned::new().await;
    let before = state(&mut planned.connection, &[]).await;
    let nowhere = planned.file.with_file_name("missing").join("plan.json");
    on(&planned.database.url(), &["fix", "--plan-out", nowhere.to_str().unwrap()])
        .ends(2)
        .complains(&["could not be written", "missing"]);
    assert_eq!(state(&mut planned.connection, &[]).await, before);
}

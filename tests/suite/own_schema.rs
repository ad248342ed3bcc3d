//! Promise 10: our own tables live in the schema `evodoctor`, and nothing else does but what the plan says.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::on;

/// Everything that has a name, in every schema but the system's: also what `state` does not look at.
async fn objects(connection: &mut PgConnection) -> BTreeSet<String> {
    let query = "SELECT pg_identify_object(classid, objid, objsubid)::text FROM (
            SELECT 'pg_class'::regclass AS classid, oid AS objid, 0 AS objsubid FROM pg_class WHERE relkind <> 't'
            UNION ALL SELECT 'pg_proc'::regclass, oid, 0 FROM pg_proc
            UNION ALL SELECT 'pg_type'::regclass, oid, 0 FROM pg_type
            UNION ALL SELECT 'pg_namespace'::regclass, oid, 0 FROM pg_namespace
            UNION ALL SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint
            UNION ALL SELECT 'pg_extension'::regclass, oid, 0 FROM pg_extension
            UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0 FROM pg_event_trigger
            UNION ALL SELECT 'pg_publication'::regclass, oid, 0 FROM pg_publication
        ) AS objects
        WHERE pg_identify_object(classid, objid, objsubid)::text !~ 'pg_toast|pg_temp'";
    let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(connection).await.expect("readable");
    rows.into_iter().collect()
}

#[tokio::test]
async fn no_object_of_ours_is_outside_our_schema() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let (url, mut connection) = (database.url(), database.connect().await);
    let (objects_before, before) = (objects(&mut connection).await, state(&mut connection, &[]).await);
    on(&url, &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let (objects_after, after) = (objects(&mut connection).await, state(&mut connection, &[]).await);

    let new: Vec<&String> = objects_after.difference(&objects_before).collect();
    // The one constraint that the plan says is put back.
    let (ours, others): (Vec<&String>, Vec<&String>) =
        new.iter().partition(|name| name.contains("evodoctor"));
    assert!(ours.len() > 3, "{ours:?}");
    assert_eq!(others.len(), 1, "{others:?}");
    assert!(others[0].contains("Message_sessionId_fkey"), "{others:?}");
    let gone: Vec<&String> = objects_before.difference(&objects_after).collect();
    assert!(gone.is_empty(), "{gone:?}");

    // Rows too: Prisma's record of the migrations is what it was.
    let of_prisma = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("_prisma_migrations")).map(str::to_owned).collect()
    };
    assert!(of_prisma(&before).len() > 10);
    assert_eq!(of_prisma(&before), of_prisma(&after));
}

/// What changed in Evolution's tables is what the plan said, to the row.
#[tokio::test]
async fn only_what_the_plan_says_changes() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let (url, mut connection) = (database.url(), database.connect().await);
    let before = state(&mut connection, &["evodoctor"]).await;
    let arguments = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows", "--format", "json"];
    let report = on(&url, &arguments).ends(0).json();
    let after = state(&mut connection, &["evodoctor"]).await;

    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
        (before.lines().collect(), after.lines().collect());
    let rows = |lines: Vec<&&str>| -> Vec<String> {
        lines
            .into_iter()
            .filter(|line| line.starts_with("\"evolution_api\"."))
            .map(|l| (*l).to_owned())
            .collect()
    };
    let (gone, new) = (rows(before.difference(&after).collect()), rows(after.difference(&before).collect()));
    let count = |action: &str| -> usize {
        let diffs = report["fixes"][0]["row_diff"].as_array().expect("a list");
        let of_action = diffs.iter().filter(|diff| diff["action"] == action);
        of_action.map(|diff| diff["count"].as_u64().expect("a count") as usize).sum()
    };
    assert_eq!(gone.len(), count("removed") + count("changed"), "{gone:?}");
    assert_eq!(new.len(), count("changed"), "{new:?}");
    for diff in report["fixes"][0]["row_diff"].as_array().expect("a list") {
        let table = diff["table"].as_str().expect("a name");
        assert!(
            gone.iter().any(|line| line.starts_with(&format!("\"evolution_api\".\"{table}\""))),
            "{table}"
        );
    }
}

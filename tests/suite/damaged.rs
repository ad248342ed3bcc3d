//! On databases that are damaged at random, what was applied can be undone: check, dry run, apply, a second dry run, undo, and
//! everything is as it was, catalog and rows. `PROPTEST_CASES` and `PROPTEST_RNG_SEED` search further.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use serde_json::Value;

use crate::support::damage::{Damaged, Meanwhile, damaged, meanwhile};
use crate::support::database::TestDatabase;
use crate::support::database_dump::seen;
use crate::support::program::{Run, on};
use crate::support::property_config::generated;
use crate::support::sample_rows::contents;

const ALLOW: &str = "deletes-rows,changes-rows,rewrites-table,limits-undo,fires-triggers";

/// Runs a test on so many damaged databases.
fn on_many<T: Debug, F: Future<Output = Result<(), TestCaseError>>>(
    cases: u32,
    inputs: impl Strategy<Value = T>,
    test: impl Fn(T) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let run = |input| runtime.block_on(test(input));
    let mut config = generated(cases);
    // A case takes seconds; a few attempts at a smaller one are enough to read it.
    if std::env::var_os("PROPTEST_MAX_SHRINK_ITERS").is_none() {
        config.max_shrink_iters = 12;
    }
    if let Err(error) = TestRunner::new(config).run(&inputs, run) {
        panic!("{error}");
    }
}

fn fix(database: &TestDatabase, schema: &str, more: &[&str]) -> Run {
    let start = ["fix", "--schema", schema, "--fail-on", "advice", "--format", "json"];
    on(&database.url(), &[&start[..], more].concat())
}

/// The exit code of a command that could do its work.
fn expect_done(run: &Run, what: &str) -> Result<(), TestCaseError> {
    prop_assert!(matches!(run.code, Some(0 | 1 | 3)), "{what}: {}", run.stderr);
    Ok(())
}

/// The codes that a plan carries out.
fn codes(plan: &Value) -> BTreeSet<&str> {
    plan["fixes"].as_array().into_iter().flatten().filter_map(|fix| fix["code"].as_str()).collect()
}

#[test]
fn apply_and_undo_leave_everything_as_it_was() {
    on_many(8, damaged(), async |damaged: Damaged| {
        let (database, schema) = (damaged.database().await, damaged.schema());
        let before = seen(&database).await;
        let check = on(&database.url(), &["check", "--schema", schema]);
        expect_done(&check, "check")?;

        let dry = fix(&database, schema, &["--allow", "fires-triggers"]);
        expect_done(&dry, "dry run")?;
        prop_assert!(seen(&database).await == before, "the dry run left a trace");
        let planned = dry.json();
        if codes(&planned).is_empty() {
            return Ok(());
        }

        let applied = fix(&database, schema, &["--apply", "--allow", ALLOW]);
        expect_done(&applied, "apply")?;
        let applied = applied.json();
        prop_assert_eq!(&applied["plan_hash"], &planned["plan_hash"], "what was shown is what is applied");
        let again = fix(&database, schema, &["--allow", "fires-triggers"]);
        expect_done(&again, "a second dry run")?;
        let again = again.json();
        prop_assert!(codes(&again).is_empty(), "a second run finds more to do: {:?}", codes(&again));

        let run = applied["run"]["id"].to_string();
        let undo = on(&database.url(), &["undo", &run, "--schema", schema, "--apply"]);
        expect_done(&undo, "undo")?;
        let limited = applied["fixes"].as_array().into_iter().flatten().any(|fix| {
            fix["hazards"].as_array().is_some_and(|hazards| hazards.iter().any(|one| one == "limits-undo"))
        });
        let after = seen(&database).await;
        prop_assert!(limited || after == before, "undo left something else: {}", difference(&before, &after));
        Ok(())
    });
}

/// Fixes in batches, and the others with what is built after the commit, are undone run by run, the newest first.
#[test]
fn batches_and_online_runs_are_undone_too() {
    on_many(4, damaged(), async |damaged: Damaged| {
        let (database, schema) = (damaged.database().await, damaged.schema());
        let before = seen(&database).await;
        for code in ["EVO101", "EVO102", "EVO107"] {
            let batches = ["fix", code, "--batch=3", "--schema", schema, "--apply", "--allow", ALLOW];
            let run = on(&database.url(), &batches);
            // A blocked batch is reported; the batches committed before it are undone as well.
            prop_assert!(run.code.is_some(), "batches of {code}: {}", run.stderr);
        }
        let online = fix(&database, schema, &["--online", "--apply", "--allow", ALLOW]);
        prop_assert!(online.code.is_some(), "online: {}", online.stderr);
        while let Some(run) = newest_run(&database, schema) {
            let undo = on(&database.url(), &["undo", &run, "--schema", schema, "--apply"]);
            prop_assert_eq!(undo.code, Some(0), "undo of run {}: {}", run, undo.stderr);
        }
        let after = seen(&database).await;
        prop_assert!(after == before, "undo left something else: {}", difference(&before, &after));
        Ok(())
    });
}

/// The newest run that is not undone; of a series its first.
fn newest_run(database: &TestDatabase, schema: &str) -> Option<String> {
    let history = on(&database.url(), &["history", "--schema", schema, "--format", "json"]).json();
    let run = history["runs"].as_array()?.iter().find(|run| run["undone_at"].is_null())?;
    let first = if run["series"].is_null() { &run["run"] } else { &run["series"] };
    Some(first.to_string())
}

/// Others write between the fix and its undo: what they wrote stays beside what returns, or undo refuses and changes nothing.
#[test]
fn rows_written_since_stay_or_block_undo() {
    let inputs = (damaged(), vec(meanwhile(), 1..4));
    on_many(6, inputs, async |(damaged, written): (Damaged, Vec<Meanwhile>)| {
        let (database, schema) = (damaged.database().await, damaged.schema());
        let mut connection = database.connect().await;
        let before = contents(&mut connection, schema).await;
        let applied = fix(&database, schema, &["--apply", "--allow", ALLOW]);
        expect_done(&applied, "apply")?;
        let run = applied.json()["run"]["id"].clone();
        if run.is_null() {
            return Ok(());
        }
        let fixed = contents(&mut connection, schema).await;
        for one in &written {
            damaged.write(&database, one).await;
        }
        let changed = contents(&mut connection, schema).await;
        let state = seen(&database).await;

        let undo = on(&database.url(), &["undo", &run.to_string(), "--schema", schema, "--apply"]);
        if undo.code != Some(0) {
            prop_assert_eq!(undo.code, Some(2), "undo: {}", undo.stdout);
            prop_assert!(undo.stderr.contains("next:"), "a refusal names the next step: {}", undo.stderr);
            prop_assert!(seen(&database).await == state, "a refused undo has changed something");
            return Ok(());
        }
        let after = contents(&mut connection, schema).await;
        for (table, rows) in &changed {
            let lost = rows.keys().find(|id| !after[table].contains_key(*id));
            prop_assert!(lost.is_none(), "undo took a row that is not its own: {table} {lost:?}");
        }
        for (table, rows) in &before {
            // What others deleted since is theirs to delete.
            let is_deleted =
                |id: &&String| fixed[table].contains_key(*id) && !changed[table].contains_key(*id);
            let lost = rows.keys().filter(|id| !is_deleted(id)).find(|id| !after[table].contains_key(*id));
            prop_assert!(lost.is_none(), "undo did not bring back a row: {table} {lost:?}");
        }
        Ok(())
    });
}

/// The first lines that only one of two states has.
fn difference(before: &str, after: &str) -> String {
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (before.lines().collect(), after.lines().collect());
    let gone = old.difference(&new).take(5).map(|line| format!("- {line}"));
    let come = new.difference(&old).take(5).map(|line| format!("+ {line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}

/// Whatever is broken is found in a staging snapshot, too, code by code and count by count.
#[test]
fn a_staging_snapshot_has_the_same_findings() {
    on_many(3, damaged(), async |damaged: Damaged| {
        let (database, schema) = (damaged.database().await, damaged.schema());
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().join("staging.dump");
        let output = output.to_str().expect("a plain path");
        let arguments = ["snapshot", "--schema", schema, "--output", output, "--format", "json"];
        let run = on(&database.url(), &arguments);
        prop_assert!(matches!(run.code, Some(0)), "{:?}: {}{}", run.code, run.stdout, run.stderr);
        Ok(())
    });
}

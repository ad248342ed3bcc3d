use serde_json::json;

use super::compare::{Effect, differences};
use super::{Proof, Verdict, WayBack};
use crate::database::expected_objects::{CatalogObject, ExpectedObjects};
use crate::evolution::release::Release;
use crate::evolution::schema::{Column, schema};
use crate::evolution::servers::{TriedResult, server_facts};

fn release(version: &str) -> Release {
    Release::find(version).expect("known")
}

/// Whatever keeps an older server from running is looked for a second time in the facts themselves, without the comparison.
fn obstacle(server: Release, tables: Release) -> Option<String> {
    let of_tables = |name: &str| schema().tables(tables).find(|table| table.name == name);
    for table in schema().tables(server) {
        let Some(now) = of_tables(&table.name) else { return Some(format!("{} is missing", table.name)) };
        for column in table.columns(server) {
            let path = format!("{}.{}", table.name, column.name);
            let Some(new) = now.columns(tables).find(|one| one.name == column.name) else {
                return Some(format!("{path} is missing"));
            };
            if is_narrower(&column.data_type, &new.data_type) {
                return Some(format!("{path} is narrower"));
            }
        }
        let is_unknown = |one: &&Column| !table.columns(server).any(|column| column.name == one.name);
        if let Some(one) =
            now.columns(tables).filter(is_unknown).find(|one| one.not_null && one.default.is_none())
        {
            return Some(format!("{}.{} has no default", table.name, one.name));
        }
    }
    for kind in schema().enums(server) {
        let now = schema().enums(tables).find(|one| one.name == kind.name);
        let has = |value: &String| now.is_some_and(|now| now.values.contains(value));
        if !kind.values.iter().all(has) {
            return Some(format!("{} lacks a value", kind.name));
        }
    }
    None
}

fn is_narrower(old: &str, new: &str) -> bool {
    let length = |text: &str| text.strip_prefix("character varying(")?.strip_suffix(')')?.parse::<u32>().ok();
    match (length(old), length(new)) {
        (Some(old), Some(new)) => new < old,
        _ => old != new,
    }
}

#[test]
fn no_pair_runs_that_lacks_something_and_what_fails_lacks_something() {
    let (mut runs, mut fails, mut uncertain) = (0, 0, 0);
    for server in Release::all() {
        for tables in Release::all().filter(|tables| *tables > server) {
            let answer = WayBack::new(server, tables, None);
            let obstacle = obstacle(server, tables);
            match answer.verdict {
                Verdict::Fails => {
                    fails += 1;
                    assert!(obstacle.is_some(), "{server} on {tables}: {:?}", answer.differences.first());
                }
                Verdict::Runs => {
                    runs += 1;
                    assert_eq!(obstacle, None, "{server} on {tables}");
                }
                Verdict::Uncertain => {
                    uncertain += 1;
                    assert_eq!(obstacle, None, "{server} on {tables}");
                    assert_eq!(answer.proof, Proof::Derived);
                }
            }
            assert!(answer.differences.iter().all(|one| !one.is_drift), "{server} on {tables}");
        }
    }
    // The facts have pairs of each kind, or this test would prove nothing.
    assert!(runs > 50 && fails > 50 && uncertain > 20, "{runs} run, {fails} fail, {uncertain} uncertain");
}

/// Derived without what was seen: a unique index or a NOT NULL that changed is never taken for harmless.
#[test]
fn what_was_tried_agrees_with_the_catalogs() {
    for pair in &server_facts().tried {
        let answer = WayBack::new(pair.server(), pair.tables(), None);
        let (verdict, proof) = match pair.result {
            TriedResult::Answers => (Verdict::Runs, Proof::Seen),
            TriedResult::Fails => (Verdict::Fails, Proof::Derived),
        };
        let what = format!("{} on {}", pair.server(), pair.tables());
        assert_eq!((answer.verdict, answer.proof), (verdict, proof), "{what}: {:?}", answer.differences);
    }
    // Not tried: the unique index of 2.3.7 is unknown to 2.3.6.
    let answer = WayBack::new(release("2.3.6"), release("2.3.7"), None);
    assert_eq!((answer.verdict, answer.proof), (Verdict::Uncertain, Proof::Derived));
    assert_eq!(answer.differences[0].object, "Chat (instanceId, remoteJid)");
    // Tried, and seen to run with it.
    let answer = WayBack::new(release("2.2.3"), release("2.3.7"), None);
    let index = answer.differences.iter().find(|one| one.object == "Chat (instanceId, remoteJid)");
    assert_eq!(index.map(|one| one.effect), Some(Effect::Harmless));
    assert!(answer.with_effect(Effect::WrittenDifferently).any(|one| one.object == "Message.key"));
}

fn objects(version: &str) -> Vec<CatalogObject> {
    ExpectedObjects::new(release(version)).as_catalog()
}

/// The worst effect of a manual change to the tables of 2.4.0-rc2, for a server of 2.3.7.
fn drifted(change: impl Fn(&mut Vec<CatalogObject>)) -> (Verdict, Proof, Vec<(Effect, String)>) {
    let mut found = objects("2.4.0-rc2");
    change(&mut found);
    let answer = WayBack::new(release("2.3.7"), release("2.4.0-rc2"), Some(&found));
    let drift = answer.differences.iter().filter(|one| one.is_drift);
    (answer.verdict, answer.proof, drift.map(|one| (one.effect, one.object.clone())).collect())
}

fn define(objects: &mut [CatalogObject], table: &str, column: &str, field: &str, value: serde_json::Value) {
    let is_it = |one: &&mut CatalogObject| one.kind == "column" && one.table == table && one.form == column;
    let one = objects.iter_mut().find(is_it).expect("the column is there");
    one.definition.as_mut().expect("defined")[field] = value;
}

#[test]
fn drift_invalidates_a_tested_verdict() {
    assert_eq!(drifted(|_| {}), (Verdict::Runs, Proof::Seen, vec![]));
    let without = |kind: &'static str, table: &'static str, form: &'static str| {
        drifted(move |found| {
            found.retain(|one| {
                (one.kind.as_str(), one.table.as_str(), one.form.as_str()) != (kind, table, form)
            })
        })
    };
    let fails = |object: &str| (Verdict::Fails, Proof::Derived, vec![(Effect::Fails, object.to_owned())]);
    let may_fail =
        |object: &str| (Verdict::Uncertain, Proof::Derived, vec![(Effect::MayFail, object.to_owned())]);
    assert_eq!(without("column", "Setting", "wavoipToken"), fails("Setting.wavoipToken"));
    assert_eq!(
        without("index", "Chat", "UNIQUE (instanceId, remoteJid)"),
        may_fail("Chat (instanceId, remoteJid)")
    );
    assert_eq!(
        without("key", "Chat", "(instanceId) -> Instance (id)"),
        may_fail("Chat (instanceId) -> Instance (id)")
    );
    assert_eq!(
        drifted(|found| define(found, "Instance", "token", "type", json!("character varying(100)"))),
        may_fail("Instance.token")
    );
    assert_eq!(drifted(|found| define(found, "Instance", "token", "type", json!("text"))).0, Verdict::Runs);
    assert_eq!(drifted(|found| define(found, "Message", "key", "type", json!("text"))), fails("Message.key"));
    assert_eq!(
        drifted(|found| define(found, "Message", "status", "not_null", json!(true))),
        may_fail("Message.status")
    );
    let also = |kind: &str, table: &str, form: &str, definition: serde_json::Value| CatalogObject {
        kind: kind.to_owned(),
        table: table.to_owned(),
        form: form.to_owned(),
        definition: Some(definition),
    };
    let mandatory = json!({"type": "text", "not_null": true, "default": null});
    assert_eq!(
        drifted(|found| found.push(also("column", "Chat", "colour", mandatory.clone()))),
        fails("Chat.colour")
    );
    let refers = json!({"on_delete": "RESTRICT", "on_update": "CASCADE"});
    let key = drifted(|found| {
        found.push(also("table", "Audit", "Audit", json!({"primary_key": ["id"]})));
        found.push(also("key", "Audit", "(chatId) -> Chat (id)", refers.clone()));
    });
    assert_eq!((key.0, key.2[0].0), (Verdict::Uncertain, Effect::MayFail));
}

#[test]
fn a_value_that_is_missing_or_unknown_is_told_apart() {
    let (old, new) = (objects("2.0.10"), objects("2.1.0"));
    let of_type = |found: &[super::compare::Difference]| {
        let one = found.iter().find(|one| one.object == "TriggerType").expect("the type changed");
        (one.effect, one.detail.contains("advanced"))
    };
    assert_eq!(of_type(&differences(&old, &new)), (Effect::MayFail, true));
    assert_eq!(of_type(&differences(&new, &old)), (Effect::Fails, true));
}

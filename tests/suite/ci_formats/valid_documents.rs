//! Output formats are validated by their official schemas and tools.

use std::process::Command;

use evodoctor::report::json::SCHEMA;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::{HOSTILE, hostile_database, logs};
use crate::support::database::TestDatabase;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, evodoctor, on};

fn schema(name: &str) -> String {
    format!("{}/fixtures/schemas/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A clean run, one with findings, one with hostile names, a rehearsal, and logs.
async fn runs(format: &str) -> Vec<Run> {
    let format = ["--format", format];
    let clean = TestDatabase::new("2.3.7", "evolution_api").await;
    let hostile = hostile_database().await;
    let mut runs = vec![on(&clean.url(), &[&["check"][..], &format].concat()).ends(0)];
    for command in ["check", "fix"] {
        runs.push(on(&hostile.url(), &[&[command][..], &format].concat()).ends(1));
    }
    runs.push(logs(&["Alpha", HOSTILE], &format).ends(1));
    runs
}

#[tokio::test]
async fn sarif_validates_against_its_schema() {
    let text = std::fs::read_to_string(schema("sarif-schema-2.1.0.json")).expect("readable");
    // The one pattern in it that is not a valid regular expression: a bracket too many.
    let text = text.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for run in runs("sarif").await {
        expect_valid(&validator, &run.json());
        let sarif = &run.json()["runs"][0];
        assert!(!sarif["tool"]["driver"]["rules"].as_array().expect("a list").is_empty());
    }
}

#[tokio::test]
async fn junit_validates_against_its_schema() {
    for run in runs("junit").await {
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &run.stdout).expect("writable");
        let xmllint = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema", &schema("junit-10.xsd")])
            .arg(file.path())
            .output()
            .expect("xmllint is installed by tests/setup.sh");
        let said = String::from_utf8_lossy(&xmllint.stderr);
        assert!(xmllint.status.success(), "{said}\n{}", run.stdout);
    }
}

#[track_caller]
fn expect_valid(validator: &jsonschema::Validator, document: &Value) {
    let faults: Vec<String> =
        validator.iter_errors(document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{}\n{document:#}", faults.join("\n"));
}

/// The schema, with every field refused that it does not describe.
fn strict() -> jsonschema::Validator {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                fields.iter_mut().filter(|(name, _)| *name != "allOf").for_each(|(_, field)| close(field));
                // A field may be named so, too; a schema that has it is an object's.
                if fields.get("type").is_some_and(|kind| kind == "object") {
                    fields.entry("additionalProperties").or_insert(Value::Bool(false));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    jsonschema::meta::validate(&schema).expect("a schema by the rules of its draft");
    close(&mut schema);
    jsonschema::validator_for(&schema).expect("a schema")
}

#[tokio::test]
async fn every_command_prints_what_the_schema_describes() {
    let schema = strict();
    for run in runs("json").await {
        expect_valid(&schema, &run.json());
    }
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let url = database.url();
    let json = |arguments: &[&str]| on(&url, &[arguments, &["--format", "json"]].concat()).json();
    let credentials =
        Fixture::read("EVO106_foreign_credential_in_use", "bad").database("evolution_api").await;
    let list = on(&credentials.url(), &["credentials", "list", "--format", "json"]).ends(0).json();
    assert!(!list["credentials"].as_array().expect("a list").is_empty(), "nothing is tested");
    let id = list["credentials"][0]["id"].as_str().expect("an id").to_owned();
    let release = on(&credentials.url(), &["credentials", "release", &id, "--format", "json"]).ends(1).json();
    for document in [
        list,
        release,
        json(&["fix", "--apply", "--allow", "deletes-rows,changes-rows"]),
        json(&["history"]),
        json(&["undo", "1"]),
        evodoctor(&["explain", "--format", "json"]).json(),
    ] {
        expect_valid(&schema, &document);
    }
    let folder = tempfile::TempDir::new().expect("a folder");
    let config = folder.path().join("evodoctor.toml");
    let text = "[[ignore]]\ncode = \"EVO106\"\nreason = \"agreed\"\nuntil = 9999-12-31\n";
    std::fs::write(&config, text).expect("writable");
    let arguments = ["check", "--config", config.to_str().expect("UTF-8"), "--format", "json"];
    let decided = on(&credentials.url(), &arguments).json();
    assert!(!decided["config"]["ignored"].as_array().expect("a list").is_empty(), "nothing is tested");
    expect_valid(&schema, &decided);
    let list = folder.path().join("list");
    let lines = format!("a {}\nb postgresql://nobody@127.0.0.1:1/x\n", credentials.url());
    std::fs::write(&list, lines).expect("writable");
    let list = list.to_str().expect("UTF-8");
    let config = config.to_str().expect("UTF-8");
    for command in ["check", "preflight"] {
        let arguments = [command, "--targets", list, "--config", config, "--format", "json"];
        expect_valid(&schema, &evodoctor(&arguments).ends(2).json());
    }
    let reports = folder.path().join("reports");
    let arguments =
        ["check", "--targets", list, "--output", reports.to_str().expect("UTF-8"), "--format", "json"];
    evodoctor(&arguments).ends(2);
    let report = std::fs::read_to_string(reports.join("a.json")).expect("written");
    expect_valid(&schema, &serde_json::from_str(&report).expect("JSON"));
    let upgrade = Fixture::read("EVO614_wrong_chat_survives", "bad").database("evolution_api").await;
    let preflight = on(&upgrade.url(), &["preflight", "--format", "json"]).ends(1).json();
    assert!(!preflight["preflight"]["pending"].as_array().expect("a list").is_empty(), "nothing is tested");
    expect_valid(&schema, &preflight);
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/migrations");
    let rehearsal = ["preflight", "--migrations", files, "--rehearse-on-live", "--format", "json"];
    expect_valid(&schema, &on(&upgrade.url(), &rehearsal).ends(1).json());
    let mut other = json(&["check"]);
    other["findings"] = serde_json::json!([{"code": "EVO101"}]);
    assert!(!schema.is_valid(&other), "the schema refuses nothing");
}

#[test]
fn the_json_schema_can_be_printed() {
    assert_eq!(evodoctor(&["explain", "--json-schema"]).ends(0).stdout, SCHEMA);
}

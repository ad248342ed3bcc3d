//! What `sql/README.md` and `tests/README.md` say is true: their lists are whole, and the worked examples do what they claim.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use evodoctor::checks::check::{self, Check};
use evodoctor::checks::finding_row::finding_from_row;
use evodoctor::database::query::query_statement;
use evodoctor::database::sql_file::{FILES, SqlFile, Variables, render};
use evodoctor::repair::fix::{self, Fix};
use evodoctor::rules::rule::Rule;
use evodoctor::upgrade::hazard::{self, Hazard};
use regex::Regex;
use sqlx::postgres::PgRow;

use super::{ROOT, blocks};
use crate::support::fixtures::{Expected, Fixture};

const SCHEMA: &str = "evolution_api";

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The rows of the first table under a title: what is in their first two columns.
fn table(readme: &str, title: &str) -> Vec<(Vec<String>, String)> {
    let (_, rest) = readme.split_once(&format!("\n{title}\n")).unwrap_or_else(|| panic!("no {title}"));
    let name = Regex::new("`([^`]+)`").expect("a pattern");
    let lines =
        rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows = lines.skip(2).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let first = cells.next().unwrap_or_default();
        let names = name.captures_iter(first).map(|found| found[1].to_owned()).collect();
        (names, cells.next().unwrap_or_default().to_owned())
    });
    rows.collect()
}

#[test]
fn every_header_key_is_explained() {
    let rows = table(&text("sql/README.md"), "## Header keys");
    let explained = |folder: &str| -> BTreeSet<String> {
        let of_folder = rows.iter().filter(|(_, places)| places.split(", ").any(|place| place == folder));
        of_folder.flat_map(|(names, _)| names.clone()).collect()
    };
    let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(explained("checks"), keys(check::KEYS), "keys of checks");
    assert_eq!(explained("hazards"), keys(hazard::KEYS), "keys of hazards");
    assert_eq!(explained("fixes"), keys(fix::KEYS), "keys of fixes");
    let mut used = BTreeSet::new();
    for folder in fs::read_dir(Path::new(ROOT).join("fixtures/databases")).expect("there are fixtures") {
        for file in fs::read_dir(folder.expect("readable").path()).expect("a folder") {
            let text = fs::read_to_string(file.expect("readable").path()).expect("readable");
            used.extend(SqlFile::parse(&text).header.into_iter().map(|(key, _)| key));
        }
    }
    assert_eq!(explained("fixtures"), used, "keys of fixtures");
}

#[test]
fn every_variable_is_explained() {
    let rows = table(&text("sql/README.md"), "## Variables");
    let explained: BTreeSet<String> = rows.into_iter().flat_map(|(names, _)| names).collect();
    let variable = Regex::new(r#"(?:^|[^:\w'"]):["']?([a-z_]+)"#).expect("a pattern");
    let folders = ["sql/checks/", "sql/fixes/", "sql/hazards/"];
    let mut used = BTreeSet::new();
    for (_, text) in FILES.iter().filter(|(path, _)| folders.iter().any(|folder| path.starts_with(folder))) {
        for statement in SqlFile::parse(text).statements {
            let code = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
            for line in code {
                used.extend(variable.captures_iter(line).map(|found| found[1].to_owned()));
            }
        }
    }
    let unknown: Vec<&String> = used.difference(&explained).collect();
    assert!(unknown.is_empty(), "sql/README.md does not explain {unknown:?}");
    assert!(used.len() > 20, "only {used:?}");
}

#[test]
fn every_file_of_the_suite_is_listed() {
    let rows = table(&text("tests/README.md"), "## Promise and test");
    let rest = table(&text("tests/README.md"), "## Other tests");
    let listed: BTreeSet<String> = rows
        .into_iter()
        .chain(rest)
        .flat_map(|(names, second)| {
            let names_of_second = table_names(&second);
            names.into_iter().chain(names_of_second)
        })
        .filter(|name| name.ends_with(".rs"))
        .collect();
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(Path::new(ROOT).join("tests/suite")).expect("there is a suite") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        if name.ends_with(".rs") && name != "main.rs" {
            there.insert(name);
        }
    }
    assert_eq!(listed, there, "tests/README.md lists every file of tests/suite, and no other");
}

fn table_names(cell: &str) -> Vec<String> {
    let name = Regex::new("`([^`]+)`").expect("a pattern");
    name.captures_iter(cell).map(|found| found[1].to_owned()).collect()
}

/// The files that the README lays out, by path.
fn examples() -> Vec<(String, String)> {
    let path = |kind: &str| kind.strip_prefix("sql ").map(str::to_owned);
    blocks("sql/README.md").into_iter().filter_map(|block| Some((path(&block.kind)?, block.text))).collect()
}

fn fixture(examples: &[(String, String)], stem: &str, name: &str) -> Fixture {
    let path = format!("fixtures/databases/{stem}/{name}.sql");
    let found = examples.iter().find(|(known, _)| *known == path);
    Fixture::parse(&found.unwrap_or_else(|| panic!("no {path}")).1)
}

/// What a query of an example finds in a fixture's database.
async fn found(sql: &str, rule: &Rule, fixture: &Fixture) -> Vec<Expected> {
    let database = fixture.database(SCHEMA).await;
    let script = SqlFile::parse(sql);
    let query =
        render(script.only_statement().expect("one query"), &Variables::for_schema(SCHEMA)).expect("known");
    let rows = query_statement(&mut database.connect().await, query).await.expect("it runs");
    let expected = |row: &PgRow| {
        let finding = finding_from_row(rule, row).expect("the columns of a check");
        Expected {
            key: finding.key,
            count: finding.count,
            severity: finding.severity.to_string(),
            is_manual: false,
        }
    };
    rows.iter().map(expected).collect()
}

#[tokio::test]
async fn worked_examples_find_and_repair_what_they_say() {
    let examples = examples();
    let (mut checks, mut fixes, mut hazards) = (0, 0, 0);
    for (path, text) in &examples {
        let rule = if path.starts_with("sql/checks/") {
            checks += 1;
            let check = Check::parse(path, text).unwrap_or_else(|error| panic!("{error:#}"));
            Some((check.stem.clone(), check.rule))
        } else if path.starts_with("sql/hazards/") {
            hazards += 1;
            let hazard = Hazard::parse(path, text, None).unwrap_or_else(|error| panic!("{error:#}"));
            Some((hazard.stem.clone(), hazard.rule))
        } else {
            None
        };
        if let Some((stem, rule)) = rule {
            assert!(rule.summary.len() <= 80 && rule.why.len() >= 80 && !rule.matches.is_empty(), "{path}");
            for name in ["bad", "good"] {
                let fixture = fixture(&examples, &stem, name);
                assert_eq!(found(text, &rule, &fixture).await, fixture.finds, "{path} on {name}.sql");
            }
        }
        if let Some(stem) = path.strip_prefix("sql/fixes/").and_then(|name| name.strip_suffix(".rows.sql")) {
            fixes += 1;
            let fix = Fix::parse(stem, text, "", "").unwrap_or_else(|error| panic!("{error:#}"));
            assert!(!fix.after.is_empty(), "{path}");
            for (name, count) in [("bad", 1), ("good", 0)] {
                let database = fixture(&examples, stem, name).database(SCHEMA).await;
                let query = render(fix.rows.as_deref().expect("rows"), &Variables::for_schema(SCHEMA));
                let rows = query_statement(&mut database.connect().await, query.expect("known")).await;
                assert_eq!(rows.expect("it runs").len(), count, "{path} on {name}.sql");
            }
        }
    }
    assert_eq!((checks, fixes, hazards), (1, 1, 1));
}

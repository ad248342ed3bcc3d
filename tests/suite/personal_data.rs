//! Promise 11: no personal data leaves the machine in a report, unless rows are requested.

mod commands;

use std::fs;

use clap::ValueEnum;
use evodoctor::cli::{OutputFormat, ProxyKind};
use evodoctor::database::ident::SqlFragment;
use evodoctor::evolution::personal_data::{DataClass, column_class};
use evodoctor::evolution::release::Release;
use evodoctor::evolution::schema::{Column, Table, schema};
use serde_json::json;
use tempfile::TempDir;

use crate::support::database::{TestDatabase, execute};
use crate::support::program::{Run, evodoctor, on};

/// A part of every planted value.
const MARKS: [&str; 8] =
    ["98765032", "Zuleika", "QUOKKA", "wombat", "PLATYPUS", "ECHIDNA", "NUMBAT", "198.51.100.77"];

fn phone(number: usize) -> String {
    format!("551198765032{number}@s.whatsapp.net")
}

fn planted(class: DataClass, table: &str, column: &str, number: usize) -> String {
    match class {
        DataClass::Public => "PLAIN".to_owned(),
        DataClass::Identifier => format!("{table}_{column}_{number}"),
        DataClass::Phone => phone(number),
        DataClass::Name => format!("Zuleika {number}"),
        DataClass::Text => format!("QUOKKA, my CPF is 123.456.789-09 {number}"),
        DataClass::Url => format!("https://wombat.example/PLATYPUS/{number}?text=ECHIDNA"),
        DataClass::Secret => format!("abcd-NUMBAT-0123456789-{number}"),
        DataClass::Json => json!({
            "id": format!("{table}{number}"), "remoteJid": phone(number), "conversation": "QUOKKA", "pushName": "Zuleika",
            "nobody decided on this": "QUOKKA", "phones": [5_511_987_650_321_u64, "5511987650321"],
            phone(number): {"Zuleika": true}, "list": [{"url": "https://wombat.example/PLATYPUS", "apiKey": "abcd-NUMBAT-0123"}],
            "extendedTextMessage": {"text": "QUOKKA", "contextInfo": {"participant": phone(number)}}, "type": "Zuleika says QUOKKA"
        })
        .to_string(),
    }
}

fn value(release: Release, table: &Table, column: &Column, number: usize) -> String {
    let data_type = column.data_type.as_str();
    let text = match data_type {
        "boolean" => "true".to_owned(),
        "integer" => number.to_string(),
        _ if data_type.starts_with("timestamp") || data_type == "date" => "2025-01-01".to_owned(),
        _ if data_type.starts_with('"') => {
            let name = data_type.trim_matches('"');
            let mut enums = schema().enums(release);
            enums.find(|one| one.name == name).expect("an enum").values[0].clone()
        }
        _ => planted(column_class(&table.name, &column.name), &table.name, &column.name, number),
    };
    SqlFragment::literal(&text).to_string()
}

/// Two rows in every table, in which no reference leads anywhere, so that they turn up in samples.
async fn database(version: &str) -> TestDatabase {
    let database = TestDatabase::new(version, "evolution_api").await;
    let release = Release::find(version).expect("a release");
    let mut sql = "SET session_replication_role = replica;\n".to_owned();
    for table in schema().tables(release) {
        let columns: Vec<&Column> = table.columns(release).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        for number in 0..2 {
            let values: Vec<String> =
                columns.iter().map(|column| value(release, table, column, number)).collect();
            sql += &format!(
                "INSERT INTO {} ({}) VALUES ({});\n",
                SqlFragment::qualified("evolution_api", &table.name),
                SqlFragment::columns(None, &names),
                values.join(", ")
            );
        }
    }
    sql += "UPDATE evolution_api.\"Instance\" SET name = '5511987650321' WHERE id = 'Instance_id_1';";
    execute(&mut database.connect().await, &sql).await;
    database
}

fn expect_nothing_personal(text: &str, what: &str) {
    for mark in MARKS {
        if let Some(at) = text.find(mark) {
            let from = text[..at].char_indices().rev().nth(300).map_or(0, |(at, _)| at);
            panic!("{what} has {mark:?}: {}", &text[from..at + mark.len()]);
        }
    }
}

fn expect_clean(run: &Run, what: &str) {
    assert!(run.code.is_some_and(|code| code != 2), "{what}: {}{}", run.stdout, run.stderr);
    expect_nothing_personal(&run.stdout, what);
    expect_nothing_personal(&run.stderr, &format!("stderr of {what}"));
}

/// Runs a command on a database in formats, and looks at every byte.
fn look(url: &str, arguments: &[&str], formats: &[OutputFormat]) {
    for format in formats {
        let run = on(url, &[arguments, &["-vv", "--format", format.as_str()]].concat());
        expect_clean(&run, &format!("{arguments:?} as {}", format.as_str()));
    }
}

/// Of releases with the same tables, one; the commands have the newest stable one to themselves.
#[tokio::test]
async fn no_release_has_a_column_that_is_shown() {
    let mut seen: Vec<Release> = Vec::new();
    for release in Release::all() {
        if seen.iter().any(|other| schema().is_same(*other, release)) {
            continue;
        }
        seen.push(release);
        let database = database(release.version()).await;
        look(&database.url(), &["check"], &[OutputFormat::Json]);
        // Every row is an orphan, so this one has samples of every table.
        look(&database.url(), &["fix", "EVO101"], &[OutputFormat::Html]);
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[tokio::test]
async fn rows_are_shown_on_request_and_the_report_says_so() {
    let database = database("2.3.7").await;
    let url = database.url();
    let run = on(&url, &["fix", "--show-rows", "--format", "json"]).ends(1);
    let report = run.json();
    assert_eq!(report["personal_data"], "shown");
    for mark in ["98765032", "Zuleika", "QUOKKA", "wombat"] {
        assert!(run.stdout.contains(mark), "the test plants no {mark} that would be seen");
    }
    run.complains(&["this report shows rows"]);
    for format in ["human", "sarif", "junit", "github", "markdown", "html"] {
        let run = on(&url, &["check", "--show-rows", "--format", format]).ends(1);
        assert!(run.stdout.contains("shows rows"), "{format}: {}", run.stdout);
        let run = on(&url, &["check", "--format", format]).ends(1);
        assert!(!run.stdout.contains("shows rows"), "{format}");
    }
}

#[tokio::test]
async fn one_number_has_one_pseudonym_in_a_report_and_another_in_the_next() {
    let database = database("2.3.7").await;
    let pseudonyms = || {
        let run = on(&database.url(), &["fix", "EVO101", "--format", "json"]).ends(1);
        let words = run.stdout.split(|c: char| !(c.is_ascii_alphanumeric() || "@.-".contains(c)));
        let mut found: Vec<String> =
            words.filter(|word| word.starts_with("phone-")).map(str::to_owned).collect();
        found.sort();
        found.dedup();
        found
    };
    let (first, second) = (pseudonyms(), pseudonyms());
    let people: Vec<&String> = first.iter().filter(|name| name.ends_with("@s.whatsapp.net")).collect();
    assert_eq!(people.len(), 2, "two numbers were planted: {first:?}");
    assert!(first.iter().all(|name| !second.contains(name)), "{first:?} {second:?}");
}

#[test]
fn no_report_on_a_log_holds_what_is_personal() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("writable");
        path.to_str().expect("UTF-8").to_owned()
    };
    let line = |path: &str, status: u16| {
        format!(
            "198.51.100.77 - - [21/Nov/2026:03:59:12 +0000] \"POST {path} HTTP/1.1\" {status} 90 \
             \"https://wombat.example/\" \"Zuleikas-Phone/1.0\"\n"
        )
    };
    let instances = json!([
        {"id": "6f1b2c3d-0a4b-4c5d-8e6f-000000000001", "name": "support", "ownerJid": "5511987650321@s.whatsapp.net",
         "token": "abcd-NUMBAT-0123456789", "number": "5511987650321"},
        {"id": "6f1b2c3d-0a4b-4c5d-8e6f-000000000002", "name": "5511987650322", "token": "efgh-NUMBAT-0123456789"}
    ]);
    let instances = file("instances.json", &instances.to_string());
    let log = file(
        "access.log",
        &[
            line("/message/sendText/5511987650321?apikey=abcd-NUMBAT-0123456789&text=QUOKKA", 404),
            line("/message/sendText/+55%2011%2098765-0321", 404),
            line("/message/sendText/6f1b2c3d-0a4b-4c5d-8e6f-000000000002", 404),
            line("/message/sendText/abcd-NUMBAT-0123456789", 404),
            line("/message/sendTexts/support?text=QUOKKA", 404),
            line("/message/sendText/support?instanceName=5511987650322", 200),
        ]
        .concat(),
    );
    let (baseline, output) = (file("baseline.json", ""), file("proxy.conf", ""));
    for format in OutputFormat::value_variants() {
        let arguments = ["logs", &log, "--instances", &instances, "-vv", "--format", format.as_str()];
        let run = evodoctor(&arguments).ends(1);
        expect_clean(&run, format.as_str());
    }
    let metrics = file("logs.prom", "");
    let write = ["--write-baseline", &baseline, "--metrics", &metrics];
    evodoctor(&[&["logs", &log, "--instances", &instances], &write[..]].concat());
    for file in [&baseline, &metrics] {
        expect_nothing_personal(&fs::read_to_string(file).expect("written"), file);
    }
    // The next run has other pseudonyms, and knows what is in the baseline.
    let run = evodoctor(&["logs", &log, "--instances", &instances, "--baseline", &baseline]).ends(0);
    assert!(run.stdout.contains(" 0 new, 0 grown"), "{}", run.stdout);
    let run =
        evodoctor(&["logs", &log, "--instances", &instances, "--baseline", &baseline, "--show-rows"]).ends(0);
    assert!(run.stdout.contains(" 0 new, 0 grown"), "{}", run.stdout);
    for proxy in ProxyKind::value_variants() {
        let value = proxy.to_possible_value().expect("none is hidden");
        let proxy = value.get_name();
        for logs in [&[][..], &[log.as_str()]] {
            let emit = ["logs", "--instances", &instances, "--emit", proxy, "--output", &output, "-vv"];
            let run = evodoctor(&[&emit[..], logs].concat());
            expect_clean(&run, proxy);
            expect_nothing_personal(&fs::read_to_string(&output).expect("written"), proxy);
            assert!(run.stderr.contains("1 instance left out"), "{}", run.stderr);
        }
    }
}

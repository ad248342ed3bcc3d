//! Every sample of a log that users have gives every finding it should, right in every field that its format holds.
//!
//! `fixtures/logs/samples/` holds 28 requests per sample: `index.json` says which fields a format has, `expected.json`
//! what is to be found in all of them, and `client_texts.json` holds texts of clients with their own expectations.

use std::collections::BTreeSet;
use std::fs;

use evodoctor::evolution::fetch_instances;
use evodoctor::evolution::instances::InstanceDirectory;
use evodoctor::rules::finding::Finding;
use serde::Deserialize;

use super::{examine_text, fixture, read};

#[derive(Deserialize)]
struct Sample {
    file: String,
    format: String,
    has: BTreeSet<String>,
    tells_own_answers: bool,
}

#[derive(Deserialize)]
struct Expected {
    code: String,
    subject: String,
    status: u16,
    client: String,
    agent: Option<String>,
    host: String,
    method: String,
    time: String,
}

#[derive(Deserialize)]
struct Text {
    name: String,
    text: String,
    want: Vec<(String, String, i64)>,
}

/// The only instance that just the proxy's own answer names.
const OWN_ANSWER: &str = "6f1b2c3d-0a4b-4c5d-8e6f-000000000005";

/// Formats that do not hold what a finding needs, and how many of the 15 they cannot give.
const LESS: [(&str, usize); 5] = [
    ("nginx error_log (upstream/limit lines)", 15),
    ("Apache ssl_request_log %t %h TLSv1.2 cipher \"%r\" %b", 15),
    ("HAProxy tcplog (no path)", 15),
    // The query is missing.
    ("AWS API Gateway JSON", 1),
    // The path is decoded before it is written, so that a name encoded twice looks right.
    ("ingress-nginx JSON (\"path\":$uri, \"vhost\")", 1),
];

fn parsed<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    serde_json::from_slice(&fs::read(fixture(&format!("samples/{name}"))).unwrap()).unwrap()
}

pub fn directory() -> InstanceDirectory {
    let json = fs::read(fixture("samples/fetchInstances.json")).unwrap();
    InstanceDirectory::new(fetch_instances::parse_instances(&json).unwrap())
}

/// What is wrong with the findings of one sample.
fn problems(sample: &Sample, expected: &[Expected], found: &[Finding]) -> Vec<String> {
    let mut problems = Vec::new();
    let less = LESS.iter().find(|(format, _)| *format == sample.format).map_or(0, |(_, less)| *less);
    let mut missing = Vec::new();
    for wanted in expected {
        let of = |f: &&Finding| f.code == wanted.code && f.subject == wanted.subject;
        let Some(finding) = found.iter().find(of) else {
            missing.push(format!("{} {} is missing", wanted.code, wanted.subject));
            continue;
        };
        let extra = |key: &str| finding.extra[key].clone();
        let client = |key: &str| extra("clients")[0][key].as_str().map(str::to_owned);
        let mut compare = |what: &str, is: Option<String>, should: Option<&str>| {
            let is_there = matches!(what, "status" | "count") || sample.has.contains(what);
            if is_there && is.as_deref() != should {
                problems.push(format!("{} {}: {what} {is:?}, not {should:?}", wanted.code, wanted.subject));
            }
        };
        let statuses =
            extra("statuses").as_object().map(|map| map.keys().cloned().collect::<Vec<_>>().join(","));
        compare("status", statuses, Some(&wanted.status.to_string()));
        compare("count", Some(finding.count.to_string()), Some("1"));
        compare("client", client("address"), Some(&wanted.client));
        compare("agent", client("user_agent"), wanted.agent.as_deref());
        compare("host", extra("hosts")[0]["host"].as_str().map(str::to_owned), Some(&wanted.host));
        if wanted.code != "EVO508" {
            compare(
                "method",
                extra("endpoints")[0]["method"].as_str().map(str::to_owned),
                Some(&wanted.method),
            );
        }
        let time = wanted.time.trim_end_matches('Z');
        let zone = if sample.has.contains("zone") { "Z" } else { "" };
        let first = extra("first").as_str().map(str::to_owned);
        let first = if zone.is_empty() { first.map(|t| t.trim_end_matches('Z').to_owned()) } else { first };
        compare("time", first, Some(&format!("{time}{zone}")));
    }
    if missing.len() != less {
        problems.append(&mut missing);
    }
    for finding in found {
        let is_expected = expected.iter().any(|w| finding.code == w.code && finding.subject == w.subject);
        let may_be =
            finding.subject == OWN_ANSWER && !sample.tells_own_answers && !sample.has.contains("host");
        if !is_expected && !may_be {
            problems.push(format!("{} {} is too much", finding.code, finding.subject));
        }
    }
    problems
}

#[test]
fn every_format_gives_every_finding_right_in_every_field() {
    let (index, expected, directory) =
        (parsed::<Vec<Sample>>("index.json"), parsed::<Vec<Expected>>("expected.json"), directory());
    let mut wrong = Vec::new();
    for sample in &index {
        let found = match read(&[fixture(&format!("samples/{}", sample.file))], Some(&directory)) {
            Ok(examined) => examined.findings,
            Err(_) => Vec::new(),
        };
        let problems = problems(sample, &expected, &found);
        if !problems.is_empty() {
            wrong.push(format!("{}\n    {}", sample.format, problems.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), index.len(), wrong.join("\n"));
}

#[test]
fn every_text_of_a_client_is_understood() {
    let (texts, directory) = (parsed::<Vec<Text>>("client_texts.json"), directory());
    let mut wrong = Vec::new();
    for text in &texts {
        let examined = examine_text(&text.text, Some(&directory));
        let mut told: Vec<_> =
            examined.findings.iter().map(|f| (f.code.clone(), f.subject.clone(), f.count)).collect();
        let mut want = text.want.clone();
        told.sort();
        want.sort();
        if told != want {
            wrong.push(format!("{}: {told:?}, not {want:?}", text.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

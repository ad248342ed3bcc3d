//! Promise: `evodoctor logs` says which requests name instances wrongly and what to write instead, and gives no
//! secret away while doing so.

mod day;
mod follow;
mod formats;
mod memory;
mod reference_parser;
mod samples;
mod verdicts;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evodoctor::access_log::formats::LineFormat;
use evodoctor::access_log::read_progress::ReadProgress;
use evodoctor::access_log::{self, LogFindings, ReadOptions};
use evodoctor::evolution::fetch_instances;
use evodoctor::evolution::instances::{Instance, InstanceDirectory};
use evodoctor::report::terminal::logs;
use evodoctor::rules::finding::Finding;
use evodoctor::terminal::page::Page;
use evodoctor::terminal::style;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::program::evodoctor;
use crate::support::property_config::generated;

const TOKENS: [&str; 3] = [
    "B4C1D2E3-F4A5-4B6C-8D7E-0F1A2B3C4D5E",
    "0A1B2C3D-4E5F-4A6B-9C7D-8E9F0A1B2C3D",
    "correct-horse-battery-staple",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs").join(name)
}

fn directory() -> InstanceDirectory {
    let json = fs::read(fixture("fetchInstances.json")).unwrap();
    InstanceDirectory::new(fetch_instances::parse_instances(&json).unwrap())
}

fn read(files: &[PathBuf], directory: Option<&InstanceDirectory>) -> anyhow::Result<LogFindings> {
    let progress = Arc::new(ReadProgress::default());
    let options = ReadOptions {
        is_redacted: false,
        format: LineFormat::Any,
        follow: false,
        is_json: false,
        progress: &progress,
        on_finding: None,
    };
    access_log::read_logs(files, directory, &options)
}

fn examine(names: &[&str]) -> LogFindings {
    let files: Vec<PathBuf> = names.iter().map(|name| fixture(name)).collect();
    read(&files, Some(&directory())).unwrap()
}

/// A file that goes with the test.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

fn examine_text(text: &str, directory: Option<&InstanceDirectory>) -> LogFindings {
    read(&[file(text.as_bytes()).path().to_owned()], directory).unwrap()
}

fn human(examined: &LogFindings, width: usize) -> String {
    let news: Vec<&Finding> = examined.findings.iter().collect();
    style::strip_styles(&logs::human(&examined.read, &examined.findings, &news, Page { width }))
}

/// `code subject → what to write instead × how often`, in the order of the report.
fn told(examined: &LogFindings) -> Vec<String> {
    let line = |finding: &Finding| {
        let instead = finding.extra["write_instead"].as_str().unwrap_or("?");
        format!("{} {} → {instead} × {}", finding.code, finding.subject, finding.count)
    };
    examined.findings.iter().map(line).collect()
}

#[test]
fn a_combined_log_shows_every_kind_of_wrong_name() {
    let examined = examine(&["nginx-combined.log"]);
    assert_eq!(
        told(&examined),
        [
            "EVO504 B4C1…5E → alpha × 1",
            "EVO504 corr…le → suporte × 1",
            "EVO501 6f1b2c3d-0a4b-4c5d-8e6f-000000000001 → alpha × 3",
            "EVO508 GET /chat/findChats/:instanceName → POST /chat/findChats/:instanceName × 2",
            "EVO502 Alpha → alpha × 1",
            "EVO503 alpha%20 → alpha × 1",
            "EVO503 beta%2520store → beta store × 1",
            "EVO503 beta+store → beta store × 1",
            "EVO505 551199990000@s.whatsapp.net → alpha × 1",
            "EVO505 5511999990000 → alpha × 1",
            "EVO506 gone → ? × 1",
            "EVO506 suport → ? × 1",
            "EVO508 GET /instance/connectionState → GET /instance/connectionState/:instanceName × 1",
        ]
    );
    let counts = serde_json::to_value(examined.read.requests).unwrap();
    assert_eq!(
        counts,
        json!({"lines": 25, "parsed": 24, "unparsed": 1, "matched": 17, "refused": 14, "names_that_exist_now": 1, "unauthorized": 1, "without_status": 0, "elsewhere": 0, "not_listed": 0})
    );
    let id = &examined.findings[2];
    let twice = json!({"from": "2026-11-21T03:59:13Z", "seconds": 1, "counts": ([&[1][..], &[0; 29], &[1]].concat())});
    let once = json!({"from": "2026-11-21T04:00:01Z", "seconds": 1, "counts": [1]});
    assert_eq!(
        Value::from_iter(id.extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone()))),
        json!({
            "probable": false,
            "write_instead": "alpha",
            "write_instead_encoded": "alpha",
            "candidates": [],
            "clients": [
                {"address": "203.0.113.7", "user_agent": "n8n", "count": 2, "requests_in_all": 3, "timeline": twice},
                {"address": "198.51.100.20", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "count": 1, "requests_in_all": 1, "timeline": once}
            ],
            "other_clients": 0,
            "endpoints": [
                {"method": "POST", "path": "/message/sendText/:instanceName", "count": 2, "timeline": twice},
                {"method": "GET", "path": "/instance/connectionState/:instanceName", "count": 1, "timeline": once}
            ],
            "hosts": [],
            "routers": [],
            "statuses": {"404": 3},
            "first": "2026-11-21T03:59:13Z",
            "last": "2026-11-21T04:00:01Z",
            "zone_minutes": 0,
            "worked_until": null,
            "deleted_at": null,
            "timeline": {"from": "2026-11-21T03:59:12Z", "seconds": 2, "counts": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]}
        })
    );
    let suport = examined.findings.iter().find(|f| f.subject == "suport").unwrap();
    assert_eq!(suport.extra["candidates"], json!(["suporte"]));
    assert_eq!(suport.sample, [json!("DELETE /openai/delete/:openaiBotId/suport")]);
}

#[test]
fn every_other_format_is_read() {
    assert_eq!(
        told(&examine(&["apache-common.log"])),
        ["EVO501 6f1b2c3d-0a4b-4c5d-8e6f-000000000001 → alpha × 1", "EVO502 ALPHA → alpha × 1"]
    );
    assert_eq!(
        told(&examine(&["traefik.json"])),
        ["EVO504 B4C1…5E → alpha × 1", "EVO501 6f1b2c3d-0a4b-4c5d-8e6f-000000000001 → alpha × 1"]
    );
    assert_eq!(told(&examine(&["caddy.json"])), ["EVO502 Beta Store → beta store × 1"]);
    let console = examine(&["evolution-console.log"]);
    assert_eq!(told(&console), ["EVO506 suport → ? × 1"]);
    assert_eq!(console.findings[0].extra["first"], json!("2026-11-21T04:07:09"));
    assert_eq!(
        told(&examine(&["client-transcript.txt"])),
        [
            "EVO504 0A1B…3D → beta store × 1",
            "EVO501 6f1b2c3d-0a4b-4c5d-8e6f-000000000002 → beta store × 1",
            "EVO508 GET /instance/connectionState → GET /instance/connectionState/:instanceName × 1"
        ]
    );
}

#[test]
fn several_files_add_up_and_times_of_all_zones_compare() {
    let examined = examine(&["nginx-combined.log", "apache-common.log", "traefik.json"]);
    let id = examined.findings.iter().find(|f| f.code == "EVO501").unwrap();
    assert_eq!(id.count, 5);
    assert_eq!(id.extra["first"], json!("2026-11-21T03:59:13Z"));
    // Ten past one in São Paulo is ten past four in UTC, and Traefik's request came in the same minute.
    assert_eq!(id.extra["last"], json!("2026-11-21T04:10:00Z"));
    assert_eq!(id.extra["hosts"][0], json!({"host": "wa.example.com", "count": 2}));
}

#[test]
fn no_token_is_shown() {
    let all =
        ["nginx-combined.log", "apache-common.log", "traefik.json", "caddy.json", "client-transcript.txt"];
    let examined = examine(&all);
    for text in [serde_json::to_string(&examined).unwrap(), human(&examined, 80), human(&examined, 200)] {
        for token in TOKENS {
            assert!(!text.contains(token) && !text.contains(&token.to_lowercase()), "{token} in {text}");
        }
    }
    let of = |examined: &LogFindings| examined.findings[0].key.clone();
    assert_eq!(of(&examined), of(&examine(&all)), "a key is the same on every run");
    assert!(of(&examined).starts_with("token:"));
}

#[test]
fn without_instances_names_are_judged_by_their_form() {
    let log = fs::read_to_string(fixture("nginx-combined.log")).unwrap();
    let examined = examine_text(&log, None);
    let told = told(&examined);
    assert!(told.contains(&"EVO501 6f1b2c3d-0a4b-4c5d-8e6f-000000000001 → ? × 3".to_owned()), "{told:?}");
    assert!(told.contains(&"EVO504 B4C1…5E → ? × 1".to_owned()), "{told:?}");
    assert!(told.contains(&"EVO505 5511999990000 → ? × 1".to_owned()), "{told:?}");
    assert_eq!(examined.findings[0].extra["probable"], json!(true));
    assert!(human(&examined, 80).contains("--instances"));

    // A name that the same log shows at work is not unknown: something else was not found.
    let line = |name: &str, status: u16| {
        format!(
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/{name} HTTP/1.1\" {status} 1\n"
        )
    };
    let examined = examine_text(&[line("x", 200), line("x", 404), line("y", 404)].concat(), None);
    assert_eq!(self::told(&examined), ["EVO506 y → ? × 1"]);
    assert_eq!(examined.read.requests.names_that_exist_now, 1);
}

#[test]
fn hostile_names_use_little_memory_and_are_escaped() {
    let mut log = String::new();
    for at in 0..2_050 {
        log.push_str(&format!("The \"name {at} of many\" instance does not exist\n"));
    }
    // What matters is not lost behind the noise.
    log.push_str(&format!("The \"{}\" instance does not exist\n", TOKENS[0]));
    let examined = examine_text(&log, Some(&directory()));
    assert_eq!(examined.findings.len(), 2_002);
    assert_eq!(examined.findings[0].code, "EVO504");
    assert_eq!((examined.findings[1].key.as_str(), examined.findings[1].count), ("other-names", 50));
    assert!(human(&examined, 80).lines().count() < 400);

    let name = "x\u{1b}]0;owned\u{7}\u{202e}gnp.exe";
    let examined = examine_text(&format!("The \"{name}\" instance does not exist"), None);
    for text in [human(&examined, 80), examined.findings[0].key.clone()] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        assert!(text.contains("\\x1b]0;owned"), "{text:?}");
    }
}

#[test]
fn a_file_that_is_not_a_log_gets_a_reason_and_a_hint() {
    let error = |bytes: &[u8]| {
        let file = file(bytes);
        format!("{:#}", read(&[file.path().to_owned()], None).unwrap_err())
    };
    assert!(error(b"\x7fELF\0\0\0").contains("binary"));
    assert!(error(b"BZh91AY").contains("compressed"));
    assert!(error(b"\x1f\x8b\x08\0").contains("the log is empty"), "a packed file that ends at once");
    assert!(error(b"").contains("holds no requests: the log is empty"));
    assert!(error(b"hello\nworld\n").contains("holds no requests: none of 2 lines"));
    let missing = read(&[PathBuf::from("no/such.log")], None).unwrap_err();
    assert!(format!("{missing:#}").starts_with("cannot read no/such.log: No such file"), "{missing:#}");
    let folder = read(&[fixture("")], None).unwrap_err();
    assert!(format!("{folder:#}").contains("directory"), "{folder:#}");

    // One unreadable file among several is named; one without requests is named, and the others count.
    let good = fixture("caddy.json");
    let examined = read(&[good.clone(), PathBuf::from("no/such.log")], None).unwrap();
    assert_eq!(examined.read.unreadable[0].file, "no/such.log");
    let prose = file(b"hello\n");
    let examined = read(&[good, prose.path().to_owned()], None).unwrap();
    assert_eq!(examined.read.not_understood, [prose.path().display().to_string()]);
}

#[test]
fn the_exit_code_follows_fail_on() {
    let exit = |log: &str, fail_on: &str| {
        let [log, instances] = [fixture(log), fixture("fetchInstances.json")];
        let (log, instances) = (log.to_str().unwrap(), instances.to_str().unwrap());
        evodoctor(&["logs", log, "--instances", instances, "--fail-on", fail_on]).code
    };
    assert_eq!(exit("traefik.json", "error"), Some(1));
    assert_eq!(exit("caddy.json", "error"), Some(0));
    assert_eq!(exit("caddy.json", "warning"), Some(1));
    assert_eq!(exit("caddy.json", "never"), Some(0));
}

#[test]
fn the_report_fits_the_terminal() {
    let examined = examine(&["nginx-combined.log", "apache-common.log"]);
    for width in [40, 80, 200] {
        let text = human(&examined, width);
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
    let text = human(&examined, 80);
    for wanted in [
        "EVO504 token-as-instance-name (error)",
        "write instead  beta store  (in a path: beta%20store)",
        "perhaps \"suporte\"",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
}

proptest! {
    #![proptest_config(generated(64))]

    /// A token never comes out, wherever in a request it went in and however it was written.
    #[test]
    fn a_token_never_comes_out(
        token in "[A-Za-z0-9+/=]{12,40}",
        around in "[ a-z%+]{0,6}",
        lower in any::<bool>(),
        place in 0..4,
    ) {
        let instance = Instance { name: "Ünrelated".into(), token: Some(token.clone()), ..Instance::default() };
        let directory = InstanceDirectory::new(vec![instance]);
        let written = if lower { token.to_lowercase() } else { token.clone() };
        let encoded = written.replace('/', "%2F").replace('+', "%2B");
        let line = match place {
            0 => format!("{around} - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/{encoded}{around} HTTP/1.1\" 404 1"),
            1 => format!("1.2.3.4 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/x?k={encoded} HTTP/1.1\" 404 1 \"-\" \"{around}{written}\""),
            2 => format!("The \"{around}{written}\" instance does not exist"),
            _ => json!({"RequestMethod": "GET", "RequestPath": format!("/instance/connect/{encoded}"), "DownstreamStatus": 404, "RequestHost": written, "ClientHost": written}).to_string(),
        };
        let examined = examine_text(&line, Some(&directory));
        prop_assert_eq!(examined.findings.len(), 1, "{}", line);
        for text in [serde_json::to_string(&examined).unwrap(), human(&examined, 200)] {
            let text = text.to_lowercase();
            prop_assert!(!text.contains(&token.to_lowercase()), "{} gives {}", line, text);
            prop_assert!(!text.contains(&encoded.to_lowercase()), "{} gives {}", line, text);
        }
    }
}

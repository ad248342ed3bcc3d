//! What a log that says less, or says it in unusual words, is taken for.

use std::fs;

use evodoctor::evolution::instances::{Instance, InstanceDirectory};
use flate2::write::GzEncoder;
use serde_json::json;

use super::{examine_text, file, fixture, human, read, told};
use crate::support::program::evodoctor;

/// Requests as lines of a combined log: verb, path and status.
fn log(requests: &[(&str, &str, u16)]) -> String {
    let line = |(at, (method, path, status)): (usize, &(&str, &str, u16))| {
        format!(
            "203.0.113.7 - - [21/Nov/2026:04:00:{:02} +0000] \"{method} {path} HTTP/1.1\" {status} 9 \"-\" \"n8n\"\n",
            at % 60
        )
    };
    requests.iter().enumerate().map(line).collect()
}

fn listed(names: &[&str]) -> InstanceDirectory {
    let id = |at: usize| format!("6f1b2c3d-0a4b-4c5d-8e6f-00000000000{at}");
    let instance =
        |(at, name): (usize, &&str)| Instance { id: id(at), name: (*name).into(), ..Instance::default() };
    InstanceDirectory::new(names.iter().enumerate().map(instance).collect())
}

#[test]
fn requests_without_a_status_are_undecided_and_said() {
    let line = "2026/11/21 03:59:12 [error] 1#1: *2 limiting requests, client: 203.0.113.7, server: x, request: \"GET /instance/connect/nosuch HTTP/1.1\", host: \"h\"\n";
    let examined = examine_text(&line.repeat(3), Some(&listed(&["alpha"])));
    assert_eq!((told(&examined).len(), examined.read.requests.without_status), (0, 3));
    assert!(human(&examined, 200).contains("3 requests without a status: they cannot be judged"));
    let log = file(line.as_bytes());
    let run = evodoctor(&["logs", log.path().to_str().unwrap()]);
    assert_eq!(run.code, Some(3), "{}", run.stdout);
    // JSON with a path and no status that is understood.
    let object =
        json!({"method": "GET", "path": "/instance/connect/nosuch", "answer": "missing"}).to_string();
    assert_eq!(examine_text(&object, None).read.requests.without_status, 1);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let good = file(log(&[("GET", "/instance/connect/ALPHA", 404)]).as_bytes());
    let packed = file(b"BZh91AY");
    let files = [good.path().to_owned(), packed.path().to_owned(), "no/such.log".into()];
    let examined = read(&files, Some(&listed(&["alpha"]))).unwrap();
    assert_eq!(told(&examined), ["EVO502 ALPHA → alpha × 1"]);
    let unreadable: Vec<&str> = examined.read.unreadable.iter().map(|file| file.file.as_str()).collect();
    assert_eq!(unreadable.len(), 2);
    assert!(human(&examined, 200).contains("no/such.log was not read"));
    let clean = file(log(&[("GET", "/instance/connect/alpha", 200)]).as_bytes());
    let run = evodoctor(&["logs", clean.path().to_str().unwrap(), "no/such.log"]);
    assert_eq!(run.code, Some(3), "what was not read is not clean: {}", run.stdout);
    assert_eq!(evodoctor(&["logs", "no/such.log", "no/other.log"]).code, Some(2));
    // An archive is named with the command that unpacks it.
    let archive = [&[b'x'; 257][..], b"ustar\0", &[0; 600]].concat();
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &archive).unwrap();
    let archive = file(&packed.finish().unwrap());
    let error = format!("{:#}", read(&[archive.path().to_owned()], None).unwrap_err());
    assert!(error.contains("compressed in a format"), "{error}");
}

#[test]
fn a_custom_nginx_log_format_is_read() {
    let log = file(b"<404> 203.0.113.7 'GET /instance/connect/ALPHA HTTP/1.1'\n");
    let instances = fixture("fetchInstances.json");
    let arguments = [
        "logs",
        log.path().to_str().unwrap(),
        "--instances",
        instances.to_str().unwrap(),
        "--format",
        "json",
    ];
    let run = evodoctor(&[&arguments[..], &["--log-format", "<$status> $remote_addr '$request'"]].concat());
    assert_eq!(run.json()["findings"][0]["subject"], "ALPHA");
    let run = evodoctor(&[&arguments[..], &["--log-format", "$remote_addr"]].concat());
    assert!(run.code == Some(2) && run.stderr.contains("$request"), "{}", run.stderr);
    let run = evodoctor(&[&arguments[..], &["--log-format", "apachee"]].concat());
    assert!(run.code == Some(2) && run.stderr.contains("combined, json"), "{}", run.stderr);
}

#[test]
fn a_crossed_request_counts_only_if_served() {
    let directory = listed(&["alpha", "beta"]);
    let examined =
        examine_text(&log(&[("GET", "/chat/findChats/alpha?instanceNam%65=beta", 200)]), Some(&directory));
    // With the wrong method it is not a call of a route.
    assert_eq!(told(&examined), Vec::<String>::new());
    let served =
        examine_text(&log(&[("POST", "/chat/findChats/alpha?instanceNam%65=beta", 200)]), Some(&directory));
    assert_eq!(told(&served), ["EVO507 alpha?instanceName=beta → ? × 1"]);
    assert!(served.findings[0].detail.contains("was served"));
    let refused =
        examine_text(&log(&[("POST", "/chat/findChats/alpha?instanceName=beta", 404)]), Some(&directory));
    assert!(refused.findings[0].detail.contains("It was not served"), "{}", refused.findings[0].detail);
}

#[test]
fn misspelled_routes_and_addresses_are_reported() {
    let requests = [
        ("POST", "//message/sendText/alpha", 404),
        ("POST", "/manager/message/sendText/alpha", 404),
        ("GET", "/instance/connectState/alpha", 404),
        ("GET", "/instance/alpha/connectionState", 404),
    ];
    let mut told = told(&examine_text(&log(&requests), Some(&listed(&["alpha"]))));
    told.sort();
    assert_eq!(
        told,
        [
            "EVO508 GET /instance/:instanceName/connectionState → GET /instance/connectionState/:instanceName × 1",
            "EVO508 GET /instance/connectState/:instanceName → GET /instance/connectionState/:instanceName × 1",
            "EVO508 POST //message/sendText/:instanceName → POST /message/sendText/:instanceName × 1",
            "EVO508 POST /manager/message/sendText/:instanceName → POST /message/sendText/:instanceName × 1",
        ]
    );
}

#[test]
fn wrong_names_without_a_404_are_reported() {
    let id = "6f1b2c3d-0a4b-4c5d-8e6f-000000000000";
    let requests = [
        ("GET", "/instance/fetchInstances?instanceName=ALPHA", 404),
        ("GET", &format!("/instance/fetchInstances?instanceName={id}"), 404),
        ("GET", "/instance/fetchInstances?instanceName=nosuch", 404),
        ("GET", "/instance/fetchInstances?instanceId=alpha", 404),
        ("GET", "/instance/connect/jo%E3o", 400),
        ("GET", "/instance/connect/alpha", 400),
        ("POST", "/chatwoot/webhook/Joao", 200),
        ("POST", "/chatwoot/webhook/aLPHA", 200),
    ];
    let mut told = told(&examine_text(&log(&requests), Some(&listed(&["alpha", "joão"]))));
    told.sort();
    assert_eq!(
        told,
        [
            format!("EVO501 {id} → alpha × 1"),
            "EVO502 ALPHA → alpha × 1".into(),
            "EVO502 aLPHA → alpha × 1".into(),
            "EVO503 jo%E3o → joão × 1".into(),
            "EVO508 GET /instance/fetchInstances?instanceId=alpha → GET /instance/fetchInstances?instanceName=alpha × 1".into(),
        ]
    );
}

#[test]
fn names_that_work_in_the_log_count_as_existing() {
    // An error of the server itself is not a wrong name.
    let requests = [
        ("GET", "/instance/connect/6f1b2c3d-0a4b-4c5d-8e6f-000000000000", 500),
        ("GET", "/instance/connect/6f1b2c3d-0a4b-4c5d-8e6f-000000000000", 200),
    ];
    assert_eq!(told(&examine_text(&log(&requests), Some(&listed(&["alpha"])))), Vec::<String>::new());
    assert!(told(&examine_text(&log(&requests[..1]), Some(&listed(&["alpha"]))))[0].starts_with("EVO509"));
    // Without a list the log itself knows the right case.
    let requests = [("GET", "/instance/connect/Alpha", 404), ("GET", "/instance/connect/alpha", 200)];
    assert_eq!(told(&examine_text(&log(&requests), None)), ["EVO502 Alpha → alpha × 1"]);
    // A list that lacks what is served is old.
    let examined = examine_text(&log(&[("GET", "/instance/connect/newone", 200)]), Some(&listed(&["alpha"])));
    assert_eq!(examined.read.requests.not_listed, 1);
    assert!(human(&examined, 200).contains("1 name is served and not in the list of instances"));
}

#[test]
fn other_hosts_behind_the_same_proxy_are_left_out() {
    let line = |host: &str, name: &str, status: u16| {
        json!({"host": host, "method": "GET", "uri": format!("/instance/connect/{name}"), "status": status, "remote_ip": "203.0.113.7"}).to_string() + "\n"
    };
    let text = [
        line("wa.example.com", "alpha", 200),
        line("wa.example.com", "ALPHA", 404),
        line("old.example.com", "nosuch", 404),
    ];
    let examined = examine_text(&text.concat(), Some(&listed(&["alpha"])));
    assert_eq!(told(&examined), ["EVO502 ALPHA → alpha × 1"]);
    assert_eq!(examined.read.requests.elsewhere, 1);
    // Where no host serves the API, there is nothing to distinguish them by.
    assert_eq!(told(&examine_text(&text[2], Some(&listed(&["alpha"])))).len(), 1);
}

#[test]
fn json_documents_and_utf_16_are_read() {
    let line = log(&[("GET", "/instance/connect/ALPHA", 404)]);
    let line = line.trim();
    let documents = [
        json!([line, line]).to_string(),
        serde_json::to_string_pretty(&json!({"events": [{"message": line}, {"message": line}]})).unwrap(),
        json!({"data": {"result": [{"stream": {}, "values": [["1795233552123000000", line], ["1795233552123000000", line]]}]}}).to_string(),
        serde_json::to_string_pretty(&json!({"hits": {"hits": [{"_source": {"message": line}}, {"_source": {"log": line}}]}})).unwrap(),
    ];
    for document in documents {
        assert_eq!(
            told(&examine_text(&document, Some(&listed(&["alpha"])))),
            ["EVO502 ALPHA → alpha × 2"],
            "{document}"
        );
    }
    let wide: Vec<u8> = format!("\u{FEFF}{line}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = file(&wide);
    assert_eq!(
        told(&read(&[wide.path().to_owned()], Some(&listed(&["alpha"]))).unwrap()),
        ["EVO502 ALPHA → alpha × 1"]
    );
}

#[test]
fn the_list_of_instances_is_read_from_stdin_too() {
    let log = file(log(&[("GET", "/instance/connect/ALPHA", 404)]).as_bytes());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_evodoctor"))
        .args(["logs", log.path().to_str().unwrap(), "--instances", "-", "--format", "json"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let list = fs::read(fixture("fetchInstances.json")).unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &list).unwrap();
    let output = child.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["findings"][0]["write_instead"], "alpha");
}

//! Logs that have no end yet, and readings that are ended by hand.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::fixture;

const LINE: &str = "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/NAME HTTP/1.1\" 404 91 \"-\" \"n8n\"\n";

fn start(arguments: &[&str], stdin: Stdio) -> Child {
    let instances = fixture("fetchInstances.json");
    Command::new(env!("CARGO_BIN_EXE_evodoctor"))
        .args(["logs", "--instances", instances.to_str().unwrap()])
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env_remove("DATABASE_CONNECTION_URI")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// The next line, however long it takes to come.
fn next(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    assert!(lines.read_line(&mut line).unwrap() > 0, "the program ended");
    line
}

#[test]
fn a_growing_log_is_followed_through_a_rotation() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("access.log");
    fs::write(&log, LINE.replace("NAME", "ALPHA")).unwrap();
    let mut child = start(&[log.to_str().unwrap(), "--follow", "--show-rows"], Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(next(&mut lines), "2026-11-21 03:59:12 UTC  EVO502  203.0.113.7  n8n  ALPHA → alpha\n");

    append(&log, &LINE.replace("NAME", "Beta%20Store"));
    assert!(next(&mut lines).ends_with("Beta Store → beta store\n"));
    // The same client with the same name is printed once; half a line waits for its end.
    append(&log, &LINE.replace("NAME", "ALPHA"));
    append(&log, &LINE.replace("NAME", "suport")[..40]);
    append(&log, &LINE.replace("NAME", "suport")[40..]);
    assert!(next(&mut lines).contains("EVO506"));

    fs::rename(&log, folder.path().join("access.log.1")).unwrap();
    append(&log, &LINE.replace("NAME", "5511999990000"));
    assert!(next(&mut lines).contains("EVO505"));

    // copytruncate
    File::create(&log).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    append(&log, &LINE.replace("NAME", "gone"));
    assert!(next(&mut lines).contains("gone"));

    interrupt(&child);
    let report: Vec<String> = lines.lines().map(Result::unwrap).collect();
    assert!(
        report.iter().any(|line| line.contains("6 of 6 requests were refused because of 5 wrong names.")),
        "{report:#?}"
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_followed_log_prints_json_and_does_not_join_lines_of_two_files() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("access.log");
    fs::write(&log, LINE.replace("NAME", "ALPHA")).unwrap();
    let mut child = start(&[log.to_str().unwrap(), "--follow", "--format", "json"], Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let told: Value = serde_json::from_str(&next(&mut lines)).unwrap();
    assert_eq!(
        (&told["code"], &told["subject"], &told["write_instead"]),
        (&"EVO502".into(), &"ALPHA".into(), &"alpha".into())
    );
    // The writer dies in the middle of a line, and a new file begins.
    append(&log, "203.0.113.7 - - [21/Nov/2026:03:59");
    std::thread::sleep(Duration::from_millis(600));
    fs::rename(&log, folder.path().join("access.log.1")).unwrap();
    append(&log, &LINE.replace("NAME", "suport"));
    let told: Value = serde_json::from_str(&next(&mut lines)).unwrap();
    assert_eq!(told["subject"], "suport");
    assert!(told["client"].as_str().unwrap().starts_with("client-"), "{told}");
    terminate(&child);
    let rest: String = lines.lines().map(Result::unwrap).collect();
    let report: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 2, "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn ctrl_c_ends_the_reading_with_a_report() {
    let mut child = start(&["-", "--format", "json"], Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(LINE.replace("NAME", "ALPHA").as_bytes()).unwrap();
    // The pipe stays open: without the interruption this would wait for ever.
    std::thread::sleep(Duration::from_millis(700));
    interrupt(&child);
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["findings"][0]["subject"], "ALPHA");
}

#[test]
fn a_pipe_that_ends_is_read_to_its_end() {
    let mut child = start(&["-", "--format", "json"], Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    for at in 0..3000 {
        stdin
            .write_all(LINE.replace("NAME", if at % 2 == 0 { "ALPHA" } else { "alpha" }).as_bytes())
            .unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["interrupted"], &report["requests"]["lines"]),
        (&Value::from(false), &Value::from(3000))
    );
    assert_eq!(report["findings"][0]["count"], 1500);
}

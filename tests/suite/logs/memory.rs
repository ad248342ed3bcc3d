//! However large or hostile the input, the memory stays flat.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use super::fixture;

/// What the whole program may take at its peak, in KiB.
// The release build stays below 64 MB. A development build, whose own code is larger, gets 16 MB more.
const MOST: u64 = if cfg!(debug_assertions) { 80 } else { 64 } * 1024;

/// Feeds the program, and gives its report and its peak in KiB.
fn peak(feed: impl FnOnce(&mut dyn Write) + Send + 'static) -> (Value, u64) {
    let instances = fixture("fetchInstances.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_evodoctor"))
        .args(["logs", "-", "--format", "json", "--instances", instances.to_str().unwrap()])
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    let feeding = thread::spawn(move || feed(&mut stdin));
    let reading = thread::spawn(move || serde_json::from_reader(stdout).unwrap());
    let highest = watch(&mut child);
    feeding.join().unwrap();
    (reading.join().unwrap(), highest)
}

fn watch(child: &mut Child) -> u64 {
    let mut highest = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        highest = highest.max(now.unwrap_or(0));
        thread::sleep(std::time::Duration::from_millis(2));
    }
    highest
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    const PIECES: usize = 2048;
    let (report, peak) = peak(|out| {
        let piece = vec![b'x'; 128 * 1024];
        (0..PIECES).for_each(|_| out.write_all(&piece).unwrap());
        out.write_all(b"\nThe \"ALPHA\" instance does not exist\n").unwrap();
    });
    assert_eq!(
        (&report["requests"]["lines"], &report["findings"][0]["subject"]),
        (&2.into(), &"ALPHA".into())
    );
    assert!(peak < MOST, "{peak} KiB");
}

#[test]
fn a_million_names_clients_and_routes_do_not_fill_the_memory() {
    const LINES: u64 = 1_000_000;
    let (report, peak) = peak(|out| {
        let mut text = Vec::new();
        for at in 0..LINES {
            writeln!(
                text,
                "2001:db8::{:x}:{:x} - - [21/Nov/2026:03:59:12 +0000] \"GET \
                 /instance/connect/name-{at}-of-many HTTP/1.1\" {} 9 \"-\" \"agent {at}\"",
                at >> 16,
                at & 0xffff,
                if at % 3 == 0 { 200 } else { 404 }
            )
            .unwrap();
            if text.len() > 1 << 16 {
                out.write_all(&text).unwrap();
                text.clear();
            }
        }
        out.write_all(&text).unwrap();
    });
    assert_eq!(report["requests"]["parsed"], LINES);
    let counted: u64 =
        report["findings"].as_array().unwrap().iter().map(|f| f["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, LINES - LINES.div_ceil(3), "none is lost in the counting");
    assert!(peak < MOST, "{peak} KiB");
}

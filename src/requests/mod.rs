//! Requests in a log that name instances wrongly: bytes → request → verdict → findings.

pub mod classify;
pub mod formats;
pub mod rewrites;
pub mod rules;
pub mod scanner;
pub mod shown;
pub mod summary;
mod tally;
pub mod time;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use self::scanner::{BUFFER, Scanned};
use self::summary::{Collector, RequestCounts};
use crate::evolution::instances::Directory;
use crate::examine::finding::Finding;
use crate::exit::failure;

/// What the logs say.
#[derive(Debug, Serialize)]
pub struct Examined {
    /// Counts over all files.
    pub requests: RequestCounts,
    /// What is wrong: by severity, then by number of requests, most first.
    pub findings: Vec<Finding>,
    /// Files in which no line was understood, where others were.
    pub not_understood: Vec<String>,
    /// Whether there was a list of instances to compare names with.
    pub compared: bool,
}

/// Reads the logs, `-` for stdin, and says which requests name instances wrongly.
///
/// # Errors
/// When a file cannot be read or is no text, or when no line in any file tells of a request.
pub fn examine(files: &[PathBuf], directory: Option<&Directory>) -> Result<Examined> {
    let mut collector = Collector::new(directory);
    let mut scanned = Vec::new();
    for file in files {
        let name = shown::visible(&file.display().to_string());
        let counts = scan_file(file, &mut collector).with_context(|| format!("cannot read {name}"))?;
        tracing::info!("{name}: {} lines, {} requests", counts.lines, counts.parsed);
        scanned.push((name, counts));
    }
    if scanned.iter().all(|(_, counts)| counts.parsed == 0) {
        return Err(no_requests(&scanned));
    }
    let not_understood = scanned
        .into_iter()
        .filter(|(_, counts)| counts.lines > 0 && counts.parsed == 0)
        .map(|(name, _)| name);
    let (requests, findings) = collector.finish();
    let not_understood = not_understood.collect();
    Ok(Examined { requests, findings, not_understood, compared: directory.is_some() })
}

fn scan_file(file: &Path, collector: &mut Collector) -> Result<Scanned> {
    if file == Path::new("-") {
        scanner::scan(BufReader::with_capacity(BUFFER, io::stdin().lock()), collector)
    } else {
        scanner::scan(BufReader::with_capacity(BUFFER, File::open(file)?), collector)
    }
}

fn no_requests(scanned: &[(String, Scanned)]) -> anyhow::Error {
    let names: Vec<&str> = scanned.iter().map(|(name, _)| name.as_str()).collect();
    let lines: u64 = scanned.iter().map(|(_, counts)| counts.lines).sum();
    let verb = if names.len() == 1 { "holds" } else { "hold" };
    let names = names.join(", ");
    if lines == 0 {
        return failure(
            format!("{names} {verb} no requests: there is nothing in it"),
            "give an access log that has lines",
        );
    }
    let message = format!("{names} {verb} no requests: none of {lines} lines was understood");
    if scanned.iter().any(|(_, counts)| counts.is_console) {
        let next =
            "Evolution's own log does not list requests; give the access log of the proxy in front of it";
        return failure(message, next);
    }
    failure(message, format!("give a log of one of these kinds: {}", formats::KNOWN))
}

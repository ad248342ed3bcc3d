//! Requests in a log that name instances wrongly: bytes → request → verdict → findings.
//!
//! `source` gives blocks of lines, `formats` reads the request that a line tells of, `request_counter` counts what is in order,
//! `finding_collector` keeps what is not, in a `finding_stats` for each thing that is wrong, `classify` says what a wrong name was meant
//! to be, and `finding_text` says it in words. `parallel_scan` does this on every core.

pub mod classify;
mod finding_collector;
mod finding_stats;
mod finding_text;
mod follow_line;
pub mod formats;
mod known_requests;
mod log_text;
mod name_history;
mod parallel_scan;
pub mod proxy_config;
mod read_options;
pub mod read_progress;
pub mod request;
mod request_counter;
mod sanitize;
pub mod source;
pub mod timeline;
pub mod timestamp;
pub mod traffic;

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use foldhash::fast::RandomState;
use serde::Serialize;

use self::finding_collector::FindingCollector;
pub use self::finding_collector::RequestCounts;
use self::parallel_scan::{OpenLog, ScanResult};
pub use self::read_options::ReadOptions;
use self::source::LogSource;
use crate::error::user_error;
use crate::evolution::instances::InstanceDirectory;
use crate::rules::finding::Finding;

/// The result of reading the logs.
#[derive(Debug, Serialize)]
pub struct LogFindings {
    /// Statistics of the reading.
    #[serde(flatten)]
    pub read: ReadSummary,
    /// The findings: by severity, then by number of requests, most first.
    pub findings: Vec<Finding>,
}

/// Statistics of the reading.
#[derive(Debug, Serialize)]
pub struct ReadSummary {
    /// Counts over all files.
    pub requests: RequestCounts,
    /// Files in which no line was understood, where others were.
    pub not_understood: Vec<String>,
    /// Packed files that end in the middle.
    pub cut_short: Vec<String>,
    /// Files that could not be read, with the reason.
    pub unreadable: Vec<UnreadableFile>,
    /// True if there was a list of instances to compare names with.
    pub compared: bool,
    /// True if it was stopped before the end.
    pub interrupted: bool,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableFile {
    /// Its name, safe to print.
    pub file: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Reads the logs, `-` for stdin, and says which requests name instances wrongly.
///
/// # Errors
/// When no file can be read, or no line in any of them tells of a request.
pub fn read_logs(
    files: &[PathBuf],
    directory: Option<&InstanceDirectory>,
    options: &ReadOptions<'_>,
) -> Result<LogFindings> {
    let (logs, mut unreadable) = open(files, options)?;
    let hasher = RandomState::default();
    let collector = Mutex::new(FindingCollector::new(directory, &hasher));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // A thread that waits for a file to grow does nothing else.
    let threads = if options.follow { cores.max(logs.len()) } else { cores };
    let (scanned, watch) = parallel_scan::scan_logs(&logs, threads, options, &hasher, &collector);

    let (mut sources, mut failures) = (Vec::new(), Vec::new());
    for log in logs {
        let (source, failed) = log.into_parts();
        if let Some(error) = failed {
            unreadable.push(UnreadableFile { file: source.name.clone(), reason: reason(&error) });
            failures.push(error);
        }
        sources.push(source);
    }
    if failures.len() == sources.len()
        && let Some(first) = failures.into_iter().next()
    {
        return Err(first);
    }
    let interrupted = options.progress.stop.load(Relaxed);
    if scanned.iter().all(|log| log.parsed == 0) && !interrupted {
        return Err(no_requests(&sources, &scanned));
    }
    let collector = collector.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (requests, findings) = collector.finish(watch);
    let lines = scanned.iter().map(|log| log.lines).sum();
    let parsed = scanned.iter().map(|log| log.parsed).sum();
    let names = |is: &dyn Fn(&LogSource, &ScanResult) -> bool| {
        let chosen = sources.iter().zip(&scanned).filter(|(source, log)| is(source, log));
        chosen.map(|(source, _)| source.name.clone()).collect()
    };
    let not_understood = names(&|source, log| {
        log.lines > 0 && log.parsed == 0 && !unreadable.iter().any(|file| file.file == source.name)
    });
    let read = ReadSummary {
        requests: RequestCounts { lines, parsed, unparsed: lines.saturating_sub(parsed), ..requests },
        not_understood,
        cut_short: names(&|source, _| source.is_cut_short),
        unreadable,
        compared: directory.is_some(),
        interrupted,
    };
    Ok(LogFindings { read, findings })
}

/// The logs that can be opened, and those that cannot.
fn open(files: &[PathBuf], options: &ReadOptions<'_>) -> Result<(Vec<OpenLog>, Vec<UnreadableFile>)> {
    let (mut logs, mut unreadable, mut first) = (Vec::new(), Vec::new(), None);
    for file in files {
        match LogSource::open(file, options.follow, options.progress) {
            Ok(source) => logs.push(OpenLog::new(source)),
            Err(error) => {
                let file = crate::text::escape::escape_control(&file.display().to_string());
                unreadable.push(UnreadableFile { file, reason: reason(&error) });
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) if logs.is_empty() => Err(error),
        _ => Ok((logs, unreadable)),
    }
}

/// An error and its causes in one line.
fn reason(error: &anyhow::Error) -> String {
    crate::text::escape::escape_control(&format!("{error:#}"))
}

fn no_requests(sources: &[LogSource], scanned: &[ScanResult]) -> anyhow::Error {
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let lines: u64 = scanned.iter().map(|log| log.lines).sum();
    let verb = if names.len() == 1 { "holds" } else { "hold" };
    let names = names.join(", ");
    if lines == 0 {
        return user_error(
            format!("{names} {verb} no requests: the log is empty"),
            "give an access log that has lines",
        );
    }
    let message = format!("{names} {verb} no requests: none of {lines} lines was understood");
    if scanned.iter().any(|log| log.is_console) {
        let next =
            "Evolution's own log does not list requests; give the access log of the proxy in front of it";
        return user_error(message, next);
    }
    user_error(message, format!("give a log of one of these kinds: {}", formats::KNOWN))
}

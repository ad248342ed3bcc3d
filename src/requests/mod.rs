//! Requests in a log that name instances wrongly: bytes → request → verdict → findings.
//!
//! `source` gives blocks of lines, `formats` reads the request that a line tells of, `watch` counts what is in order,
//! `collect` keeps what is not, in a `tally` for each thing that is wrong, `classify` says what a wrong name was meant
//! to be, and `wording` says it in words. `scan` does this on every core.

mod announce;
pub mod classify;
mod collect;
pub mod formats;
pub mod progress;
pub mod request;
pub mod rewrites;
pub mod rules;
mod scan;
pub mod shown;
pub mod source;
mod tally;
pub mod time;
pub mod timeline;
mod watch;
mod wording;

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use foldhash::fast::RandomState;
use serde::Serialize;

use self::collect::Collector;
pub use self::collect::RequestCounts;
use self::formats::Format;
use self::progress::Progress;
use self::scan::{Open, Scanned};
use self::source::Source;
use crate::evolution::instances::Directory;
use crate::examine::finding::Finding;
use crate::exit::failure;

/// What the logs say.
#[derive(Debug, Serialize)]
pub struct Examined {
    /// What was read.
    #[serde(flatten)]
    pub read: Read,
    /// What is wrong: by severity, then by number of requests, most first.
    pub findings: Vec<Finding>,
}

/// What was read of the logs.
#[derive(Debug, Serialize)]
pub struct Read {
    /// Counts over all files.
    pub requests: RequestCounts,
    /// Files in which no line was understood, where others were.
    pub not_understood: Vec<String>,
    /// Packed files that end in the middle.
    pub cut_short: Vec<String>,
    /// Files that could not be read, with the reason.
    pub unreadable: Vec<Unreadable>,
    /// Whether there was a list of instances to compare names with.
    pub compared: bool,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its name, safe to print.
    pub file: String,
    /// Why, and what to do.
    pub reason: String,
}

/// How to read logs.
pub struct Options<'o> {
    /// The only kind of line to read.
    pub format: Format,
    /// Whether files are read on as they grow.
    pub follow: bool,
    /// Whether these are told as JSON.
    pub is_json: bool,
    /// How far it is, and when to stop.
    pub progress: &'o Arc<Progress>,
    /// Told of every wrong thing, once for each client, when it is first seen.
    pub told: Option<&'o (dyn Fn(&str) + Sync)>,
}

/// Reads the logs, `-` for stdin, and says which requests name instances wrongly.
///
/// # Errors
/// When no file can be read, or no line in any of them tells of a request.
pub fn examine(files: &[PathBuf], directory: Option<&Directory>, options: &Options<'_>) -> Result<Examined> {
    let (logs, mut unreadable) = open(files, options)?;
    let hasher = RandomState::default();
    let collector = Mutex::new(Collector::new(directory, &hasher));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // A thread that waits for a file to grow does nothing else.
    let threads = if options.follow { cores.max(logs.len()) } else { cores };
    let (scanned, watch) = scan::scan(&logs, threads, options, &hasher, &collector);

    let (mut sources, mut failures) = (Vec::new(), Vec::new());
    for log in logs {
        let (source, failed) = log.into_parts();
        if let Some(error) = failed {
            unreadable.push(Unreadable { file: source.name.clone(), reason: reason(&error) });
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
    let names = |is: &dyn Fn(&Source, &Scanned) -> bool| {
        let chosen = sources.iter().zip(&scanned).filter(|(source, log)| is(source, log));
        chosen.map(|(source, _)| source.name.clone()).collect()
    };
    let not_understood = names(&|source, log| {
        log.lines > 0 && log.parsed == 0 && !unreadable.iter().any(|file| file.file == source.name)
    });
    let read = Read {
        requests: RequestCounts { lines, parsed, unparsed: lines.saturating_sub(parsed), ..requests },
        not_understood,
        cut_short: names(&|source, _| source.is_cut_short),
        unreadable,
        compared: directory.is_some(),
        interrupted,
    };
    Ok(Examined { read, findings })
}

/// The logs that can be opened, and those that cannot.
///
/// # Errors
/// When none can.
fn open(files: &[PathBuf], options: &Options<'_>) -> Result<(Vec<Open>, Vec<Unreadable>)> {
    let (mut logs, mut unreadable, mut first) = (Vec::new(), Vec::new(), None);
    for file in files {
        match Source::open(file, options.follow, options.progress) {
            Ok(source) => logs.push(Open::new(source)),
            Err(error) => {
                let file = shown::visible(&file.display().to_string());
                unreadable.push(Unreadable { file, reason: reason(&error) });
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
    shown::visible(&format!("{error:#}"))
}

fn no_requests(sources: &[Source], scanned: &[Scanned]) -> anyhow::Error {
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let lines: u64 = scanned.iter().map(|log| log.lines).sum();
    let verb = if names.len() == 1 { "holds" } else { "hold" };
    let names = names.join(", ");
    if lines == 0 {
        return failure(
            format!("{names} {verb} no requests: there is nothing in it"),
            "give an access log that has lines",
        );
    }
    let message = format!("{names} {verb} no requests: none of {lines} lines was understood");
    if scanned.iter().any(|log| log.is_console) {
        let next =
            "Evolution's own log does not list requests; give the access log of the proxy in front of it";
        return failure(message, next);
    }
    failure(message, format!("give a log of one of these kinds: {}", formats::KNOWN))
}

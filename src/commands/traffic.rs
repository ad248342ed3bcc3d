//! `evodoctor preflight --traffic`: the hour in which the upgrade keeps the fewest requests waiting.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::access_log::formats::LineFormat;
use crate::access_log::read_progress::ReadProgress;
use crate::access_log::traffic::Traffic;
use crate::commands::shared::read_logs::{TICK, show_progress};
use crate::error::user_error;
use crate::interrupt;
use crate::progress::ProgressTask;

/// Reads the logs that the patterns name; nothing where none is given.
///
/// # Errors
/// When a pattern names no file, a file cannot be read, or no line tells of a request and its time.
pub async fn read(patterns: &[PathBuf]) -> Result<Option<Traffic>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let files = expand(patterns)?;
    let shown = ProgressTask::start("reading");
    let progress = Arc::new(ReadProgress::default());
    let reading = Arc::clone(&progress);
    let mut work = spawn_blocking(move || Traffic::read(&files, &LineFormat::Any, &reading));
    let mut interrupted = pin!(interrupt::requested());
    let mut phase = None;
    loop {
        tokio::select! {
            traffic = &mut work => return traffic.context("the log was not read to its end")?.map(Some),
            () = &mut interrupted => {
                progress.stop.store(true, Relaxed);
                return Err(user_error("interrupted while reading the log", "run it again"));
            }
            () = sleep(TICK) => show_progress(&shown, &progress, &mut phase),
        }
    }
}

/// The files, sorted; a shell that got the pattern in quotes has left it as it is.
fn expand(patterns: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for pattern in patterns {
        let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.contains('*') || pattern.exists() {
            files.push(pattern.clone());
            continue;
        }
        let folder =
            pattern.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let listed = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut found = Vec::new();
        for entry in listed {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            let is_it = path.file_name().and_then(|name| name.to_str()).is_some_and(|one| fits(one, name));
            if is_it && path.is_file() {
                found.push(path);
            }
        }
        if found.is_empty() {
            return Err(user_error(
                format!("there is no file {}", pattern.display()),
                "give the access log of the proxy in front of the server",
            ));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// True if a name fits a pattern in which `*` stands for anything.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| fits(&left[at..], rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (name, pattern, is_it) in [
            ("access.log", "access.log*", true),
            ("access.log.2.gz", "access.log*", true),
            ("access.log.2.gz", "access*gz", true),
            ("access.log", "access*gz", false),
            ("error.log", "access.log*", false),
        ] {
            assert_eq!(fits(name, pattern), is_it, "{name} {pattern}");
        }
    }
}

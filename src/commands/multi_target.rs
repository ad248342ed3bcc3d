//! Several databases in one run: each is examined as if it were the only one, a few in parallel. An error in one does
//! not stop the others.

use std::cell::Cell;
use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream;

use super::shared::apply_config;
use crate::cli::{self, GlobalOptions, LoadedConfig, OutputFormat};
use crate::config::{self, NamedTarget};
use crate::error::{self, user_error};
use crate::exit_code::Exit;
use crate::interrupt;
use crate::progress::{ProgressTask, Unit, notice};
use crate::redact::personal::Naming;
use crate::report::ci::github;
use crate::report::metrics::{self, MeasuredRun};
use crate::report::multi_target::{self, TargetError, TargetReport};
use crate::report::{Report, failure, print, print_painted};
use crate::rules::baseline::Baseline;
use crate::terminal::page::Page;
use crate::text::escape::escape_control;

/// The extensions of reports.
const FILE_ENDINGS: [&str; 7] = ["txt", "json", "sarif", "xml", "md", "html", "log"];

/// The time that running examinations may take to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);

/// The result for one database.
struct TargetOutcome<'t> {
    target: &'t NamedTarget,
    common: GlobalOptions,
    took: Duration,
    report: Result<Report>,
}

/// Examines every database of a list.
///
/// # Errors
/// When the list is wrong, or what was found cannot be written. A database that cannot be examined is not an error
/// here: it is in the table, and in the exit code.
pub async fn run(
    list: &Path,
    several: &cli::TargetListArgs,
    command: &'static str,
    common: &GlobalOptions,
    examine: impl AsyncFn(&GlobalOptions) -> Result<Report>,
) -> Result<Exit> {
    let begun = Instant::now();
    expect_tellable(common)?;
    let targets = config::read_target_list(list)?;
    for folder in [&common.output, &common.write_baseline].into_iter().flatten() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    let work = ProgressTask::start("examining");
    work.start_phase("databases", u64::try_from(targets.len()).ok(), Unit::Steps);
    let examine = &examine;
    let one = |(at, target)| async move { (at, examined(target, list, common, examine).await) };
    let is_stopped = Cell::new(false);
    let waiting = stream::iter(targets.iter().enumerate()).take_while(|_| ready(!is_stopped.get()));
    let mut examining = waiting.map(one).buffer_unordered(several.parallel.into());
    let mut done: Vec<Option<TargetOutcome<'_>>> = targets.iter().map(|_| None).collect();
    let mut deadline = Instant::now();
    loop {
        tokio::select! {
            biased;
            // After Ctrl-C no further examination starts. Running ones end by themselves with what they know, or are
            // dropped.
            () = interrupt::requested(), if !is_stopped.get() => {
                is_stopped.set(true);
                deadline = Instant::now() + GRACE;
            }
            () = tokio::time::sleep_until(deadline.into()), if is_stopped.get() => break,
            next = examining.next() => {
                let Some((at, examined)) = next else { break };
                work.advance(1);
                tell(&examined, command)?;
                done[at] = Some(examined);
            }
        }
    }
    drop((examining, work));
    let settled =
        |(target, done): (_, Option<_>)| done.unwrap_or_else(|| TargetOutcome::interrupted(target, common));
    let all: Vec<TargetOutcome<'_>> = targets.iter().zip(done).map(settled).collect();
    finish(&all, command, common, begun)
}

/// Refuses options that make no sense for one file per database, or one document for all.
fn expect_tellable(common: &GlobalOptions) -> Result<()> {
    let needs_folder = !matches!(
        common.format,
        OutputFormat::Human
            | OutputFormat::Json
            | OutputFormat::Sarif
            | OutputFormat::Gitlab
            | OutputFormat::Github
            | OutputFormat::Markdown
    );
    if needs_folder && common.output.is_none() {
        return Err(user_error(
            format!("--format {} has no single document for several databases", common.format.as_str()),
            "add --output DIR: each database gets its own file there",
        ));
    }
    if let Some(folder) = common.output.as_ref().filter(|folder| folder.exists() && !folder.is_dir()) {
        return Err(user_error(
            format!("with --targets, --output must be a folder, and {} is a file", folder.display()),
            "name a folder; each database gets its own file there",
        ));
    }
    let has_file_name = |path: &&PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        !path.exists() && ending.is_some_and(|ending| FILE_ENDINGS.contains(&ending))
    };
    if let Some(file) = common.output.as_ref().filter(has_file_name) {
        return Err(user_error(
            format!("with --targets, --output must be a folder, and {} looks like a file", file.display()),
            format!("--output {}", file.with_extension("").display()),
        ));
    }
    if let Some(folder) = common.baseline.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(user_error(
            format!(
                "with --targets, --baseline must be a folder with one file for each database, and {} is \
                 not one",
                folder.display()
            ),
            "evodoctor check --targets FILE --write-baseline DIR makes one",
        ));
    }
    Ok(())
}

async fn examined<'t>(
    target: &'t NamedTarget,
    list: &Path,
    common: &GlobalOptions,
    examine: &impl AsyncFn(&GlobalOptions) -> Result<Report>,
) -> TargetOutcome<'t> {
    let begun = Instant::now();
    let own = match options(target, list, common) {
        Ok(own) => own,
        Err(error) => {
            return TargetOutcome {
                target,
                common: common.clone(),
                took: begun.elapsed(),
                report: Err(error),
            };
        }
    };
    // There is one line of progress, and it is for all of them.
    let quietly = GlobalOptions { quiet: true, ..own.clone() };
    let report = examine(&quietly).await.map(|mut report| {
        report.target = Some(target.name.clone());
        report.redact(&own);
        report
    });
    TargetOutcome { target, common: own, took: begun.elapsed(), report }
}

/// The options as if this database were the only one.
fn options(target: &NamedTarget, list: &Path, common: &GlobalOptions) -> Result<GlobalOptions> {
    let section = &target.section;
    let mut own = GlobalOptions { database_url: None, env_file: None, compose: None, ..common.clone() };
    apply_config::apply_section(section, &mut own)?;
    let is_decided = common.decided.is_some() || section.policy != Default::default();
    own.decided = is_decided.then(|| {
        let (file, environment) = match &common.decided {
            Some(decided) => (decided.file.clone(), decided.environment.clone()),
            None => (list.to_owned(), None),
        };
        Arc::new(LoadedConfig {
            file,
            environment,
            policy: section.policy.clone().merged_over(common.policy()),
        })
    });
    let in_folder = |folder: &PathBuf| folder.join(format!("{}.json", target.file));
    own.write_baseline = common.write_baseline.as_ref().map(in_folder);
    own.baseline = section.baseline.clone().or_else(|| common.baseline.as_ref().map(in_folder));
    own.known = match &own.baseline {
        None => None,
        // It is not in the baseline folder yet.
        Some(file) if section.baseline.is_none() && !file.exists() => Some(Arc::default()),
        Some(file) => Some(Arc::new(Baseline::read(file)?)),
    };
    own.output = common
        .output
        .as_ref()
        .map(|folder| folder.join(format!("{}.{}", target.file, own.format.file_extension())));
    Ok(own)
}

/// Writes what can be written at once: its own file, so that it exists whatever happens later.
fn tell(examined: &TargetOutcome<'_>, command: &str) -> Result<()> {
    let Some(file) = &examined.common.output else { return Ok(()) };
    match &examined.report {
        Ok(report) => report.write(&examined.common),
        // A report of an earlier run would be misleading: the error replaces it.
        Err(error) => {
            let name = Some(examined.target.name.as_str());
            match failure::render(examined.common.format, command, name, error)? {
                Some(text) => print(&text, Some(file)),
                None => print(&github::render_error(error), Some(file)),
            }
        }
    }
}

/// Prints the others, the table, and the metrics.
fn finish(
    all: &[TargetOutcome<'_>],
    command: &'static str,
    common: &GlobalOptions,
    begun: Instant,
) -> Result<Exit> {
    let members: Vec<TargetReport<'_>> = all.iter().map(TargetOutcome::member).collect();
    let table = || multi_target::table(&members, Page::for_stdout());
    let is_each_told = common.output.is_some();
    if !is_each_told {
        for examined in all {
            let Ok(report) = &examined.report else { continue };
            match common.format {
                OutputFormat::Human if common.quiet => report.write_side_outputs(&examined.common)?,
                OutputFormat::Human | OutputFormat::Markdown => {
                    report.write(&examined.common)?;
                    print("\n", None)?;
                }
                _ => report.write_side_outputs(&examined.common)?,
            }
        }
    }
    match (common.format, is_each_told) {
        (OutputFormat::Json, false) => print(&multi_target::json(command, &members)?, None)?,
        (OutputFormat::Sarif, false) => print(&multi_target::sarif(&members)?, None)?,
        (OutputFormat::Gitlab, false) => print(&multi_target::gitlab(&members)?, None)?,
        (OutputFormat::Github, false) => print_painted(&(github::render_targets(&members) + &table()), None)?,
        (OutputFormat::Human, _) | (_, true) => print_painted(&table(), None)?,
        _ => {}
    }
    // Failures are printed like any error, wherever the table went.
    if common.format != OutputFormat::Human && !is_each_told {
        for TargetReport { name, outcome, .. } in &members {
            let Err(obstacle) = outcome else { continue };
            notice(&format!("error: {}: {}", escape_control(name), obstacle.message));
        }
    }
    if let Some(path) = &common.metrics {
        let runs: Vec<MeasuredRun<'_>> = all.iter().map(|examined| examined.measured(command)).collect();
        metrics::write_metrics(path, &runs)?;
    }
    tracing::debug!(took = ?begun.elapsed(), "all of them");
    Ok(worst(all.iter().map(TargetOutcome::exit)))
}

/// One exit code for all. A database that was not examined outweighs findings in others, and findings outweigh
/// undecided checks, as for one database.
fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    let weight = |exit: &Exit| match exit {
        Exit::Clean => 0,
        Exit::Undecided => 1,
        Exit::Findings => 2,
        Exit::Failed => 3,
    };
    exits.max_by_key(weight).unwrap_or(Exit::Clean)
}

impl<'t> TargetOutcome<'t> {
    fn interrupted(target: &'t NamedTarget, common: &GlobalOptions) -> Self {
        let report = Err(user_error("interrupted before it was examined", "run it again"));
        Self { target, common: common.clone(), took: Duration::ZERO, report }
    }

    fn exit(&self) -> Exit {
        self.report.as_ref().map_or(Exit::Failed, |report| report.exit_code(&self.common))
    }

    fn member(&self) -> TargetReport<'_> {
        let outcome = match &self.report {
            Ok(report) => Ok((report, &self.common)),
            Err(error) => {
                let next = Some(error::hint(error).to_owned());
                let message = format!("{error:#}");
                let message = match self.common.shows_rows() {
                    true => message,
                    false => Naming::Keyed.redact(&message),
                };
                Err(TargetError { message, next })
            }
        };
        TargetReport { name: &self.target.name, exit: self.exit(), took: self.took, outcome }
    }

    fn measured<'a>(&'a self, command: &'static str) -> MeasuredRun<'a> {
        MeasuredRun {
            command,
            target: Some(&self.target.name),
            exit: self.exit(),
            took: self.took,
            report: self.report.as_ref().ok().map(|report| (report, &self.common)),
        }
    }
}

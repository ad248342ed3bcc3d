//! `evodoctor logs`: requests that name instances wrongly.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::ctrl_c;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::bar::Bar;
use super::open::Opened;
use super::select::Selection;
use crate::cli::{self, Common, Format, LogFormat};
use crate::database::{catalog, session};
use crate::evolution::fetched;
use crate::evolution::instances::Directory;
use crate::examine::finding::{CheckReport, Finding, Outcome};
use crate::exit::Exit;
use crate::report::{Detail, Report};
use crate::requests::progress::Progress;
use crate::requests::rules::rules;
use crate::requests::{self, Examined, Options};

/// How often the progress is shown anew.
const TICK: Duration = Duration::from_millis(200);

/// Examines the logs. Names are compared with `--instances` where it is given, else with the database where one is
/// named, else judged by their form.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn run(args: &cli::Logs, common: &Common) -> Result<Exit> {
    let selection = Selection::new(common)?;
    let mut opened = None;
    let directory = match &args.instances {
        Some(file) => Some(from_file(file)?),
        None if session::is_named(common) => Some(from_database(common, &mut opened).await?),
        None => None,
    };
    let mut examined = examine(args, common, directory).await?;
    examined.findings.retain(|finding| selection.lets_through(&finding.code));

    let findings = examined.findings.clone();
    let checks = checks(&findings, &selection);
    let mut report = Report::new("logs", Detail::Logs(examined.into())).with_examination(checks, findings);
    if let Some(opened) = opened {
        report.database = Some(opened.database_info());
        report.release = opened.release_info();
    }
    report.print(common)?;
    Ok(report.exit(common))
}

/// Reads the logs beside everything else, so that Ctrl-C ends the reading and not the report.
async fn examine(args: &cli::Logs, common: &Common, directory: Option<Directory>) -> Result<Examined> {
    let progress = Arc::new(Progress::default());
    // Who follows a log is told what comes, and waits for no end.
    let shown = Bar::new(!args.follow && !common.quiet);
    let (args, tells) =
        (args.clone(), args.follow && common.format == Format::Human && common.output.is_none());
    let reading = Arc::clone(&progress);
    let mut examined = spawn_blocking(move || {
        let tell = |line: &str| println!("{line}");
        let options = Options {
            format: args.log_format.map_or(requests::formats::Format::Any, kind),
            follow: args.follow,
            progress: &reading,
            told: if tells { Some(&tell) } else { None },
        };
        requests::examine(&args.files, directory.as_ref(), &options)
    });
    loop {
        tokio::select! {
            examined = &mut examined => {
                shown.end();
                return examined.context("the reading ended early")?;
            }
            _ = ctrl_c() => progress.stop.store(true, Relaxed),
            () = sleep(TICK) => shown.update(&progress),
        }
    }
}

fn kind(format: LogFormat) -> requests::formats::Format {
    use requests::formats::Format;
    match format {
        LogFormat::Combined => Format::Combined,
        LogFormat::Json => Format::Json,
        LogFormat::Haproxy => Format::Haproxy,
        LogFormat::Alb => Format::Balancer,
        LogFormat::Text => Format::Text,
    }
}

/// One line for each rule that was looked for.
fn checks(findings: &[Finding], selection: &Selection) -> Vec<CheckReport> {
    let report = |rule: &crate::examine::rule::Rule| CheckReport {
        code: rule.code.clone(),
        name: rule.name.clone(),
        outcome: if findings.iter().any(|f| f.code == rule.code) { Outcome::Found } else { Outcome::Clean },
        reason: None,
        duration_ms: 0,
    };
    rules().iter().filter(|rule| selection.lets_through(&rule.code)).map(report).collect()
}

async fn from_database(common: &Common, opened: &mut Option<Opened>) -> Result<Directory> {
    let mut found = Opened::snapshot(common).await?;
    let instances = catalog::instances(found.session.connection(), &found.schema).await?;
    found.session.end_snapshot().await?;
    *opened = Some(found);
    Ok(Directory::new(instances))
}

/// The instances in a file that holds what `GET /instance/fetchInstances` returns.
fn from_file(file: &Path) -> Result<Directory> {
    let context = || format!("cannot take the instances from {}", file.display());
    let json = fs::read(file).with_context(context)?;
    Ok(Directory::new(fetched::instances(&json).with_context(context)?))
}

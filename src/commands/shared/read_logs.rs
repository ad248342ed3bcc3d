//! Reading logs: with its progress on a terminal, and an end that comes early when it is asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::access_log::formats::log_template::LogTemplate;
use crate::access_log::read_progress::ReadProgress;
use crate::access_log::{self, LogFindings, ReadOptions};
use crate::cli::{self, GlobalOptions, LogFormat, OutputFormat};
use crate::evolution::instances::InstanceDirectory;
use crate::interrupt;
use crate::progress::{ProgressTask, Unit};

/// The interval at which the progress is redrawn.
pub const TICK: Duration = Duration::from_millis(200);

/// Reads the logs, in a thread of their own, so that Ctrl-C ends the reading and not the report.
///
/// # Errors
/// When a file cannot be read or understood.
pub async fn read_logs_with_progress(
    args: &cli::LogsArgs,
    common: &GlobalOptions,
    directory: Option<&Arc<InstanceDirectory>>,
) -> Result<LogFindings> {
    let progress = Arc::new(ReadProgress::default());
    // With `--follow` the requests are printed as they come, and there is no end to wait for.
    let shown = (!args.follow).then(|| ProgressTask::start("reading"));
    let (args, tells) = (
        args.clone(),
        args.follow
            && matches!(common.format, OutputFormat::Human | OutputFormat::Json)
            && common.output.is_none(),
    );
    let (is_json, is_redacted) = (common.format == OutputFormat::Json, !common.shows_rows());
    let format = args.log_format.clone().map_or(Ok(access_log::formats::LineFormat::Any), kind)?;
    let (reading, directory) = (Arc::clone(&progress), directory.cloned());
    let mut examined = spawn_blocking(move || {
        let tell = |line: &str| println!("{line}");
        let options = ReadOptions {
            format,
            follow: args.follow,
            is_json,
            is_redacted,
            progress: &reading,
            on_finding: if tells { Some(&tell) } else { None },
        };
        access_log::read_logs(&args.files, directory.as_deref(), &options)
    });
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut phase = None;
    loop {
        tokio::select! {
            examined = &mut examined => {
                drop(shown);
                return examined.context("the log was not read to its end")?;
            }
            () = interrupt::requested(), if !progress.stop.load(Relaxed) => progress.stop.store(true, Relaxed),
            _ = terminated.recv() => progress.stop.store(true, Relaxed),
            () = sleep(TICK) => shown.iter().for_each(|shown| show_progress(shown, &progress, &mut phase)),
        }
    }
}

/// Shows how far the reading is by now. Its speed is measured from the beginning of a phase, which is another where there turns
/// out to be more to read.
pub fn show_progress(shown: &ProgressTask, progress: &ReadProgress, phase: &mut Option<Option<u64>>) {
    let is_endless = progress.is_endless.load(Relaxed);
    let total = (!is_endless).then(|| progress.total.load(Relaxed));
    if phase.replace(total) != Some(total) {
        shown.start_phase("", total, Unit::Bytes);
    }
    shown.set_position(progress.read.load(Relaxed));
}

fn kind(format: LogFormat) -> Result<access_log::formats::LineFormat> {
    use access_log::formats::LineFormat;
    Ok(match format {
        LogFormat::Combined => LineFormat::Combined,
        LogFormat::Json => LineFormat::Json,
        LogFormat::Haproxy => LineFormat::Haproxy,
        LogFormat::Alb => LineFormat::Balancer,
        LogFormat::Text => LineFormat::Text,
        LogFormat::Nginx(format) => LineFormat::Template(Arc::new(LogTemplate::parse_format(&format)?)),
    })
}

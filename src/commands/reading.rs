//! Reading logs: with its progress on a terminal, and an end that comes early when it is asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::cli::{self, Common, Format, LogFormat};
use crate::evolution::instances::Directory;
use crate::progress::{Unit, Work};
use crate::requests::formats::columns::Template;
use crate::requests::progress::Progress;
use crate::requests::{self, Examined, Options};

/// How often the progress is shown anew.
const TICK: Duration = Duration::from_millis(200);

/// What the logs say. They are read beside everything else, so that Ctrl-C ends the reading and not the report.
///
/// # Errors
/// When a file cannot be read or understood.
pub async fn examine(
    args: &cli::Logs,
    common: &Common,
    directory: Option<&Arc<Directory>>,
) -> Result<Examined> {
    let progress = Arc::new(Progress::default());
    // Who follows a log is told what comes, and waits for no end.
    let shown = (!args.follow).then(|| Work::begin("reading"));
    let (args, tells) = (
        args.clone(),
        args.follow && matches!(common.format, Format::Human | Format::Json) && common.output.is_none(),
    );
    let is_json = common.format == Format::Json;
    let format = args.log_format.clone().map_or(Ok(requests::formats::Format::Any), kind)?;
    let (reading, directory) = (Arc::clone(&progress), directory.cloned());
    let mut examined = spawn_blocking(move || {
        let tell = |line: &str| println!("{line}");
        let options = Options {
            format,
            follow: args.follow,
            is_json,
            progress: &reading,
            told: if tells { Some(&tell) } else { None },
        };
        requests::examine(&args.files, directory.as_deref(), &options)
    });
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let (mut interrupted, mut terminated) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    loop {
        tokio::select! {
            examined = &mut examined => {
                drop(shown);
                return examined.context("the reading ended early")?;
            }
            _ = interrupted.recv() => progress.stop.store(true, Relaxed),
            _ = terminated.recv() => progress.stop.store(true, Relaxed),
            () = sleep(TICK) => shown.iter().for_each(|shown| update(shown, &progress)),
        }
    }
}

/// Shows how far the reading is by now.
fn update(shown: &Work, progress: &Progress) {
    let is_endless = progress.is_endless.load(Relaxed);
    let total = (!is_endless).then(|| progress.total.load(Relaxed));
    shown.part("", total, Unit::Bytes);
    shown.reach(progress.read.load(Relaxed));
}

fn kind(format: LogFormat) -> Result<requests::formats::Format> {
    use requests::formats::Format;
    Ok(match format {
        LogFormat::Combined => Format::Combined,
        LogFormat::Json => Format::Json,
        LogFormat::Haproxy => Format::Haproxy,
        LogFormat::Alb => Format::Balancer,
        LogFormat::Text => Format::Text,
        LogFormat::Nginx(format) => Format::Template(Arc::new(Template::of(&format)?)),
    })
}

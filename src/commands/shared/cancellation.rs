//! What ends an examination before its time: Ctrl-C, and `--timeout`.

use std::sync::{LazyLock, Once};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::progress;
use crate::text::duration::format_argument;

/// As a shell reports a program that Ctrl-C ended.
pub const INTERRUPTED: i32 = 130;

/// Comes to an end at Ctrl-C, or at the deadline that `timeout` has set, with the reason for a person.
///
/// Whoever presses Ctrl-C once more does not want to wait for a report. What is begun after a Ctrl-C ends at once.
///
/// Ctrl-C is listened for from the call on, and not only once somebody waits: by then a statement may be running that is to
/// be ended.
pub fn until_stopped(timeout: Option<Duration>, deadline: Option<Instant>) -> impl Future<Output = String> {
    let mut interrupted = interrupted();
    let time_is_up = async move {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    async move {
        tokio::select! {
            Ok(_) = interrupted.wait_for(|is_so| *is_so) => "interrupted".to_owned(),
            () = time_is_up => {
                format!("not finished within --timeout {}", format_argument(timeout.unwrap_or_default()))
            }
        }
    }
}

/// Whether Ctrl-C was pressed. It is listened for from the first time on that anybody asks.
fn interrupted() -> watch::Receiver<bool> {
    static LISTEN: Once = Once::new();
    static PRESSED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
    LISTEN.call_once(|| {
        // Where nobody can listen, Ctrl-C ends the program as it does without.
        let Ok(mut presses) = signal(SignalKind::interrupt()) else { return };
        tokio::spawn(async move {
            while presses.recv().await.is_some() {
                if PRESSED.send_replace(true) {
                    std::process::exit(INTERRUPTED);
                }
                progress::notice("interrupted: what is known so far follows; Ctrl-C once more ends at once");
            }
        });
    });
    PRESSED.subscribe()
}

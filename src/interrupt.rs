//! Ctrl-C, heard in one place for the whole program.
//!
//! The first one asks to end: whoever waits for [`requested`] rolls back, or reports what is known. Whoever presses it once more does
//! not want to wait for that: `main` ends the program then.

use std::sync::{LazyLock, Once};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit code of a program that Ctrl-C ended, as a shell reports it.
pub const EXIT_CODE: i32 = 130;

/// Signals that follow each other faster than this are one key: a program in between (timeout, npm, an init of a container) passes on
/// what the terminal has sent to all of them.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// The number of times that it was pressed.
static PRESSES: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::Sender::new(0));

/// Comes to an end when Ctrl-C is pressed, at once if it was pressed before.
///
/// It is listened for from the first call on, and not only once somebody waits: by then a statement may be running that is to be
/// ended. Until then Ctrl-C ends the program as it does any other.
pub fn requested() -> impl Future<Output = ()> {
    listen();
    pressed(1)
}

/// Comes to an end when Ctrl-C is pressed a second time, if anybody listens.
pub fn repeated() -> impl Future<Output = ()> {
    pressed(2)
}

fn pressed(times: u32) -> impl Future<Output = ()> {
    let mut presses = PRESSES.subscribe();
    async move {
        if presses.wait_for(|count| *count >= times).await.is_err() {
            std::future::pending().await
        }
    }
}

fn listen() {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        // Where nobody can listen, Ctrl-C ends the program as it does without.
        let Ok(mut presses) = signal(SignalKind::interrupt()) else { return };
        tokio::spawn(async move {
            let mut last: Option<Instant> = None;
            while presses.recv().await.is_some() {
                if last.is_none_or(|last| last.elapsed() > ONE_PRESS) {
                    PRESSES.send_modify(|count| *count += 1);
                }
                last = Some(Instant::now());
            }
        });
    });
}

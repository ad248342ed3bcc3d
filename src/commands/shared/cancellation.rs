//! Ends an examination early: Ctrl-C and `--timeout`.

use std::sync::Once;
use std::time::{Duration, Instant};

use crate::interrupt;
use crate::progress;
use crate::text::duration::format_argument;

/// Completes at Ctrl-C, or at the deadline of `timeout`, with the reason for a person. Work that starts after a Ctrl-C ends at once.
pub fn until_stopped(timeout: Option<Duration>, deadline: Option<Instant>) -> impl Future<Output = String> {
    let interrupted = interrupt::requested();
    let time_is_up = async move {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    async move {
        tokio::select! {
            () = interrupted => {
                // Several databases may be examined at once.
                static TOLD: Once = Once::new();
                TOLD.call_once(|| {
                    progress::notice("interrupted: the results so far follow; press Ctrl-C again to exit at once");
                });
                "interrupted".to_owned()
            }
            () = time_is_up => {
                format!("not finished within --timeout {}", format_argument(timeout.unwrap_or_default()))
            }
        }
    }
}

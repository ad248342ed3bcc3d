//! Runs that end before their time, at a moment that the program's own messages give.

use std::sync::mpsc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use sqlx::PgConnection;

use super::database::execute;
use super::killable_server::signal;
use super::program::{Run, ended, start_on};
use super::wire_proxy::{At, Side, Wire};

/// How a run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The program is killed.
    Killed,
    /// The server ends its sessions.
    Terminated,
    /// A connection is cut without notice to either side.
    Cut,
    /// Ctrl-C.
    Interrupted,
}

/// All of them.
pub const ENDS: [End; 4] = [End::Killed, End::Terminated, End::Cut, End::Interrupted];

/// A moment between the first message and the last, and every fourth time at the one that counts most.
pub fn moment(chance: &mut SmallRng, messages: u64) -> At {
    let side = match chance.random_range(0..3) {
        0 => Side::Before,
        _ => Side::After(Duration::from_micros(chance.random_range(0..3000))),
    };
    match chance.random_range(0..4) {
        0 => At::Commit(side),
        _ => At::Message(chance.random_range(1..=messages), side),
    }
}

/// Runs the program over the wire and ends it so at that moment. `others` are the sessions that are not the test's own.
pub async fn cut_off(
    wire: &Wire,
    url: &str,
    arguments: &[&str],
    (at, end): (At, End),
    connection: &mut PgConnection,
    others: &str,
) -> Run {
    let (program, pid) = mpsc::channel::<u32>();
    let (happened, happens) = tokio::sync::oneshot::channel();
    let act = move || {
        let pid = pid.recv().expect("the program has a number");
        match end {
            End::Killed => signal("-KILL", pid),
            End::Interrupted => signal("-INT", pid),
            End::Terminated | End::Cut => {}
        }
        let _ = happened.send(());
        if end == End::Terminated {
            // The test ends the session now; anything sent until then counts as sent before.
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wire.arm(at, (end != End::Cut).then(|| Box::new(act) as Box<dyn FnOnce() + Send>));
    let child = start_on(url, arguments);
    let _ = program.send(child.id());
    let mut ending = tokio::task::spawn_blocking(|| ended(child));
    let run = tokio::select! {
        run = &mut ending => run,
        _ = happens => {
            if end == End::Terminated {
                let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}");
                execute(connection, &sql).await;
            }
            ending.await
        }
    };
    wire.disarm();
    run.expect("it ends")
}

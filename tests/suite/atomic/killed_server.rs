//! The server itself is killed: one of its processes, which makes it restart, or all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::interrupted_runs::{FIX, Home, Patient};
use super::moments::expect_truth;
use crate::support::kill_points::moment;
use crate::support::killable_server::signal;
use crate::support::program::{ended, start_on};

const MOMENTS: u32 = 36;

/// The process that is killed, and the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The process that serves the program: the server throws everybody out and recovers.
    Backend,
    /// All of it at once.
    Postmaster,
    /// It is told to stop at once.
    Immediately,
}

const VICTIMS: [Victim; 3] = [Victim::Backend, Victim::Postmaster, Victim::Immediately];

#[tokio::test]
async fn a_killed_server_restarts_with_all_or_nothing_applied() {
    let seed = rand::random::<u32>().into();
    let mut chance = SmallRng::seed_from_u64(seed);
    let mut patient = Patient::new(true, 50).await;
    let (mut is_fixed, mut turned, mut said) = (false, 0, String::new());
    for number in 0..MOMENTS {
        let newest = patient.newest().await;
        let arguments = if is_fixed { vec!["undo", &newest, "--apply"] } else { FIX.to_vec() };
        let messages = if is_fixed { patient.messages.1 } else { patient.messages.0 };
        let (at, victim) = (moment(&mut chance, messages), VICTIMS[chance.random_range(0..VICTIMS.len())]);
        let told = format!("seed {seed}, moment {number}, {} with {victim:?} at {at:?}", arguments[0]);
        let Home::Own(server) = &patient.home else { unreachable!("it has a server of its own") };
        let postmaster = server.postmaster().expect("it runs");
        let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut patient.connection)
            .await
            .expect("a number");
        let has_acted = Arc::new(AtomicBool::new(false));
        let acted = Arc::clone(&has_acted);
        let act = move || {
            let (name, pids) = match victim {
                // At its first message it is not yet known as one.
                Victim::Backend => ("-KILL", backends(postmaster, own)),
                Victim::Postmaster => ("-KILL", vec![postmaster]),
                Victim::Immediately => ("-QUIT", vec![postmaster]),
            };
            acted.store(!pids.is_empty(), Ordering::SeqCst);
            pids.into_iter().for_each(|pid| signal(name, pid));
        };
        patient.wire.arm(at, Some(Box::new(act)));
        let child = start_on(&patient.url(), &arguments);
        // The program may be asking for the outcome of its COMMIT, so the server has to come back in the meantime.
        let waiting = tokio::task::spawn_blocking(|| ended(child));
        patient.revive_when_gone(&waiting).await;
        let run = waiting.await.expect("it ends");
        patient.wire.disarm();
        if has_acted.load(Ordering::SeqCst) {
            patient.gone(victim, postmaster).await;
        }
        patient.revive().await;
        patient.quiet().await;
        let now = patient.is_fixed().await;
        expect_truth(&run, now != is_fixed, &told);
        turned += u32::from(now != is_fixed);
        said.push_str(&run.stderr);
        is_fixed = now;
    }
    eprintln!("seed {seed}: {turned} of {MOMENTS} runs were done");
    assert!(said.contains("nothing has been changed"), "{said}");
    if is_fixed {
        let newest = patient.newest().await;
        patient.run(&["undo", &newest, "--apply"]);
    }
    patient.run(&FIX);
    assert!(patient.is_fixed().await);
}

impl Patient {
    /// Waits until the server has noticed.
    async fn gone(&mut self, victim: Victim, postmaster: u32) {
        let started = Instant::now();
        loop {
            let Home::Own(server) = &self.home else { return };
            let is_gone = match victim {
                Victim::Backend => sqlx::raw_sql("SELECT 1").execute(&mut self.connection).await.is_err(),
                Victim::Postmaster | Victim::Immediately => server.postmaster() != Some(postmaster),
            };
            if is_gone {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{victim:?} does not go");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts the server again as soon as it is gone, as a supervisor would.
    async fn revive_when_gone<T>(&mut self, waiting: &tokio::task::JoinHandle<T>) {
        let started = Instant::now();
        while !waiting.is_finished() {
            assert!(started.elapsed() < Duration::from_secs(120), "the program does not end");
            let Home::Own(server) = &mut self.home else { return };
            if server.postmaster().is_none() {
                server.start_again().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The server's processes that serve a client, but for one.
fn backends(postmaster: u32, spared: i32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
    let pids = children.unwrap_or_default();
    let serves = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        name.starts_with("postgres: postgres postgres")
    };
    let pids = pids.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| i64::from(*pid) != i64::from(spared)).filter(serves).collect()
}

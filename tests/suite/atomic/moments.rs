//! Hundreds of moments, in whatever order chance gives them: fix and undo take turns, each from where the last one was
//! cut off.

use std::sync::mpsc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::patient::{FIX, Patient};
use crate::support::database::execute;
use crate::support::mortal::signal;
use crate::support::program::{Run, ended, start_on};
use crate::support::wire::{At, Side};

/// How many each of the tests tries.
const MOMENTS: u32 = 110;

/// How a run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The program is killed.
    Killed,
    /// The server ends its session.
    Terminated,
    /// The connection is cut: neither is told.
    Cut,
    /// Ctrl-C.
    Interrupted,
}

const ENDS: [End; 4] = [End::Killed, End::Terminated, End::Cut, End::Interrupted];

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

/// What the program says must be what is.
pub fn expect_truth(run: &Run, done: bool, told: &str) {
    match run.code {
        Some(0) => assert!(done, "{told}: {run:?}"),
        Some(2) => {
            assert!(!done, "{told}: {run:?}");
            assert!(run.stdout.is_empty(), "{told}: {run:?}");
            assert!(run.stderr.contains("next:"), "{told}: {run:?}");
        }
        None => {}
        _ => panic!("{told}: {run:?}"),
    }
}

impl Patient {
    /// Lets one run be ended at a moment.
    async fn end_one(&mut self, arguments: &[&str], at: At, end: End) -> Run {
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
                // The test ends the session now; what is sent meanwhile is as good as sent before.
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        self.wire.arm(at, (end != End::Cut).then(|| Box::new(act) as Box<dyn FnOnce() + Send>));
        let child = start_on(&self.url(), arguments);
        let _ = program.send(child.id());
        let mut ending = tokio::task::spawn_blocking(|| ended(child));
        let run = tokio::select! {
            run = &mut ending => run,
            _ = happens => {
                if end == End::Terminated {
                    let ours = self.others();
                    let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}");
                    execute(&mut self.connection, &sql).await;
                }
                ending.await
            }
        };
        let run = run.expect("it ends");
        self.wire.disarm();
        self.quiet().await;
        run
    }
}

async fn hundreds(seed: u64) {
    let mut chance = SmallRng::seed_from_u64(seed);
    let mut patient = Patient::new(false, 200).await;
    let (mut is_fixed, mut turned, mut stayed) = (false, 0, 0);
    for number in 0..MOMENTS {
        let newest = patient.newest().await;
        let arguments = if is_fixed { vec!["undo", &newest, "--apply"] } else { FIX.to_vec() };
        let messages = if is_fixed { patient.messages.1 } else { patient.messages.0 };
        let (at, end) = (moment(&mut chance, messages), ENDS[chance.random_range(0..ENDS.len())]);
        let told = format!("seed {seed}, moment {number}, {} {end:?} at {at:?}", arguments[0]);
        let run = patient.end_one(&arguments, at, end).await;
        let now = patient.is_fixed().await;
        expect_truth(&run, now != is_fixed, &told);
        if now == is_fixed {
            stayed += 1;
        } else {
            turned += 1;
        }
        is_fixed = now;
    }
    eprintln!("seed {seed}: {turned} runs were done, {stayed} were not");
    assert!(
        turned > MOMENTS / 20 && stayed > MOMENTS / 5,
        "seed {seed}: {turned} were done, {stayed} were not"
    );
    // Nothing of it keeps the next runs from working.
    for _ in 0..2 {
        let newest = patient.newest().await;
        if is_fixed {
            patient.run(&["undo", &newest, "--apply"]);
        } else {
            patient.run(&FIX);
        }
        is_fixed = !is_fixed;
        assert_eq!(patient.is_fixed().await, is_fixed);
    }
    // What the program itself says of it.
    let history = patient.run(&["history", "--format", "json"]).json();
    let runs = history["runs"].as_array().expect("a list");
    let standing = runs.iter().filter(|run| run["undone_at"].is_null()).count();
    assert_eq!(standing, usize::from(is_fixed), "{history}");
}

#[tokio::test]
async fn a_run_that_is_cut_off_at_any_moment_is_all_or_nothing() {
    hundreds(rand::random::<u32>().into()).await;
}

/// The same from where the first one is not: the two take their time side by side.
#[tokio::test]
async fn a_run_that_is_cut_off_at_any_other_moment_is_all_or_nothing() {
    hundreds(rand::random::<u32>().into()).await;
}

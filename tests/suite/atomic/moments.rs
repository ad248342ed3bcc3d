//! A hundred and more moments, in whatever order chance gives them: fix and undo take turns, each from where the last one was
//! cut off.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::interrupted_runs::{FIX, Patient};
use crate::support::kill_points::{ENDS, cut_off, moment};
use crate::support::program::Run;

/// The number of each of the tests tries.
const MOMENTS: u32 = 60;

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
        let (url, others) = (patient.url(), patient.others());
        let run = cut_off(&patient.wire, &url, &arguments, (at, end), &mut patient.connection, &others).await;
        patient.quiet().await;
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
async fn a_run_killed_at_any_moment_is_all_or_nothing() {
    hundreds(rand::random::<u32>().into()).await;
}

/// The same from where the first one is not: the two take their time side by side.
#[tokio::test]
async fn a_run_killed_at_any_other_moment_is_all_or_nothing() {
    hundreds(rand::random::<u32>().into()).await;
}

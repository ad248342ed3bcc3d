//! Cut off at moments that chance gives: the next runs go on, end where a whole one does, and are undone.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{ALLOW, seen, text, unfinished};
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{ended, on, start_on};

const FIX: [&str; 9] =
    ["fix", "EVO205", "EVO206", "EVO207", "EVO208", "--online", "--apply", "--allow", ALLOW];

/// Nobody else is there any more but who is still building.
const OTHERS: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND query !~ 'CONCURRENTLY'";

#[tokio::test]
async fn wherever_it_is_cut_off_it_is_gone_on_with_or_taken_back() {
    let seed: u64 = rand::random::<u32>().into();
    let mut chance = SmallRng::seed_from_u64(seed);
    let reference = Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await;
    on(&reference.url(), &["fix", "EVO101", "EVO102", "EVO103", "--apply", "--allow", ALLOW]).ends(0);
    let mut connection = reference.connect().await;
    execute(&mut connection, "DROP SCHEMA evodoctor CASCADE").await;
    drop(connection);
    let before = seen(&reference).await;
    let whole = TestDatabase::copy_of(&reference).await;
    let begun = Instant::now();
    on(&whole.url(), &FIX).ends(0);
    let (takes, after) = (begun.elapsed(), seen(&whole).await);

    let database = TestDatabase::copy_of(&reference).await;
    let mut connection = database.connect().await;
    let (mut open, mut cuts) = (0, 0);
    for number in 0..6 {
        let told = format!("seed {seed}, cut {number}");
        let mut child = start_on(&database.url(), &FIX);
        tokio::time::sleep(takes.mul_f64(chance.random_range(0.2..1.0))).await;
        if chance.random() {
            let _ = child.kill();
        } else {
            let sql =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
            execute(&mut connection, sql).await;
        }
        let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        while text(&mut connection, OTHERS).await != "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = unfinished(&database);
        open += usize::from(left > 0);
        cuts += usize::from(run.code != Some(0));
        // Half of what is half done is gone on with, the other half is taken back.
        if chance.random() {
            on(&database.url(), &["fix", "--online", "--apply", "--allow", ALLOW, "--select", "EVO308"]);
            assert_eq!(unfinished(&database), 0, "{told}: {run:?}");
        }
        if seen(&database).await != before {
            let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
            let runs = history["runs"].as_array().expect("a list");
            let standing = runs.iter().filter(|run| run["undone_at"].is_null());
            for run in standing {
                on(&database.url(), &["undo", &run["run"].to_string(), "--apply"]).ends(0);
            }
        }
        assert_eq!(seen(&database).await, before, "{told}: {run:?}");
        assert_eq!(unfinished(&database), 0, "{told}");
    }
    eprintln!("seed {seed}: {cuts} were cut off, {open} of them had something left to do");
    assert!(cuts > 1, "seed {seed}: {cuts} were cut off");
    on(&database.url(), &FIX).ends(0);
    assert_eq!(seen(&database).await, after, "seed {seed}");
}

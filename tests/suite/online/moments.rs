//! Cut off at moments that chance gives: the next runs go on, end where a whole one does, and are undone.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{ALLOW, seen, text, unfinished};
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::kill_points::{ENDS, cut_off, moment};
use crate::support::program::on;
use crate::support::wire_proxy::Wire;

const FIX: [&str; 9] =
    ["fix", "EVO205", "EVO206", "EVO207", "EVO208", "--online", "--apply", "--allow", ALLOW];

/// The number of moments that are tried.
const MOMENTS: usize = 10;

/// The sessions that are none of the test's own.
const OTHERS: &str =
    "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

#[tokio::test]
async fn online_runs_killed_at_any_moment_are_continued_or_undone() {
    let seed: u64 = rand::random::<u32>().into();
    let mut chance = SmallRng::seed_from_u64(seed);
    let reference = Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await;
    on(&reference.url(), &["fix", "EVO101", "EVO102", "EVO103", "--apply", "--allow", ALLOW]).ends(0);
    let mut connection = reference.connect().await;
    execute(&mut connection, "DROP SCHEMA evodoctor CASCADE").await;
    drop(connection);
    let before = seen(&reference).await;
    let whole = TestDatabase::copy_of(&reference).await;
    let wire = Wire::to(whole.socket());
    on(&wire.url(whole.name()), &FIX).ends(0);
    let (messages, after) = (wire.count(), seen(&whole).await);

    let database = TestDatabase::copy_of(&reference).await;
    let url = wire.url(database.name());
    let mut connection = database.connect().await;
    let (mut open, mut cuts) = (0, 0);
    for number in 0..MOMENTS {
        let (at, end) = (moment(&mut chance, messages), ENDS[chance.random_range(0..ENDS.len())]);
        let told = format!("seed {seed}, cut {number}, {end:?} at {at:?}");
        let run = cut_off(&wire, &url, &FIX, (at, end), &mut connection, OTHERS).await;
        // Only the builder is left.
        let stay =
            format!("SELECT count(*)::text FROM pg_stat_activity WHERE {OTHERS} AND query !~ 'CONCURRENTLY'");
        while text(&mut connection, &stay).await != "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = unfinished(&database);
        open += usize::from(left > 0);
        cuts += usize::from(run.code != Some(0));
        // Half of what is half done is continued, the other half is taken back.
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
    assert!(cuts > MOMENTS / 2, "seed {seed}: {cuts} were cut off");
    on(&database.url(), &FIX).ends(0);
    assert_eq!(seen(&database).await, after, "seed {seed}");
}

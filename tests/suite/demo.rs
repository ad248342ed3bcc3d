//! The demo tells its story to the end, leaves nothing behind, and says what to install where it cannot.

use crate::support::program::{Evodoctor, evodoctor};

#[test]
fn the_demo_runs_to_its_end() {
    let run = evodoctor(&["demo"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for told in
        ["EVO101", "EVO204", "rolled back", "applied: run 1", "clean: 38 checks", "EVO501", "undone: run 1"]
    {
        assert!(run.stdout.contains(told), "{told:?} is missing in:\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("sk-demo-3f9b2c7a51d04e86"), "a key is shown");
}

#[test]
fn without_server_programs_it_says_what_installs_them() {
    let empty = tempfile::tempdir().unwrap();
    let run = Evodoctor::new(["demo"]).env("EVODOCTOR_PG_BIN", empty.path()).run();
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stderr.contains("next:"), "{}", run.stderr);
}

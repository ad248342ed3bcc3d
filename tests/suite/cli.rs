//! The command line: what a shell sees.

use crate::support::program::Evodoctor;

#[test]
fn a_usage_error_ends_with_2_and_leaves_stdout_clean() {
    let run = Evodoctor::new(["chekc"]).input("").run();
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.stderr.contains("check"), "no suggestion: {}", run.stderr);
}

#[test]
fn the_version_goes_to_stdout() {
    let run = Evodoctor::new(["--version"]).env("NO_COLOR", "1").run();
    assert_eq!(run.code, Some(0));
    assert_eq!(run.stdout, format!("evodoctor {}\n", env!("CARGO_PKG_VERSION")));
}

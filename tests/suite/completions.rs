//! Completions in the shells themselves, and the manual as `man` reads it.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

use crate::support::program::evodoctor;

const COMMANDS: [&str; 12] = [
    "check",
    "fix",
    "undo",
    "history",
    "credentials",
    "preflight",
    "snapshot",
    "logs",
    "explain",
    "demo",
    "completions",
    "man",
];

fn script(shell: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(evodoctor(&["completions", shell]).ends(0).stdout.as_bytes()).expect("writable");
    file
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).env("TERM", "dumb").output();
    let output = output.unwrap_or_else(|error| panic!("{program} is installed by tests/setup.sh: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What bash offers for the last word of a line.
fn in_bash(line: &str) -> Vec<String> {
    let file = script("bash");
    let program = "source \"$1\"; COMP_WORDS=($2 \"$3\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                   _evodoctor evodoctor \"$3\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let (before, last) = line.rsplit_once(' ').expect("a line of words");
    let path = file.path().to_str().expect("UTF-8");
    said("bash", &["-c", program, "bash", path, before, last]).lines().map(str::to_owned).collect()
}

/// The same in fish, without the descriptions.
fn in_fish(line: &str) -> Vec<String> {
    let file = script("fish");
    let program = format!("source {}; complete -C'{line}'", file.path().display());
    let offered = said("fish", &["--no-config", "-c", &program]);
    offered.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn commands_options_codes_and_releases_are_completed() {
    for (shell, offered) in [("bash", in_bash as fn(&str) -> Vec<String>), ("fish", in_fish)] {
        let has = |line: &str, wanted: &[&str], unwanted: &[&str]| {
            let offered = offered(line);
            for word in wanted {
                assert!(
                    offered.iter().any(|one| one == word),
                    "{shell}: no {word} for {line:?}: {offered:?}"
                );
            }
            for word in unwanted {
                assert!(!offered.iter().any(|one| one == word), "{shell}: {word} for {line:?}: {offered:?}");
            }
        };
        has("evodoctor pre", &["preflight"], &["fix"]);
        has("evodoctor fix --al", &["--allow"], &["--select"]);
        has("evodoctor fix EVO1", &["EVO101", "EVO102"], &["EVO202", "EVO106"]);
        has("evodoctor explain EVO10", &["EVO101", "EVO106"], &["EVO202"]);
        has("evodoctor check --select EVO2", &["EVO202", "EVO210"], &["EVO101"]);
        has("evodoctor check --ignore EVO5", &["EVO501"], &[]);
        has("evodoctor preflight --to 2.3", &["2.3.0", "2.3.7"], &["2.1.1"]);
        has("evodoctor fix --allow de", &["deletes-rows"], &["changes-rows"]);
        has("evodoctor check --fail-on a", &["advice"], &["error"]);
        has("evodoctor check --format s", &["sarif"], &["json"]);
        has("evodoctor completions z", &["zsh"], &[]);
        has("evodoctor man h", &["history"], &["fix"]);
    }
}

/// In zsh the completion system wants a terminal; here the script is read by it, and holds what it offers.
#[test]
fn zsh_reads_its_script() {
    let file = script("zsh");
    let path = file.path().to_str().expect("UTF-8");
    said("zsh", &["-n", path]);
    let program = "autoload -U compinit; compinit -D -u; source \"$1\"; whence -w _evodoctor";
    assert_eq!(said("zsh", &["-f", "-c", program, "zsh", path]), "_evodoctor: function\n");
    let text = std::fs::read_to_string(path).expect("readable");
    for offered in ["EVO101", "2.3.7", "deletes-rows", "they refer to rows that do not exist"] {
        assert!(text.contains(offered), "no {offered}");
    }
}

#[test]
fn bash_and_fish_scripts_are_valid() {
    for shell in ["elvish", "powershell"] {
        let text = evodoctor(&["completions", shell]).ends(0).stdout;
        assert!(text.contains("preflight") && text.contains("--select"), "{shell}: {text}");
    }
    evodoctor(&["completions"]).ends(2).complains(&["<SHELL>"]);
}

#[test]
fn help_does_not_list_every_code() {
    for command in ["check", "fix", "explain", "preflight"] {
        let help = evodoctor(&[command, "--help"]).ends(0).stdout;
        assert!(!help.contains("EVO210") && !help.contains("2.1.2"), "{help}");
    }
}

#[test]
fn man_reads_the_manual_without_warnings() {
    for page in std::iter::once(None).chain(COMMANDS.map(Some)) {
        let arguments: Vec<&str> = std::iter::once("man").chain(page).collect();
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(evodoctor(&arguments).ends(0).stdout.as_bytes()).expect("writable");
        let path = file.path().to_str().expect("UTF-8");
        said("mandoc", &["-T", "lint", "-W", "warning", path]);
        said("groff", &["-Kutf8", "-man", "-Tutf8", "-ww", "-z", path]);
        let text = said("mandoc", &["-T", "ascii", path]).replace('\u{8}', "");
        let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let name = page.map_or("evodoctor".to_owned(), |page| format!("evodoctor-{page}"));
        assert!(squeezed.to_lowercase().contains(&name), "{name}: {text}");
        for title in
            ["EXIT STATUS", "ENVIRONMENT", "FILES", if page.is_none() { "EXAMPLES" } else { "SEE ALSO" }]
        {
            let raw = std::fs::read_to_string(path).expect("readable");
            assert!(
                raw.contains(&format!(".SH \"{title}\"")) || raw.contains(&format!(".SH {title}")),
                "{name}: {title}"
            );
        }
    }
}

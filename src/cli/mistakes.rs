//! Detects usage mistakes that are common with other programs, and says what to type instead.

use std::ffi::OsString;
use std::path::Path;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::user_error;
use crate::text::shell;

/// What other programs call a command of this one.
const OTHER_NAMES: [(&str, &[&str]); 7] = [
    (
        "check",
        &["analyze", "audit", "diagnose", "diff", "doctor", "lint", "scan", "status", "test", "verify"],
    ),
    ("fix", &["apply", "heal", "mend", "repair", "run"]),
    ("history", &["ledger", "log", "ls", "list", "runs"]),
    ("logs", &["access-log", "requests"]),
    ("preflight", &["migrate", "plan", "update", "upgrade"]),
    ("snapshot", &["anonymise", "anonymize", "backup", "dump", "export"]),
    ("undo", &["down", "restore", "revert", "rollback"]),
];

/// Options that suppress questions in other programs.
const SURE: [&str; 6] = ["--force", "--yes", "-f", "-y", "--commit", "--confirm"];

/// Options and variables that select a database in psql and other programs.
const OF_OTHERS: [&str; 14] = [
    "-d",
    "-U",
    "-H",
    "-p",
    "-W",
    "-w",
    "--dbname",
    "--db",
    "--host",
    "--port",
    "--username",
    "--uri",
    "--url",
    "--connection",
];

/// The error that says what was meant; `None` where clap's own says enough.
pub(super) fn natural_call(error: &Error, arguments: &[OsString]) -> Option<anyhow::Error> {
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let call = Call::new(arguments);
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_argument(of(ContextKind::InvalidArg)?, &call),
        ErrorKind::InvalidSubcommand => {
            let word = of(ContextKind::InvalidSubcommand)?;
            let (command, _) = OTHER_NAMES.iter().find(|(_, names)| names.contains(&word))?;
            let is_first = call.command == Some(word);
            is_first.then(|| {
                user_error(
                    format!("there is no command {word}"),
                    format!("evodoctor {command}; evodoctor without arguments lists the commands"),
                )
            })
        }
        ErrorKind::MissingRequiredArgument if call.command == Some("undo") => Some(user_error(
            "no run is given to undo",
            format!("{}; evodoctor history lists the runs", call.with("last")),
        )),
        ErrorKind::MissingRequiredArgument if call.command == Some("logs") => {
            Some(user_error("no log is given", format!("{}; - reads from a pipe", call.with("access.log"))))
        }
        _ => None,
    }
}

fn unknown_argument(word: &str, call: &Call<'_>) -> Option<anyhow::Error> {
    let changes = matches!(call.command, Some("fix" | "undo" | "credentials" | "history"));
    if word == "--dry-run" {
        return Some(user_error(
            "there is no option --dry-run: fix, undo and credentials are dry runs without --apply",
            call.replacing(word, ""),
        ));
    }
    if SURE.contains(&word) && changes {
        return Some(user_error(
            format!(
                "there is no option {word}, because evodoctor asks no questions; --apply commits, and \
                 --allow consents to hazards"
            ),
            call.replacing(word, "--apply"),
        ));
    }
    if call.command == Some("preflight") && is_version(word) {
        return Some(user_error(
            "the release is given with an option, not as an argument",
            call.replacing(word, &format!("--to {word}")),
        ));
    }
    if OF_OTHERS.contains(&word) {
        return Some(user_error(
            format!("there is no option {word}"),
            "name the database with --database-url URL, or with psql's own variables: PGDATABASE, PGHOST, PGUSER",
        ));
    }
    let option = option_for(word)?;
    if call.command == Some("snapshot") && option.starts_with("--snapshot") {
        let word = shell::quote(word);
        return Some(user_error(
            "a file is given with an option, not as an argument",
            format!(
                "{} to write that file; {} to make a snapshot of that dump",
                call.replacing(&word, &format!("--output {word}")),
                call.replacing(&word, &format!("{option} --output FILE"))
            ),
        ));
    }
    Some(user_error("a database is given with an option, not as an argument", call.replacing(word, &option)))
}

fn is_version(word: &str) -> bool {
    let numbers = word.strip_prefix('v').unwrap_or(word);
    numbers.contains('.') && numbers.starts_with(|c: char| c.is_ascii_digit())
}

/// The option that takes what a word names. A connection string is not repeated: it may hold a password.
pub fn option_for(word: &str) -> Option<String> {
    if word.contains("://") {
        return Some("--database-url URL".to_owned());
    }
    let path = Path::new(word);
    let name = path.file_name()?.to_str()?;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let word = shell::quote(word);
    match ending {
        _ if name.starts_with(".env") => Some(format!("--env-file {word}")),
        "env" => Some(format!("--env-file {word}")),
        "yml" | "yaml" => Some(format!("--compose {word}")),
        "dump" | "sql" | "backup" | "gz" | "zst" | "tar" => Some(format!("--snapshot {word}")),
        _ => None,
    }
}

/// What was typed.
struct Call<'a> {
    /// The first word that is no option.
    command: Option<&'a str>,
    /// All words behind the program's name; `None` where one is no text.
    words: Option<Vec<&'a str>>,
}

impl<'a> Call<'a> {
    fn new(arguments: &'a [OsString]) -> Self {
        let words: Option<Vec<&str>> = arguments.iter().skip(1).map(|word| word.to_str()).collect();
        let command =
            arguments.iter().skip(1).find_map(|word| word.to_str().filter(|word| !word.starts_with('-')));
        Self { command, words }
    }

    /// The call with something else in a word's place.
    fn replacing(&self, word: &str, by: &str) -> String {
        let Some(words) = &self.words else { return self.bare(by) };
        let mut out = "evodoctor".to_owned();
        for typed in words {
            let shown =
                if *typed == word || shell::quote(typed) == word { by.to_owned() } else { harmless(typed) };
            if !shown.is_empty() {
                out.push_str(&format!(" {shown}"));
            }
        }
        out
    }

    /// The call with something behind it.
    fn with(&self, more: &str) -> String {
        match &self.words {
            Some(words) => {
                let words: Vec<String> = words.iter().map(|word| harmless(word)).collect();
                format!("evodoctor {} {more}", words.join(" "))
            }
            None => self.bare(more),
        }
    }

    fn bare(&self, more: &str) -> String {
        format!("evodoctor {} {more}", self.command.unwrap_or_default()).trim_end().to_owned()
    }
}

/// A word as it is typed, without a connection string's password.
fn harmless(word: &str) -> String {
    match (word.contains("://"), word.split_once('=')) {
        (true, Some((option, _))) if option.starts_with("--") => format!("{option}=URL"),
        (true, _) => "URL".to_owned(),
        (false, _) => shell::quote(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::error;
    use clap::CommandFactory;

    #[test]
    fn a_bare_word_gets_the_right_option_without_its_password() {
        for (word, option) in [
            (".env", Some("--env-file .env")),
            ("/opt/evolution/.env.production", Some("--env-file /opt/evolution/.env.production")),
            ("postgresql://u:secret@h/d", Some("--database-url URL")),
            ("last-night.dump", Some("--snapshot last-night.dump")),
            ("my backup.dump", Some("--snapshot 'my backup.dump'")),
            ("docker-compose.yml", Some("--compose docker-compose.yml")),
            ("EVO101", None),
        ] {
            assert_eq!(option_for(word).as_deref(), option);
        }
    }

    #[test]
    fn a_hint_can_be_typed_and_keeps_the_other_arguments() {
        for (typed, next) in [
            ("check .env", "evodoctor check --env-file .env"),
            ("history postgresql://u:secret@h/d", "evodoctor history --database-url URL"),
            ("fix --dry-run EVO101 --env-file .env", "evodoctor fix EVO101 --env-file .env"),
            (
                "fix --yes --database-url postgresql://u:secret@h/d",
                "evodoctor fix --apply --database-url URL",
            ),
            ("fix -y --database-url=postgresql://u:secret@h/d", "evodoctor fix --apply --database-url=URL"),
            ("preflight 2.3.7 --env-file .env", "evodoctor preflight --to 2.3.7 --env-file .env"),
            ("rollback 3", "evodoctor undo; evodoctor without arguments lists the commands"),
            ("repair", "evodoctor fix; evodoctor without arguments lists the commands"),
            ("undo --env-file .env", "evodoctor undo --env-file .env last; evodoctor history lists the runs"),
            ("logs", "evodoctor logs access.log; - reads from a pipe"),
            (
                "snapshot x.dump",
                "evodoctor snapshot --output x.dump to write that file; evodoctor snapshot --snapshot x.dump \
                 --output FILE to make a snapshot of that dump",
            ),
        ] {
            let words: Vec<OsString> =
                ["evodoctor"].into_iter().chain(typed.split(' ')).map(Into::into).collect();
            let refused = Cli::command().try_get_matches_from(&words).expect_err(typed);
            let meant = natural_call(&refused, &words).unwrap_or_else(|| panic!("{typed}: {refused}"));
            assert_eq!(error::hint(&meant), next);
            assert!(!format!("{meant:#}").contains("secret"), "{typed}");
        }
        let words: Vec<OsString> = ["evodoctor", "chekc"].map(Into::into).to_vec();
        let refused = Cli::command().try_get_matches_from(&words).expect_err("no command");
        assert!(natural_call(&refused, &words).is_none(), "clap knows better");
    }
}

//! Calls that look natural and are not meant so by the command line: what was meant is said.

use std::ffi::OsString;
use std::path::Path;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::user_error;

/// The error that says what was meant; `None` where clap's own says enough.
pub(super) fn natural_call(error: &Error, arguments: &[OsString]) -> Option<anyhow::Error> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    let command =
        arguments.iter().skip(1).find_map(|word| word.to_str().filter(|word| !word.starts_with('-')));
    let command =
        command.filter(|command| *command != word).map(|command| format!("{command} ")).unwrap_or_default();
    if word == "--dry-run" {
        return Some(user_error(
            "--dry-run is no option: fix, undo and credentials are dry runs without --apply",
            format!("evodoctor {}", command.trim()),
        ));
    }
    let option = option_for(word)?;
    if command == "snapshot " && option.starts_with("--snapshot") {
        return Some(user_error(
            "a file is named with an option, not by its place",
            format!(
                "evodoctor snapshot --output {word} writes it; where {word} is a dump to make a snapshot of: evodoctor \
                 snapshot {option} --output FILE"
            ),
        ));
    }
    Some(user_error(
        "a database is named with an option, not by its place",
        format!("evodoctor {command}{option}"),
    ))
}

/// The option that takes what a word names. A connection string is not repeated: it may hold a password.
pub fn option_for(word: &str) -> Option<String> {
    if word.contains("://") {
        return Some("--database-url URL".to_owned());
    }
    let path = Path::new(word);
    let name = path.file_name()?.to_str()?;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        _ if name.starts_with(".env") => Some(format!("--env-file {word}")),
        "env" => Some(format!("--env-file {word}")),
        "yml" | "yaml" => Some(format!("--compose {word}")),
        "dump" | "sql" | "backup" | "gz" | "zst" | "tar" => Some(format!("--snapshot {word}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_leads_to_its_option_and_no_password_is_repeated() {
        for (word, option) in [
            (".env", Some("--env-file .env")),
            ("/opt/evolution/.env.production", Some("--env-file /opt/evolution/.env.production")),
            ("postgresql://u:secret@h/d", Some("--database-url URL")),
            ("last-night.dump", Some("--snapshot last-night.dump")),
            ("docker-compose.yml", Some("--compose docker-compose.yml")),
            ("EVO101", None),
        ] {
            assert_eq!(option_for(word).as_deref(), option);
        }
    }
}

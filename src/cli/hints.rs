//! Completes the commands in hints with the options that select the same database.

use clap::CommandFactory;

use super::Cli;
use super::global::{CONNECTION_VARIABLE, GlobalOptions};

/// Commands that work on the database that the options select.
const OF_A_DATABASE: [&str; 7] = ["check", "fix", "undo", "history", "credentials", "preflight", "snapshot"];

/// Options that name a database by themselves, or several.
const NAMING: [&str; 6] =
    ["--database-url", "--env-file", "--compose", "--service", "--snapshot", "--targets"];

/// Words that follow a command without being an option.
const WORDS: [&str; 4] = ["last", "list", "share", "release"];

/// The hint, in which every command of ours can be typed as it stands.
pub fn with_connection(hint: &str, common: &GlobalOptions) -> String {
    let completed = complete(hint, &common.connection_options());
    match completed != hint && completed.contains(&format!("${CONNECTION_VARIABLE}")) {
        true => format!("{completed}; {CONNECTION_VARIABLE} stands for the connection string that you gave"),
        false => completed,
    }
}

fn complete(hint: &str, options: &[(&'static str, String)]) -> String {
    const PROGRAM: &str = "evodoctor ";
    let mut out = String::new();
    let mut rest = hint;
    while let Some(at) = rest.find(PROGRAM) {
        let is_word = at == 0 || rest[..at].ends_with([' ', '(', '\n']);
        let (before, after) = rest.split_at(at + PROGRAM.len());
        out.push_str(before);
        let end = if is_word { command_end(after) } else { 0 };
        let command = &after[..end];
        out.push_str(command);
        let has = |option: &str| command.split(' ').any(|word| word == option);
        if end > 0 && !NAMING.iter().any(|option| has(option)) {
            let lacking = options.iter().filter(|(option, _)| !has(option));
            out.extend(lacking.map(|(option, text)| format!(" {option}{text}")));
        }
        rest = &after[end..];
    }
    out + rest
}

/// Where the command ends that the text begins with, the program's name left out; 0 where there is none.
fn command_end(text: &str) -> usize {
    let mut words = words(text);
    let Some((name, mut end, goes_on)) = words.next() else { return 0 };
    let program = Cli::command();
    let Some(command) = program.find_subcommand(name).filter(|_| OF_A_DATABASE.contains(&name)) else {
        return 0;
    };
    let takes_value = |word: &str| {
        let option = word.strip_prefix("--");
        let find = |name: &str| command.get_arguments().find(|known| known.get_long() == Some(name));
        option.and_then(find).is_some_and(|option| option.get_action().takes_values())
    };
    let mut is_value_next = false;
    let mut goes_on = goes_on;
    while goes_on {
        let Some((word, to, more)) = words.next() else { break };
        let is_placeholder = !word.is_empty()
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_.-".contains(c))
            && word != "-";
        if !(is_value_next || word.starts_with("--") || is_placeholder || WORDS.contains(&word)) {
            break;
        }
        is_value_next = !is_value_next && takes_value(word);
        (end, goes_on) = (to, more);
    }
    end
}

/// The words of a text: each without what ends a sentence or a part of it, where it ends, and whether nothing of that kind
/// stands behind it.
fn words(text: &str) -> impl Iterator<Item = (&str, usize, bool)> {
    let mut start = 0;
    text.split(' ').map(move |word| {
        let body = word.trim_end_matches([',', ';', ':', '.', ')']);
        let at = (body, start + body.len(), body.len() == word.len());
        start += word.len() + 1;
        at
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_a_hint_leads_to_the_same_database() {
        let options = [("--env-file", " .env".to_owned()), ("--schema", " a".to_owned())];
        for (hint, expected) in [
            (
                "evodoctor history lists the runs",
                "evodoctor history --env-file .env --schema a lists the runs",
            ),
            (
                "the first one: evodoctor fix EVO101 --batch, then evodoctor fix EVO103 --batch",
                "the first one: evodoctor fix EVO101 --batch --env-file .env --schema a, then evodoctor fix \
                 EVO103 --batch --env-file .env --schema a",
            ),
            ("evodoctor undo 3 --schema \"b\"", "evodoctor undo 3 --schema \"b\" --env-file .env"),
            ("evodoctor fix --plan-out FILE", "evodoctor fix --plan-out FILE --env-file .env --schema a"),
            (
                "evodoctor fix EVO101 --allow deletes-rows takes it back",
                "evodoctor fix EVO101 --allow deletes-rows --env-file .env --schema a takes it back",
            ),
            (
                "see (evodoctor history) or evodoctor check: it says",
                "see (evodoctor history --env-file .env --schema a) or evodoctor check --env-file .env --schema a: it says",
            ),
            // What names its database, or needs none, stays.
            ("evodoctor check --database-url URL", "evodoctor check --database-url URL"),
            ("evodoctor explain EVO101, or the version of evodoctor that did it", ""),
            ("docker run x /evodoctor check --compose f", ""),
            ("zcat x | evodoctor logs -", ""),
        ] {
            let expected = if expected.is_empty() { hint } else { expected };
            assert_eq!(complete(hint, &options), expected);
        }
        assert_eq!(complete("evodoctor history", &[]), "evodoctor history");
    }
}

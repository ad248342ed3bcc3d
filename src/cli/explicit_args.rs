//! Which options were typed, and which are defaults.

use std::collections::BTreeSet;
use std::env;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, Error, FromArgMatches};

use super::Cli;
use super::mistakes::natural_call;

/// The options that were typed: no file overrides these.
#[derive(Debug, Clone, Default)]
pub struct ExplicitArgs(BTreeSet<String>);

impl Cli {
    /// The command line, with which of its options were typed. Ends the program where it is wrong, as clap does.
    ///
    /// # Errors
    /// When it is wrong, and it is known what was meant.
    pub fn read() -> anyhow::Result<Self> {
        let matches = match Self::command().try_get_matches() {
            Ok(matches) => matches,
            Err(error) => match natural_call(&error, &env::args_os().collect::<Vec<_>>()) {
                Some(meant) => return Err(meant),
                None => error.exit(),
            },
        };
        let cli = unused(&matches).map_or_else(|| Self::from_arg_matches(&matches), Err);
        match cli {
            Ok(mut cli) => {
                cli.common.typed = ExplicitArgs::of(&matches);
                Ok(cli)
            }
            Err(error) => error.format(&mut Self::command()).exit(),
        }
    }
}

/// The error for an option before a command that does not take it. Behind the command clap itself refuses it.
fn unused(matches: &ArgMatches) -> Option<Error> {
    let (name, _) = matches.subcommand()?;
    let program = Cli::command();
    let command = program.find_subcommand(name)?;
    let is_taken = |id: &str| command.get_arguments().any(|option| option.get_id() == id);
    let option = program.get_arguments().find(|option| {
        let id = option.get_id().as_str();
        matches.value_source(id) == Some(ValueSource::CommandLine) && !is_taken(id)
    })?;
    let typed = option.get_long().unwrap_or_else(|| option.get_id().as_str());
    Some(Error::raw(ErrorKind::UnknownArgument, format!("`{name}` does not take --{typed}")))
}

impl ExplicitArgs {
    /// Of a command line, with its subcommands.
    fn of(matches: &ArgMatches) -> Self {
        let mut typed = BTreeSet::new();
        let mut level = Some(matches);
        while let Some(matches) = level {
            let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
            typed.extend(matches.ids().map(clap::Id::as_str).filter(|id| is_typed(id)).map(str::to_owned));
            level = matches.subcommand().map(|(_, matches)| matches);
        }
        Self(typed)
    }

    /// Whether an option was typed; its name as in the code, such as `fail_on`.
    pub fn contains(&self, option: &str) -> bool {
        self.0.contains(option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_not_typed_wherever_the_option_stands() {
        let typed = |arguments: &[&str]| {
            let all = ["evodoctor"].iter().chain(arguments);
            ExplicitArgs::of(&Cli::command().try_get_matches_from(all).expect("a command line"))
        };
        for arguments in [&["--format", "json", "check"][..], &["credentials", "list", "--format", "json"]] {
            let typed = typed(arguments);
            assert!(typed.contains("format") && !typed.contains("fail_on") && !typed.contains("schema"));
        }
        assert!(!typed(&["check"]).contains("format"));
    }
}

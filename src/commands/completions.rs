//! `evodoctor completions`: what a shell needs to complete commands, options, codes and releases.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{self, Cli, GlobalOptions};
use crate::exit_code::Exit;
use crate::report;

/// Prints them.
pub fn run(args: &cli::CompletionsArgs, common: &GlobalOptions) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "evodoctor", &mut script);
    let mut script = String::from_utf8(script).context("completions are text")?;
    if args.shell == Shell::Fish {
        script.push_str(&positionals_in_fish());
    }
    report::print(&script, common.output.as_deref())?;
    Ok(Exit::Clean)
}

/// The part that clap's script for fish lacks: values of arguments without an option, such as the codes of `fix`.
fn positionals_in_fish() -> String {
    let program = Cli::command();
    let mut script = String::new();
    for command in program.get_subcommands() {
        for argument in command.get_positionals() {
            for value in argument.get_possible_values() {
                let about = value.get_help().map(ToString::to_string).unwrap_or_default();
                let about = about.replace('\\', "\\\\").replace('\'', "\\'");
                script.push_str(&format!(
                    "complete -c evodoctor -n '__fish_evodoctor_using_subcommand {}' -f -a '{}' -d '{about}'\n",
                    command.get_name(),
                    value.get_name()
                ));
            }
        }
    }
    script
}

//! The options of the commands that serve the shell.

use clap::Args;
use clap_complete::Shell;

use super::completion_values::CompletionValues;

/// `evodoctor completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
bash:        evodoctor completions bash > ~/.local/share/bash-completion/completions/evodoctor
zsh:         evodoctor completions zsh > \"${fpath[1]}/_evodoctor\"
fish:        evodoctor completions fish > ~/.config/fish/completions/evodoctor.fish
elvish:      evodoctor completions elvish >> ~/.config/elvish/rc.elv
powershell:  evodoctor completions powershell >> $PROFILE")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `evodoctor man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Look at it:   evodoctor man | man -l -
Keep it:      evodoctor man > ~/.local/share/man/man1/evodoctor.1
              evodoctor man fix > ~/.local/share/man/man1/evodoctor-fix.1")]
pub struct ManArgs {
    /// The command whose page it is [default: the page of evodoctor itself]
    #[arg(value_name = "COMMAND", value_parser = CompletionValues::Command, hide_possible_values = true)]
    pub command: Option<String>,
}

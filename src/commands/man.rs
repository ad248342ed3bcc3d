//! `evodoctor man`: the manual, a page for the program and one for each command.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::{self, Cli, GlobalOptions};
use crate::error::user_error;
use crate::evolution::release::Release;
use crate::exit_code::Exit;
use crate::report;
use crate::text::suggest::closest_match;

const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Nothing at or above --fail-on; for fix: nothing to do, or all applied."),
    ("1", "Findings; for fix, undo and credentials without --apply: changes are pending."),
    ("2", "The tool could not do its work: usage, connection, permission, refused plan."),
    (
        "3",
        "No findings, but at least one check is undecided: a timeout, a missing privilege, or an unknown \
         release.",
    ),
];

const ENVIRONMENT: [(&str, &str); 9] = [
    (
        "DATABASE_CONNECTION_URI",
        "The connection string, if no option gives one; Evolution uses the same variable.",
    ),
    ("DATABASE_URL", "The same, if DATABASE_CONNECTION_URI is not set."),
    ("PGPASSWORD, PGHOST, PGUSER, …", "Defaults for what the connection string leaves out, as in libpq."),
    (
        "EVODOCTOR_PG_BIN",
        "The directory of Postgres's programs for --snapshot and demo [default: the newest installed].",
    ),
    ("TMPDIR", "The directory for throwaway servers."),
    ("COLUMNS", "The width of the output, if stdout is not a terminal."),
    ("NO_COLOR", "If set: no colours, unless --color always."),
    ("CLICOLOR_FORCE", "If set: colours also in pipes, unless NO_COLOR is set."),
    ("GITHUB_STEP_SUMMARY", "The file that --format github appends its summary to."),
];

const FILES: [(&str, &str); 2] = [
    (".env", "Evolution's settings, for --env-file: DATABASE_CONNECTION_URI is read from it."),
    ("~/.pgpass", "Passwords, as in libpq."),
];

const EXAMPLES: [(&str, &str); 7] = [
    ("evodoctor check --env-file /path/to/evolution/.env", "Finds what is wrong; changes nothing."),
    ("evodoctor check --snapshot evolution.dump", "The same for a dump, without its server."),
    ("evodoctor fix", "Dry run: shows the diff of every repair, then rolls back."),
    ("evodoctor fix EVO101 --apply --allow deletes-rows,changes-rows", "Repairs one code and commits."),
    ("evodoctor undo 1 --apply", "Undoes run 1."),
    ("evodoctor preflight --to 2.3.7", "What an upgrade will do."),
    ("evodoctor explain 'P2002 apiKey'", "What an error message means."),
];

/// Prints a page.
///
/// # Errors
/// When there is no such command, or the output cannot be written.
pub fn run(args: &cli::ManArgs, common: &GlobalOptions) -> Result<Exit> {
    let mut program = Cli::command();
    program.build();
    let page = match &args.command {
        None => page(program)?,
        Some(name) => self::page(command(&program, name)?)?,
    };
    report::print(&page, common.output.as_deref())?;
    Ok(Exit::Clean)
}

fn command(program: &Command, name: &str) -> Result<Command> {
    program.find_subcommand(name).cloned().ok_or_else(|| {
        let names = cli::command_names();
        let near =
            closest_match(name, &names).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        user_error(format!("there is no command {name}"), format!("{near}commands are {}", names.join(", ")))
    })
}

/// The page of a command, in roff.
fn page(command: Command) -> Result<String> {
    let is_whole = command.get_name() == "evodoctor";
    let details = command.get_after_long_help().map(ToString::to_string);
    let man = Man::new(command).source(concat!("evodoctor ", env!("CARGO_PKG_VERSION"))).manual("evodoctor");
    // What the program knows of Evolution is what dates it.
    let man = man.date(Release::newest().date());
    let mut text = Vec::new();
    let context = "a page is written to memory";
    man.render_title(&mut text).context(context)?;
    man.render_name_section(&mut text).context(context)?;
    man.render_synopsis_section(&mut text).context(context)?;
    man.render_description_section(&mut text).context(context)?;
    man.render_options_section(&mut text).context(context)?;
    if is_whole {
        man.render_subcommands_section(&mut text).context(context)?;
    }
    let mut more = Roff::new();
    if let Some(details) = &details {
        as_it_is(&mut more, "DETAILS", details);
    }
    section(&mut more, "EXIT STATUS", &EXIT_STATUS);
    section(&mut more, "ENVIRONMENT", &ENVIRONMENT);
    section(&mut more, "FILES", &FILES);
    if is_whole {
        section(&mut more, "EXAMPLES", &EXAMPLES);
    } else {
        more.control("SH", ["SEE ALSO"]).text([bold("evodoctor"), roman("(1)")]);
    }
    more.to_writer(&mut text).context(context)?;
    // An empty line between two breaks is one paragraph's end, and mandoc wants it said once.
    Ok(String::from_utf8(text).context("a page is text")?.replace("\n.br\n\n.br\n", "\n.sp\n"))
}

fn section(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, what) in entries {
        roff.control("TP", []).text([bold(*name)]).text([roman(*what)]);
    }
}

/// A section whose lines stay as they are: tables and commands.
fn as_it_is(roff: &mut Roff, title: &str, text: &str) {
    roff.control("SH", [title]).control("nf", []);
    for line in text.trim_end().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

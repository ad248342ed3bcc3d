//! The screen that `evodoctor` prints without arguments.

use crate::terminal::page::Page;
use crate::terminal::style::{COMMAND, NAME, paint};

/// What most people come for, and what it does.
const WANTED: [(&str, &str); 5] = [
    ("evodoctor check --env-file .env", "what is wrong; changes nothing"),
    ("evodoctor fix --env-file .env", "shows every repair, rolls back"),
    ("evodoctor preflight --env-file .env", "what an upgrade will change"),
    ("evodoctor logs access.log", "who calls by a wrong name and gets 404"),
    ("evodoctor explain 'P2002 apiKey'", "what a code or an error means"),
];

/// The screen.
pub fn render(page: Page) -> String {
    let mut out = page.wrap(
        &format!(
            "{} finds, explains and repairs the known failures of an Evolution API Postgres database.",
            paint(NAME, "evodoctor")
        ),
        0,
    );
    out.push('\n');
    let width = WANTED.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in WANTED {
        let line = format!("{}{:2$}{what}", paint(COMMAND, command), "", width - command.len() + 2);
        out.push_str(&page.wrap_hanging(&line, 2, 4));
    }
    out.push('\n');
    out.push_str(&page.wrap("See it work on a throwaway server: evodoctor demo", 0));
    out.push_str(&page.wrap("Every command and option: evodoctor --help, evodoctor COMMAND --help", 0));
    out
}

//! Whether an older server runs on these tables, for people.

use crate::terminal::page::Page;
use crate::terminal::style::{COMMAND, DIM, ERROR, GOOD, NAME, WARNING, paint};
use crate::text::escape::escape_control;
use crate::text::humanize::{format_count, pluralize};
use crate::upgrade::way_back::compare::{Difference, Effect};
use crate::upgrade::way_back::{Proof, Verdict, WayBack};

/// Differences of one kind that are listed, unless asked with `-v`.
const LISTED: usize = 12;

/// What is different, kind by kind, and what to do.
pub fn human(answer: &WayBack, before: &[String], notes: &[String], is_verbose: bool, page: Page) -> String {
    let mut out = String::new();
    for (effect, title) in kinds(answer) {
        let all: Vec<&Difference> = answer.with_effect(effect).collect();
        let listed = if is_verbose { all.len() } else { LISTED };
        let rows: Vec<Vec<String>> = all.iter().take(listed).map(|one| row(one)).collect();
        if rows.is_empty() {
            continue;
        }
        out.push_str(&format!("{}\n", paint(NAME, &title)));
        out.push_str(&page.table(&["object", "what is different", "rows"], &rows, 0));
        if all.len() > rows.len() {
            out.push_str(&format!("{} more: -v lists them\n", all.len() - rows.len()));
        }
        out.push('\n');
    }
    for note in ignored(answer).iter().chain(notes).chain(&answer.notes) {
        out.push_str(&page.wrap(&escape_control(note), 0));
    }
    if !before.is_empty() {
        out.push_str(&format!("\n{} (--resolve prints just these)\n", paint(NAME, "to go there")));
        for line in before {
            let style = if line.starts_with('#') { DIM } else { COMMAND };
            out.push_str(&format!("  {}\n", paint(style, escape_control(line))));
        }
    }
    out.push('\n');
    out
}

/// The kinds of differences, the worst first, each with its heading.
pub(crate) fn kinds(answer: &WayBack) -> [(Effect, String); 5] {
    let server = answer.server;
    [
        (Effect::Fails, format!("what {server} lacks")),
        (Effect::MayFail, format!("what may be refused to {server}")),
        (Effect::WrittenDifferently, format!("what {server} writes in another way")),
        (Effect::Unseen, format!("what {server} does not see")),
        (Effect::Harmless, format!("what is different, and {server} was seen to run with")),
    ]
}

/// What becomes of the newer migrations.
pub(crate) fn ignored(answer: &WayBack) -> Option<String> {
    let count = answer.ignored.len();
    (count > 0).then(|| {
        format!(
            "prisma migrate deploy of {} ignores {} in the history: {}",
            answer.server,
            pluralize(count, "newer migration"),
            answer.ignored.join(", ")
        )
    })
}

/// A difference as a row of a table.
pub(crate) fn row(one: &Difference) -> Vec<String> {
    let drift = if one.is_drift { " (only in this database)" } else { "" };
    let rows = one.rows.map(format_count).unwrap_or_default();
    vec![one.object.clone(), format!("{}{drift}", one.detail), rows]
}

/// The whole answer in a sentence.
pub(crate) fn sentence(answer: &WayBack) -> String {
    let WayBack { server, tables, .. } = answer;
    let count = |effect| answer.with_effect(effect).count();
    match (answer.verdict, answer.proof) {
        (Verdict::Runs, Proof::Seen) => format!(
            "{server} runs on these tables as it is: seen, the real server answered on those of {tables} exactly as on its own"
        ),
        (Verdict::Runs, Proof::Derived) => {
            format!(
                "{server} runs on these tables as it is: derived, nothing that it reads or writes is different"
            )
        }
        (Verdict::Uncertain, _) => format!(
            "{server} finds all that it needs on these tables, but {} may keep it from running as on its own: derived, not tried",
            pluralize(count(Effect::MayFail), "change")
        ),
        (Verdict::Fails, _) => format!(
            "{server} does NOT run on these tables: derived, {} missing or different",
            match count(Effect::Fails) {
                1 => "1 thing that it needs is".to_owned(),
                more => format!("{more} things that it needs are"),
            }
        ),
    }
}

/// The same for the end of the report.
pub fn summary(answer: &WayBack, page: Page) -> String {
    let style = match answer.verdict {
        Verdict::Runs => GOOD,
        Verdict::Uncertain => WARNING,
        Verdict::Fails => ERROR,
    };
    page.wrap(&paint(style, sentence(answer)), 0)
}

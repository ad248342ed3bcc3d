//! One page that needs no network and no other file. It is complete without JavaScript, and can be filtered, copied
//! from and unfolded with it.
//!
//! Markup is written by `maud`, which escapes whatever is put into it; [`text`] is how anything from outside gets in. The
//! policy in the page's head names the hashes of our own style and script, so a browser runs nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::cli::GlobalOptions;
use crate::exit_code::Exit;
use crate::text::escape::escape_control;

use super::Detail;
use super::view::ReportView;

mod change;
mod checks;
mod findings;
mod head;
mod keep;
mod lists;
mod map;
mod migrations;
mod text;
mod timeline;
mod verdict;
mod way_back;
mod window;

use verdict::PageVerdict;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Bytes of a page's body. What does not fit any more is counted, and said.
const LONGEST: usize = 4_000_000;

/// The report as a page.
pub fn render(outline: &ReportView<'_>, common: &GlobalOptions, exit: Exit) -> String {
    let verdict = PageVerdict::new(outline, common, exit);
    let parts = parts(outline, &verdict);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (verdict.title()) }
                link rel="icon" href=(verdict.icon());
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the result" }
                (head::masthead(outline.report, &parts))
                main id="main" tabindex="-1" {
                    @if let Some(notice) = outline.notice { p.aside { strong { (notice) } } }
                    (verdict.markup())
                    @for part in &parts { (part.markup) }
                }
                (head::footer(outline.report))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    tame(&page.into_string())
}

/// A part of the page that can be jumped to.
struct PageSection {
    id: &'static str,
    title: &'static str,
    markup: Markup,
}

impl PageSection {
    fn new(id: &'static str, title: &'static str, body: &Markup) -> Self {
        let markup = html! {
            section id=(id) aria-labelledby={ (id) "-title" } {
                h2 id={ (id) "-title" } { (title) }
                (body)
            }
        };
        Self { id, title, markup }
    }
}

/// The bytes that may still be added to the page.
struct PageBudget {
    left: usize,
}

impl PageBudget {
    /// True if the markup fits; if so, its room is taken.
    fn has_room_for(&mut self, markup: &Markup) -> bool {
        let length = markup.0.len();
        let fits = length <= self.left;
        // After the first that does not fit nothing smaller jumps the queue.
        self.left = if fits { self.left - length } else { 0 };
        fits
    }
}

fn parts(outline: &ReportView<'_>, verdict: &PageVerdict) -> Vec<PageSection> {
    let mut parts = Vec::new();
    let mut budget = PageBudget { left: LONGEST };
    let mut add = |id, title, body: Option<Markup>| {
        parts.extend(body.map(|body| PageSection::new(id, title, &body)));
    };
    add("grants", "Rights that are missing", checks::missing_grants(outline));
    match &outline.report.detail {
        Detail::Snapshot { .. } => {}
        Detail::Check {} => {
            let upgrade = outline.report.upgrade.as_ref().map(crate::report::words::after_upgrade::sentence);
            add("upgrade", "The last upgrade", upgrade.map(|line| html! { p.lead { (text::prose(&line)) } }));
        }
        Detail::Change(change) => add("changes", "What changes", change::section(change, &mut budget)),
        Detail::Preflight { preflight, .. } => {
            if let Some(rehearsal) = &preflight.rehearsal {
                add("rehearsal", "What the files did", migrations::rehearsed(rehearsal));
            }
            match &preflight.way_back {
                Some(answer) => add("way-back", "An older server on these tables", way_back::section(answer)),
                None => add("migrations", "Pending migrations", migrations::pending(preflight)),
            }
            add("window", "When to upgrade", preflight.traffic.as_deref().and_then(window::section));
            add("keep", "What is kept", preflight.keep.as_deref().and_then(keep::section));
        }
        Detail::Logs(read) => {
            add("order", "In this order", timeline::overview(outline));
            add("timeline", "When, who and where", timeline::section(outline, read));
        }
        Detail::History { runs, storage, prune } => {
            add("runs", "Runs", lists::runs(runs, storage, prune.as_ref()))
        }
        Detail::Credentials { credentials } => {
            add("credentials", "Credentials", lists::credentials(credentials));
        }
    }
    if !matches!(outline.report.detail, Detail::Logs(_)) {
        add("order", "In this order", findings::order(outline));
    }
    add("findings", verdict.findings_title(), findings::section(outline, &mut budget));
    if matches!(outline.report.detail, Detail::Check {} | Detail::Change(_)) {
        add("map", "Where it is", map::section(outline));
    }
    add("undecided", "Undecided", checks::undecided(outline));
    add("baseline", "Compared with the baseline", checks::baseline(outline));
    add("decided", "What is ignored", checks::decided(outline));
    add("checks", "All checks", checks::all(outline));
    parts
}

/// The content security policy: a browser may show the page, and run our own script.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// The page with every character made visible that hides, moves or reverses text, wherever it came from. Our markup has
/// none of them, and the replacement has no meaning for a browser.
fn tame(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    for line in page.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        out.push_str(&escape_control(line));
        out.push_str(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_markup_is_not_changed_by_escaping() {
        for text in [STYLE, SCRIPT] {
            assert_eq!(tame(text), text);
            // Neither ends the element it is in.
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }

    #[test]
    fn text_from_outside_is_text() {
        let hostile = "</code><script>x</script>\"'>&\u{202e}\u{1b}[2J\n";
        let page = tame(&html! { p title=(hostile) { (text::prose(hostile)) (hostile) } }.into_string());
        assert_eq!(page.matches('<').count(), 4, "{page}");
        assert!(!page.contains(['\u{202e}', '\u{1b}']), "{page}");
    }
}

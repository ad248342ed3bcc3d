//! The head and the foot of the page: which database it is about, and what wrote it.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::report::Report;
use crate::terminal::page::Page;
use crate::text::humanize::pluralize;

use super::PageSection;
use super::text::{name, prose};

/// Product, ways through the page, and facts about the database.
pub fn masthead(report: &Report, parts: &[PageSection]) -> Markup {
    html! {
        header.masthead {
            p.brand {
                strong { "evodoctor" } " " (report.command)
                @if let Some(target) = &report.target { " of " (name(target)) }
            }
            @if parts.len() > 1 {
                nav aria-label="On this page" {
                    ul { @for part in parts { li { a href={ "#" (part.id) } { (part.title) } } } }
                }
            }
            button.theme type="button" hidden { "Light or dark" }
            (facts(report))
        }
    }
}

/// The database and its release.
fn facts(report: &Report) -> Markup {
    let Some(database) = &report.database else { return html! {} };
    let migrations = report.release.as_ref().map(|release| &release.migrations);
    html! {
        dl.facts {
            div { dt { "Database" } dd { (name(&database.name)) } }
            div { dt { "Server" } dd { (name(&database.host)) } }
            div { dt { "Schema" } dd { (name(&database.schema)) } }
            div { dt { "PostgreSQL" } dd { (prose(&database.server_version)) } }
            div {
                dt { "Evolution" }
                dd {
                    @if let Some(release) = &report.release { (prose(&release.describe())) }
                    @else if database.is_history_hidden { "unknown: this role may not read _prisma_migrations" }
                    @else { "unknown: there is no _prisma_migrations table" }
                }
            }
            div { dt { "Written" } dd { time datetime=(now()) { (now()) } } }
            @if let Some(migrations) = migrations {
                div {
                    dt { "Migrations" }
                    dd {
                        (migrations.applied) " applied, " (migrations.pending.len()) " pending"
                        @if !migrations.failed.is_empty() { ", " strong.bad { (migrations.failed.len()) " failed" } }
                        @if !migrations.unknown.is_empty() { ", " (migrations.unknown.len()) " unknown" }
                    }
                }
            }
            @for (label, line) in database.restore.iter().flat_map(|restore| restore.lines()) {
                div.wide { dt { (if label == "dump" { "Dump" } else { "Rows" }) } dd { (prose(&line)) } }
            }
        }
        @if let Some(migrations) = migrations {
            @match migrations.reissued.as_slice() {
                [] => {}
                [only] => p.aside { "Content: " (prose(only)) },
                several => details.aside {
                    summary { (pluralize(several.len(), "migration")) " as another release had them" }
                    ul { @for content in several { li { (prose(content)) } } }
                },
            }
            @if !migrations.failed.is_empty() {
                p.aside { "Failed: " @for failed in &migrations.failed { (name(failed)) " " } }
            }
        }
        @if let Some(restore) = database.restore.as_ref().filter(|restore| !restore.complaints.is_empty()) {
            details.complaints {
                summary { (pluralize(restore.complaints.len(), "part")) " of the dump could not be restored" }
                pre tabindex="0" role="group" aria-label="What could not be restored" {
                    (super::text::lines(&restore.complaints(Page { width: 100 })))
                }
            }
        }
    }
}

fn now() -> String {
    format!("{:.0}", Timestamp::now())
}

/// When, and by which version.
pub fn footer(report: &Report) -> Markup {
    let now = now();
    html! {
        footer {
            p {
                "Written by evodoctor " (report.tool.version) " at " time datetime=(now) { (now) }
                ". This page is one file: it loads nothing from the network. Keys, tokens and passwords are \
                 masked. "
                "Numbers for programs are in " code { "--format json" } "."
            }
        }
    }
}

//! The map: every table of the release, with the references that are broken drawn on it.

use maud::{Markup, html};

use crate::evolution::release::Release;
use crate::evolution::schema::schema;
use crate::report::view::ReportView;
use crate::rules::finding::Finding;
use crate::rules::location::Location;
use crate::rules::rule::Severity;

use super::findings::severity;
use super::text::{counted, name, plain, prose, table};

mod draw;
mod layout;

/// The check that compares every key row by row.
const EVERY_KEY: &str = "EVO101";

/// Tables that are not a table of Evolution's, and are drawn because something of theirs is broken.
const MOST_STRANGERS: usize = 12;

/// The content of the map.
pub struct Map {
    release: String,
    tables: Vec<MapTable>,
    /// True if every key was looked at.
    is_whole: bool,
}

struct MapTable {
    name: String,
    is_evolutions: bool,
    keys: Vec<MapKey>,
    /// The worst of what else was found in it, and how many findings.
    found: Option<(Severity, usize)>,
}

struct MapKey {
    columns: String,
    to: String,
    is_declared: bool,
    broken: Option<BrokenKey>,
}

struct BrokenKey {
    severity: Severity,
    rows: i64,
    detail: String,
    code: String,
}

impl Map {
    fn of(outline: &ReportView<'_>) -> Self {
        let release = outline.report.release.as_ref();
        let release = release.and_then(|release| release.to.as_deref().or(release.from.as_deref()));
        let release = release.and_then(Release::find).unwrap_or_else(Release::newest);
        let keys = |table: &crate::evolution::schema::Table| {
            let key = |key: &crate::evolution::schema::ForeignKey| MapKey {
                columns: key.columns.join("+"),
                to: key.references.clone(),
                is_declared: true,
                broken: None,
            };
            table.foreign_keys(release).map(key).collect()
        };
        let tables = schema().tables(release).map(|table| MapTable {
            name: table.name.clone(),
            is_evolutions: true,
            keys: keys(table),
            found: None,
        });
        let check = outline.report.checks.iter().find(|check| check.code == EVERY_KEY);
        let mut map = Self {
            release: release.version().to_owned(),
            tables: tables.collect(),
            is_whole: check.is_some_and(|check| check.reason.is_none()),
        };
        // What is ignored is broken all the same.
        let ignored = outline.report.ignored().iter().map(|ignored| &ignored.finding);
        for finding in outline.views.iter().map(|view| view.finding).chain(ignored) {
            match reference(&finding.subject) {
                Some(parts) => map.break_key(parts, finding),
                None => map.mark(finding),
            }
        }
        map
    }

    fn break_key(&mut self, (child, columns, parent): (&str, &str, &str), finding: &Finding) {
        let strangers = self.tables.iter().filter(|table| !table.is_evolutions).count();
        let at = self.tables.iter().position(|table| table.name == child);
        if at.is_none() && strangers >= MOST_STRANGERS {
            return;
        }
        let at = at.unwrap_or_else(|| {
            let name = child.to_owned();
            self.tables.push(MapTable { name, is_evolutions: false, keys: Vec::new(), found: None });
            self.tables.len() - 1
        });
        let broken = BrokenKey {
            severity: finding.severity,
            rows: finding.count,
            detail: finding.detail.clone(),
            code: finding.code.clone(),
        };
        let keys = &mut self.tables[at].keys;
        match keys.iter_mut().find(|key| key.columns == columns && key.to == parent) {
            Some(key) => key.broken = Some(broken),
            None => keys.push(MapKey {
                columns: columns.to_owned(),
                to: parent.to_owned(),
                is_declared: false,
                broken: Some(broken),
            }),
        }
    }

    fn mark(&mut self, finding: &Finding) {
        let (Location::Table(place) | Location::Row(place)) = Location::from_finding(finding) else { return };
        let Some(table) = self.tables.iter_mut().find(|table| table.name == place) else { return };
        let (severity, number) = table.found.unwrap_or((finding.severity, 0));
        table.found = Some((severity.max(finding.severity), number + 1));
    }

    fn broken(&self) -> Vec<(&MapTable, &MapKey, &BrokenKey)> {
        let keys = self.tables.iter().flat_map(|table| table.keys.iter().map(move |key| (table, key)));
        keys.filter_map(|(table, key)| Some((table, key, key.broken.as_ref()?))).collect()
    }

    /// A description of the map.
    fn sentence(&self) -> String {
        let keys = self.tables.iter().flat_map(|table| &table.keys).filter(|key| key.is_declared).count();
        let of = format!("{} tables and {keys} keys of Evolution {}", self.tables.len(), self.release);
        let broken = self.broken();
        let rows: i64 = broken.iter().map(|(_, _, broken)| broken.rows).sum();
        let looked = if self.is_whole { "" } else { " Not every foreign key could be checked." };
        match broken.len() {
            0 if self.is_whole => format!("{of}: every row refers to a row that exists."),
            0 => format!("{of}. No broken reference is known.{looked}"),
            1 => format!("{of}. One reference is broken, in {rows} rows.{looked}"),
            more => format!("{of}. {more} references are broken, in {rows} rows.{looked}"),
        }
    }
}

/// `Message.sessionId → IntegrationSession` in its parts.
fn reference(subject: &str) -> Option<(&str, &str, &str)> {
    let (from, parent) = subject.split_once(" → ")?;
    let (child, columns) = from.split_once('.')?;
    Some((child, columns, parent))
}

/// The map, drawn and in words; `None` where no table of Evolution's was looked at.
pub fn section(outline: &ReportView<'_>) -> Option<Markup> {
    outline.report.database.as_ref()?;
    let map = Map::of(outline);
    let broken = map.broken();
    (!broken.is_empty()).then(|| {
        let row = |(table, key, broken): &(&MapTable, &MapKey, &BrokenKey)| {
            vec![
                severity(broken.severity),
                html! { a href={ "#" (plain(&broken.code)) } { code { (broken.code) } } },
                name(&format!("{}.{}", table.name, key.columns)),
                name(&key.to),
                counted(broken.rows.unsigned_abs(), "row"),
                prose(&broken.detail),
            ]
        };
        let rows: Vec<Vec<Markup>> = broken.iter().map(row).collect();
        html! {
            p.lead { (map.sentence()) }
            (draw::draw(&map, true))
            (draw::draw(&map, false))
            (draw::legend(&map))
            @if !rows.is_empty() {
                details {
                    summary { "The same as a table" }
                    (table("Broken references", &["Severity", "Code", "Column", "Refers to", "Rows", "What is wrong"], &rows))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_known_by_its_subject() {
        assert_eq!(
            reference("Message.sessionId → IntegrationSession"),
            Some(("Message", "sessionId", "IntegrationSession"))
        );
        assert_eq!(reference("Chat.labels"), None);
        assert_eq!(reference("Instance \"a → b\""), None);
    }
}

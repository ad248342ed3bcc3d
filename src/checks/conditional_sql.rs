//! Parts of a query for tables and columns that only some releases have.
//!
//! In a check, in the `.rows.sql` of a fix, or in SQL that these share, lines between `-- only with Table` (or `-- only with
//! Table.column`) and `-- end` are left out where neither the database has it nor its release. `psql -f` runs them all, as
//! the newest release needs it.

use crate::database::catalog::Catalog;
use crate::evolution::release::{Release, ReleaseRange};
use crate::evolution::schema::schema;

const ONLY: &str = "-- only with ";
const END: &str = "-- end";

/// The query for this database. What the release should have stays in although the database lacks it, so that the
/// server names it, and nothing unchecked counts as clean.
pub fn strip_for_release(sql: &str, catalog: &Catalog, range: Option<ReleaseRange>) -> String {
    select(sql, |table, column| {
        let has = catalog.tables.get(table).is_some_and(|found| {
            column.is_none_or(|column| found.columns.iter().any(|existing| existing == column))
        });
        has || range.is_some_and(|range| is_expected(range.to.unwrap_or_else(Release::newest), table, column))
    })
}

/// True if the facts of a release have a table, or a column of it.
fn is_expected(release: Release, table: &str, column: Option<&str>) -> bool {
    schema().tables(release).filter(|expected| expected.name == table).any(|expected| {
        column.is_none_or(|column| expected.columns(release).any(|existing| existing.name == column))
    })
}

/// The lines outside of parts, and those of the parts for which there is what they need.
fn select(sql: &str, has: impl Fn(&str, Option<&str>) -> bool) -> String {
    let mut is_wanted = true;
    let mut lines = Vec::new();
    for line in sql.lines() {
        if let Some(needed) = line.trim().strip_prefix(ONLY) {
            let (table, column) = needed.split_once('.').map_or((needed, None), |(t, c)| (t, Some(c)));
            is_wanted = has(table, column);
        } else if line.trim() == END {
            is_wanted = true;
        } else if is_wanted {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// What the parts of a file need, each as `Table` or `Table.column`.
///
/// # Errors
/// When a part is not closed, is inside another, or ends without a beginning.
pub fn required_objects(sql: &str) -> Result<Vec<&str>, String> {
    let mut needs = Vec::new();
    let mut open = None;
    for line in sql.lines().map(str::trim) {
        if let Some(needed) = line.strip_prefix(ONLY) {
            if let Some(other) = open.replace(needed) {
                return Err(format!("the part for {other} is not closed before that for {needed}"));
            }
            needs.push(needed);
        } else if line == END && open.take().is_none() {
            return Err(format!("an end without a beginning after {needs:?}"));
        }
    }
    open.map_or(Ok(needs), |needed| Err(format!("the part for {needed} is not closed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "SELECT 1\n    -- only with N8n\n    UNION ALL SELECT 2\n    -- end\n\
                         -- only with Chat.name\nUNION ALL SELECT 3\n-- end\nORDER BY 1";

    #[test]
    fn parts_stay_where_there_is_what_they_need() {
        assert_eq!(
            select(QUERY, |_, _| true),
            "SELECT 1\n    UNION ALL SELECT 2\nUNION ALL SELECT 3\nORDER BY 1"
        );
        assert_eq!(select(QUERY, |table, _| table != "N8n"), "SELECT 1\nUNION ALL SELECT 3\nORDER BY 1");
        assert_eq!(
            select(QUERY, |_, column| column.is_none()),
            "SELECT 1\n    UNION ALL SELECT 2\nORDER BY 1"
        );
    }

    #[test]
    fn parts_are_closed_and_do_not_nest() {
        assert_eq!(required_objects(QUERY), Ok(vec!["N8n", "Chat.name"]));
        for bad in ["-- only with A", "-- only with A\n-- only with B\n-- end", "-- end"] {
            assert!(required_objects(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_facts_say_what_a_release_has() {
        let of = |version: &str| Release::find(version).expect("a known release");
        assert!(is_expected(of("2.3.0"), "N8n", None) && !is_expected(of("2.2.3"), "N8n", None));
        assert!(is_expected(of("2.1.0"), "IntegrationSession", Some("botId")));
        assert!(!is_expected(of("2.0.10"), "IntegrationSession", Some("botId")));
    }
}

//! Which tables a request reads and writes.
//!
//! Source of the facts: the services behind the routes of 2.3.7, as they were read; those that are marked were seen in
//! runs. What follows from the foreign keys is in no file: it is derived here. Every request that names an instance
//! reads `Instance` first, to find it and its key.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use super::schema::schema;

/// The tables of the routes that begin alike.
#[derive(Debug, Deserialize)]
pub struct RouteTables {
    route: String,
    reads: Vec<String>,
    /// Written by every method but GET, which only reads them.
    writes: Vec<String>,
    /// Those of them whose rows go, and with them what refers to the rows.
    #[serde(default)]
    deletes: Vec<String>,
    /// True if real servers were seen to read or write them so; else it was read in their source.
    #[serde(default, rename = "seen")]
    _seen: bool,
}

static TABLES: LazyLock<Vec<RouteTables>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/route_tables.json"))
        .expect("facts/route_tables.json is well formed")
});

/// The use that a request makes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableUse {
    /// Not at all.
    None,
    /// It reads it.
    Reads,
    /// It writes it.
    Writes,
}

/// Returns the use that a request with this method on this route, as `facts/routes.json` writes it, makes of a table.
pub fn table_use(method: &str, route: &str, table: &str) -> TableUse {
    let named = match table == "Instance" && route.ends_with("/:instanceName") {
        true => TableUse::Reads,
        false => TableUse::None,
    };
    let entry = TABLES.iter().filter(|one| route.starts_with(&one.route)).max_by_key(|one| one.route.len());
    let Some(entry) = entry else { return named };
    let has = |tables: &[String]| tables.iter().any(|one| one == table);
    let only_reads = matches!(method, "GET" | "HEAD");
    let by_itself = match (has(&entry.writes), has(&entry.reads)) {
        (true, _) if !only_reads => TableUse::Writes,
        (false, false) => TableUse::None,
        _ => TableUse::Reads,
    };
    let by_keys = if only_reads { TableUse::None } else { entry.by_keys(table) };
    by_itself.max(named).max(by_keys)
}

impl RouteTables {
    /// Returns the use that the server itself makes of a table, for the foreign keys of what is written: a row that
    /// refers to another looks it up, and a row that goes takes those along that refer to it, or sets their columns to
    /// null, or looks for them.
    fn by_keys(&self, table: &str) -> TableUse {
        let mut found = TableUse::None;
        let mut gone: BTreeSet<&str> = self.deletes.iter().map(String::as_str).collect();
        let mut next: Vec<&str> = gone.iter().copied().collect();
        while let Some(parent) = next.pop() {
            for child in &schema().tables {
                for key in child.newest_foreign_keys().filter(|key| key.references == parent) {
                    if child.name == table {
                        let reads = matches!(key.on_delete.as_str(), "RESTRICT" | "NO ACTION");
                        found = found.max(if reads { TableUse::Reads } else { TableUse::Writes });
                    }
                    if key.on_delete == "CASCADE" && gone.insert(&child.name) {
                        next.push(&child.name);
                    }
                }
            }
        }
        let refers = |name: &String| {
            let written = schema().tables.iter().find(|known| known.name == *name);
            written.is_some_and(|written| written.newest_foreign_keys().any(|key| key.references == table))
        };
        match found {
            TableUse::None if self.writes.iter().any(refers) => TableUse::Reads,
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::routes::routes;

    #[test]
    fn every_route_has_its_tables_and_every_table_is_one() {
        for route in routes() {
            assert!(TABLES.iter().any(|one| route.path.starts_with(&one.route)), "{}", route.path);
        }
        for one in TABLES.iter() {
            assert!(routes().iter().any(|route| route.path.starts_with(&one.route)), "{}", one.route);
            assert!(one.deletes.iter().all(|table| one.writes.contains(table)), "{}", one.route);
            for table in one.reads.iter().chain(&one.writes) {
                assert!(schema().tables.iter().any(|known| known.name == *table), "{table}");
            }
        }
    }

    #[test]
    fn the_longest_beginning_decides() {
        let uses = |method, route, table| table_use(method, route, table);
        assert_eq!(uses("POST", "/message/sendText/:instanceName", "Message"), TableUse::Writes);
        assert_eq!(uses("POST", "/chat/findMessages/:instanceName", "Message"), TableUse::Reads);
        assert_eq!(uses("POST", "/chat/sendPresence/:instanceName", "Message"), TableUse::None);
        assert_eq!(uses("POST", "/chat/sendPresence/:instanceName", "Instance"), TableUse::Reads);
        assert_eq!(uses("GET", "/settings/find/:instanceName", "Setting"), TableUse::Reads);
    }

    #[test]
    fn the_keys_give_what_goes_along() {
        let delete = |table| table_use("DELETE", "/instance/delete/:instanceName", table);
        for table in &schema().tables {
            let refers = table.newest_foreign_keys().any(|key| key.references == "Instance");
            let expected = if refers || table.name == "Instance" { TableUse::Writes } else { TableUse::None };
            assert_eq!(delete(&table.name), expected, "{}", table.name);
        }
        // Seen: its bots go along, their sessions stay, and settings that use it make it fail.
        let creds = |table| table_use("DELETE", "/openai/creds/:openaiCredsId/:instanceName", table);
        assert_eq!(creds("OpenaiBot"), TableUse::Writes);
        assert_eq!(creds("OpenaiSetting"), TableUse::Writes);
        assert_eq!(creds("Message"), TableUse::None);
        let create = |table| table_use("POST", "/openai/creds/:instanceName", table);
        assert_eq!((create("OpenaiCreds"), create("OpenaiBot")), (TableUse::Writes, TableUse::None));
        // A message loses the session that goes.
        let status = |table| table_use("POST", "/typebot/changeStatus/:instanceName", table);
        assert_eq!((status("Message"), status("Typebot")), (TableUse::Writes, TableUse::Reads));
        // Without a name in the path, the instance is still looked up for every row that refers to it.
        assert_eq!(table_use("POST", "/webhook/meta", "Instance"), TableUse::Reads);
    }

    #[test]
    fn routes_match_what_was_seen_in_runs() {
        let fetch = |table| table_use("GET", "/instance/fetchInstances", table);
        // 500 where one of them lacks a column, or is not there.
        assert_eq!((fetch("Setting"), fetch("Nats")), (TableUse::Reads, TableUse::Reads));
        assert_eq!(table_use("POST", "/instance/create", "Setting"), TableUse::Writes);
        assert_eq!(
            table_use("POST", "/chat/whatsappNumbers/:instanceName", "IsOnWhatsapp"),
            TableUse::Writes
        );
    }
}

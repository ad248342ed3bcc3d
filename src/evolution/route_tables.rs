//! Which tables a request reads and writes.
//!
//! Source of the facts: the services behind the routes of 2.3.7, as they were read; what was not seen in runs. Every request that
//! names an instance reads `Instance` first, to know it and its key.

use std::sync::LazyLock;

use serde::Deserialize;

/// The tables of the routes that begin alike.
#[derive(Debug, Deserialize)]
pub struct RouteTables {
    route: String,
    reads: Vec<String>,
    /// Written by every verb but GET, which only reads them.
    writes: Vec<String>,
}

static TABLES: LazyLock<Vec<RouteTables>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/route_tables.json"))
        .expect("facts/route_tables.json is well formed")
});

/// How a request uses a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableUse {
    /// Not at all.
    None,
    /// It reads it.
    Reads,
    /// It writes it.
    Writes,
}

/// How a request with this verb on this route, as `facts/routes.json` writes it, uses a table.
pub fn table_use(method: &str, route: &str, table: &str) -> TableUse {
    let entry = TABLES.iter().filter(|one| route.starts_with(&one.route)).max_by_key(|one| one.route.len());
    let has = |tables: &Vec<String>| tables.iter().any(|one| one == table);
    match entry {
        Some(entry) if has(&entry.writes) && !matches!(method, "GET" | "HEAD") => TableUse::Writes,
        Some(entry) if has(&entry.writes) || has(&entry.reads) => TableUse::Reads,
        _ if table == "Instance" && route.ends_with("/:instanceName") => TableUse::Reads,
        _ => TableUse::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::routes::routes;
    use crate::evolution::schema::schema;

    #[test]
    fn every_route_has_its_tables_and_every_table_is_one() {
        for route in routes() {
            assert!(TABLES.iter().any(|one| route.path.starts_with(&one.route)), "{}", route.path);
        }
        for one in TABLES.iter() {
            assert!(routes().iter().any(|route| route.path.starts_with(&one.route)), "{}", one.route);
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
}

//! What a check needs to know of the database that is examined.

use std::collections::BTreeSet;

use super::references::{Reference, all_references};
use super::table_scan::TableScans;
use super::unique_indexes::{UniqueIndex, unique_indexes};
use crate::database::catalog::{Catalog, ServerInfo};
use crate::database::column_stats::LARGE;
use crate::evolution::release::ReleaseRange;
use crate::rules::rule::Rule;

/// What a check needs to know of the database.
#[derive(Debug)]
pub struct CheckContext<'a> {
    /// Tables and keys.
    pub catalog: &'a Catalog,
    /// The releases it may be; `None` when the history does not tell.
    pub range: Option<ReleaseRange>,
    /// The references that should hold.
    pub references: Vec<Reference>,
    /// The unique indexes that should hold.
    pub unique_indexes: Vec<UniqueIndex>,
    /// The role that asks, for messages.
    pub role: &'a str,
    /// True if the server is a standby, which may end a connection to replay changes of the primary.
    pub is_standby: bool,
    /// True if a lock timeout ends the run, so that a change can be retried; otherwise it makes a check undecided.
    pub gives_way: bool,
    /// True if no index is trusted (`--paranoid`).
    pub paranoid: bool,
    /// Tables with fewer pages are compared with the planner's own plan.
    pub large: u64,
    /// Scans of large tables, each shared by all checks that need it.
    pub scans: TableScans,
    /// Tables that are known to have no row in this snapshot (see [`super::empty_tables`]).
    pub empty: BTreeSet<String>,
    /// True if the schema differs from the release's at all; `None` if that was not read beforehand (see [`super::precondition`]).
    pub differs: Option<bool>,
}

impl<'a> CheckContext<'a> {
    /// Gathers the references and the unique indexes of the catalog, for the role of a session on this server.
    pub fn for_server(catalog: &'a Catalog, range: Option<ReleaseRange>, server: &'a ServerInfo) -> Self {
        Self { is_standby: server.in_recovery, ..Self::new(catalog, range, &server.role) }
    }

    /// Gathers the references and the unique indexes of the catalog.
    pub fn new(catalog: &'a Catalog, range: Option<ReleaseRange>, role: &'a str) -> Self {
        let (references, unique_indexes) = (all_references(catalog, range), unique_indexes(catalog, range));
        Self {
            catalog,
            range,
            references,
            unique_indexes,
            role,
            is_standby: false,
            gives_way: false,
            paranoid: false,
            large: LARGE,
            scans: TableScans::default(),
            empty: BTreeSet::new(),
            differs: None,
        }
    }

    /// True if a rule is for any release that this database may be. An unknown release may be any.
    pub fn applies(&self, rule: &Rule) -> bool {
        match (self.range, rule.releases) {
            (Some(range), Some(of_rule)) => range.overlaps(&of_rule),
            _ => true,
        }
    }
}

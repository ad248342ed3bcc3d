//! The rights that a role needs before it changes anything. Everything that is missing is reported at once, and before
//! the work starts: a managed server has no superuser, and a refusal after an hour of work helps nobody.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{fix, ledger};
use crate::checks::check::CheckScope;
use crate::database::catalog::{Catalog, CatalogTable, ServerInfo};
use crate::database::ident::SqlFragment;
use crate::database::restore::OWNER;
use crate::error::user_error;

/// The rights that a fix, or its reversal, needs.
#[derive(Debug, Default)]
pub struct RequiredPrivileges {
    /// The code, or the name of an operation.
    pub code: String,
    /// The tables that it alters, or changes rows of.
    pub tables: Vec<String>,
    /// True if it makes something in the schema: an index at least.
    pub creates: bool,
    /// True if it makes something that has an owner of its own: a table or a type.
    pub creates_owned: bool,
}

impl RequiredPrivileges {
    /// Of a fix with these tables and statements.
    pub fn new<'s>(
        code: &str,
        tables: Vec<String>,
        statements: impl Iterator<Item = &'s String> + Clone,
    ) -> Self {
        let has = |word: &str| statements.clone().any(|sql| sql.contains(word));
        Self {
            code: code.to_owned(),
            tables,
            creates: has("CREATE "),
            creates_owned: has("CREATE TABLE ") || has("CREATE TYPE "),
        }
    }
}

/// Refuses work that touches every table, if a table is closed or runs code that is not trusted.
///
/// # Errors
/// Names the code, its role, and what to type.
pub fn expect_no_foreign_code(catalog: &Catalog, role: &str, who: &str) -> Result<()> {
    let mut missing = MissingPrivilege::default();
    let codes = BTreeSet::from([who]);
    of_code(
        catalog,
        role,
        catalog.tables.keys().chain(catalog.closed.keys()).map(|table| (table, &codes)),
        &mut missing,
    );
    refuse(role, missing)
}

/// The missing rights: why they are needed, and what to type.
#[derive(Debug, Default)]
struct MissingPrivilege {
    lines: Vec<String>,
    steps: Vec<String>,
}

impl MissingPrivilege {
    fn add(&mut self, line: String, step: String) {
        self.lines.push(line);
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }
}

/// True if this role lacks anything that a fix may need: then it is worth asking beforehand what fixes there will be.
pub fn is_limited_role(catalog: &Catalog) -> bool {
    let is_open = |table: &CatalogTable| table.is_owned && table.lacks.is_empty() && !table.hides_rows;
    !catalog.may_create
        || !catalog.closed.is_empty()
        || catalog.tables.values().any(|table| !table.foreign_code.is_empty())
        || catalog.tables.values().filter(|table| is_table(table)).any(|table| !is_open(table))
}

fn is_table(table: &CatalogTable) -> bool {
    matches!(table.kind.as_str(), "r" | "p")
}

/// Refuses work that this role has no rights for, the ledger included.
///
/// # Errors
/// Names every object, its owner, who needs it, and what to type.
pub fn expect_privileges(
    catalog: &Catalog,
    role: &str,
    database: &str,
    needs: &[RequiredPrivileges],
) -> Result<()> {
    let mut missing = of_tables(catalog, role, needs);
    if let Some((line, step)) = ledger::write_obstacle(&catalog.ledger_facts, role, database)? {
        missing.add(line, step);
    }
    refuse(role, missing)
}

/// The same, of tables only, which the catalog knows.
pub fn expect_table_privileges(
    catalog: &Catalog,
    server: &ServerInfo,
    need: RequiredPrivileges,
) -> Result<()> {
    refuse(&server.role, of_tables(catalog, &server.role, std::slice::from_ref(&need)))
}

/// Refuses a dry run that would fire triggers of the user's without consent.
pub fn expect_consent_to_triggers(
    catalog: &Catalog,
    server: &ServerInfo,
    need: &RequiredPrivileges,
) -> Result<()> {
    let mut missing = MissingPrivilege::default();
    if !server.may_fire {
        of_triggers(catalog, need, &mut missing);
    }
    refuse(&server.role, missing)
}

/// The triggers that a dry run would fire without consent.
fn of_triggers(catalog: &Catalog, need: &RequiredPrivileges, missing: &mut MissingPrivilege) {
    let fix = fix::find_fix(&need.code).or_else(|| fix::find_operation(&need.code));
    if !fix.is_some_and(|fix| fix.rows.is_some() || fix.family == CheckScope::Reference) {
        return;
    }
    let fires =
        |table: &&String| catalog.tables.get(*table).is_some_and(|table| !table.firing_triggers.is_empty());
    for table in need.tables.iter().filter(fires) {
        missing.add(
            format!(
                "does not fire the triggers of {table:?} in a dry run without consent ({}: {}): \
                 what leaves the transaction, such as a sequence, dblink or COPY ... TO PROGRAM, would not \
                 be rolled back",
                need.code,
                catalog.tables.get(table).map(|table| table.firing_triggers.join(", ")).unwrap_or_default()
            ),
            "add --allow fires-triggers, or do the dry run on a dump: --snapshot FILE".to_owned(),
        );
    }
}

fn refuse(role: &str, missing: MissingPrivilege) -> Result<()> {
    match missing.lines.as_slice() {
        [] => Ok(()),
        [only] => Err(user_error(
            format!("role {role:?} {only}; nothing has been changed"),
            missing.steps.join("; "),
        )),
        lines => Err(user_error(
            format!(
                "role {role:?} lacks rights, so nothing has been changed. It\n    {}",
                lines.join("\n    ")
            ),
            missing.steps.join(";\n      "),
        )),
    }
}

fn of_tables(catalog: &Catalog, role: &str, needs: &[RequiredPrivileges]) -> MissingPrivilege {
    let mut missing = MissingPrivilege::default();
    let who = SqlFragment::ident(role);
    let mut by_table: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for need in needs {
        need.tables.iter().for_each(|table| _ = by_table.entry(table).or_default().insert(&need.code));
    }
    let tables: Vec<(&CatalogTable, &BTreeSet<&str>)> = by_table
        .iter()
        .filter_map(|(name, codes)| Some((catalog.tables.get(*name)?, codes)))
        .filter(|(table, _)| is_table(table))
        .collect();

    of_code(catalog, role, by_table.iter().map(|(table, codes)| (*table, codes)), &mut missing);
    let mut by_owner: BTreeMap<&str, Vec<(&CatalogTable, &BTreeSet<&str>)>> = BTreeMap::new();
    for (table, codes) in tables.iter().filter(|(table, _)| !table.is_owned) {
        by_owner.entry(&table.owner).or_default().push((table, codes));
    }
    for (owner, tables) in by_owner {
        let all: BTreeSet<&str> = tables.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        let names: Vec<String> = tables.iter().map(|(table, _)| format!("{:?}", table.name)).collect();
        let may_become = tables.iter().any(|(table, _)| table.may_become_owner);
        missing.add(
            format!(
                "does not own {}, which {} alter{}: {owner:?} does, and only an owner may",
                names.join(", "),
                list(&all),
                if all.len() == 1 { "s" } else { "" }
            ),
            become_owner(owner, role, may_become),
        );
    }
    for (table, codes) in &tables {
        let name = SqlFragment::qualified(&catalog.schema, &table.name);
        if table.is_owned && role == OWNER && !table.lacks.is_empty() {
            // What is restored without its rows is closed, so that it is not taken for empty.
            missing.add(
                format!("finds no rows of {:?} in the dump ({})", table.name, list(codes)),
                format!(
                    "dump its rows too, or skip these fixes: --ignore {}",
                    list(codes).replace(", ", ",")
                ),
            );
        } else if table.is_owned && !table.lacks.is_empty() {
            let lacks = table.lacks.join(", ");
            missing.add(
                format!("may not {lacks} on {:?} ({})", table.name, list(codes)),
                format!("GRANT {lacks} ON {name} TO {who}"),
            );
        }
        if table.is_owned && table.hides_rows {
            missing.add(
                format!(
                    "does not see all rows of {:?} ({}): row-level security hides some, from its owner too",
                    table.name,
                    list(codes)
                ),
                format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY, and FORCE again afterwards"),
            );
        }
    }
    let schema = SqlFragment::ident(&catalog.schema);
    let creating: BTreeSet<&str> =
        needs.iter().filter(|need| need.creates).map(|need| need.code.as_str()).collect();
    if !creating.is_empty() && !catalog.may_create {
        missing.add(
            format!("may create nothing in the schema {:?} ({})", catalog.schema, list(&creating)),
            format!("as its owner: GRANT CREATE ON SCHEMA {schema} TO {who}"),
        );
    }
    let owned: BTreeSet<&str> =
        needs.iter().filter(|need| need.creates_owned).map(|need| need.code.as_str()).collect();
    if let Some(instance) = evolution(catalog)
        && !owned.is_empty()
        && instance.owner != role
        && instance.is_owned
        && !instance.may_become_owner
    {
        missing.add(
            format!("may not give {:?} the objects that {} creates", instance.owner, list(&owned)),
            format!("connect as {:?}, the role that Evolution itself uses", instance.owner),
        );
    }
    missing
}

/// Objects that other roles control are not changed, and their code is not run.
fn of_code<'t>(
    catalog: &Catalog,
    role: &str,
    tables: impl Iterator<Item = (&'t String, &'t BTreeSet<&'t str>)>,
    missing: &mut MissingPrivilege,
) {
    for (name, codes) in tables {
        if let Some(reason) = catalog.closed.get(name) {
            let owner = evolution(catalog).map_or(role, |instance| instance.owner.as_str());
            missing.add(
                format!("does not change objects that other roles control ({}): {reason}", list(codes)),
                format!(
                    "as an administrator: ALTER TABLE {} OWNER TO {}, the role that Evolution itself uses; \
                     or skip these fixes",
                    SqlFragment::qualified(&catalog.schema, name),
                    SqlFragment::ident(owner)
                ),
            );
        }
        let Some(table) = catalog.tables.get(name) else { continue };
        if let Some(code) = table.foreign_code.first() {
            missing.add(
                format!(
                    "does not run code that other roles control ({}): {}",
                    list(codes),
                    code.reason(role)
                ),
                code.hint(&table.owner),
            );
        }
    }
}

/// The table whose owner is the role that Evolution itself uses.
fn evolution(catalog: &Catalog) -> Option<&CatalogTable> {
    catalog.tables.get("Instance").filter(|table| is_table(table))
}

/// The role that Evolution itself uses, where it is another than this one: what is made for it has to be its own.
pub fn other_owner<'c>(catalog: &'c Catalog, role: &str) -> Option<&'c str> {
    evolution(catalog).map(|table| table.owner.as_str()).filter(|owner| *owner != role)
}

fn become_owner(owner: &str, role: &str, may_become: bool) -> String {
    let (owner_name, who) = (SqlFragment::ident(owner), SqlFragment::ident(role));
    if may_become {
        // A member that does not inherit.
        return format!(
            "connect as {owner:?}, the role that Evolution itself uses; or, as a member of it that does not inherit its \
             rights, add options=-c%20role%3D{owner} to the connection string"
        );
    }
    format!(
        "connect as {owner:?}, the role that Evolution itself uses; or, as an administrator: GRANT {owner_name} TO {who}"
    )
}

fn list(codes: &BTreeSet<&str>) -> String {
    codes.iter().copied().collect::<Vec<_>>().join(", ")
}

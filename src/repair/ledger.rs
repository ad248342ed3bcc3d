//! The ledger: which fixes were applied, by whom, and what undo needs to know. It lives in the schema `evodoctor`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::deferred_ddl::{DeferredState, DeferredStatement};
use super::fix_sql::UndoStatement;
use super::locks::{self, LockMode};
use super::orphan_constraints::SavedConstraint;
use super::schema_acl::revoke_from_others;
use crate::checks::query_variables;
use crate::checks::references::Reference;
use crate::database::catalog::{Catalog, Ddl};
use crate::database::ident::SqlFragment;
use crate::database::query::{execute_file, query_file, query_statement};
use crate::database::sql_file::Variables;
use crate::database::trusted_roles;
use crate::error::user_error;
use crate::evolution::release::ReleaseRange;

const FORMAT: &str = "evodoctor ledger, format 3";

/// What older versions made. It is read as it is, and brought up to date by the next run.
const OLD_FORMATS: [&str; 2] = ["evodoctor ledger, format 1", "evodoctor ledger, format 2"];

/// A run that was applied.
#[derive(Debug, Clone, Serialize)]
pub struct AppliedRun {
    /// Its number, from 1.
    pub run: i64,
    /// The schema it changed.
    pub target_schema: String,
    /// When, in UTC, as ISO 8601.
    pub applied_at: String,
    /// By which role.
    pub applied_by: String,
    /// With which version of this program.
    pub tool_version: String,
    /// The release found then.
    pub release_from: Option<String>,
    /// The release found then; `null` for an open end.
    pub release_to: Option<String>,
    /// The hash of its plan.
    pub plan_hash: String,
    /// When it was undone, in UTC.
    pub undone_at: Option<String>,
    /// By which role.
    pub undone_by: Option<String>,
    /// When it was closed as superseded (EVO307), in UTC.
    pub closed_at: Option<String>,
    /// By which role.
    pub closed_by: Option<String>,
    /// Upstream's migrations that have changed the same objects since; told by [`mark_superseded`].
    pub superseded_by: Vec<String>,
    /// The first run of the series of batches that it is of; `null` for a run that stands alone.
    pub series: Option<i64>,
    /// The statements that are still to be run for it to be whole; none of a run that was undone or closed.
    pub unfinished: Vec<String>,
    /// How many rows it holds in the quarantine.
    pub quarantined: i64,
    /// How many bytes these rows take; told by [`super::prune::read_storage`].
    pub kept_bytes: i64,
    /// How long ago it was applied.
    pub age_seconds: i64,
    /// When its rows were dropped (`history --prune`), in UTC.
    pub pruned_at: Option<String>,
    /// Its fixes, in the order they were applied.
    pub fixes: Vec<AppliedFix>,
}

/// A fix of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppliedFix {
    /// The code.
    pub code: String,
    /// The fix's version.
    pub version: u32,
    /// The checksum of its statements.
    pub checksum: String,
    /// The tables it locked.
    pub tables: Vec<String>,
    /// Canonical DDL of the tables that changed, before.
    #[serde(skip_serializing)]
    pub ddl_before: Ddl,
    /// The same, after.
    #[serde(skip_serializing)]
    pub ddl_after: Ddl,
    /// What undo needs besides the files.
    #[serde(skip_serializing)]
    pub steps: UndoSteps,
}

/// What undo needs besides the files of the fix.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UndoSteps {
    /// Constraints that the fix dealt with.
    #[serde(default)]
    pub constraints: Vec<SavedConstraint>,
    /// The arguments of an operation.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// How to reverse the statements that queries wrote.
    #[serde(default)]
    pub ways_back: Vec<UndoStatement>,
    /// Upstream's migrations whose work the fix did, and which it recorded as applied.
    #[serde(default)]
    pub records: Vec<String>,
    /// What was left for after the transaction, and how far it is.
    #[serde(default)]
    pub later: Vec<DeferredStatement>,
    /// How many of the removed rows referred to nothing by a key that was there, by the key's name: so many may come back so.
    /// Not known of runs before ledger format 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans: Option<BTreeMap<String, i64>>,
    /// What was kept before an upgrade, where the run did that and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Value>,
}

impl UndoSteps {
    /// Remembers which keys removed rows did not keep, and what these keys are: the rows have to come back past them.
    pub fn remember_orphans(&mut self, orphans: Vec<(String, i64)>, all: &[Reference]) {
        for (name, _) in &orphans {
            let is_it =
                |reference: &&Reference| reference.declared.as_ref().is_some_and(|key| key.name == *name);
            for constraint in all.iter().filter(is_it).map(SavedConstraint::from_reference) {
                let is_known = |known: &SavedConstraint| {
                    known.name == constraint.name && known.child_table == constraint.child_table
                };
                if !self.constraints.iter().any(is_known) {
                    self.constraints.push(constraint);
                }
            }
        }
        self.orphans = Some(orphans.into_iter().collect());
    }
}

impl AppliedRun {
    /// Whether it is neither undone, nor closed, nor superseded by an upgrade.
    pub fn can_be_undone(&self) -> bool {
        self.undone_at.is_none() && self.closed_at.is_none() && self.superseded_by.is_empty()
    }

    /// Whether it was undone, and rows that could not come back are still kept.
    pub fn keeps_left_rows(&self) -> bool {
        self.undone_at.is_some() && self.pruned_at.is_none() && self.quarantined > 0
    }

    /// What is still to be done for it to be whole; nothing of a run that was undone or closed.
    pub fn pending_statements(&self) -> Vec<&DeferredStatement> {
        let is_over = self.undone_at.is_some() || self.closed_at.is_some();
        let fixes = self.fixes.iter().filter(|_| !is_over);
        fixes.flat_map(|fix| &fix.steps.later).filter(|later| later.state == DeferredState::Open).collect()
    }
}

/// What the catalog says of the ledger. Nothing in it is read before this has been looked at.
///
/// # Errors
/// When the connection is lost.
async fn state(connection: &mut PgConnection, schema: &str) -> Result<PgRow> {
    let rows =
        query_file(connection, "sql/ledger/state.sql", &trusted_roles::trust_variables(schema)?).await?;
    rows.into_iter().next().context("the server did not answer")
}

/// Whether the ledger is there.
///
/// # Errors
/// When something else has the name, others may change it, or a newer version of this program made it.
pub async fn ledger_exists(connection: &mut PgConnection, schema: &str) -> Result<bool> {
    expect_sound(&state(connection, schema).await?)
}

/// Whether there is a ledger, and one that may be read.
fn expect_sound(row: &PgRow) -> Result<bool> {
    let exists: bool = row.try_get("exists")?;
    let comment: Option<String> = row.try_get("comment")?;
    let is_ours = |comment: &str| comment == FORMAT || OLD_FORMATS.contains(&comment);
    if exists && !comment.as_deref().is_some_and(is_ours) {
        return Err(match comment {
            Some(comment) if comment.starts_with("evodoctor ledger") => user_error(
                format!("the ledger in this database is of another format ({comment})"),
                "use the version of evodoctor that wrote it, or a newer one",
            ),
            _ => user_error(
                "this database has a schema \"evodoctor\" that is not evodoctor's ledger",
                "rename that schema: evodoctor keeps its ledger and quarantine under this name",
            ),
        });
    }
    if let Some(why) = row.try_get::<Option<String>, _>("distrust")? {
        return Err(user_error(
            format!("the ledger in the schema \"evodoctor\" is not trusted: {why}; nothing in it is read"),
            "what it says could be forged. If it is not yours: DROP SCHEMA \"evodoctor\" CASCADE. If it is: give the schema and \
             its tables to the owner of Evolution's tables (ALTER SCHEMA, ALTER TABLE … OWNER TO), take the rights of others \
             away (REVOKE), and drop what does not belong there",
        ));
    }
    if exists && !row.try_get::<bool, _>("is_usable")? {
        let owner: String = row.try_get("owner")?;
        return Err(user_error(
            "this role may not read evodoctor's ledger",
            format!("connect as {owner:?}, who owns the schema \"evodoctor\""),
        ));
    }
    Ok(exists)
}

/// Whether this role may look into the ledger, or there is none.
///
/// # Errors
/// When the connection is lost.
pub async fn is_usable(connection: &mut PgConnection, schema: &str) -> Result<bool> {
    let row = state(connection, schema).await?;
    Ok(!row.try_get::<bool, _>("exists")? || row.try_get::<bool, _>("is_usable")?)
}

/// Refuses to run statements that the ledger holds for anybody but its owner: whoever may write there could otherwise
/// have a superuser run them.
///
/// # Errors
/// Names the owner.
pub async fn expect_own(connection: &mut PgConnection, schema: &str, role: &str) -> Result<()> {
    let row = state(connection, schema).await?;
    let owner: String = row.try_get("owner")?;
    if owner != role {
        return Err(user_error(
            format!(
                "the way back is kept in the ledger, which belongs to {owner:?}, and runs with that role's rights only"
            ),
            format!("connect as {owner:?} to undo this run"),
        ));
    }
    match row.try_get::<Option<String>, _>("other_writer")? {
        None => Ok(()),
        Some(writer) => Err(user_error(
            format!(
                "the way back is kept in the ledger, and {writer:?} may write there what {role:?} would run"
            ),
            format!(
                "ALTER TABLE … OWNER TO {who} for the tables of \"evodoctor\", REVOKE ALL ON ALL TABLES IN SCHEMA \"evodoctor\" \
                 FROM {writer}, and look at \"steps\" of \"evodoctor\".\"applied_fix\" first",
                who = SqlFragment::ident(role),
                writer = SqlFragment::ident(&writer),
            ),
        )),
    }
}

/// What keeps this role from writing the ledger, and what to type; both go on from "role X".
///
/// # Errors
/// When something else has the ledger's name, or this role may not even read it.
pub async fn write_obstacle(
    connection: &mut PgConnection,
    schema: &str,
    role: &str,
    database: &str,
) -> Result<Option<(String, String)>> {
    let row = state(connection, schema).await?;
    let exists = expect_sound(&row)?;
    if exists && !row.try_get::<bool, _>("is_owned")? {
        let owner: String = row.try_get("owner")?;
        return Ok(Some((
            format!("does not own the schema \"evodoctor\", where the ledger is: {owner:?} does"),
            format!(
                "connect as {owner:?}, or let it hand the ledger over: ALTER SCHEMA \"evodoctor\" OWNER TO {who}, and the \
                 same for each of its tables",
                who = SqlFragment::ident(role)
            ),
        )));
    }
    if let Some(owner) = row.try_get::<Option<String>, _>("tables_owner")? {
        return Ok(Some((
            format!("owns the schema \"evodoctor\", but not the ledger's tables in it: {owner:?} does"),
            format!(
                "as {owner:?}: ALTER TABLE \"evodoctor\".\"run\" OWNER TO {who}, and so on for its other tables",
                who = SqlFragment::ident(role)
            ),
        )));
    }
    if !exists && !row.try_get::<bool, _>("can_create")? {
        return Ok(Some((
            "may not create the schema \"evodoctor\", where the ledger and the quarantine go".to_owned(),
            format!(
                "as the database's owner: GRANT CREATE ON DATABASE {} TO {}",
                SqlFragment::ident(database),
                SqlFragment::ident(role)
            ),
        )));
    }
    Ok(None)
}

/// Creates the ledger where it is missing or old, and takes the number of the run that begins.
///
/// # Errors
/// When this role may not create or use it; the message says what to grant.
pub async fn create_or_upgrade(
    connection: &mut PgConnection,
    schema: &str,
    role: &str,
    database: &str,
) -> Result<i64> {
    if let Some((line, step)) = write_obstacle(connection, schema, role, database).await? {
        return Err(user_error(format!("role {role:?} {line}; nothing has been changed"), step));
    }
    bring_up_to_date(connection, schema).await?;
    let next = query_file(connection, "sql/ledger/next_run.sql", &Variables::default()).await?;
    Ok(next.first().context("a number is one row")?.try_get("run")?)
}

/// Creates the ledger where it is missing, and brings an old one up to the format of today.
///
/// # Errors
/// When this role may not, or somebody else made the schema in between.
pub async fn bring_up_to_date(connection: &mut PgConnection, schema: &str) -> Result<()> {
    let comment: Option<String> = state(connection, schema).await?.try_get("comment")?;
    if comment.as_deref() != Some(FORMAT) {
        execute_file(connection, "sql/ledger/create.sql", &Variables::default()).await?;
        revoke_from_others(connection).await?;
        expect_sound(&state(connection, schema).await?)?;
    }
    Ok(())
}

/// Whatever the ledger's own statements met of locks: its tables are busy.
pub fn as_timeout(error: anyhow::Error) -> anyhow::Error {
    let tables = ["run", "applied_fix", "quarantine_entry"].map(str::to_owned);
    locks::as_timeout(error, "evodoctor", &tables, LockMode::ShareRowExclusive)
}

/// Writes the run and its fixes, in the transaction that applied them; as one of a series of batches, if it is.
pub async fn record_run(
    connection: &mut PgConnection,
    schema: &str,
    range: Option<ReleaseRange>,
    plan_hash: &str,
    fixes: &[AppliedFix],
    series: Option<i64>,
) -> Result<()> {
    let bound = |release: Option<_>| {
        release.map(|r: crate::evolution::release::Release| r.version()).unwrap_or_default()
    };
    let variables = Variables::for_schema(schema)
        .text("tool_version", env!("CARGO_PKG_VERSION"))
        .text("release_from", bound(range.map(|r| r.from)))
        .text("release_to", bound(range.and_then(|r| r.to)))
        .text("plan_hash", plan_hash)
        .text("series", series.map(|first| first.to_string()).unwrap_or_default());
    execute_file(connection, "sql/ledger/record_run.sql", &variables).await?;
    for (position, fix) in fixes.iter().enumerate() {
        let variables = Variables::default()
            .text("position", position.to_string())
            .text("code", &fix.code)
            .text("version", fix.version.to_string())
            .text("checksum", &fix.checksum)
            .text("tables", serde_json::to_string(&fix.tables)?)
            .text("ddl_before", serde_json::to_string(&fix.ddl_before)?)
            .text("ddl_after", serde_json::to_string(&fix.ddl_after)?)
            .text("steps", serde_json::to_string(&fix.steps)?);
        execute_file(connection, "sql/ledger/record_fix.sql", &variables).await?;
    }
    Ok(())
}

/// Writes how far what was left for later is, and what the tables of a fix are by now.
///
/// # Errors
/// When the connection is lost.
pub async fn update_fix(
    connection: &mut PgConnection,
    run: i64,
    position: usize,
    fix: &AppliedFix,
) -> Result<()> {
    let variables = Variables::default()
        .text("run", run.to_string())
        .text("position", position.to_string())
        .text("ddl_after", serde_json::to_string(&fix.ddl_after)?)
        .text("steps", serde_json::to_string(&fix.steps)?);
    execute_file(connection, "sql/ledger/update_fix.sql", &variables).await
}

/// Every run in the ledger, newest first; none when there is no ledger.
///
/// # Errors
/// When the ledger is not to be trusted, or holds what cannot be read.
pub async fn read_runs(connection: &mut PgConnection, schema: &str) -> Result<Vec<AppliedRun>> {
    if !ledger_exists(connection, schema).await? {
        return Ok(Vec::new());
    }
    let found = query_file(connection, "sql/ledger/runs.sql", &Variables::default()).await?;
    let mut runs: Vec<AppliedRun> = found.iter().map(read_run).collect::<Result<_>>()?;
    let kept = kept_rows(connection).await?;
    for run in &mut runs {
        run.quarantined = kept.get(&run.run).copied().unwrap_or_default();
    }
    Ok(runs)
}

/// How many rows each run has in the quarantine, in the form of today and in that of older versions.
async fn kept_rows(connection: &mut PgConnection) -> Result<BTreeMap<i64, i64>> {
    let mut kept = BTreeMap::new();
    let forms = query_file(connection, "sql/ledger/quarantine_forms.sql", &Variables::default()).await?;
    let forms = forms.first().context("the server did not answer")?;
    for (form, path) in
        [("has_entries", "sql/ledger/quarantined.sql"), ("has_legacy", "sql/ledger/quarantined_legacy.sql")]
    {
        if !forms.try_get::<bool, _>(form)? {
            continue;
        }
        for row in query_file(connection, path, &Variables::default()).await? {
            *kept.entry(row.try_get("run")?).or_default() += row.try_get::<i64, _>("count")?;
        }
    }
    Ok(kept)
}

/// Tells each run which of upstream's migrations have changed the same objects since.
///
/// # Errors
/// When the connection is lost. A ledger that may not be read has no runs to tell it to.
pub async fn mark_superseded(
    connection: &mut PgConnection,
    catalog: &Catalog,
    runs: &mut [AppliedRun],
) -> Result<()> {
    let Ok(query) = query_variables::superseded_query(catalog)? else { return Ok(()) };
    for row in query_statement(connection, query).await? {
        let number: i64 = row.try_get("run")?;
        let migrations: Vec<String> = row.try_get("migrations")?;
        for run in runs.iter_mut().filter(|run| run.run == number) {
            run.superseded_by.extend(migrations.clone());
            run.superseded_by.sort();
            run.superseded_by.dedup();
        }
    }
    Ok(())
}

fn read_run(row: &PgRow) -> Result<AppliedRun> {
    let fixes: Value = row.try_get("fixes")?;
    let mut run = AppliedRun {
        run: row.try_get("run")?,
        target_schema: row.try_get("target_schema")?,
        applied_at: row.try_get("applied_at")?,
        applied_by: row.try_get("applied_by")?,
        tool_version: row.try_get("tool_version")?,
        release_from: row.try_get("release_from")?,
        release_to: row.try_get("release_to")?,
        plan_hash: row.try_get("plan_hash")?,
        undone_at: row.try_get("undone_at")?,
        undone_by: row.try_get("undone_by")?,
        closed_at: row.try_get("closed_at")?,
        closed_by: row.try_get("closed_by")?,
        superseded_by: Vec::new(),
        series: row.try_get("series")?,
        quarantined: 0,
        kept_bytes: 0,
        age_seconds: row.try_get("age_seconds")?,
        pruned_at: row.try_get("pruned_at")?,
        unfinished: Vec::new(),
        fixes: serde_json::from_value(fixes).context("the ledger holds a fix that cannot be read")?,
    };
    for later in run
        .fixes
        .iter_mut()
        .flat_map(|fix| &mut fix.steps.later)
        .filter(|later| later.state == DeferredState::Open)
    {
        let number = run.run;
        *later = later
            .clone()
            .rendered(&run.target_schema)
            .with_context(|| format!("run {number} of the ledger cannot be gone on with"))?;
    }
    run.unfinished = run.pending_statements().into_iter().map(|later| later.sql.clone()).collect();
    Ok(run)
}

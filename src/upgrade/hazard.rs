//! Hazards: what one of upstream's migrations does to real data. One SQL file each, found by walking `sql/hazards/`.
//!
//! A hazard file is like a check's. Its header names the migrations it is about by their numbers (`migration:`), and its
//! query returns, beside the columns of a check:
//!
//! | column | what it is |
//! |---|---|
//! | `migration` | the number of the migration, where the file is about several |
//! | `effect` | `fails`, `removes-rows`, `changes-rows`, `drops-values`, `goes-astray`, `blocks`, or null |
//! | `sqlstate` | what it fails with |
//! | `step` | the object whose step fails: of two failures the earlier one is what happens |
//! | `table` | the table whose rows are counted |
//! | `before` | lines to run before the upgrade, in order |
//!
//! Variables are made here: `:'obstacles'` are the steps that Postgres refuses (see [`super::simulate`]), `:undone`
//! is a query: what keeps their migrations from being done already (see [`super::already_applied`]), and `:'locks'` what is locked for how long, as
//! jsonb; `:'target'` is the release to go to. A file beside it, `STEM.plan.sql`, holds a statement whose plan the query gets
//! as `:'plan'`: that statement is never run.

use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use crate::checks::conditional_sql;
use crate::checks::context::CheckContext;
use crate::checks::finding_row::{finding_from_row, optional_column};
use crate::checks::query_error::explain_query_error;
use crate::checks::savepoint::query_in_savepoint;
use crate::database::ident::SqlFragment;
use crate::database::query::is_lock_conflict;
use crate::database::shared_sql::with_shared_sql;
use crate::database::sql_file::{FILES, SqlFile, Variables, embedded_file, render, uses_variable};
use crate::evolution::release::{Migration, Release, facts};
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};
use crate::rules::rule::Rule;

/// Where the hazards are.
pub const FILES_OF: &str = "sql/hazards/";

/// The header keys of a hazard. `sql/README.md` explains them.
pub const KEYS: &[&str] = &[
    "code",
    "name",
    "title",
    "severity",
    "consequence",
    "releases",
    "summary",
    "why",
    "detail",
    "fix",
    "matches",
    "answers",
    "migration",
];

/// A rule about migrations, and the query that says whether they meet it here.
#[derive(Debug)]
pub struct Hazard {
    /// The rule.
    pub rule: Rule,
    /// The file's stem: code, underscore, name. Its fixtures have the same.
    pub stem: String,
    /// The migrations, by the numbers in front of their names; empty for what any migration may meet.
    pub migrations: Vec<String>,
    query: String,
    plan: Option<String>,
}

/// A finding of a hazard, and what follows from it for the migration.
#[derive(Debug, Clone)]
pub struct HazardFinding {
    /// For the report.
    pub finding: Finding,
    /// The number of the migration.
    pub migration: String,
    /// The effect, if it is certain.
    pub effect: Option<String>,
    /// The SQLSTATE that it fails with.
    pub sqlstate: Option<String>,
    /// The object whose step fails.
    pub step: Option<String>,
    /// The table whose rows are counted.
    pub table: Option<String>,
    /// The steps before the upgrade.
    pub before: Vec<String>,
}

/// The facts before the rows are queried.
#[derive(Debug)]
pub struct HazardContext {
    /// The steps that Postgres refuses.
    pub obstacles: Value,
    /// The locks of each migration, and for how long.
    pub locks: Value,
    /// The conditions under which a refused migration is done already.
    pub done: Value,
    /// The release to go to.
    pub target: Release,
}

impl Hazard {
    /// Reads a hazard file. `path` is under `sql/hazards/`; `plan` the text of the file beside it.
    ///
    /// # Errors
    /// When the header is incomplete, disagrees with the file's name, or a file holds another number of statements
    /// than one.
    pub fn parse(path: &str, text: &str, plan: Option<&str>) -> Result<Self> {
        let script = SqlFile::parse(text);
        script.expect_keys(KEYS).with_context(|| path.to_owned())?;
        let rule = Rule::from_header(&script).with_context(|| path.to_owned())?;
        let stem = format!("{}_{}", rule.code, rule.name.replace('-', "_"));
        ensure!(
            path == format!("{FILES_OF}{stem}.sql"),
            "{path} should be named {stem}.sql after its header"
        );
        let migrations = script.header("migration").unwrap_or_default().split_whitespace();
        let single =
            |script: &SqlFile| script.only_statement().with_context(|| path.to_owned()).map(str::to_owned);
        Ok(Self {
            rule,
            stem,
            migrations: migrations.map(str::to_owned).collect(),
            query: with_shared_sql(&single(&script)?),
            plan: plan.map(|text| single(&SqlFile::parse(text))).transpose()?,
        })
    }

    /// True if it is about this migration, or about any.
    pub fn concerns(&self, migration: &Migration) -> bool {
        self.migrations.is_empty() || self.migrations.iter().any(|number| number == migration.number())
    }

    /// Asks the database.
    ///
    /// # Errors
    /// When the connection is lost. A query that fails makes the hazard undecided instead. Where the scope gives way, also
    /// when others hold a lock for too long.
    pub async fn run(
        &self,
        connection: &mut PgConnection,
        context: &CheckContext<'_>,
        known: &HazardContext,
    ) -> Result<(CheckReport, Vec<HazardFinding>)> {
        let started = Instant::now();
        let (mut found, mut reason) = (Vec::new(), None);
        let mut variables = Variables::for_schema(&context.catalog.schema)
            .text("obstacles", known.obstacles.to_string())
            .text("locks", known.locks.to_string())
            .text("done", known.done.to_string())
            .text("target", known.target.version());
        if uses_variable(&self.query, "undone") {
            let script = SqlFile::parse(embedded_file("sql/upgrade/undone.sql"));
            let text = render(&with_shared_sql(script.only_statement()?), &variables)?;
            variables = variables.sql("undone", SqlFragment::assert_safe(text));
        }
        let fitting = |sql: &str| conditional_sql::strip_for_release(sql, context.catalog, context.range);
        if let Some(plan) = &self.plan {
            let sql = format!("EXPLAIN (FORMAT JSON) {}", render(&fitting(plan), &variables)?);
            if let Some(closed) = context.catalog.closed_table_in(&sql) {
                return Ok((
                    self.report(CheckOutcome::Undecided, Some(closed.to_owned()), started),
                    Vec::new(),
                ));
            }
            match query_in_savepoint(connection, sql).await? {
                Ok(rows) => {
                    let plan: Value = rows.first().context("a plan is one row")?.try_get(0)?;
                    variables = variables.text("plan", plan.to_string());
                }
                Err(error) if context.gives_way && is_lock_conflict(&error) => return Err(error.into()),
                Err(error) => reason = Some(explain_query_error(&error, context)),
            }
        }
        if reason.is_none() {
            let sql = render(&fitting(&self.query), &variables).context(self.stem.clone())?;
            if let Some(closed) = context.catalog.closed_table_in(&sql) {
                return Ok((
                    self.report(CheckOutcome::Undecided, Some(closed.to_owned()), started),
                    Vec::new(),
                ));
            }
            match query_in_savepoint(connection, sql).await? {
                Ok(rows) => {
                    for row in rows {
                        let one = self.found(&row, context, known).with_context(|| self.stem.clone())?;
                        found.push(one);
                    }
                }
                Err(error) if context.gives_way && is_lock_conflict(&error) => return Err(error.into()),
                Err(error) => reason = Some(explain_query_error(&error, context)),
            }
        }
        let outcome = match (found.is_empty(), &reason) {
            (false, _) => CheckOutcome::Found,
            (true, None) => CheckOutcome::Clean,
            (true, Some(_)) => CheckOutcome::Undecided,
        };
        Ok((self.report(outcome, reason, started), found))
    }

    fn report(&self, outcome: CheckOutcome, reason: Option<String>, started: Instant) -> CheckReport {
        CheckReport {
            code: self.rule.code.clone(),
            name: self.rule.name.clone(),
            outcome,
            reason,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn found(&self, row: &PgRow, context: &CheckContext<'_>, known: &HazardContext) -> Result<HazardFinding> {
        let mut finding = finding_from_row(&self.rule, row)?;
        let text = |column| optional_column::<String>(row, column);
        let migration = text("migration")?.or_else(|| self.migrations.first().cloned());
        let migration = migration.context("the row does not say which migration it is about")?;
        let before = optional_column::<Vec<String>>(row, "before")?.unwrap_or_default();
        let (effect, sqlstate) = (text("effect")?, text("sqlstate")?);
        finding.extra.insert("migration", migration.as_str().into());
        let checksum = checksum(&migration, &context.catalog.schema, known.target);
        finding.extra.insert("checksum", checksum.into());
        finding.extra.insert("effect", effect.as_deref().into());
        finding.extra.insert("sqlstate", sqlstate.as_deref().into());
        finding.extra.insert("before", before.as_slice().into());
        Ok(HazardFinding {
            finding,
            migration,
            effect,
            sqlstate,
            step: text("step")?,
            table: text("table")?,
            before,
        })
    }
}

/// The checksum under which a migration is recorded whose work evodoctor did: of the content that the target ships, or, where
/// that is for another schema, of the newest.
fn checksum(number: &str, schema: &str, target: Release) -> Option<&'static str> {
    let migration = facts().migrations.iter().find(|migration| migration.number() == number)?;
    let is_elsewhere = migration.is_bound_to_public(target) && schema != "public";
    migration.checksum_in(if is_elsewhere { Release::newest() } else { target })
}

static HAZARDS: LazyLock<Vec<Hazard>> = LazyLock::new(|| {
    let text = |path: &str| FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text);
    FILES
        .iter()
        .filter(|(path, _)| path.starts_with(FILES_OF) && !path.ends_with(".plan.sql"))
        .map(|(path, sql)| {
            let plan = text(&path.replace(".sql", ".plan.sql"));
            Hazard::parse(path, sql, plan).expect("the tests keep every hazard file well formed")
        })
        .collect()
});

/// Every hazard, by code.
pub fn all_hazards() -> &'static [Hazard] {
    &HAZARDS
}

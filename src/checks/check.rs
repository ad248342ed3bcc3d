//! Checks: one SQL file each, found by walking `sql/checks/`.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::join_all;
use sqlx::postgres::PgRow;

use super::check_error::CheckResult;
use super::conditional_sql;
use super::context::CheckContext;
use super::duplicates;
use super::orphans::{self, message_key_hash};
use super::pool::SnapshotPool;
use super::precondition::Precondition;
use super::query_variables::query_variables;
use super::row_filter::RowFilter;
use super::task::{Task, pages};
use super::task_group::TaskGroup;
use crate::database::ident::SqlFragment;
use crate::database::shared_sql::with_shared_sql;
use crate::database::sql_file::{FILES, SqlFile, Variables, render, uses_variable};
use crate::evolution::schema::schema;
use crate::rules::rule::Rule;

/// The header keys of a check. `sql/README.md` explains them.
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
    "each",
    "judges",
    "joins",
    "first",
    "reads",
    "suspects",
];

/// A rule and the query that carries it out.
#[derive(Debug)]
pub struct Check {
    /// The rule of its code.
    pub rule: Rule,
    /// The file's stem: code, underscore, name. Its fix and fixtures have the same.
    pub stem: String,
    scope: CheckScope,
    suspects: Option<RowFilter>,
    first: Option<Precondition>,
    /// The table whose rows it judges (`judges:`); where there are none, there is nothing to find.
    judges: Option<String>,
    /// True if its query compares large tables with each other (`joins: hash`).
    joins_by_hash: bool,
    query: String,
}

/// What a check's query is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckScope {
    /// Once. Besides the schema such a check knows the names of all tables that any release has (`:'tables'`).
    Once,
    /// For every reference (`each: reference`).
    Reference,
    /// For every unique index (`each: unique-index`).
    UniqueIndex,
    /// For every finding, with the statements that the check itself gives (`each: finding`); fixes only.
    Finding,
}

impl CheckScope {
    /// What a header says in `each`.
    ///
    /// # Errors
    /// When nothing can be run for it.
    pub fn parse(each: Option<&str>) -> Result<Self> {
        Ok(match each {
            None => Self::Once,
            Some("reference") => Self::Reference,
            Some("unique-index") => Self::UniqueIndex,
            Some("finding") => Self::Finding,
            Some(other) => anyhow::bail!("{other:?} is nothing that could be done for each"),
        })
    }
}

impl Check {
    /// Reads a check file. `path` is under `sql/checks/`.
    ///
    /// # Errors
    /// When the header is incomplete, disagrees with the file's name, or the file holds another number of queries
    /// than one.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let script = SqlFile::parse(text);
        script.expect_keys(KEYS).with_context(|| path.to_owned())?;
        let rule = Rule::from_header(&script).with_context(|| path.to_owned())?;
        let stem = format!("{}_{}", rule.code, rule.name.replace('-', "_"));
        ensure!(
            path == format!("sql/checks/{stem}.sql"),
            "{path} should be named {stem}.sql after its header"
        );
        let scope = CheckScope::parse(script.header("each")).with_context(|| path.to_owned())?;
        let suspects = script
            .header("reads")
            .zip(script.header("suspects"))
            .map(|(table, condition)| RowFilter { table: table.to_owned(), condition: condition.to_owned() });
        let first = script.header("first").map(Precondition::parse);
        let query = with_shared_sql(script.only_statement().with_context(|| path.to_owned())?);
        let judges = script.header("judges").map(str::to_owned);
        if let Some(table) = &judges {
            let is_asked = query.contains(&format!("\"{table}\"")) || script.header("reads") == Some(table);
            ensure!(is_asked, "{path} judges the rows of {table}, and does not read it");
        }
        let joins_by_hash = match script.header("joins") {
            None => false,
            Some("hash") => true,
            Some(other) => {
                bail!("{path}: tables are joined by \"hash\" or as the planner likes, not by {other:?}")
            }
        };
        Ok(Self { rule, stem, scope, suspects, first, judges, joins_by_hash, query })
    }

    /// True if it begins by comparing the whole schema with the release's.
    pub fn compares_schema(&self) -> bool {
        matches!(self.first, Some(Precondition::Objects))
    }

    /// True if its query names a table.
    pub fn mentions(&self, table: &str) -> bool {
        // A query that is built of others' parts may read what it does not name.
        uses_variable(&self.query, "gone") || self.query.contains(&SqlFragment::ident(table).to_string())
    }

    /// What it is run for.
    pub fn scope(&self) -> CheckScope {
        self.scope
    }

    /// Says which tables it is going to read from end to end, so that other checks subscribe to the same scan.
    pub fn register_scans(&self, context: &CheckContext<'_>) {
        if self.scope == CheckScope::Reference {
            orphans::register_scans(context);
        }
        let suspects = self.suspects.as_ref().filter(|suspects| suspects.uses_scan(context));
        suspects.iter().for_each(|suspects| context.scans.register(&suspects.table));
        if uses_variable(&self.query, "updates") {
            message_key_hash::register_scans(context);
        }
    }

    /// Asks everything that the check wants to know, side by side. `busy` adds up how long connections work for it.
    pub async fn ask(&self, pool: &SnapshotPool<'_>, busy: &Cell<Duration>) -> Vec<Answer> {
        let context = pool.context();
        let query = conditional_sql::strip_for_release(&self.query, context.catalog, context.range);
        let render = |variables: &Variables| render(&query, variables).context(self.stem.clone());
        let begin = || TaskGroup::new(pool, &self.rule.code, busy);
        match self.scope {
            CheckScope::Once | CheckScope::Finding => {
                vec![(String::new(), self.find_once(&begin(), &query).await)]
            }
            CheckScope::Reference => orphans::find_all(context, begin, &render).await,
            CheckScope::UniqueIndex => {
                let indexes = context.unique_indexes.iter();
                let filled = indexes.filter(|index| !context.empty.contains(&index.table));
                let searches = filled
                    .map(async |index| (index.subject(), duplicates::find(index, &begin(), render).await));
                join_all(searches).await
            }
        }
    }

    /// The rows of a query that is run once.
    async fn find_once(&self, group: &TaskGroup<'_, '_>, query: &str) -> CheckResult<Vec<PgRow>> {
        let context = group.context();
        if self.judges.as_ref().is_some_and(|table| context.empty.contains(table)) {
            return Ok(Vec::new());
        }
        if let Some(first) = &self.first
            && !first.holds(group).await?
        {
            return Ok(Vec::new());
        }
        let tables: Vec<&str> = schema().tables.iter().map(|table| table.name.as_str()).collect();
        let mut variables = query_variables(query, context.catalog, context.range, context.role)?
            .text("tables", serde_json::to_string(&tables)?);
        if let Some(suspects) = &self.suspects {
            let Some(rows) = suspects.suspects(group).await? else { return Ok(Vec::new()) };
            variables = variables.sql("suspects", rows);
        } else if uses_variable(query, "updates") {
            variables = variables.sql("updates", message_key_hash::orphaned_updates(group).await?);
        }
        let sql = render(query, &variables).context(self.stem.clone())?;
        let task = Task::new("", pages(query, context.catalog));
        match self.joins_by_hash {
            true => group.query_with_settings("sql/table_scan/hash_joins.sql", task, sql).await,
            false => group.query(task, sql).await,
        }
    }
}

/// What a question was about, such as a key (empty if the check has one question only), and the rows that become findings.
pub type Answer = (String, CheckResult<Vec<PgRow>>);

static CHECKS: LazyLock<Vec<Check>> = LazyLock::new(|| {
    FILES
        .iter()
        .filter(|(path, _)| path.starts_with("sql/checks/"))
        .map(|(path, text)| Check::parse(path, text).expect("the tests keep every check file well formed"))
        .collect()
});

/// Every check, by code.
pub fn all_checks() -> &'static [Check] {
    &CHECKS
}

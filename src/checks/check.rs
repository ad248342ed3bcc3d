//! Checks: one SQL file each, found by walking `sql/checks/`.

use std::rc::Rc;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};

use super::conditional_sql;
use super::context::CheckContext;
use super::duplicates;
use super::orphans::{self, message_key_hash};
use super::precondition::Precondition;
use super::query_variables;
use super::row_filter::RowFilter;
use super::step::{Question, Step, pages};
use crate::database::ident::SqlFragment;
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
    /// What the code stands for.
    pub rule: Rule,
    /// The file's stem: code, underscore, name. Its fix and fixtures have the same.
    pub stem: String,
    family: CheckScope,
    suspects: Option<RowFilter>,
    first: Option<Precondition>,
    /// The table whose rows it judges (`judges:`); where there are none, there is nothing to find.
    judges: Option<String>,
    /// Whether its query compares large tables with one another (`joins: hash`).
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
        let family = CheckScope::parse(script.header("each")).with_context(|| path.to_owned())?;
        let suspects = script
            .header("reads")
            .zip(script.header("suspects"))
            .map(|(table, condition)| RowFilter { table: table.to_owned(), condition: condition.to_owned() });
        let first = script.header("first").map(Precondition::parse);
        let query = script.only_statement().with_context(|| path.to_owned())?.to_owned();
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
        Ok(Self { rule, stem, family, suspects, first, judges, joins_by_hash, query })
    }

    /// Whether it begins by comparing the whole schema with the release's.
    pub fn compares_schema(&self) -> bool {
        matches!(self.first, Some(Precondition::Objects))
    }

    /// Whether its query names a table.
    pub fn mentions(&self, table: &str) -> bool {
        // A query that is built of others' parts may read what it does not name.
        uses_variable(&self.query, "gone") || self.query.contains(&SqlFragment::ident(table).to_string())
    }

    /// What it is run for.
    pub fn scope(&self) -> CheckScope {
        self.family
    }

    /// Says which tables it is going to read from end to end, so that other checks join.
    pub fn register_scans(&self, scope: &CheckContext<'_>) {
        if self.family == CheckScope::Reference {
            orphans::register_scans(scope);
        }
        let suspects = self.suspects.as_ref().filter(|suspects| suspects.joins(scope));
        suspects.iter().for_each(|suspects| scope.readings.register(&suspects.table));
        if uses_variable(&self.query, "updates") {
            message_key_hash::register_scans(scope);
        }
    }

    /// The questions that carry it out on this database, which may be any release in the scope's range.
    ///
    /// # Errors
    /// When the file uses a variable that nobody sets.
    pub fn questions<'a>(&'a self, scope: &'a CheckContext<'a>) -> Result<Vec<Question<'a>>> {
        let catalog = scope.catalog;
        let query = conditional_sql::strip_for_release(&self.query, catalog, scope.range);
        match self.family {
            CheckScope::Once | CheckScope::Finding => Ok(vec![self.only_question(scope, query)?]),
            CheckScope::Reference => {
                let word = move |variables: &Variables| render(&query, variables).context(self.stem.clone());
                orphans::questions(scope, &(Rc::new(word) as orphans::OrphanQuery<'a>))
            }
            CheckScope::UniqueIndex => {
                let word: duplicates::DuplicateQuery<'a> =
                    Rc::new(move |variables| render(&query, variables).context(self.stem.clone()));
                let indexes = scope.unique_indexes.iter();
                let filled = indexes.filter(|index| !scope.empty.contains(&index.table));
                filled.map(|index| duplicates::question(index, scope, Rc::clone(&word))).collect()
            }
        }
    }

    /// The question of a check that asks one only.
    ///
    /// # Errors
    /// When the file uses a variable that nobody sets.
    fn only_question<'a>(&'a self, scope: &'a CheckContext<'a>, query: String) -> Result<Question<'a>> {
        if self.judges.as_ref().is_some_and(|table| scope.empty.contains(table)) {
            return Ok(Question::nothing());
        }
        let cost = pages(&query, scope.catalog);
        let begin = move || {
            let variables =
                match query_variables::query_variables(&query, scope.catalog, scope.range, scope.role)? {
                    Ok(variables) => variables,
                    Err(obstacle) => return Ok(Question::query("", cost, Err(obstacle))),
                };
            let tables: Vec<&str> = schema().tables.iter().map(|table| table.name.as_str()).collect();
            let variables = variables.text("tables", serde_json::to_string(&tables)?);
            let with = |name: &'static str| {
                let (query, variables) = (query.clone(), variables.clone());
                Rc::new(move |sql| {
                    render(&query, &variables.clone().sql(name, sql)).context(self.stem.clone())
                })
            };
            let ask = move |sql| match self.joins_by_hash {
                true => Step::query_under("sql/table_scan/hash_joins.sql", "", cost, sql),
                false => Step::query("", cost, sql),
            };
            match &self.suspects {
                Some(suspects) => suspects.question(scope, ask, with("suspects")),
                None if uses_variable(&query, "updates") => {
                    message_key_hash::question(scope, ask, with("updates"))
                }
                None => Ok(Question::step(ask(render(&query, &variables).context(self.stem.clone())?))),
            }
        };
        match &self.first {
            None => begin(),
            Some(first) => first.question(scope, begin),
        }
    }
}

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

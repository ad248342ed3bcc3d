//! What a check is carried out by: questions, each answered in steps that any connection of the snapshot can run.
//!
//! A check asks one question, or one for each thing it looks at: a reference, a unique index, or all keys of a table
//! together. A question begins with one step or several, which may run side by side in any order. When all of them are
//! done their answers come together, and either more steps follow (such as the ranges of a key, once they are known) or
//! the rows that findings are made of. A step that fails makes its question undecided, and no other.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;

use anyhow::{Context, Result, bail};
use sqlx::postgres::{PgConnection, PgRow};

use crate::database::catalog::Catalog;
use crate::database::query::query_with_settings;

/// Something that a check wants to know.
pub struct Question<'a> {
    /// What it is about, for messages; empty when the check has one question only.
    pub about: String,
    /// What to begin with, or why it cannot be asked.
    pub steps: Result<Vec<Step>, String>,
    /// What to do with the answers.
    pub then: Then<'a>,
}

/// Takes the answers of all steps, in the order of the steps.
///
/// It fails where the rows are not what the file promises; what the server refuses never comes so far.
pub type Then<'a> = Box<dyn FnOnce(Vec<StepAnswer>) -> Result<Next<'a>> + 'a>;

/// How a question goes on.
pub enum Next<'a> {
    /// With more steps, and what to do with their answers.
    Steps(Vec<Step>, Then<'a>),
    /// Not at all, as it cannot be answered; says why.
    Undecided(String),
    /// Not at all: a finding for each of these rows (see [`super::finding_row::finding_from_row`]).
    Rows(Vec<PgRow>),
}

/// One piece of work on one connection. It takes no lock but ACCESS SHARE, and leaves nothing behind in the session.
pub struct Step {
    /// What it reads, for whoever waits for it.
    pub about: String,
    /// About how many pages it reads (see [`pages`]): the most expensive step is begun first.
    pub cost: u64,
    /// Whether other steps need its answer to make theirs small: then it is begun before them.
    pub is_awaited: bool,
    work: StepWork,
}

enum StepWork {
    Query(String),
    /// With the statement that it runs, where it is one.
    Other(Box<StepFunction>, Option<String>),
}

/// Work that is more than a query. It runs behind a savepoint, as a query does.
pub type StepFunction = dyn for<'c> FnOnce(&'c mut PgConnection) -> AnswerFuture<'c>;

/// An answer that is being worked out.
pub type AnswerFuture<'c> = Pin<Box<dyn Future<Output = sqlx::Result<StepAnswer>> + 'c>>;

/// What a step brings.
#[derive(Debug)]
pub enum StepAnswer {
    /// The rows of a query.
    Rows(Vec<PgRow>),
    /// What other work made, for the question that knows what it is.
    Made(Box<dyn Any>),
}

impl<'a> Question<'a> {
    /// One query whose rows are findings; or why there is none.
    pub fn query(about: impl Into<String>, cost: u64, sql: Result<String, String>) -> Self {
        let about = about.into();
        let steps = sql.map(|sql| vec![Step::query(about.clone(), cost, sql)]);
        Self { about, steps, then: Box::new(rows) }
    }

    /// One step whose rows are findings.
    pub fn step(step: Step) -> Self {
        Self { about: step.about.clone(), steps: Ok(vec![step]), then: Box::new(rows) }
    }

    /// No question: it is known that there is nothing to find.
    pub fn nothing() -> Self {
        Self { about: String::new(), steps: Ok(Vec::new()), then: Box::new(rows) }
    }
}

/// Takes all rows of all answers for findings.
fn rows<'a>(answers: Vec<StepAnswer>) -> Result<Next<'a>> {
    let rows: Vec<Vec<PgRow>> = answers.into_iter().map(StepAnswer::rows).collect::<Result<_>>()?;
    Ok(Next::Rows(rows.into_iter().flatten().collect()))
}

impl<'a> Next<'a> {
    /// Steps whose rows are findings.
    pub fn finding(steps: Vec<Step>) -> Self {
        Self::Steps(steps, Box::new(rows))
    }
}

impl Step {
    /// One statement, rendered.
    pub fn query(about: impl Into<String>, cost: u64, sql: String) -> Self {
        Self { about: about.into(), cost, is_awaited: false, work: StepWork::Query(sql) }
    }

    /// One statement, rendered, under the settings of a file, which it leaves as they were.
    pub fn query_under(settings: &'static str, about: impl Into<String>, cost: u64, sql: String) -> Self {
        let text = sql.clone();
        let step = Self::other(about, cost, move |connection| {
            Box::pin(
                async move { query_with_settings(connection, settings, sql).await.map(StepAnswer::Rows) },
            )
        });
        match step.work {
            StepWork::Other(work, _) => Self { work: StepWork::Other(work, Some(text)), ..step },
            StepWork::Query(_) => step,
        }
    }

    /// Anything else that is done on a connection, such as reading the stream of a COPY.
    pub fn other(
        about: impl Into<String>,
        cost: u64,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> AnswerFuture<'c> + 'static,
    ) -> Self {
        Self { about: about.into(), cost, is_awaited: false, work: StepWork::Other(Box::new(work), None) }
    }

    /// The same step, begun before all that take as long and are not awaited.
    pub fn awaited(self) -> Self {
        Self { is_awaited: true, ..self }
    }

    /// The statement, where it is one.
    pub(super) fn sql(&self) -> Option<&str> {
        match &self.work {
            StepWork::Query(sql) | StepWork::Other(_, Some(sql)) => Some(sql),
            StepWork::Other(_, None) => None,
        }
    }

    /// The statement, or the other work.
    pub(super) fn into_query(self) -> Result<String, Box<StepFunction>> {
        match self.work {
            StepWork::Query(sql) => Ok(sql),
            StepWork::Other(work, _) => Err(work),
        }
    }
}

impl StepAnswer {
    /// Something that was made.
    pub fn of(made: impl Any) -> Self {
        Self::Made(Box::new(made))
    }

    /// The rows.
    ///
    /// # Errors
    /// When it is something else.
    pub fn rows(self) -> Result<Vec<PgRow>> {
        match self {
            Self::Rows(rows) => Ok(rows),
            Self::Made(_) => bail!("rows are expected of this step"),
        }
    }

    /// What other work made.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn made<T: 'static>(self) -> Result<T> {
        match self {
            Self::Made(made) => Ok(*made.downcast::<T>().ok().context("the step made something else")?),
            Self::Rows(_) => bail!("no rows are expected of this step"),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("about", &self.about).field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// About how many pages a query reads: those of all tables of Evolution's whose quoted names are in it. Give it the
/// query as it is in its file: what is filled in may name tables that are not read.
pub fn pages(query: &str, catalog: &Catalog) -> u64 {
    let quotes: Vec<usize> = memchr::memchr_iter(b'"', query.as_bytes()).collect();
    let between: BTreeSet<&str> = quotes.windows(2).map(|pair| &query[pair[0] + 1..pair[1]]).collect();
    between.into_iter().filter_map(|name| catalog.tables.get(name)).map(|table| table.pages).sum()
}

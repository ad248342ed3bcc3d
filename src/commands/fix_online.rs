//! `evodoctor fix --online`: what a fix has left for after its transaction, statement by statement. Each can be cut off, and
//! is gone on with by the next run: the ledger says what is still to be done.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnection;

use super::shared::apply::{self, retry_on_lock_timeout};
use super::shared::connect::DatabaseContext;
use crate::database::catalog::{self, Catalog, Ddl};
use crate::database::query::{self, execute, sqlstate};
use crate::error::{user_error, user_error_caused_by};
use crate::progress;
use crate::repair::change_target::ChangeTarget;
use crate::repair::deferred_ddl::{self, DeferredState, DeferredStatement, DeferredWork, StatementEnd};
use crate::repair::ledger::{self, AppliedFix, AppliedRun};
use crate::repair::locks::{self, LockRetry};
use crate::repair::privileges::{self, RequiredPrivileges};
use crate::text::duration::format_argument;

/// How long a table may take to be free, where somebody has waited long enough or pressed Ctrl-C.
const SOON: Duration = Duration::from_secs(2);

/// Refuses a session whose limits would cut a build off.
///
/// # Errors
/// Names them.
pub async fn expect_no_limits(connection: &mut PgConnection) -> Result<()> {
    let limits = deferred_ddl::session_limits(connection).await?;
    if limits.is_empty() {
        return Ok(());
    }
    Err(user_error(
        format!(
            "this session has {}, which would cut a long statement off, and evodoctor changes no session's settings; nothing \
             has been changed",
            limits.join(" and ")
        ),
        "lift it for this connection (options=-c%20statement_timeout%3D0 in the connection string, not through PgBouncer), or \
         for the role (ALTER ROLE … SET statement_timeout = 0), or leave --online away",
    ))
}

/// Goes on with what earlier runs have left to do.
///
/// # Errors
/// When a statement cannot be carried out.
pub async fn resume(opened: &mut DatabaseContext, subject: &ChangeTarget, wait: Duration) -> Result<()> {
    let mut open = unfinished(opened, subject, wait).await?;
    open.sort_by_key(|run| run.run);
    for run in open {
        progress::notice(&format!("run {} is not finished; going on with it", run.run));
        for given_up in run_deferred(opened, subject, run.run, wait).await? {
            progress::notice(&given_up);
        }
    }
    Ok(())
}

/// The runs on this schema that are not finished, newest first.
///
/// # Errors
/// When the connection is lost.
pub async fn unfinished(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    wait: Duration,
) -> Result<Vec<AppliedRun>> {
    let mut runs = runs(opened, subject, wait).await?;
    runs.retain(|run| run.target_schema == subject.schema && !run.unfinished.is_empty());
    Ok(runs)
}

/// The runs of the ledger, which may be busy.
async fn runs(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    wait: Duration,
) -> Result<Vec<AppliedRun>> {
    let connection = opened.session.connection();
    let read =
        retry_on_lock_timeout(connection, subject, LockRetry::new(wait), async |connection, attempt| {
            query::begin_transaction(connection, "BEGIN READ ONLY").await?;
            execute(connection, format!("SET LOCAL lock_timeout = {}", attempt.moment.as_millis().max(1)))
                .await?;
            ledger::read_runs(connection, &subject.schema).await.map_err(ledger::as_timeout)
        });
    let runs = unless_interrupted(read).await?;
    execute(opened.session.connection(), "ROLLBACK".into()).await?;
    Ok(runs)
}

/// Does what a run has left for later. Returns, for a person, what rows that came in meanwhile did not allow.
///
/// # Errors
/// When a statement cannot be carried out; those before it stay.
pub async fn run_deferred(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    number: i64,
    wait: Duration,
) -> Result<Vec<String>> {
    let all = runs(opened, subject, wait).await?;
    let mut run = all.into_iter().find(|run| run.run == number).context("the run is in the ledger")?;
    let mut given_up = Vec::new();
    for position in 0..run.fixes.len() {
        for at in 0..run.fixes[position].steps.later.len() {
            if run.fixes[position].steps.later[at].state != DeferredState::Open {
                continue;
            }
            expect_trusted(opened, subject, &run, position, at).await?;
            let mut step = OnlineStep { opened, subject, run: &mut run, position, at, wait };
            let done = match step.later().work {
                DeferredWork::Validate(_) => step.validate().await,
                DeferredWork::Build(_) | DeferredWork::Rebuild(_) => step.build().await,
            };
            given_up.extend(done.map_err(|error| left_to_do(error, &run))?);
        }
    }
    Ok(given_up)
}

/// Refuses a table that is somebody else's, or runs code of others: the ledger may be older than what hangs on it now.
async fn expect_trusted(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    run: &AppliedRun,
    position: usize,
    at: usize,
) -> Result<()> {
    let fix = &run.fixes[position];
    let later = &fix.steps.later[at];
    let connection = opened.session.connection();
    query::begin_transaction(connection, "BEGIN READ ONLY").await?;
    let table = match (&later.table, later.work.index()) {
        (Some(table), _) => Some(table.clone()),
        (None, Some(index)) => deferred_ddl::table_of_index(connection, &subject.schema, index).await?,
        (None, None) => None,
    };
    let catalog = Catalog::read(connection, &subject.schema).await?;
    execute(connection, "ROLLBACK".into()).await?;
    let need = RequiredPrivileges {
        code: fix.code.clone(),
        tables: table.into_iter().collect(),
        ..RequiredPrivileges::default()
    };
    privileges::expect_table_privileges(&catalog, &subject.server, need)
}

/// Says of a run that did not come to its end how it goes on.
fn left_to_do(error: anyhow::Error, run: &AppliedRun) -> anyhow::Error {
    let open = run.pending_statements();
    let what: Vec<String> = open.iter().map(|later| later.work.title()).collect();
    let (number, what) = (run.run, what.join(", "));
    let next = crate::error::explicit_hint(&error).map(|next| format!("{next}; then ")).unwrap_or_default();
    let message = format!("run {number} is committed, and left to do is {what}");
    user_error_caused_by(
        error,
        message,
        format!("{next}evodoctor fix --online --apply goes on, evodoctor undo {number} takes the run back"),
    )
}

/// Drops what interrupted statements of a run have left, as undo only knows what was finished.
///
/// # Errors
/// When the table stays busy.
pub async fn drop_leftovers(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    number: i64,
    wait: Duration,
) -> Result<()> {
    for run in unfinished(opened, subject, wait).await? {
        for later in run.pending_statements().into_iter().filter(|_| run.run == number) {
            expect_alone(opened, subject, wait).await?;
            // What a program that is gone has left at work is not wanted any more.
            deferred_ddl::cancel_statement(opened.session.connection(), later).await?;
            clean(opened, subject, later, wait).await?;
        }
    }
    Ok(())
}

/// Nobody else is changing this database.
async fn expect_alone(opened: &mut DatabaseContext, subject: &ChangeTarget, wait: Duration) -> Result<()> {
    let connection = opened.session.connection();
    let alone =
        retry_on_lock_timeout(connection, subject, LockRetry::new(wait), async |connection, attempt| {
            locks::begin_change(connection, attempt.moment).await
        });
    unless_interrupted(alone).await?;
    execute(opened.session.connection(), "ROLLBACK".into()).await?;
    Ok(())
}

/// What may be dropped anywhere ends at Ctrl-C. A transaction that is open then ends with the connection.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(user_error("interrupted", "go on when you like")),
    }
}

async fn clean(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    later: &DeferredStatement,
    wait: Duration,
) -> Result<()> {
    let connection = opened.session.connection();
    let cleaned =
        retry_on_lock_timeout(connection, subject, LockRetry::new(wait), async |connection, attempt| {
            deferred_ddl::drop_leftovers(connection, &subject.schema, attempt, &later.work).await
        });
    if unless_interrupted(cleaned).await? {
        progress::notice(&format!("what {} had left is dropped", later.work.title()));
    }
    execute(opened.session.connection(), "COMMIT".into()).await.context("the server refused to commit")?;
    Ok(())
}

/// One statement that was left for later.
struct OnlineStep<'a> {
    opened: &'a mut DatabaseContext,
    subject: &'a ChangeTarget,
    run: &'a mut AppliedRun,
    position: usize,
    at: usize,
    wait: Duration,
}

impl OnlineStep<'_> {
    fn later(&self) -> &DeferredStatement {
        &self.run.fixes[self.position].steps.later[self.at]
    }

    /// A key, in a transaction that holds no lock but SHARE UPDATE EXCLUSIVE.
    async fn validate(&mut self) -> Result<Option<String>> {
        let (subject, later, at) = (self.subject, self.later().clone(), self.at);
        let (number, position) = (self.run.run, self.position);
        let fix = &self.run.fixes[position];
        progress::notice(&format!("{}: others go on reading and writing", later.work.title()));
        let connection = self.opened.session.connection();
        let validated = retry_on_lock_timeout(
            connection,
            subject,
            LockRetry::new(self.wait),
            async |connection, attempt| {
                locks::begin_change(connection, attempt.moment).await?;
                let before = catalog::ddl(connection, &subject.schema).await?;
                execute(connection, later.sql.clone()).await?;
                let after = catalog::ddl(connection, &subject.schema).await?;
                let fix = marked(fix, at, DeferredState::Done, Some(&before), &after);
                ledger::update_fix(connection, number, position, &fix).await?;
                Ok(fix)
            },
        );
        match unless_interrupted(validated).await {
            Ok(fix) => self.commit(fix).await.map(|()| None),
            Err(error) => {
                apply::abandon(self.opened.session.connection()).await;
                let mut states = error.chain().filter_map(|cause| cause.downcast_ref()).map(sqlstate);
                // foreign_key_violation
                match states.any(|state| state.as_deref() == Some("23503")) {
                    true => {
                        self.give_up("rows that refer to nothing came in meanwhile", "EVO101").await.map(Some)
                    }
                    false => Err(error),
                }
            }
        }
    }

    /// An index, outside of any transaction.
    async fn build(&mut self) -> Result<Option<String>> {
        let later = self.later().clone();
        let name = later.work.index().unwrap_or_default().to_owned();
        expect_alone(self.opened, self.subject, self.wait).await?;
        if let Some(ended) =
            deferred_ddl::wait_for_end(self.opened.session.connection(), &later, self.wait).await
        {
            return self.ended_early(ended, &later).await;
        }
        clean(self.opened, self.subject, &later, self.wait).await?;
        let (was_there, before) = self.look(&name).await?;
        if !was_there {
            progress::notice(&format!("{}: others go on reading and writing", later.work.title()));
            let DatabaseContext { session, target, .. } = &mut *self.opened;
            match deferred_ddl::run_monitored(session.connection(), target, &later, self.wait).await? {
                StatementEnd::Done => {}
                ended => return self.ended_early(ended, &later).await,
            }
        }
        let (is_there, after) = self.look(&name).await?;
        ensure!(is_there, "the index {name:?} is not valid, although the server says that it has built it");
        // Where it was there already, the tool ended between its end and its line in the ledger.
        self.settle(DeferredState::Done, (!was_there).then_some(&before), &after).await?;
        Ok(None)
    }

    /// A build came to no end: what it has left is dropped. Returns what rows that came in meanwhile did not allow.
    async fn ended_early(
        &mut self,
        ended: StatementEnd,
        later: &DeferredStatement,
    ) -> Result<Option<String>> {
        match ended {
            StatementEnd::Done => Ok(None),
            // unique_violation
            StatementEnd::Refused(error) if sqlstate(&error).as_deref() == Some("23505") => {
                // Nobody else would drop it.
                clean(self.opened, self.subject, later, self.wait).await?;
                self.give_up("duplicate rows came in meanwhile", "EVO103").await.map(Some)
            }
            StatementEnd::Refused(error) => {
                let left = self.tidy(later).await;
                let error = anyhow::Error::new(error);
                Err(error.context(format!("the server refused it or broke off: {}{left}", later.sql)))
            }
            StatementEnd::Blocked(blockers) => {
                let left = self.tidy(later).await;
                let who: Vec<String> = blockers.iter().map(locks::Blocker::describe).collect();
                let longer = format_argument(LockRetry::new(self.wait).suggestion());
                Err(user_error(
                    format!("{} has waited long enough for {}{left}", later.work.title(), who.join("; ")),
                    locks::suggest_next_step(&blockers, &longer),
                ))
            }
            StatementEnd::Interrupted => {
                let left = self.tidy(later).await;
                Err(user_error(format!("interrupted{left}"), "go on when you like"))
            }
        }
    }

    /// Whether the index is valid, and the schema's tables.
    async fn look(&mut self, name: &str) -> Result<(bool, Ddl)> {
        let connection = self.opened.session.connection();
        query::begin_transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let is_there = deferred_ddl::is_valid(connection, &self.subject.schema, name).await?;
        let ddl = catalog::ddl(connection, &self.subject.schema).await?;
        execute(connection, "ROLLBACK".into()).await?;
        Ok((is_there, ddl))
    }

    /// Drops what the statement has left, if the table is free about now. Returns what to say of it.
    async fn tidy(&mut self, later: &DeferredStatement) -> &'static str {
        match clean(self.opened, self.subject, later, SOON).await {
            Ok(()) => "",
            Err(error) => {
                tracing::debug!("what it has left stays: {error:#}");
                apply::abandon(self.opened.session.connection()).await;
                "; what it has built so far stays for now, invalid, and is dropped by the next run"
            }
        }
    }

    /// What was to be done is left to whoever finds what stands in its way. Returns that for a person.
    async fn give_up(&mut self, why: &str, code: &str) -> Result<String> {
        let (_, ddl) = self.look("").await?;
        let title = self.later().work.title();
        let own = self.run.fixes[self.position].code.clone();
        self.settle(DeferredState::GivenUp, Some(&ddl), &ddl).await?;
        let codes = if own == code { own } else { format!("{code} {own}") };
        Ok(format!("{title} is not done: {why}; evodoctor fix {codes} --online shows them, and mends it"))
    }

    async fn settle(&mut self, state: DeferredState, before: Option<&Ddl>, after: &Ddl) -> Result<()> {
        let (number, position) = (self.run.run, self.position);
        let fix = marked(&self.run.fixes[position], self.at, state, before, after);
        let connection = self.opened.session.connection();
        let settled = retry_on_lock_timeout(
            connection,
            self.subject,
            LockRetry::new(self.wait),
            async |connection, attempt| {
                locks::begin_change(connection, attempt.moment).await?;
                ledger::update_fix(connection, number, position, &fix).await.map_err(ledger::as_timeout)
            },
        );
        unless_interrupted(settled).await?;
        self.commit(fix).await
    }

    async fn commit(&mut self, fix: AppliedFix) -> Result<()> {
        let (number, position, at) = (self.run.run, self.position, self.at);
        let is_it = move |run: &AppliedRun| {
            let fix = run.fixes.get(position).filter(|_| run.run == number);
            fix.is_some_and(|fix| {
                fix.steps.later.get(at).is_some_and(|later| later.state != DeferredState::Open)
            })
        };
        apply::commit_transaction(self.opened, number, is_it).await?;
        self.run.fixes[position] = fix;
        Ok(())
    }
}

/// The fix's line in the ledger when a statement of it is done or given up. What its tables are afterwards is what undo
/// expects, unless somebody else had changed them before.
fn marked(
    fix: &AppliedFix,
    at: usize,
    state: DeferredState,
    before: Option<&Ddl>,
    after: &Ddl,
) -> AppliedFix {
    let mut fix = fix.clone();
    fix.steps.later[at].state = state;
    for (table, ddl) in &mut fix.ddl_after {
        let is_ours = before.is_none_or(|before| before.get(table) == Some(ddl));
        if let Some(now) = after.get(table).filter(|_| is_ours) {
            ddl.clone_from(now);
        }
    }
    fix
}

//! One deferred statement of `fix --online`: a key to validate, or an index to build.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{SOON, clean, expect_alone, unless_interrupted};
use crate::commands::shared::apply::{self, retry_on_lock_timeout};
use crate::commands::shared::connect::DatabaseContext;
use crate::database::catalog::{self, Ddl};
use crate::database::query::{self, execute, sqlstate};
use crate::error::user_error;
use crate::progress;
use crate::repair::change_target::ChangeTarget;
use crate::repair::deferred_ddl::{self, DeferredState, DeferredStatement, StatementEnd};
use crate::repair::ledger::{self, AppliedFix, AppliedRun};
use crate::repair::locks::{self, LockRetry};
use crate::text::duration::format_argument;

/// One statement that was left for later.
pub(super) struct OnlineStep<'a> {
    pub opened: &'a mut DatabaseContext,
    pub subject: &'a ChangeTarget,
    pub run: &'a mut AppliedRun,
    pub position: usize,
    pub at: usize,
    pub wait: Duration,
}

impl OnlineStep<'_> {
    pub fn later(&self) -> &DeferredStatement {
        &self.run.fixes[self.position].steps.later[self.at]
    }

    /// A key, in a transaction that holds no lock but SHARE UPDATE EXCLUSIVE.
    pub async fn validate(&mut self) -> Result<Option<String>> {
        let (subject, later, at) = (self.subject, self.later().clone(), self.at);
        let (number, position) = (self.run.run, self.position);
        let fix = &self.run.fixes[position];
        progress::notice(&format!("{}; reads and writes are not blocked", later.work.title()));
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
                    true => self.give_up("orphaned rows were written since", "EVO101").await.map(Some),
                    false => Err(error),
                }
            }
        }
    }

    /// An index, outside of any transaction.
    pub async fn build(&mut self) -> Result<Option<String>> {
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
            progress::notice(&format!("{}; reads and writes are not blocked", later.work.title()));
            let DatabaseContext { session, target, .. } = &mut *self.opened;
            match deferred_ddl::run_monitored(session.connection(), target, &later, self.wait).await? {
                StatementEnd::Done => {}
                ended => return self.ended_early(ended, &later).await,
            }
        }
        let (is_there, after) = self.look(&name).await?;
        ensure!(is_there, "the index {name:?} is invalid, although its build succeeded");
        // If it exists already, the program was ended after the build and before the ledger was updated.
        self.settle(DeferredState::Done, (!was_there).then_some(&before), &after).await?;
        Ok(None)
    }

    /// A build failed: its leftovers are dropped. Returns a sentence if new rows are the reason.
    async fn ended_early(
        &mut self,
        ended: StatementEnd,
        later: &DeferredStatement,
    ) -> Result<Option<String>> {
        match ended {
            StatementEnd::Done => Ok(None),
            // unique_violation
            StatementEnd::Refused(error) if sqlstate(&error).as_deref() == Some("23505") => {
                // No other program would drop it.
                clean(self.opened, self.subject, later, self.wait).await?;
                self.give_up("duplicate rows were written since", "EVO103").await.map(Some)
            }
            StatementEnd::Refused(error) => {
                let left = self.tidy(later).await;
                let error = anyhow::Error::new(error);
                Err(error.context(format!("the server refused or cancelled it: {}{left}", later.sql)))
            }
            StatementEnd::Blocked(blockers) => {
                let left = self.tidy(later).await;
                let who: Vec<String> = blockers.iter().map(locks::Blocker::describe).collect();
                let longer = format_argument(LockRetry::new(self.wait).suggestion());
                Err(user_error(
                    format!("{} waited too long for {}{left}", later.work.title(), who.join("; ")),
                    locks::suggest_next_step(&blockers, &longer),
                ))
            }
            StatementEnd::Interrupted => {
                let left = self.tidy(later).await;
                Err(user_error(format!("interrupted{left}"), "run the same command again to continue"))
            }
        }
    }

    /// Returns whether the index is valid, and the schema's tables.
    async fn look(&mut self, name: &str) -> Result<(bool, Ddl)> {
        let connection = self.opened.session.connection();
        query::begin_transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let is_there = deferred_ddl::is_valid(connection, &self.subject.schema, name).await?;
        let ddl = catalog::ddl(connection, &self.subject.schema).await?;
        execute(connection, "ROLLBACK".into()).await?;
        Ok((is_there, ddl))
    }

    /// Drops the leftovers of the statement, if the table is free. Returns what to say about it.
    async fn tidy(&mut self, later: &DeferredStatement) -> &'static str {
        match clean(self.opened, self.subject, later, SOON).await {
            Ok(()) => "",
            Err(error) => {
                tracing::debug!("its unfinished index could not be dropped: {error:#}");
                apply::abandon(self.opened.session.connection()).await;
                "; its unfinished index stays, invalid, until the next run drops it"
            }
        }
    }

    /// The statement is given up: the check for the rows that block it will report them. Returns that for a person.
    async fn give_up(&mut self, why: &str, code: &str) -> Result<String> {
        let (_, ddl) = self.look("").await?;
        let title = self.later().work.title();
        let own = self.run.fixes[self.position].code.clone();
        self.settle(DeferredState::GivenUp, Some(&ddl), &ddl).await?;
        let codes = if own == code { own } else { format!("{code} {own}") };
        Ok(format!("{title} is not done: {why}; run evodoctor fix {codes} --online"))
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

/// Updates the fix's line in the ledger when a statement is done or given up. The state of the tables then is what undo
/// expects, unless others had changed them before.
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

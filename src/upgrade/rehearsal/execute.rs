//! Runs the files, and records what they do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::held_before::LocksHeldBefore;
use super::migration_dir::MigrationFile;
use super::statement::{
    StatementKind, adds_enum_value, empties, excerpt, left_out, milliseconds, refused, send,
};
use super::table_snapshot::TableSnapshot;
use super::{FailedStatement, FileResult, SlowStatement};
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, execute_file, is_lock_conflict, query_file, sqlstate};
use crate::database::sql_file::Variables;
use crate::database::statement_splitter::Statement;
use crate::progress::{ProgressTask, Unit};
use crate::repair::locks::{HeldLock, LockMode, LockTimeout, LockWatch};
use crate::upgrade::MigrationOutcome;

/// Statements that take less are not named.
const SLOW: Duration = Duration::from_millis(100);

/// The number of slow statements that are named.
const NAMED: usize = 3;

/// Runs and commits each file by itself, as Prisma does: for a database that can be thrown away.
pub async fn run_committed(
    connection: &mut PgConnection,
    schema: &str,
    files: &[&MigrationFile],
) -> Result<Vec<FileResult>> {
    // As on Prisma's connection, where what one file sets stays for the next.
    execute(connection, format!("SET search_path = {}", SqlFragment::ident(schema))).await?;
    FileRunner::new(connection, schema, None).every(files).await
}

/// Runs all files in the transaction that the caller has begun and is to roll back.
///
/// # Errors
/// [`LockTimeout`] when a table was busy: roll back and begin again.
pub async fn in_one_transaction(
    connection: &mut PgConnection,
    schema: &str,
    files: &[&MigrationFile],
) -> Result<Vec<FileResult>> {
    let row = sqlx::raw_sql("SELECT pg_catalog.current_setting('lock_timeout')").fetch_one(&mut *connection);
    let lock_timeout: String = row.await?.try_get(0)?;
    execute_file(connection, "sql/upgrade/connection.sql", &Variables::for_schema(schema)).await?;
    FileRunner::new(connection, schema, Some(lock_timeout)).every(files).await
}

struct FileRunner<'a> {
    connection: &'a mut PgConnection,
    schema: &'a str,
    /// The lock_timeout on a live database; `None` on one that can be thrown away.
    lock_timeout: Option<String>,
    /// The snapshot after the last statement.
    seen: TableSnapshot,
    watch: LockWatch,
    file_number: usize,
}

/// One file, while it is run.
struct FileRun<'a> {
    file: &'a MigrationFile,
    before: TableSnapshot,
    /// Tables that are gone, and since when they are locked: their locks cannot be looked up any more.
    dropped: Vec<(String, Instant)>,
    /// Locks on tables that an earlier file has locked.
    again: LocksHeldBefore,
    took: Duration,
    result: FileResult,
}

/// The amount written up to a moment.
struct WrittenRows {
    wal: i64,
    files: String,
    fresh_bytes: i64,
}

impl<'a> FileRunner<'a> {
    fn new(connection: &'a mut PgConnection, schema: &'a str, lock_timeout: Option<String>) -> Self {
        let watch = LockWatch::default();
        Self { connection, schema, lock_timeout, seen: TableSnapshot::default(), watch, file_number: 0 }
    }

    fn is_live(&self) -> bool {
        self.lock_timeout.is_some()
    }

    async fn every(mut self, files: &[&MigrationFile]) -> Result<Vec<FileResult>> {
        let mut results = Vec::new();
        let work = ProgressTask::start("rehearsing");
        work.start_phase("", Some(files.len() as u64), Unit::Steps);
        for file in files {
            tracing::debug!("rehearsing {}", file.name);
            work.set_message(&file.name);
            results.push(self.file(file).await.with_context(|| format!("while rehearsing {}", file.name))?);
            work.advance(1);
        }
        Ok(results)
    }

    async fn file(&mut self, file: &MigrationFile) -> Result<FileResult> {
        self.begin().await?;
        let (before, result) = (self.seen.clone(), FileResult::begun(file));
        let written = self.written("{}").await?;
        let mut run = FileRun {
            file,
            before,
            dropped: Vec::new(),
            again: LocksHeldBefore::default(),
            took: Duration::ZERO,
            result,
        };
        for statement in &file.statements {
            self.statement(statement, &mut run).await?;
        }
        let now = self.written(&written.files).await?;
        self.end(&mut run).await?;
        Ok(run.finished(now.wal - written.wal, now.fresh_bytes))
    }

    /// Begins what is a transaction of its own on Prisma's connection.
    async fn begin(&mut self) -> Result<()> {
        if !self.is_live() {
            execute(self.connection, "BEGIN".into()).await?;
            self.watch = LockWatch::default();
            self.file_number = 0;
        }
        self.watch.next_fix();
        self.file_number += 1;
        self.seen = TableSnapshot::read(self.connection, self.schema).await?;
        Ok(())
    }

    /// Ends it: what is deferred is checked now.
    async fn end(&mut self, run: &mut FileRun<'_>) -> Result<()> {
        run.note_locks(self.watch.held(self.file_number));
        let done = if self.is_live() {
            execute(self.connection, "SAVEPOINT evodoctor_rehearsal".into()).await?;
            let done = execute(self.connection, "SET CONSTRAINTS ALL IMMEDIATE".into()).await;
            if done.is_err() {
                execute(self.connection, "ROLLBACK TO SAVEPOINT evodoctor_rehearsal".into()).await?;
            }
            execute(self.connection, "RELEASE SAVEPOINT evodoctor_rehearsal".into()).await?;
            done
        } else {
            execute(self.connection, "COMMIT".into()).await
        };
        match (done, run.file.statements.last()) {
            (Err(error), Some(last)) => run.refuse(refused(last, error)?),
            (Err(error), None) => return Err(error.into()),
            (Ok(_), _) => {}
        }
        Ok(())
    }

    async fn statement(&mut self, statement: &Statement, run: &mut FileRun<'_>) -> Result<()> {
        match StatementKind::from_statement(statement) {
            StatementKind::Plain => self.plain(statement, run).await?,
            // In a query of several statements it makes the transaction one that only COMMIT ends.
            StatementKind::Begins => {}
            StatementKind::Commits => {
                if !self.is_live() {
                    self.end(run).await?;
                    self.begin().await?;
                }
                run.result.commits.push(statement.line);
            }
            StatementKind::RollsBack | StatementKind::OtherControl => run.result.not_rehearsed.push(
                left_out(statement, "it ends or splits the transaction, which the rehearsal does not do"),
            ),
            StatementKind::Copies => run.refuse(FailedStatement {
                line: statement.line,
                sqlstate: None,
                message: "it copies rows from or to the client, which Prisma does not support".into(),
                detail: None,
                statement: excerpt(statement),
                committed_up_to: None,
            }),
        }
        Ok(())
    }

    async fn plain(&mut self, statement: &Statement, run: &mut FileRun<'_>) -> Result<()> {
        let started = Instant::now();
        self.savepoint().await?;
        let mut took = match self.send(statement).await? {
            Ok(took) => took,
            Err(error) => return self.refusal(statement, error, run).await,
        };
        let mut now = TableSnapshot::read(self.connection, self.schema).await?;
        let gone = now.gone_since(&self.seen, empties(statement));
        if !gone.is_empty() {
            // What goes can be counted only as long as it is there.
            execute(self.connection, "ROLLBACK TO SAVEPOINT evodoctor_rehearsal".into()).await?;
            self.seen = TableSnapshot::read(self.connection, self.schema).await?;
            for one in &gone {
                let counts = run.result.rows.entry(one.table.clone()).or_default();
                one.count(self.connection, counts).await?;
            }
            took = match self.send(statement).await? {
                Ok(took) => took,
                Err(error) => return self.refusal(statement, error, run).await,
            };
            now = TableSnapshot::read(self.connection, self.schema).await?;
        }
        execute(self.connection, "RELEASE SAVEPOINT evodoctor_rehearsal".into()).await?;
        run.again.note(statement, &self.watch.held_before(self.file_number), started);
        self.watch.record_locks_since(self.connection, started).await?;
        run.dropped.extend(now.dropped_since(&self.seen).into_iter().map(|table| (table, started)));
        now.add_rows(&self.seen, &mut run.result.rows);
        self.seen = now;
        run.note_time(statement, took);
        Ok(())
    }

    /// A file may set how long to wait for locks; on a live database that is ours to say.
    async fn savepoint(&mut self) -> Result<()> {
        let mut sql = "SAVEPOINT evodoctor_rehearsal".to_owned();
        if let Some(wait) = &self.lock_timeout {
            sql.push_str(&format!("; SET LOCAL lock_timeout = {}", SqlFragment::literal(wait)));
        }
        execute(self.connection, sql).await.context("the rehearsal's transaction is gone")?;
        Ok(())
    }

    /// Sends a statement behind the savepoint, and goes back there when the server refuses it.
    async fn send(&mut self, statement: &Statement) -> Result<sqlx::Result<Duration>> {
        let error = match send(self.connection, statement).await {
            Ok(took) => return Ok(Ok(took)),
            Err(error) => error,
        };
        if error.as_database_error().is_none() {
            return Err(error).context("the connection was lost");
        }
        if self.is_live() && is_lock_conflict(&error) {
            let tables = self.seen.own_tables();
            let (schema, mode) = (self.schema.to_owned(), LockMode::AccessExclusive);
            return Err(LockTimeout { schema, tables, mode, is_sure: true }.into());
        }
        let back = "ROLLBACK TO SAVEPOINT evodoctor_rehearsal; RELEASE SAVEPOINT evodoctor_rehearsal";
        execute(self.connection, back.into()).await?;
        // What a refused statement tried is counted, too.
        self.seen = TableSnapshot::read(self.connection, self.schema).await?;
        Ok(Err(error))
    }

    /// Reports also what only Prisma would meet.
    async fn refusal(
        &mut self,
        statement: &Statement,
        error: sqlx::Error,
        run: &mut FileRun<'_>,
    ) -> Result<()> {
        let sqlstate = sqlstate(&error).unwrap_or_default();
        // A query of several statements is in a transaction by itself: there Prisma meets the same.
        let wants_none = matches!(sqlstate.as_str(), "25001" | "2D000") && run.file.statements.len() == 1;
        let is_own_value = || run.file.statements.iter().any(adds_enum_value);
        let reason = match sqlstate.as_str() {
            _ if wants_none && !self.is_live() => return self.without_transaction(statement, run).await,
            _ if wants_none => {
                "it cannot run in a transaction; Prisma runs it by itself, as the file's only statement"
            }
            "55P04" if self.is_live() && !is_own_value() => {
                "it uses an enum's new value in the transaction that adds it; Prisma commits between the two"
            }
            "42501" if !self.is_live() => "the role on the throwaway server may not do it",
            _ => {
                run.refuse(refused(statement, error)?);
                return Ok(());
            }
        };
        run.result.not_rehearsed.push(left_out(statement, reason));
        Ok(())
    }

    async fn without_transaction(&mut self, statement: &Statement, run: &mut FileRun<'_>) -> Result<()> {
        execute(self.connection, "ROLLBACK".into()).await?;
        match send(self.connection, statement).await {
            Ok(took) => run.note_time(statement, took),
            Err(error) => run.refuse(refused(statement, error)?),
        }
        self.begin().await
    }

    async fn written(&mut self, before: &str) -> Result<WrittenRows> {
        let variables = Variables::default().text("before", before);
        let rows = query_file(self.connection, "sql/upgrade/written.sql", &variables).await?;
        let row = rows.first().context("the server did not answer")?;
        Ok(WrittenRows {
            wal: row.try_get("wal")?,
            files: row.try_get("files")?,
            fresh_bytes: row.try_get("fresh_bytes")?,
        })
    }
}

impl FileRun<'_> {
    fn refuse(&mut self, mut refused: FailedStatement) {
        refused.committed_up_to = self.result.commits.last().copied();
        self.result.errors.push(refused);
    }

    /// A table that the file itself creates blocks nobody.
    fn note_locks(&mut self, mut held: Vec<HeldLock>) {
        held.extend(self.again.held());
        for (table, since) in self.dropped.drain(..) {
            held.retain(|lock| lock.table != table);
            let (mode, held_ms) = ("AccessExclusiveLock".to_owned(), milliseconds(since.elapsed()));
            held.push(HeldLock { table, mode, held_ms });
        }
        for lock in held.into_iter().filter(|lock| self.before.has(&lock.table)) {
            match self.result.locks.iter_mut().find(|known| known.table == lock.table) {
                Some(known) if known.held_ms >= lock.held_ms => {}
                Some(known) => *known = lock,
                None => self.result.locks.push(lock),
            }
        }
    }

    fn note_time(&mut self, statement: &Statement, took: Duration) {
        self.took += took;
        if took >= SLOW {
            let duration_ms = milliseconds(took);
            let slow = SlowStatement { line: statement.line, statement: excerpt(statement), duration_ms };
            self.result.slow.push(slow);
        }
    }

    fn finished(self, wal_bytes: i64, new_file_bytes: i64) -> FileResult {
        let mut result = self.result;
        result.rows.retain(|_, rows| *rows != Default::default());
        result.slow.sort_by_key(|slow| std::cmp::Reverse(slow.duration_ms));
        result.slow.truncate(NAMED);
        result.duration_ms = milliseconds(self.took);
        (result.wal_bytes, result.new_file_bytes) = (wal_bytes, new_file_bytes);
        result.outcome = match (result.errors.is_empty(), result.not_rehearsed.is_empty()) {
            (false, _) => MigrationOutcome::Fails,
            (true, false) => MigrationOutcome::Undecided,
            _ if result.losses().next().is_some() => MigrationOutcome::LosesData,
            _ => MigrationOutcome::Passes,
        };
        result
    }
}

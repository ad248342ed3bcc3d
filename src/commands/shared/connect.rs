//! The first steps of every command on a database: connect, find the schema, find out the release.

use anyhow::Result;

use crate::cli::GlobalOptions;
use crate::commands::shared::resolve_target;
use crate::database::catalog::{self, Catalog, ServerInfo};
use crate::database::restore::RestoredDump;
use crate::database::session::Session;
use crate::database::url::ConnectTarget;
use crate::error::user_error;
use crate::evolution::release::{MigrationHistory, ReleaseRange};
use crate::interrupt;
use crate::repair::change_target::ChangeTarget;
use crate::report::{DatabaseInfo, ReleaseInfo, expect_writable};

/// An open database and what it is.
pub struct DatabaseContext {
    /// The connection.
    pub session: Session,
    /// The target of further connections.
    pub target: ConnectTarget,
    /// The server and the session on it.
    pub server: ServerInfo,
    /// Evolution's schema.
    pub schema: String,
    /// Tables and keys.
    pub catalog: Catalog,
    /// The release according to the migration history; `None` without one.
    pub history: Option<MigrationHistory>,
    /// The dump it comes from, where it does; its server ends with this value.
    pub restored: Option<RestoredDump>,
}

impl DatabaseContext {
    /// Connects and reads the catalog in one read-only snapshot, which stays open.
    ///
    /// # Errors
    /// When there is no connection, no Evolution schema, or more than one.
    pub async fn connect_snapshot(common: &GlobalOptions) -> Result<Self> {
        let (target, restored) = target(common).await?;
        let mut session = Session::open(&target).await?;
        if let Some(restored) = &restored {
            session.set_display_name(restored.database_name());
        }
        session.begin_snapshot().await?;
        let server = ServerInfo::read(&mut session).await?;
        let connection = session.connection();
        let schema = catalog::find_schema(connection, target.schema.as_deref(), &server.database).await?;
        let catalog = Catalog::read(connection, &schema).await?;
        let history = catalog::migration_history(connection, &catalog).await?;
        let history = history.map(|rows| MigrationHistory::from_rows(&rows));
        Ok(Self { session, target, server, schema, catalog, history, restored })
    }

    /// The same, with the snapshot ended, for a command that changes something, for good where it `applies`.
    ///
    /// # Errors
    /// Also when the server is a standby, when a dump is to be changed for good, and when the report could not be
    /// written afterwards.
    pub async fn connect_for_write(common: &GlobalOptions, applies: bool) -> Result<Self> {
        if applies {
            expect_live(
                common,
                "--apply needs a database: what a dump is restored into is removed afterwards",
            )?;
        }
        expect_writable(common.output.as_deref())?;
        let mut opened = Self::connect_snapshot(common).await?;
        opened.session.end_snapshot().await?;
        opened.expect_primary()?;
        Ok(opened)
    }

    /// Refuses a server that takes no changes.
    pub fn expect_primary(&self) -> Result<()> {
        if self.server.in_recovery {
            return Err(user_error(
                "this server is a standby (in recovery): nothing can be changed on it, not even in a dry run",
                "connect to the primary; evodoctor check works here",
            ));
        }
        Ok(())
    }

    /// True if the users' triggers may fire: those of a dump do no harm, and `--apply` intends it.
    pub fn may_fire(&self, applies: bool, allowed: &[String]) -> bool {
        applies || self.restored.is_some() || allowed.iter().any(|hazard| hazard == "fires-triggers")
    }

    /// The releases it may be.
    pub fn release_range(&self) -> Option<ReleaseRange> {
        self.history.as_ref().and_then(|history| history.range)
    }

    /// The database as the target of a change.
    pub fn change_target(&self) -> ChangeTarget {
        ChangeTarget { server: self.server.clone(), schema: self.schema.clone(), range: self.release_range() }
    }

    fn is_history_hidden(&self) -> bool {
        self.catalog.tables.get("_prisma_migrations").is_some_and(|table| !table.is_readable)
    }

    /// For the report's head.
    pub fn database_info(&self) -> DatabaseInfo {
        DatabaseInfo {
            server_version: self.server.version.clone(),
            schema: self.schema.clone(),
            host: self.session.server.clone(),
            name: self.server.database.clone(),
            is_history_hidden: self.is_history_hidden(),
            restore: self.restored.as_ref().map(|restored| restored.origin.clone().into()),
        }
    }

    /// For the report's head.
    pub fn release_info(&self) -> Option<ReleaseInfo> {
        self.history.as_ref().map(ReleaseInfo::from_history)
    }
}

/// Where to connect: to the database that is named, or to what a dump was restored into.
async fn target(common: &GlobalOptions) -> Result<(ConnectTarget, Option<RestoredDump>)> {
    let Some(dump) = &common.snapshot else { return Ok((resolve_target::resolve_target(common)?, None)) };
    let restored = RestoredDump::restore(dump).await?;
    let target = ConnectTarget {
        options: restored.connect_options(),
        schema: common.schema.clone(),
        connect_timeout: None,
        connection_limit: None,
        fallback: None,
        compose: None,
        files: Vec::new(),
    };
    Ok((target, Some(restored)))
}

/// Refuses what makes no sense on a dump.
pub fn expect_live(common: &GlobalOptions, why: &str) -> Result<()> {
    match &common.snapshot {
        None => Ok(()),
        Some(_) => Err(user_error(
            why,
            "without --apply, a dry run on the dump shows what would be done; to repair the database itself: \
             --database-url URL",
        )),
    }
}

/// Waits for Ctrl-C while a dump is open. A command on a dump is then dropped, and its server goes with it.
pub async fn interrupted_on_dump(common: &GlobalOptions) -> anyhow::Error {
    match common.snapshot {
        None => std::future::pending().await,
        Some(_) => wait_for_ctrl_c().await,
    }
}

/// Waits for Ctrl-C while there is a throwaway server to be removed.
pub async fn wait_for_ctrl_c() -> anyhow::Error {
    interrupt::requested().await;
    user_error(
        "interrupted; the throwaway server is stopped and removed, with all that was in it",
        "run it again",
    )
}

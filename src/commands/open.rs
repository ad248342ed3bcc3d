//! What every command on a database begins with: connect, find the schema, know the release.

use anyhow::Result;

use crate::cli::Common;
use crate::database::catalog::{self, Catalog, Server};
use crate::database::session::{self, Session};
use crate::database::url::Target;
use crate::evolution::release::{History, ReleaseRange};
use crate::exit::failure;
use crate::repair::rehearsal::Subject;
use crate::report::{DatabaseInfo, ReleaseInfo, expect_writable};

/// An open database and what it is.
pub struct Opened {
    /// The connection.
    pub session: Session,
    /// How to connect again.
    pub target: Target,
    /// The server and the session on it.
    pub server: Server,
    /// Evolution's schema.
    pub schema: String,
    /// Tables and keys.
    pub catalog: Catalog,
    /// What the migration history says; `None` without one.
    pub history: Option<History>,
}

impl Opened {
    /// Connects and looks around in one read-only snapshot, which stays open.
    ///
    /// # Errors
    /// When there is no connection, no Evolution schema, or more than one.
    pub async fn snapshot(common: &Common) -> Result<Self> {
        let target = session::choose(common)?;
        let mut session = Session::open(&target).await?;
        session.begin_snapshot().await?;
        let server = Server::read(&mut session).await?;
        let connection = session.connection();
        let schema = catalog::find_schema(connection, target.schema.as_deref(), &server.database).await?;
        let catalog = Catalog::read(connection, &schema).await?;
        let history = catalog::migration_history(connection, &catalog).await?;
        let history = history.map(|rows| History::read(&rows));
        Ok(Self { session, target, server, schema, catalog, history })
    }

    /// The same, with the snapshot ended, for a command that changes something.
    ///
    /// # Errors
    /// Also when the server is a standby, and when the report could not be written afterwards.
    pub async fn for_change(common: &Common) -> Result<Self> {
        expect_writable(common.output.as_deref())?;
        let mut opened = Self::snapshot(common).await?;
        opened.session.end_snapshot().await?;
        if opened.server.in_recovery {
            return Err(failure(
                "this server is a standby (in recovery): nothing can be changed on it, not even in a rehearsal",
                "connect to the primary; evodoctor check works here",
            ));
        }
        Ok(opened)
    }

    /// The releases it may be.
    pub fn range(&self) -> Option<ReleaseRange> {
        self.history.as_ref().and_then(|history| history.range)
    }

    /// What a change is made to.
    pub fn subject(&self) -> Subject {
        Subject { server: self.server.clone(), schema: self.schema.clone(), range: self.range() }
    }

    /// For the report's head.
    pub fn database_info(&self) -> DatabaseInfo {
        DatabaseInfo {
            server_version: self.server.version.clone(),
            schema: self.schema.clone(),
            host: self.session.server.clone(),
            name: self.server.database.clone(),
        }
    }

    /// For the report's head.
    pub fn release_info(&self) -> Option<ReleaseInfo> {
        self.history.as_ref().map(ReleaseInfo::of)
    }
}

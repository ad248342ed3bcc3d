//! The databases on a throwaway server that a dump is restored into: one, or one for each that the dump connects to.

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::OWNER;
use crate::database::query::execute_file;
use crate::database::scratch_server::ScratchServer;
use crate::database::sql_file::Variables;

/// Character classes that know every letter, where the system has them; else those that know ASCII.
const CHARACTER_TYPES: [&str; 4] = ["C.UTF-8", "C.utf8", "UTF-8", "C"];

/// The databases, and the connection to the one in use.
pub struct RestoredDatabases<'a> {
    server: &'a ScratchServer,
    connection: PgConnection,
    /// The name of the database in use.
    current: String,
    /// Each with its name in the dump, if the dump has it.
    made: Vec<(Option<String>, String)>,
}

impl<'a> RestoredDatabases<'a> {
    /// Makes the owner and the first database.
    pub async fn new(server: &'a ScratchServer) -> Result<Self> {
        let mut admin = server.connect_options("postgres").connect().await?;
        execute_file(&mut admin, "sql/restore/owner.sql", &variables("")).await?;
        admin.close().await?;
        let name = make(server, 1).await?;
        let connection = connect_options(server, &name).connect().await?;
        Ok(Self { server, connection, current: name.clone(), made: vec![(None, name)] })
    }

    /// One that was made before.
    pub async fn attach(server: &'a ScratchServer, name: &str) -> Result<Self> {
        let connection = connect_options(server, name).connect().await?;
        Ok(Self { server, connection, current: name.to_owned(), made: vec![(None, name.to_owned())] })
    }

    /// A superuser's connection to the database in use, for what only that may say of a throwaway server's own copy.
    pub async fn connect_admin(&self) -> Result<PgConnection> {
        Ok(self.server.connect_options(&self.current).connect().await?)
    }

    /// The connection in use.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Returns the options for a connection to the first one.
    pub fn first(&self) -> PgConnectOptions {
        connect_options(self.server, &self.made[0].1)
    }

    /// Goes over to a database of the dump's, made when it is new.
    pub async fn switch(&mut self, dumped: &str) -> Result<()> {
        let known = self.made.iter().find(|(name, _)| name.as_deref() == Some(dumped));
        let name = match known {
            Some((_, name)) => name.clone(),
            None => {
                let name = make(self.server, self.made.len() + 1).await?;
                self.made.push((Some(dumped.to_owned()), name.clone()));
                name
            }
        };
        self.connection = connect_options(self.server, &name).connect().await?;
        self.current = name;
        Ok(())
    }

    /// All of them, each with its name in the dump, if the dump has it.
    pub fn into_names(self) -> Vec<(Option<String>, String)> {
        self.made
    }
}

/// Returns the options for a connection to a restored database: as its owner, never as superuser, because the dump's
/// triggers and functions run with the rights of the role that touches its tables.
pub fn connect_options(server: &ScratchServer, database: &str) -> PgConnectOptions {
    server.connect_options(database).username(OWNER).extra_float_digits(None).statement_cache_capacity(0)
}

async fn make(server: &ScratchServer, number: usize) -> Result<String> {
    let name = format!("snapshot_{number}");
    let mut admin = server.connect_options("postgres").connect().await?;
    let mut made = Ok(());
    for character_type in CHARACTER_TYPES {
        let variables = variables(&name).text("ctype", character_type);
        made = execute_file(&mut admin, "sql/restore/database.sql", &variables).await;
        if made.is_ok() {
            break;
        }
    }
    made?;
    admin.close().await?;
    let mut inside = server.connect_options(&name).connect().await?;
    execute_file(&mut inside, "sql/restore/public.sql", &variables("")).await?;
    inside.close().await?;
    Ok(name)
}

fn variables(database: &str) -> Variables {
    Variables::default().text("owner", OWNER).text("database", database)
}

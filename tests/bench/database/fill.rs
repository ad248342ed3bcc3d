//! The database that is measured: a release's tables, filled by the scripts next to this file.

use anyhow::Result;
use evodoctor::database::ident::SqlFragment;
use evodoctor::database::query::execute;
use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::sql_file::{SqlFile, Variables, render};
use evodoctor::evolution::release::Release;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};

use super::distributions::Distribution;

/// Evolution's schema in it.
pub const SCHEMA: &str = "evolution_api";

/// The name of the database.
pub const DATABASE: &str = "bench";

const RELEASE: &str = "2.3.7";

/// In order; the last two do not need each other.
const SMALL: &str = include_str!("small.sql");
const LARGE: [&str; 2] = [include_str!("messages.sql"), include_str!("updates.sql")];

const DISTRIBUTION: &str = include_str!("distribution.sql");

/// Makes the tables and fills them with so many messages and all that belongs to them. Secondary indexes are built
/// afterwards, but for that of chats, which is left out: there are duplicates. Not vacuumed, not analysed.
///
/// # Errors
/// When the server refuses.
pub async fn fill(options: &PgConnectOptions, messages: u64) -> Result<()> {
    let mut connection = options.connect().await?;
    let release = Release::find(RELEASE).expect("a known release");
    create_release_schema(&mut connection, SCHEMA, release).await?;
    let indexes = take_indexes(&mut connection).await?;
    run(&mut connection, SMALL, messages).await?;
    let (mut one, mut other) = (options.connect().await?, options.connect().await?);
    let (one, other) = tokio::join!(run(&mut one, LARGE[0], messages), run(&mut other, LARGE[1], messages));
    one.and(other)?;
    for index in indexes {
        execute(&mut connection, index).await?;
    }
    Ok(())
}

/// Makes the tables and fills every large one with so many rows, in a distribution. Indexes that refuse its rows are left out.
///
/// # Errors
/// When the server refuses.
pub async fn distribute(options: &PgConnectOptions, rows: u64, distribution: &Distribution) -> Result<()> {
    let mut connection = options.connect().await?;
    let release = Release::find(RELEASE).expect("a known release");
    create_release_schema(&mut connection, SCHEMA, release).await?;
    let indexes = take_indexes(&mut connection).await?;
    execute(&mut connection, "SET session_replication_role = replica".into()).await?;
    let variables = Variables::for_schema(SCHEMA)
        .text("rows", rows.to_string())
        .text("instances", distribution.instances.to_string())
        .text("broken", if distribution.is_broken { "true" } else { "false" });
    for statement in SqlFile::parse(DISTRIBUTION).statements {
        execute(&mut connection, render(&statement, &variables)?).await?;
    }
    for index in indexes {
        let is_unique = index.starts_with("CREATE UNIQUE");
        let made = execute(&mut connection, index).await;
        if !(is_unique && distribution.is_broken) {
            made?;
        }
    }
    if distribution.is_analysed {
        execute(&mut connection, "VACUUM (ANALYZE)".into()).await?;
    }
    Ok(())
}

/// Drops the secondary indexes; returns what makes those again that hold.
async fn take_indexes(connection: &mut PgConnection) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT c.relname::text, pg_get_indexdef(c.oid) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
         WHERE c.relnamespace = $1::text::regnamespace AND NOT i.indisprimary AND i.indrelid IN (
            SELECT oid FROM pg_class WHERE relname IN ('Message', 'MessageUpdate', 'Contact', 'Chat', 'Media', 'Label'))",
    )
    .bind(SCHEMA)
    .fetch_all(&mut *connection)
    .await?;
    let mut kept = Vec::new();
    for row in rows {
        let name: String = row.get(0);
        execute(connection, format!("DROP INDEX {}", SqlFragment::qualified(SCHEMA, &name))).await?;
        if name != "Chat_instanceId_remoteJid_key" {
            kept.push(row.get(1));
        }
    }
    Ok(kept)
}

async fn run(connection: &mut PgConnection, text: &str, messages: u64) -> Result<()> {
    // No trigger: that is how orphans come about.
    execute(connection, "SET session_replication_role = replica".into()).await?;
    let variables = Variables::for_schema(SCHEMA).text("messages", messages.to_string());
    for statement in SqlFile::parse(text).statements {
        execute(connection, render(&statement, &variables)?).await?;
    }
    Ok(())
}

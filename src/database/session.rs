use super::url::Target;
use crate::cli::Common;
use anyhow::Result;
use sqlx::ConnectOptions;
use sqlx::postgres::*;
pub struct Session {
    pub connection: PgConnection,
}
pub fn choose(common: &Common) -> Result<Target> {
    Ok(Target { options: common.database_url.as_deref().unwrap().parse()?, schema: None })
}
pub fn is_named(common: &Common) -> bool {
    common.database_url.is_some()
}
impl Session {
    pub async fn open(t: &Target) -> Result<Self> {
        Ok(Self { connection: t.options.connect().await? })
    }
    pub async fn begin_snapshot(&mut self) -> Result<()> {
        super::run::execute(&mut self.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".into())
            .await?;
        super::run::execute(&mut self.connection, "SET LOCAL search_path = pg_catalog, pg_temp".into())
            .await?;
        Ok(())
    }
    pub async fn end(&mut self) -> Result<()> {
        super::run::execute(&mut self.connection, "ROLLBACK".into()).await?;
        Ok(())
    }
}

//! Batches pause for sessions that wait for a lock, and for standbys that are behind.

use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use crate::progress;
use crate::repair::adaptive_batch::ServerLoad;

/// Between two batches.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Between two looks at a busy server.
const BUSY: Duration = Duration::from_secs(1);

/// Waits until no session waits for a lock and standbys have caught up.
pub async fn wait_while_busy(connection: &mut PgConnection) -> Result<()> {
    let mut said = String::new();
    while let Some(obstacle) = ServerLoad::read(connection).await?.busy_reason() {
        if obstacle != said {
            progress::notice(&format!("waiting: {obstacle}"));
            said = obstacle;
        }
        tokio::time::sleep(BUSY).await;
    }
    Ok(())
}

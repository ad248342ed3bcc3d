//! Reads what a check has subscribed to, chunk by chunk, as tasks of its question.

use futures_util::future::join_all;

use super::check_error::CheckResult;
use super::table_scan::{ChunkPart, Subscription};
use super::task_group::TaskGroup;

/// The parts of all chunks, in their order; empty for a set of hashes, and if they were taken already. `about` names the task in the
/// progress line if this subscriber is the first to ask for a chunk.
///
/// # Errors
/// Undecided when a chunk cannot be read.
pub async fn read_scan(
    subscription: &Subscription,
    group: &TaskGroup<'_, '_>,
    about: &str,
) -> CheckResult<Vec<ChunkPart>> {
    let chunks = (0..subscription.chunk_count()).map(|chunk| read_chunk(subscription, group, about, chunk));
    let parts: Vec<Option<ChunkPart>> = join_all(chunks).await.into_iter().collect::<Result<_, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// The part of one chunk. It can be taken once.
///
/// # Errors
/// As [`read_scan`].
pub async fn read_chunk(
    subscription: &Subscription,
    group: &TaskGroup<'_, '_>,
    about: &str,
    chunk: usize,
) -> CheckResult<Option<ChunkPart>> {
    let scan = &subscription.scan;
    // A future that is not polled if the chunk has been read already.
    let read = group.run(scan.task(about), async |connection| scan.read(connection, chunk).await);
    scan.part(chunk, subscription.number, read).await
}

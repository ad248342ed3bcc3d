//! Removes the leftovers of servers whose owner and guard both died at once: a machine that was reset, a container that
//! was killed.
//!
//! Every owner holds a lock on the file `owner` in its server's directory; the kernel gives it back when the owner
//! ends, however it ends. A server that still runs on a directory that is gone ends by itself within a minute,
//! because Postgres watches its own lock file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::{PREFIX, unprivileged_user};

/// The file that an owner holds.
const MARK: &str = "owner";

/// Marks a directory as owned by a living process. The file gets its name when it is locked, so it is never seen
/// unlocked while its owner lives.
pub fn mark_in_use(directory: &Path) -> io::Result<File> {
    let draft = directory.join("owner.new");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.lock()?;
    fs::rename(draft, directory.join(MARK))?;
    Ok(file)
}

/// Removes what dead owners left in `place`. What is not certainly ours is left alone: by name, by user (also behind
/// symbolic links, which are never followed), and by a mark that no process holds.
pub fn remove_stale(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.filter_map(Result::ok) {
        let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let directory = entry.path();
        if is_named && is_own(&directory) && has_dead_owner(&directory) {
            tracing::debug!(directory = %directory.display(), "removing what an earlier run left behind");
            if let Err(error) = fs::remove_dir_all(&directory) {
                tracing::debug!(%error, "not removed");
            }
        }
    }
}

/// True if it is a private directory of this user's, or of the one that root's servers run as.
fn is_own(directory: &Path) -> bool {
    let Ok(data) = fs::symlink_metadata(directory) else { return false };
    let us = rustix::process::geteuid().as_raw();
    let is_ours =
        data.uid() == us || us == 0 && unprivileged_user().is_ok_and(|(user, _)| user == data.uid());
    data.is_dir() && data.mode() & 0o077 == 0 && is_ours
}

fn has_dead_owner(directory: &Path) -> bool {
    let mark = directory.join(MARK);
    let is_file = fs::symlink_metadata(&mark).is_ok_and(|data| data.is_file());
    is_file && File::open(mark).is_ok_and(|file| file.try_lock().is_ok())
}

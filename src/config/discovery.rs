//! Finds the file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::error::user_error;

/// The file's name.
pub const NAME: &str = "evodoctor.toml";

/// The nearest file in this folder or one above it, up to the one that holds `.git`, or the root.
///
/// # Errors
/// When it belongs to somebody else: whoever may write above the folder that one works in would decide which database is
/// examined, and what is ignored.
pub fn find_config(folder: &Path) -> Result<Option<PathBuf>> {
    for above in folder.ancestors() {
        let file = above.join(NAME);
        if file.is_file() {
            expect_trusted(&file, folder)?;
            return Ok(Some(file));
        }
        if above.join(".git").exists() {
            break;
        }
    }
    Ok(None)
}

/// The owner has to be the current user, root, or the owner of the working directory.
fn expect_trusted(file: &Path, folder: &Path) -> Result<()> {
    let owner = |path: &Path| {
        fs::metadata(path)
            .map(|data| data.uid())
            .with_context(|| format!("{} cannot be read", path.display()))
    };
    let (of_file, of_folder) = (owner(file)?, owner(folder)?);
    if [0, rustix::process::geteuid().as_raw(), of_folder].contains(&of_file) {
        return Ok(());
    }
    let shown = file.display();
    Err(user_error(
        format!(
            "{shown} is not trusted: it belongs neither to you nor to the owner of this folder (but to user \
             {of_file})"
        ),
        format!("if you trust it: --config {shown}; to ignore it: --no-config"),
    ))
}

//! Output files: regular files are written whole or not at all; a device, a pipe or a link to one is written into, not
//! replaced.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// The permissions of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// The user alone: it may hold rows.
    Owner,
    /// Everybody, as a collector is another user.
    Everybody,
    /// According to the user's umask.
    Umask,
}

impl FileAccess {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o644,
            Self::Umask => 0o666,
        }
    }
}

/// True if there is something at the path that is not a file, such as a device, a FIFO, or a link to one.
pub fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Writes into what is there; a file that is made is for these readers, and one that is there stays for its own.
pub fn write_through(path: &Path, content: &[u8], readers: FileAccess) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if !is_special(path) {
        options.create(true).truncate(true).mode(readers.mode());
    }
    options.open(path)?.write_all(content)
}

/// Replaces a file as a whole, so that nobody reads half of it. Through a link the file behind it is replaced; anything
/// that is not a regular file is written into.
pub fn replace_file(path: &Path, content: &[u8], readers: FileAccess) -> io::Result<()> {
    if is_special(path) {
        return write_through(path, content, readers);
    }
    let path = target(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Collectors pass over what has no ending.
    let mut file = Builder::new().prefix(".evodoctor-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().set_permissions(Permissions::from_mode(readers.mode()))?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// The file behind a link.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn files_are_replaced_and_links_to_them_stay() {
        let folder = TempDir::new().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        replace_file(&file, b"one", FileAccess::Owner).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        symlink(&file, &link).unwrap();
        replace_file(&link, b"two", FileAccess::Owner).unwrap();
        assert_eq!((fs::read(&file).unwrap(), fs::read(&link).unwrap()), (b"two".to_vec(), b"two".to_vec()));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        write_through(&link, b"3", FileAccess::Umask).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"3");
    }

    #[test]
    fn devices_are_written_into() {
        let folder = TempDir::new().unwrap();
        let link = folder.path().join("null");
        symlink("/dev/null", &link).unwrap();
        for path in [&link, Path::new("/dev/null")] {
            replace_file(path, b"x", FileAccess::Everybody).unwrap();
            write_through(path, b"x", FileAccess::Owner).unwrap();
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(is_special(Path::new("/dev/null")));
        assert!(write_through(Path::new("/dev/full"), b"x", FileAccess::Owner).is_err());
    }
}

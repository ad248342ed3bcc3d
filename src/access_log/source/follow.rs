//! Sources that have no end yet.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::access_log::read_progress::ReadProgress;

/// The longest wait for more data before the stop request is checked.
const PATIENCE: Duration = Duration::from_millis(200);

/// A pipe: waits for bytes, and ends when it is time to stop.
pub(super) struct FollowedPipe {
    file: File,
    progress: Arc<ReadProgress>,
}

impl FollowedPipe {
    pub fn new(file: File, progress: Arc<ReadProgress>) -> Self {
        Self { file, progress }
    }
}

impl Read for FollowedPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
        while !self.progress.is_stopped() {
            let mut waited = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut waited, Some(&patience)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.file.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

/// A file that is being written: waits for more at its end, and continues with the new file after a rotation.
pub(super) struct FollowedFile {
    path: PathBuf,
    file: File,
    /// The position up to which it is read, in bytes.
    at: u64,
    /// True if what was read ends with a line.
    ends_line: bool,
    progress: Arc<ReadProgress>,
}

impl FollowedFile {
    pub fn new(path: &Path, file: File, progress: Arc<ReadProgress>) -> Self {
        Self { path: path.to_owned(), file, at: 0, ends_line: true, progress }
    }

    /// True if another file has the name now, or this one was truncated.
    fn is_replaced(&self) -> io::Result<bool> {
        // Between a rotation and the first line after it there may be no file at all.
        let Ok(now) = self.path.metadata() else { return Ok(false) };
        let own = self.file.metadata()?;
        Ok((now.dev(), now.ino()) != (own.dev(), own.ino()) || own.len() < self.at)
    }

    fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.at += count as u64;
        if let Some(&last) = buffer[..count].last() {
            self.ends_line = last == b'\n';
        }
        Ok(count)
    }
}

impl Read for FollowedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.progress.is_stopped() {
            let count = self.take(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if !self.is_replaced()? {
                sleep(PATIENCE);
                continue;
            }
            // The last lines of the old file may have been written between the two checks.
            let last = self.take(buffer)?;
            if last > 0 {
                return Ok(last);
            }
            if let Ok(file) = File::open(&self.path) {
                (self.file, self.at) = (file, 0);
                // The old file's last line may lack its end, and is not the beginning of the new one's first.
                if std::mem::replace(&mut self.ends_line, true) {
                    continue;
                }
                buffer[0] = b'\n';
                return Ok(1);
            }
        }
        Ok(0)
    }
}

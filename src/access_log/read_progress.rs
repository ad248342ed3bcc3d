//! The progress of reading, and the request to stop: shared by the reader and the one who watches it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Bytes read and to be read, as they lie on the disk.
#[derive(Debug, Default)]
pub struct ReadProgress {
    /// Read so far.
    pub read: AtomicU64,
    /// In all files together.
    pub total: AtomicU64,
    /// True if the total is unknown: a pipe, or a growing file.
    pub is_endless: AtomicBool,
    /// True if reading should stop soon and report what is known.
    pub stop: AtomicBool,
}

impl ReadProgress {
    /// True if it is time to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// The same bytes, counted as they are read.
    pub(super) fn counting(self: &Arc<Self>, bytes: Box<dyn Read + Send>) -> impl Read + Send + use<> {
        CountingReader { bytes, progress: Arc::clone(self) }
    }
}

struct CountingReader {
    bytes: Box<dyn Read + Send>,
    progress: Arc<ReadProgress>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.progress.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

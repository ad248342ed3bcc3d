//! Reads logs on every core: each thread takes a block of lines, reads the requests in it, counts what is in order, and
//! hands the rest to the one who collects.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Error;
use foldhash::fast::RandomState;

use super::finding_collector::FindingCollector;
use super::follow_line;
use super::formats::{LineFormat, LineParser};
use super::read_options::ReadOptions;
use super::read_progress::ReadProgress;
use super::request_counter::{Glance, RequestCounter, SuspectRequest};
use super::source::{Block, LogSource};

/// Counts of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ScanResult {
    /// Lines with anything in them.
    pub lines: u64,
    /// Lines that tell of a request.
    pub parsed: u64,
    /// True if it holds Evolution's own console log.
    pub is_console: bool,
}

/// A log that is open, and whether it has ended.
pub(super) struct OpenLog {
    source: Mutex<LogSource>,
    has_ended: AtomicBool,
    /// Why it was not read to its end.
    failed: Mutex<Option<Error>>,
}

impl OpenLog {
    pub fn new(source: LogSource) -> Self {
        Self { source: Mutex::new(source), has_ended: AtomicBool::new(false), failed: Mutex::new(None) }
    }

    /// The log, and why it was not read to its end, if it was not.
    pub fn into_parts(self) -> (LogSource, Option<Error>) {
        let source = self.source.into_inner().unwrap_or_else(PoisonError::into_inner);
        (source, self.failed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads all logs to their ends, or as far as they can be read. Per log what was in it, and what all threads together saw
/// in order.
pub(super) fn scan_logs<'d>(
    logs: &[OpenLog],
    threads: usize,
    options: &ReadOptions<'_>,
    hasher: &RandomState,
    collector: &Mutex<FindingCollector<'d>>,
) -> (Vec<ScanResult>, RequestCounter<'d>) {
    let directory = lock(collector).directory();
    let new = || ScanWorker::new(logs.len(), &options.format, RequestCounter::new(hasher, directory));
    let work = || new().run(logs, options, collector);
    let results: Vec<ScanWorker> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(own).chain(joined).collect()
    });
    let mut all = new();
    for worker in results {
        all.merge(worker);
    }
    (all.scanned, all.watch)
}

struct ScanWorker<'d> {
    parsers: Vec<LineParser>,
    scanned: Vec<ScanResult>,
    watch: RequestCounter<'d>,
}

impl<'d> ScanWorker<'d> {
    fn new(logs: usize, format: &LineFormat, watch: RequestCounter<'d>) -> Self {
        let parsers = std::iter::repeat_with(|| LineParser::for_format(format.clone())).take(logs).collect();
        Self { parsers, scanned: vec![ScanResult::default(); logs], watch }
    }

    fn run(
        mut self,
        logs: &[OpenLog],
        options: &ReadOptions<'_>,
        collector: &Mutex<FindingCollector<'_>>,
    ) -> Self {
        let mut block = Block::default();
        while let Some(at) = next_block(logs, &mut block, options.progress) {
            self.parsers[at].record = block.record;
            if block.columns.is_some() {
                self.parsers[at].columns.clone_from(&block.columns);
            }
            self.read(at, &block, options, collector);
        }
        self
    }

    fn read(
        &mut self,
        at: usize,
        block: &Block,
        options: &ReadOptions<'_>,
        collector: &Mutex<FindingCollector<'_>>,
    ) {
        let (parser, scanned) = (&mut self.parsers[at], &mut self.scanned[at]);
        let mut events = Vec::new();
        for line in block.lines() {
            let glance = parser.parse_partial(line).map_or(Glance::Odd, |request| self.watch.count(&request));
            if let Glance::InOrder = glance {
                (scanned.lines, scanned.parsed) = (scanned.lines + 1, scanned.parsed + 1);
            } else if let Glance::Suspect(place) = glance {
                (scanned.lines, scanned.parsed) = (scanned.lines + 1, scanned.parsed + 1);
                events.extend(parser.parse(line).map(|request| SuspectRequest { request, place }));
            } else if let Some(request) = parser.parse(line) {
                (scanned.lines, scanned.parsed) = (scanned.lines + 1, scanned.parsed + 1);
                events.extend(self.watch.event(request));
                while let Some(request) = parser.next_request() {
                    events.extend(self.watch.event(request));
                }
            } else {
                scanned.lines += u64::from(!line.iter().all(u8::is_ascii_whitespace));
            }
        }
        // What comes next of a log that grows may be the answer.
        while let Some(request) = if options.follow { None } else { parser.finish() } {
            scanned.parsed += 1;
            events.extend(self.watch.event(request));
        }
        scanned.is_console |= parser.saw_console;
        if events.is_empty() {
            return;
        }
        let mut collector = lock(collector);
        let directory = collector.directory();
        for event in &events {
            let fresh = collector.take(event);
            if let (Some(tally), Some(on_finding)) = (fresh, options.on_finding) {
                let line = if options.is_json { follow_line::json } else { follow_line::line };
                on_finding(&line(tally, &event.request, directory, options.is_redacted));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (own, other) in self.scanned.iter_mut().zip(other.scanned) {
            own.lines += other.lines;
            own.parsed += other.parsed;
            own.is_console |= other.is_console;
        }
        self.watch.merge(other.watch);
    }
}

/// Fills the block from any log that has more and that no other thread reads. The log's number; `None` when all have
/// ended, or it is time to stop.
fn next_block(logs: &[OpenLog], block: &mut Block, progress: &ReadProgress) -> Option<usize> {
    while !progress.is_stopped() {
        let open = || logs.iter().enumerate().filter(|(_, log)| !log.has_ended.load(Relaxed));
        let free = open().find_map(|(at, log)| Some((at, log, log.source.try_lock().ok()?)));
        // Where others read all of them, wait for the first: they give a block at a time.
        let chosen = free.or_else(|| open().next().map(|(at, log)| (at, log, lock(&log.source))));
        let (at, log, mut source) = chosen?;
        if log.has_ended.load(Relaxed) {
            continue;
        }
        match source.fill(block) {
            Ok(true) => return Some(at),
            Ok(false) => {}
            Err(error) => *lock(&log.failed) = Some(error),
        }
        log.has_ended.store(true, Relaxed);
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The prediction of an upgrade, in words.

use std::time::Duration;

use crate::text::humanize::{format_bytes, format_estimate, pluralize};
use crate::upgrade::fix_conflicts::FixConflict;
use crate::upgrade::locks::{DdlLockMode, MigrationLock};
use crate::upgrade::read_speed::TableWork;
use crate::upgrade::{MigrationOutcome, Preflight, TreatedTable};

use super::{rehearsal, way_back};

/// Below this, in seconds, a lock is not noticeable.
pub const NOTICED: f64 = 1.0;

/// The whole answer in a sentence.
pub fn summary(preflight: &Preflight) -> String {
    if let Some(answer) = &preflight.way_back {
        return way_back::sentence(answer);
    }
    let Preflight { to, applied, total, pending, .. } = preflight;
    if let Some(rehearsal) = preflight.rehearsal.as_ref().filter(|_| preflight.starts) {
        return rehearsal::summary(rehearsal, to);
    }
    let mut parts = vec![format!("to {to}: {applied} of {} applied", pluralize(*total, "migration"))];
    parts.push(format!("{} pending", pending.len()));
    let fails = pending.iter().find(|one| one.outcome == MigrationOutcome::Fails);
    let has = |outcome| pending.iter().any(|one| one.outcome == outcome);
    if !preflight.starts {
        parts.push("Prisma will not start".to_owned());
    } else if let Some(one) = fails {
        let sqlstate = one.sqlstate.as_deref().unwrap_or("an error");
        parts.push(format!("{} FAILS with {sqlstate}", one.name));
    } else if has(MigrationOutcome::Undecided) {
        parts.push("it is unknown whether they succeed".to_owned());
    } else if !pending.is_empty() {
        parts.push("will succeed".to_owned());
    }
    if !preflight.notes.is_empty() && preflight.notes.iter().any(|note| note.contains("LICENSE_REQUIRED")) {
        parts.push("then every route answers 503 until it is activated".to_owned());
    }
    if has(MigrationOutcome::GoesAstray) {
        parts.push("one is recorded without being done".to_owned());
    }
    if has(MigrationOutcome::LosesData) {
        let kept = preflight.keep.as_ref().and_then(|keep| keep.run);
        parts.push(
            kept.map_or("data is lost".to_owned(), |run| format!("data is dropped, and run {run} keeps it")),
        );
    }
    parts.extend(longest(preflight).map(|lock| {
        format!(
            "blocks {} on \"{}\" ({}) about {}",
            lock.mode.blocks(),
            lock.table,
            format_bytes(lock.bytes),
            format_estimate(Duration::from_secs_f64(lock.seconds))
        )
    }));
    if let Some(speed) = preflight.speed.as_ref().filter(|speed| speed.table.is_some()) {
        #[expect(clippy::cast_possible_truncation, reason = "for people")]
        let rate = format_bytes(speed.bytes_per_second as i64);
        parts.push(format!("times are estimates from {rate} read in a second"));
    }
    parts.join("; ")
}

/// Returns whether an applied fix and a pending migration conflict, in a sentence.
pub fn meeting(meeting: &FixConflict) -> String {
    let what = match (meeting.recorded, meeting.compatible) {
        (true, _) => "has already done and recorded the work of",
        (false, true) => "is compatible with",
        (false, false) => "has to be undone before",
    };
    format!("the fix {} of run {} {what} {}", meeting.code, meeting.run, meeting.migration)
}

/// The requests that a lock blocks, on what, and what is done in that time.
pub fn lock(lock: &MigrationLock) -> String {
    let work = match lock.work {
        TableWork::Catalog => "",
        TableWork::Scan => ", read",
        TableWork::Index => ", indexed",
        TableWork::Update => ", updated",
        TableWork::Rewrite => ", rewritten",
    };
    format!("blocks {} on {} ({}{work})", lock.mode.blocks(), lock.table, format_bytes(lock.bytes))
}

/// The changes to rows: `removes 3 rows of Contact`.
pub fn treated(rows: &TreatedTable) -> String {
    let (verb, word) = rows.action.split_once('-').unwrap_or((&rows.action, "rows"));
    format!("{verb} {} of {}", pluralize(rows.count, word.trim_end_matches('s')), rows.table)
}

/// The longest of the noticeable locks.
pub fn longest(preflight: &Preflight) -> Option<&MigrationLock> {
    let locks = preflight.pending.iter().flat_map(|one| &one.locks);
    locks
        .filter(|lock| lock.mode > DdlLockMode::RowExclusive && lock.seconds >= NOTICED)
        .max_by(|a, b| a.seconds.total_cmp(&b.seconds).then(a.bytes.cmp(&b.bytes)))
}

//! The changes of the fixes so far: a detector's result from before may be outdated.

use std::collections::BTreeSet;

use crate::checks::context::CheckContext;
use crate::checks::detector::Detector;
use crate::repair::ledger::AppliedFix;
use crate::repair::plan::FixPlan;

/// The changes of each fix of a run, in order.
#[derive(Debug, Default)]
pub(super) struct Touched {
    fixes: Vec<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    tables: BTreeSet<String>,
    is_schema: bool,
}

impl Touched {
    /// Returns the number of fixes so far: a finder that is asked now knows what they did.
    pub(super) fn now(&self) -> usize {
        self.fixes.len()
    }

    /// Adds the next fix.
    pub(super) fn add(&mut self, plan: &FixPlan, applied: &AppliedFix) {
        let mut changes = Changes { is_schema: !plan.schema_diff.is_empty(), ..Changes::default() };
        changes.tables.extend(plan.row_diff.iter().map(|diff| diff.table.clone()));
        changes.tables.extend(applied.ddl_after.keys().cloned());
        // A fix that only sends statements may have changed rows by them.
        changes.tables.extend(applied.tables.iter().filter(|_| plan.row_diff.is_empty()).cloned());
        self.fixes.push(changes);
    }

    /// True if a detector may have another result than when there were `asked` fixes.
    pub(super) fn concerns(&self, finder: &dyn Detector, context: &CheckContext<'_>, asked: usize) -> bool {
        self.fixes[asked..].iter().any(|changes| {
            // A query for the history may use another name than the table's.
            (changes.is_schema && finder.reads_catalog())
                || changes.tables.contains("_prisma_migrations")
                || changes.tables.iter().any(|table| finder.reads(table, context))
        })
    }
}

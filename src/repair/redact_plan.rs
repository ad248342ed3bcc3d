//! Removes personal data from the rows that plans show.

use super::plan::FixPlan;
use crate::evolution::personal_rows::RowRedactor;
use crate::redact::personal::Naming;

impl FixPlan {
    /// Removes personal data from samples, reasons, notes and statements. The hash is of the plan as it was.
    pub fn redact(&mut self, naming: Naming) {
        let mut rows = RowRedactor::new(naming);
        for diff in &mut self.row_diff {
            for sample in &mut diff.sample {
                for row in [&mut sample.before, &mut sample.after] {
                    if !row.is_null() {
                        rows.redact_row(Some(&diff.table), row);
                    }
                }
            }
        }
        let left = self.left_rows.iter_mut().flat_map(|left| left.rows.iter_mut().chain([&mut left.reason]));
        let reasons = self.row_diff.iter_mut().map(|diff| &mut diff.reason).chain(left);
        let texts = self.notes.iter_mut().chain(&mut self.statements).chain(&mut self.after_commit);
        for text in reasons.chain(texts).chain([&mut self.schema_diff]) {
            *text = rows.redact_sentence(text);
        }
    }

    /// The same for a file that is held against a later run: samples as in a report, and everything that is compared in words
    /// that are the same in every run.
    #[must_use]
    pub fn redacted_for_file(&self) -> Self {
        let mut plan = self.clone();
        plan.redact(Naming::Fixed);
        for (diff, own) in plan.row_diff.iter_mut().zip(&self.row_diff) {
            diff.sample = own.sample.clone();
            let mut rows = RowRedactor::new(Naming::Keyed);
            for sample in &mut diff.sample {
                for row in [&mut sample.before, &mut sample.after] {
                    if !row.is_null() {
                        rows.redact_row(Some(&diff.table), row);
                    }
                }
            }
        }
        plan
    }
}

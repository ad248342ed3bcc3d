//! The plans of batches of one fix, as one plan.

use super::plan::FixPlan;
use super::quarantine::RowDiff;

impl FixPlan {
    /// Adds what the next batch does. Locks are those of the batch that held them longest; of statements only those that change
    /// tables are added, once each.
    pub fn add_batch(&mut self, next: Self) {
        self.add_rows(next.row_diff);
        for left in next.left_rows {
            let same = |known: &&mut super::quarantine::LeftRows| {
                (&known.table, &known.columns, &known.reason) == (&left.table, &left.columns, &left.reason)
            };
            match self.left_rows.iter_mut().find(same) {
                Some(known) => known.count += left.count,
                None => self.left_rows.push(left),
            }
        }
        self.schema_diff.push_str(&next.schema_diff);
        let alters = |sql: &String| sql.starts_with("ALTER");
        let news = next.statements.into_iter().filter(|sql| alters(sql) && !self.statements.contains(sql));
        self.statements.extend(news.collect::<Vec<_>>());
        let hazards = next.hazards.into_iter().filter(|hazard| !self.hazards.contains(hazard));
        self.hazards.extend(hazards.collect::<Vec<_>>());
        let notes = next.notes.into_iter().filter(|note| !self.notes.contains(note));
        self.notes.extend(notes.collect::<Vec<_>>());
        for lock in next.locks {
            match self.locks.iter_mut().find(|known| known.table == lock.table) {
                Some(known) if known.held_ms < lock.held_ms => *known = lock,
                Some(_) => {}
                None => self.locks.push(lock),
            }
        }
        self.timing.finding_ms += next.timing.finding_ms;
        self.timing.locked_ms += next.timing.locked_ms;
        self.timing.rows += next.timing.rows;
    }

    /// Adds rows to those with the same action.
    pub fn add_rows(&mut self, rows: Vec<RowDiff>) {
        for diff in rows {
            match self.row_diff.iter_mut().find(|known| known.is_like(&diff)) {
                Some(known) => known.count += diff.count,
                None => self.row_diff.push(diff),
            }
        }
    }
}

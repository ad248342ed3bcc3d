//! How the rows of a key that refer to nothing are found (EVO101): a strategy for each key, chosen from what the server
//! knows of its columns. All of them find the same: how many rows, how many different rows are missing, and the first five by
//! what they refer to and by their key.
//!
//! | strategy | where | what it costs |
//! |---|---|---|
//! | [`loose_index_scan`] | an index leads with the referring column, few different values | a look-up per value, however many rows |
//! | [`merge_anti_join`] | both sides indexed, many values | both indexes are read once, in ranges that run side by side |
//! | [`hash_anti_join`] | text without an index, or read from its table anyway | the table is read once, with others who read it |
//! | [`seq_scan`] | no index is to be trusted; what is referred to fits in memory | the table is read once for all that is asked of it |
//! | plain | everything else: small tables, several columns, views, partitions, other schemas | what the planner makes of it |
//!
//! A loose scan of an index (`loose_index_scan`) asks for the least value, then for the next greater one, and so on: five hundred
//! instances are five hundred look-ups in an index on `instanceId`, over any number of messages, where an anti-join reads
//! all of them. Whether there are few values is only estimated, so it gives up after some, and what would have been chosen
//! without it follows.
//!
//! With many values a look-up for each costs more than reading. Where both sides have an index that can be read without its
//! table, the two are read in their order and compared like the halves of a zip (`merge_anti_join`). The histogram that ANALYZE made
//! cuts the values into ranges, which share no value, so counts simply add up.
//!
//! What has no index has no order either. Of texts the server makes a hash of eight bytes of each value, and they are compared
//! here (`hash_anti_join`): nothing is sorted, and nothing spills to the server's disk, as a hash table of millions of ids would. One
//! reading of the table serves everybody who asks something of its rows; so a key joins it, indexed or not, when somebody
//! reads its table anyway. See [`reading`](super::reading).
//!
//! A reference that is no column, and so no key, is found in another way: [`message_key_hash`].
//!
//! Under `--paranoid` only `seq_scan` and the plain form are used, with all index scans switched off, as an index that is corrupt
//! hides rows; and no hash stands for a value.

mod first_rows;
mod hash_anti_join;
mod key_ranges;
mod loose_index_scan;
mod merge_anti_join;
pub mod message_key_hash;
mod seq_scan;
pub mod strategy;
mod summary;

use std::rc::Rc;

use anyhow::Result;

use super::context::CheckContext;
use super::references::Reference;
use super::step::{Next, Question, Step};
use crate::database::sql_file::Variables;
use strategy::{Strategy, StrategyChoice, choose_strategy, choose_without_index_scan};
use summary::OrphanSummary;

/// The settings under which rows are looked up in an index.
const BY_INDEX: &str = "sql/orphans/by_index.sql";

/// The query of the check, which words what was found of a reference as a finding.
pub type OrphanQuery<'a> = Rc<dyn Fn(&Variables) -> Result<String> + 'a>;

/// A reference that is asked about, and all it takes to do so.
#[derive(Clone)]
struct OrphanSearch<'a> {
    reference: &'a Reference,
    /// Its number among all references.
    number: usize,
    scope: &'a CheckContext<'a>,
    word: OrphanQuery<'a>,
}

/// Says which tables are going to be read from end to end, because no index serves one of their keys.
pub fn register_scans(scope: &CheckContext<'_>) {
    for reference in scope.references.iter().filter(|reference| is_asked(reference, scope)) {
        if let Strategy::Hashes { .. } = choose_strategy(reference, scope).strategy {
            scope.readings.register(&reference.child_table);
        }
    }
}

/// Whether rows can be compared, and there are any.
fn is_asked(reference: &Reference, scope: &CheckContext<'_>) -> bool {
    reference.incomparable_reason(scope.catalog).is_none() && !scope.empty.contains(&reference.child_table)
}

/// The questions that find the orphans of all references.
///
/// # Errors
/// When a file under `sql/orphans/`, or that of the check, is broken.
pub fn questions<'a>(scope: &'a CheckContext<'a>, word: &OrphanQuery<'a>) -> Result<Vec<Question<'a>>> {
    let mut questions = Vec::new();
    for (number, reference) in scope.references.iter().enumerate() {
        let key = OrphanSearch { reference, number, scope, word: Rc::clone(word) };
        if let Some(obstacle) = reference.incomparable_reason(scope.catalog) {
            questions.push(Question::query(reference.subject(), 0, Err(obstacle)));
            continue;
        }
        // What is empty refers to nothing.
        if scope.empty.contains(&reference.child_table) {
            continue;
        }
        let StrategyChoice { strategy, why } = choose_strategy(reference, scope);
        tracing::debug!("{}: {strategy}, {why}", reference.subject());
        if let Next::Steps(steps, then) = key.begin(strategy)? {
            questions.push(Question { about: reference.subject(), steps: Ok(steps), then });
        }
    }
    Ok(questions)
}

impl<'a> OrphanSearch<'a> {
    fn begin(self, strategy: Strategy) -> Result<Next<'a>> {
        match strategy {
            Strategy::Walk { limit } => loose_index_scan::start(self, limit),
            Strategy::Hashes { parent } => hash_anti_join::start(self, parent),
            Strategy::Merge { ranges } => merge_anti_join::start(self, ranges),
            Strategy::Pass => seq_scan::start(self),
            Strategy::Plain => self.begin_plain(),
        }
    }

    /// Goes on where a walk gave up.
    fn begin_without_walk(self) -> Result<Next<'a>> {
        let StrategyChoice { strategy, why } = choose_without_index_scan(self.reference, self.scope);
        tracing::debug!("{}: more values than expected; {strategy}, {why}", self.reference.subject());
        self.begin(strategy)
    }

    /// Turns what was found into a finding, or into nothing.
    fn conclude(&self, found: &OrphanSummary) -> Result<Next<'a>> {
        if found.count == 0 {
            return Ok(Next::Rows(Vec::new()));
        }
        let variables = self.variables()?;
        let query = found.query(&variables)?;
        let sql = (self.word)(&variables.sql("found", query))?;
        Ok(Next::finding(vec![Step::query_under(BY_INDEX, self.reference.subject(), 0, sql)]))
    }

    fn begin_plain(&self) -> Result<Next<'a>> {
        let sql = (self.word)(&self.reference.variables(self.scope.catalog)?)?;
        let cost = self.reference.pages(self.scope.catalog);
        Ok(Next::finding(vec![Step::query(self.reference.subject(), cost, sql)]))
    }

    /// The variables of the files under `sql/orphans/`, for keys of one column.
    fn variables(&self) -> Result<Variables> {
        self.reference.variables(self.scope.catalog)
    }
}

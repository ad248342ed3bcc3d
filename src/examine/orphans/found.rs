//! What was found of one key, in one step or put together from several.

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::database::quote::Fragment;
use crate::database::script::{Variables, filled};
use crate::examine::step::Answer;

/// The orphans of one key.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// How many rows refer to nothing.
    pub count: i64,
    /// To how many different rows they refer.
    missing: i64,
    /// The first of each step, in no order.
    sample: Vec<Value>,
}

impl Found {
    /// Reads the columns that every file under `sql/orphans/` returns.
    ///
    /// # Errors
    /// When one is missing or of another type.
    pub fn read(row: &PgRow) -> Result<Self> {
        let sample = match row.try_get::<Option<Value>, _>("sample")? {
            Some(Value::Array(rows)) => rows,
            _ => Vec::new(),
        };
        Ok(Self { count: row.try_get("count")?, missing: row.try_get("missing")?, sample })
    }

    /// Adds what was found in another range of values, which has no value in common with this.
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.missing += other.missing;
        self.sample.extend(other.sample);
    }

    /// What was found in several ranges together.
    ///
    /// # Errors
    /// When the answers are of something else.
    pub fn sum(answers: Vec<Answer>) -> Result<Self> {
        let mut found = Self::default();
        for answer in answers {
            for row in answer.rows()? {
                found.add(Self::read(&row)?);
            }
        }
        Ok(found)
    }

    /// A query that returns it with the first five examples, for the query that words the finding.
    ///
    /// # Errors
    /// When the file is broken.
    pub fn query(&self, variables: &Variables) -> Result<Fragment> {
        let variables = variables
            .clone()
            .text("count", self.count.to_string())
            .text("missing", self.missing.to_string())
            .text("sample", Value::from(self.sample.clone()).to_string());
        filled("sql/orphans/combined.sql", &variables).map(Fragment::keyword)
    }
}

//! What an upgrade destroys can be kept: rows, columns and values that the pending migrations drop, overwrite or narrow
//! are first copied into the quarantine, as a run in the ledger.
//!
//! [`derive`] finds out what is lost from the steps of the migrations, [`measure`] counts it, [`copy`] copies it,
//! [`bring_back`] restores what fits into the newer tables, and [`lay_out`] writes a run's copies into ordinary tables.

pub mod bring_back;
pub mod copy;
pub mod derive;
pub mod lay_out;
pub mod measure;
mod moved;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The code under which the ledger has such a run. It is not an `EVO…`: it repairs nothing.
pub const CODE: &str = "keep";

/// The losses of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostPart {
    /// The table.
    pub table: String,
    /// Which of its rows, and what of them.
    pub what: LostRows,
    /// The migrations that destroy it.
    pub migrations: Vec<String>,
}

/// Which rows of a table go, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum LostRows {
    /// All of them.
    All,
    /// Of those that are equal in some columns all but one; which one stays is not known beforehand, so all of them are kept.
    Duplicates {
        /// These columns.
        columns: Vec<String>,
    },
    /// The values of some columns, where they have one, or where every row gets the same.
    Values {
        /// These columns.
        columns: Vec<String>,
        /// Those of them that stay and are overwritten or cast.
        overwritten: BTreeMap<String, Overwritten>,
    },
}

/// A column whose values become others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overwritten {
    /// The value that every row gets; `None` where the old one is only cast.
    pub value: Option<String>,
    /// The meaning of the old values in the new type.
    pub words: BTreeMap<String, String>,
}

impl LostPart {
    /// Why it is kept, for people.
    pub fn reason(&self) -> String {
        let (one, numbers): (bool, Vec<&str>) = (
            self.migrations.len() == 1,
            self.migrations.iter().filter_map(|name| name.split('_').next()).collect(),
        );
        let numbers = numbers.join(", ");
        match &self.what {
            LostRows::All => format!("{numbers} {} all rows", if one { "removes" } else { "remove" }),
            LostRows::Duplicates { columns } => format!(
                "{numbers} {} rows that are equal in {}",
                if one { "removes" } else { "remove" },
                columns.join(" and ")
            ),
            LostRows::Values { .. } => {
                format!(
                    "{numbers} {} the values",
                    if one { "drops or overwrites" } else { "drop or overwrite" }
                )
            }
        }
    }

    /// The columns that are kept besides the primary key; none where the whole row is.
    pub fn columns(&self) -> &[String] {
        match &self.what {
            LostRows::Values { columns, .. } => columns,
            LostRows::All | LostRows::Duplicates { .. } => &[],
        }
    }
}

/// The record of a run that kept something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptRun {
    /// The release that the upgrade leads to.
    pub to: String,
    /// True if all of it is copied.
    pub finished: bool,
    /// The kept rows, and the table of the quarantine that holds them.
    pub parts: Vec<KeptPart>,
    /// The number of rows each table had, so that they can be counted again.
    pub counted: BTreeMap<String, i64>,
    /// The number of rows of each table that the migrations were predicted to remove.
    pub removed: BTreeMap<String, i64>,
}

/// A part that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPart {
    /// The loss.
    #[serde(flatten)]
    pub part: LostPart,
    /// The table of the quarantine.
    pub relation: String,
}

/// The report of `preflight --keep`.
#[derive(Debug, Clone, Serialize)]
pub struct KeepReport {
    /// The run that keeps it; `null` where nothing was applied.
    pub run: Option<i64>,
    /// The losses, with their size.
    pub parts: Vec<MeasuredPart>,
    /// The number of rows in all.
    pub rows: i64,
    /// About how many bytes.
    pub bytes: i64,
    /// About how long copying takes, or took, in seconds.
    pub seconds: f64,
    /// Notes.
    pub notes: Vec<String>,
}

/// A part and how much of it there is.
#[derive(Debug, Clone, Serialize)]
pub struct MeasuredPart {
    /// The loss.
    #[serde(flatten)]
    pub part: LostPart,
    /// The number of rows.
    pub rows: i64,
    /// About how many bytes.
    pub bytes: i64,
}

//! A dump that was examined: where it comes from, and what of it could not be restored.

use serde::Serialize;

use crate::database::restore::RestoreInfo;
use crate::terminal::page::Page;
use crate::terminal::style::{WARNING, paint};
use crate::text::humanize::pluralize;

/// The number of refusals that people are shown; pipelines get all.
const SHOWN: usize = 5;

/// The dump that a report speaks of.
#[derive(Debug, Clone, Serialize)]
pub struct DumpInfo {
    /// `plain`, `custom`, `tar` or `directory`.
    pub format: &'static str,
    /// The file's name.
    pub file: String,
    /// The version of the server it comes from; `null` when the dump does not tell.
    pub dumped_from: Option<String>,
    /// The version of pg_dump.
    pub dumped_by: Option<String>,
    /// The objects that could not be restored.
    pub complaints: Vec<RestoreErrorInfo>,
    /// The number of other objects that could not be restored: roles, grants, extensions, settings.
    pub ignored: usize,
    /// Tables whose rows the dump does not hold; checks that need them are undecided.
    pub without_rows: Vec<String>,
    /// True if it holds rows of any table.
    pub has_rows: bool,
}

/// Something that could not be restored.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreErrorInfo {
    /// Such as `"Chat_instanceId_fkey" of evolution_api."Chat"`.
    pub object: String,
    /// The server's words.
    pub error: String,
}

impl From<RestoreInfo> for DumpInfo {
    fn from(origin: RestoreInfo) -> Self {
        let complaint =
            |c: crate::database::restore::RestoreError| RestoreErrorInfo { object: c.object, error: c.error };
        Self {
            format: origin.format,
            file: origin.file,
            dumped_from: origin.dumped.server,
            dumped_by: origin.dumped.program,
            complaints: origin.complaints.into_iter().map(complaint).collect(),
            ignored: origin.ignored,
            without_rows: origin.without_rows,
            has_rows: origin.has_rows,
        }
    }
}

impl DumpInfo {
    /// Lines for the report's head.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let from = self.dumped_from.as_ref().map(|version| format!(" of PostgreSQL {version}"));
        let by = self.dumped_by.as_ref().map(|version| format!(", by pg_dump {version}"));
        let dump = format!(
            "{}, {} format{}{}",
            self.file,
            self.format,
            from.unwrap_or_default(),
            by.unwrap_or_default()
        );
        let mut lines = vec![("dump", dump)];
        if !self.has_rows {
            lines.push(("rows", "this dump has none: checks that need them are undecided".to_owned()));
        } else if !self.without_rows.is_empty() {
            let tables = self.without_rows.join(", ");
            lines.push(("rows", format!("missing in this dump, so their checks are undecided: {tables}")));
        }
        lines
    }

    /// The objects that could not be restored, for people.
    pub fn complaints(&self, page: Page) -> String {
        if self.complaints.is_empty() {
            return String::new();
        }
        let mut out =
            paint(WARNING, format!("{} could not be restored:\n", pluralize(self.complaints.len(), "part")));
        for complaint in self.complaints.iter().take(SHOWN) {
            out.push_str(&page.pairs(&[("", complaint.object.clone()), ("", complaint.error.clone())], 2));
        }
        if self.complaints.len() > SHOWN {
            out.push_str(&format!("  and {} more in --format json\n", self.complaints.len() - SHOWN));
        }
        out + "\n"
    }
}

//! Writes the report in the requested format to the requested place, and the files beside it.

use std::env;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::cli::{GlobalOptions, OutputFormat};
use crate::output_file::FileAccess;
use crate::rules::baseline::Baseline;
use crate::terminal::page::Page;
use crate::terminal::style;
use crate::text::escape::escape_control;
use crate::text::humanize;

use super::ci::{github, gitlab, junit, markdown, sarif};
use super::output::print_for;
use super::view::ReportView;
use super::{Report, html, json, terminal};

impl Report {
    /// Writes the report where and how the options say, and the baseline where one is wanted.
    ///
    /// # Errors
    /// When a file cannot be written. A reader that went away is not an error.
    pub fn print(&mut self, common: &GlobalOptions) -> Result<()> {
        self.redact(common);
        self.write(common)
    }

    /// The same for a report that was redacted before.
    pub fn write(&self, common: &GlobalOptions) -> Result<()> {
        ensure!(self.personal_data.is_some(), "a report is redacted before it is written");
        let outline = ReportView::new(self, common);
        let text = match common.format {
            OutputFormat::Human => {
                terminal::render(&outline, common, Page::for_output(common.output.as_deref()))
            }
            OutputFormat::Json => json::render(&outline)?,
            OutputFormat::Sarif => sarif::render(&outline)?,
            OutputFormat::Junit => junit::render(&outline)?,
            OutputFormat::Github => github::render(&outline),
            OutputFormat::Gitlab => gitlab::render(&outline)?,
            OutputFormat::Markdown => markdown::render(&outline),
            OutputFormat::Html => html::render(&outline, common, self.exit_code(common)),
        };
        let text = match common.format {
            OutputFormat::Human => style::for_output(&text, common.output.as_deref()),
            _ => text.as_str().into(),
        };
        // These hold samples of rows; the others are made to be passed on.
        let readers = match common.format {
            OutputFormat::Human | OutputFormat::Json | OutputFormat::Html => FileAccess::Owner,
            _ => FileAccess::Umask,
        };
        print_for(&text, common.output.as_deref(), readers)?;
        self.write_side_outputs(common)
    }

    /// Writes what accompanies the report: notes on the baseline and ignores on stderr, the step's summary, and the
    /// baseline if one is to be written.
    ///
    /// # Errors
    /// When the baseline cannot be written.
    pub fn write_side_outputs(&self, common: &GlobalOptions) -> Result<()> {
        let outline = ReportView::new(self, common);
        let of_target =
            self.target.as_ref().map(|name| format!("{}: ", escape_control(name))).unwrap_or_default();
        if common.format != OutputFormat::Human {
            if let Some(notice) = self.personal_data_notice(common) {
                eprintln!("note: {of_target}{notice}");
            }
            for line in outline.baseline_summary().into_iter().chain(outline.policy_notes()) {
                eprintln!("{of_target}{line}");
            }
        }
        if let (OutputFormat::Github, Some(path)) = (common.format, env::var_os(github::SUMMARY))
            && !path.is_empty()
            && let Err(error) = github::append_summary(&outline, Path::new(&path))
        {
            // The findings are printed already, and decide the exit code.
            eprintln!("note: {error:#}");
        }
        self.write_baseline(common)
    }

    fn write_baseline(&self, common: &GlobalOptions) -> Result<()> {
        let Some(path) = &common.write_baseline else { return Ok(()) };
        let mut baseline = Baseline::from_findings(&self.findings);
        if let Some(known) = &common.known {
            baseline = baseline.keep_unchecked(known, &self.checks);
        }
        baseline.write(path)?;
        eprintln!(
            "note: {} in the baseline {}",
            humanize::pluralize(baseline.len(), "finding"),
            path.display()
        );
        Ok(())
    }
}

//! Applies the options and `evodoctor.toml` to the findings: severities, ignores, the exit code.

use std::mem;

use crate::cli::{GlobalOptions, LoadedConfig};
use crate::exit_code::Exit;
use crate::rules::finding::Summary;
use crate::rules::policy::{IgnoredFinding, Policy};
use crate::text::date::today;

use super::view::ReportView;
use super::{ConfigInfo, Detail, Report};

impl Report {
    /// Applies the severities and ignores of `evodoctor.toml`.
    #[must_use]
    pub fn with_policy(self, common: &GlobalOptions) -> Self {
        let Some(decided) = &common.decided else { return self };
        self.judge(decided, &decided.policy)
    }

    /// The same for what was asked for by its code: nothing of it is ignored.
    #[must_use]
    pub fn with_policy_unignored(self, common: &GlobalOptions) -> Self {
        let Some(decided) = &common.decided else { return self };
        self.judge(decided, &decided.policy.ignoring_nothing())
    }

    fn judge(mut self, decided: &LoadedConfig, policy: &Policy) -> Self {
        let today = today();
        let (findings, ignored) = policy.apply(mem::take(&mut self.findings), today);
        let all = findings.iter().chain(ignored.iter().map(|ignored| &ignored.finding));
        self.config = Some(ConfigInfo {
            file: decided.file.display().to_string(),
            environment: decided.environment.clone(),
            notes: policy.notes(all, &self.checks, today),
            ignored,
        });
        self.summary = Summary::count(&findings, &self.checks);
        self.findings = findings;
        self
    }

    /// The ignored findings.
    pub fn ignored(&self) -> &[IgnoredFinding] {
        self.config.as_ref().map_or(&[], |config| &config.ignored)
    }

    /// The exit code: 1 for findings that count and are not in the baseline, else 3 for undecided checks, else 0. For a
    /// change, 0 means nothing to do or everything applied; 1 means that something is pending or left.
    pub fn exit_code(&self, common: &GlobalOptions) -> Exit {
        let is_found = match &self.detail {
            Detail::Change(change) => {
                !(change.fixes.is_empty() || change.run.applied) || !change.left.is_empty()
            }
            Detail::History { prune: Some(plan), .. } => !plan.runs.is_empty() && !plan.applied,
            _ => ReportView::new(self, common).views.iter().any(|view| view.fails),
        };
        if is_found {
            Exit::Findings
        } else if self.summary.undecided > 0 {
            Exit::Undecided
        } else {
            Exit::Clean
        }
    }
}

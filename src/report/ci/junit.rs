//! JUnit's XML: a test case for each check, as Jenkins, GitLab and others read it.

use anyhow::{Context, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::report::Detail;
use crate::report::next::next_steps;
use crate::report::upgrade::{self, UpgradeVerdict};
use crate::report::view::{CodeGroup, FindingView, ReportView};
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;
use crate::text::humanize::pluralize;

type Xml = Writer<Vec<u8>>;

/// The result of a test case.
enum TestOutcome {
    Passed,
    Failed,
    Skipped,
}

/// Failed is what makes the exit code 1, skipped what is undecided; what is milder, or known to the baseline, is told
/// in a case that passed.
pub fn render(outline: &ReportView<'_>) -> Result<String> {
    let groups = outline.by_code();
    let how_many = |is: fn(&TestOutcome) -> bool| groups.iter().filter(|group| is(&ending(group))).count();
    let upgrade = upgrade_case(outline);
    let is_upgrade_failed = upgrade.as_ref().is_some_and(|case| case.failure.is_some());
    let tests = (groups.len() + usize::from(upgrade.is_some())).to_string();
    let failures = how_many(|ending| matches!(ending, TestOutcome::Failed));
    let failures = (failures + usize::from(is_upgrade_failed)).to_string();
    let skipped = how_many(|ending| matches!(ending, TestOutcome::Skipped)).to_string();
    let time = seconds(groups.iter().filter_map(|group| group.check).map(|check| check.duration_ms).sum());
    let target = outline
        .report
        .target
        .as_ref()
        .map(|name| format!(" {}", fit(&escape_control(name))))
        .unwrap_or_default();
    let name = format!("evodoctor {}{target}", outline.report.command);
    let counts = [
        ("tests", tests.as_str()),
        ("failures", failures.as_str()),
        ("errors", "0"),
        ("time", time.as_str()),
    ];

    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites").with_attributes(counts).write_inner_content(|xml| {
        let suite = xml.create_element("testsuite").with_attribute(("name", name.as_str()));
        let suite = suite.with_attributes(counts).with_attribute(("skipped", skipped.as_str()));
        suite.write_inner_content(|xml| {
            if let Some(notice) = outline.notice {
                xml.create_element("properties").write_inner_content(|xml| {
                    let property = xml.create_element("property");
                    property.with_attributes([("name", "personal-data"), ("value", notice)]).write_empty()?;
                    Ok(())
                })?;
            }
            upgrade.iter().try_for_each(|case| case.write(xml))?;
            groups.iter().try_for_each(|group| case(xml, group, outline.report.command))
        })?;
        Ok(())
    })?;
    String::from_utf8(xml.into_inner()).map(|text| text + "\n").context("the report is no UTF-8")
}

/// The case that says how an upgrade ends.
struct UpgradeCase {
    name: String,
    sentence: String,
    /// The severity, where it fails the run.
    failure: Option<Severity>,
    next: String,
}

fn upgrade_case(outline: &ReportView<'_>) -> Option<UpgradeCase> {
    let Detail::Preflight { preflight, .. } = &outline.report.detail else { return None };
    let UpgradeVerdict { severity, sentence } = upgrade::verdict(outline.report, preflight);
    let fails = outline.views.iter().any(|view| view.fails);
    let next = next_steps(outline);
    Some(UpgradeCase {
        name: format!("upgrade to {}", preflight.to),
        sentence: fit(&escape_control(&sentence)),
        failure: severity.filter(|_| fails),
        next: next.iter().map(|step| format!("\nnext: {}", fit(&escape_control(&step.command)))).collect(),
    })
}

impl UpgradeCase {
    fn write(&self, xml: &mut Xml) -> std::io::Result<()> {
        let attributes =
            [("name", self.name.as_str()), ("classname", "evodoctor.preflight"), ("time", "0.000")];
        let text = format!("{}{}", self.sentence, self.next);
        xml.create_element("testcase").with_attributes(attributes).write_inner_content(|xml| {
            match self.failure {
                Some(severity) => {
                    let severity = severity.to_string();
                    let attributes = [("type", severity.as_str()), ("message", self.sentence.as_str())];
                    let failure = xml.create_element("failure").with_attributes(attributes);
                    failure.write_text_content(BytesText::new(&text))?;
                }
                None => {
                    xml.create_element("system-out").write_text_content(BytesText::new(&text))?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn ending(group: &CodeGroup<'_>) -> TestOutcome {
    match group.reason() {
        _ if group.views.iter().any(|view| view.fails) => TestOutcome::Failed,
        Some(_) => TestOutcome::Skipped,
        None => TestOutcome::Passed,
    }
}

fn case(xml: &mut Xml, group: &CodeGroup<'_>, command: &str) -> std::io::Result<()> {
    let (failing, others): (Vec<FindingView<'_>>, Vec<FindingView<'_>>) =
        group.views.iter().partition(|view| view.fails);
    let reason = group.reason().map(|reason| fit(&escape_control(reason)));
    let case = xml.create_element("testcase").with_attributes([
        ("name", group.title().as_str()),
        ("classname", format!("evodoctor.{command}").as_str()),
        ("time", seconds(group.check.map_or(0, |check| check.duration_ms)).as_str()),
    ]);
    case.write_inner_content(|xml| {
        let mut aside: Vec<String> = others.iter().map(|view| block(*view)).collect();
        aside.extend(group.ignored.iter().map(|ignored| {
            fit(&escape_control(&format!(
                "ignored: {} ({})",
                ignored.finding.subject, ignored.ignored.reason
            )))
        }));
        match (ending(group), reason) {
            (TestOutcome::Failed, reason) => {
                let message = pluralize(failing.len(), "finding");
                let severity = failing.iter().map(|view| view.finding.severity).max();
                let kind = severity.map(|severity| severity.to_string()).unwrap_or_default();
                let failure = xml
                    .create_element("failure")
                    .with_attributes([("type", kind.as_str()), ("message", message.as_str())]);
                let text = failing.iter().map(|view| block(*view)).collect::<Vec<_>>().join("\n");
                failure.write_text_content(BytesText::new(&text))?;
                aside.extend(reason.map(|reason| format!("partly undecided: {reason}")));
            }
            (TestOutcome::Skipped, Some(reason)) => {
                xml.create_element("skipped").with_attribute(("message", reason.as_str())).write_empty()?;
            }
            _ => {}
        }
        if !aside.is_empty() {
            xml.create_element("system-out").write_text_content(BytesText::new(&aside.join("\n")))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// A finding in a few lines.
fn block(view: FindingView<'_>) -> String {
    let finding = view.finding;
    let predicate = finding.predicate.as_ref().map(|text| format!("\n  where: {}", escape_control(text)));
    let lines = format!(
        "{} {}{}\n  next: {}",
        finding.severity,
        view.sentence(),
        predicate.unwrap_or_default(),
        view.next_step()
    );
    fit(&lines)
}

/// The text without what XML 1.0 has no place for, not even escaped.
fn fit(text: &str) -> String {
    let has_place =
        |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}'));
    text.chars().map(|c| if has_place(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

//! The report of a run that failed, in the requested format, so that a reader of every run's report finds this one and
//! not the last one's.

use anyhow::{Context, Result};
use maud::{DOCTYPE, html};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::json;

use super::ci::markdown::fenced;
use super::ci::sarif;
use super::{Report, error_text, json as one_json};
use crate::cli::OutputFormat;
use crate::error;
use crate::rules::baseline::FindingId;
use crate::rules::finding::Summary;
use crate::text::escape::escape_control;

/// The report; `None` for GitHub, which takes annotations of an error from stderr.
pub fn render(
    format: OutputFormat,
    command: &str,
    target: Option<&str>,
    error: &anyhow::Error,
) -> Result<Option<String>> {
    let causes: Vec<String> =
        error_text::cause_chain(error).iter().map(|cause| escape_control(cause)).collect();
    let (message, next) = (causes.join("; because: "), escape_control(error::hint(error)));
    let text = format!("error: {message}\nnext: {next}\n");
    Ok(Some(match format {
        OutputFormat::Github => return Ok(None),
        OutputFormat::Human => text,
        OutputFormat::Json => {
            let mut document = json!({
                "tool": Report::tool(),
                "command": command,
                "database": null,
                "release": null,
                "checks": [],
                "findings": [],
                "summary": Summary::default(),
                "error": {"message": message, "next": next},
            });
            if let Some(target) = target {
                document["target"] = target.into();
            }
            one_json::written(&document)?
        }
        OutputFormat::Sarif => one_json::written(&sarif::log(vec![json!({
            "tool": {"driver": sarif::driver(&[])},
            "automationDetails": {"id": format!("evodoctor/{command}/{}", target.map(|name| escape_control(name) + "/").unwrap_or_default())},
            "invocations": [{
                "executionSuccessful": false,
                "toolExecutionNotifications": [{"level": "error", "message": {"text": sarif::literal(&text)}}],
            }],
            "results": [],
        })]))?,
        OutputFormat::Junit => junit(command, &message, &text)?,
        OutputFormat::Gitlab => {
            let id =
                FindingId { code: command.to_owned(), key: format!("error {}", target.unwrap_or_default()) };
            one_json::written(&json!([{
                "check_name": "evodoctor",
                "description": format!("{message} ({next})"),
                "fingerprint": id.fingerprint(),
                "severity": "blocker",
                "location": {"path": "database", "lines": {"begin": 1}},
            }]))?
        }
        OutputFormat::Markdown => {
            format!(
                "<!-- evodoctor {command} -->\n### evodoctor {command}\n\n**could not run**\n\n{}",
                fenced("text", &text)
            )
        }
        OutputFormat::Html => html! {
            (DOCTYPE)
            html lang="en" {
                head { meta charset="utf-8"; title { "could not run — evodoctor " (command) } }
                body { h1 { "evodoctor " (command) " could not run" } p { (message) } p { "Next: " (next) } }
            }
        }
        .into_string(),
    }))
}

fn junit(command: &str, message: &str, text: &str) -> Result<String> {
    let counts = [("tests", "1"), ("failures", "0"), ("errors", "1"), ("time", "0.000")];
    let class = format!("evodoctor.{command}");
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites").with_attributes(counts).write_inner_content(|xml| {
        let name = format!("evodoctor {command}");
        let suite = xml.create_element("testsuite").with_attribute(("name", name.as_str()));
        suite.with_attributes(counts).with_attribute(("skipped", "0")).write_inner_content(|xml| {
            let attributes = [("name", "evodoctor"), ("classname", class.as_str()), ("time", "0.000")];
            let case = xml.create_element("testcase").with_attributes(attributes);
            case.write_inner_content(|xml| {
                let error =
                    xml.create_element("error").with_attributes([("type", "error"), ("message", message)]);
                error.write_text_content(BytesText::new(text))?;
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(())
    })?;
    String::from_utf8(xml.into_inner()).map(|text| text + "\n").context("the report is no UTF-8")
}

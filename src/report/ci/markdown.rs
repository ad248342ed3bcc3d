//! A comment for a pull request: short, details folded. Text from outside is in code spans, where nothing is a link, a
//! mention, HTML, or the end of anything.

use crate::repair::plan::FixPlan;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;

use crate::config::to_file_stem;
use crate::report::kinds::{KindRow, kind_rows};
use crate::report::next::next_steps;
use crate::report::totals;
use crate::report::undecided::{UndecidedReason, undecided_reasons};
use crate::report::view::{CodeGroup, ReportView};
use crate::report::words;
use crate::report::{Detail, Report};
use crate::rules::registry;
use crate::text::humanize::{format_count, pluralize};

/// A comment on GitHub holds 65,536 characters.
const LONGEST: usize = 60_000;

/// Findings of a code that are listed; the others are only counted.
const MOST: usize = 20;

/// The report as a comment.
pub fn render(outline: &ReportView<'_>) -> String {
    let target = outline.report.target.as_ref().map(|name| format!(" of {}", code(name))).unwrap_or_default();
    // A bot that keeps one comment per pull request finds its own by this.
    let mut out = format!("{}\n", marker(outline.report));
    out.push_str(&format!(
        "### evodoctor {}{target}\n\n**{}**\n\n",
        outline.report.command,
        prose(&totals::headline(outline))
    ));
    let notice = outline.notice.map(|notice| format!("**{notice}**"));
    let lines = outline.baseline_summary().into_iter().chain(outline.policy_notes()).map(|line| prose(&line));
    for line in notice.into_iter().chain(about(outline.report)).chain(lines) {
        out.push_str(&format!("{line}\n\n"));
    }
    let grants = &outline.report.missing_grants;
    if !grants.is_empty() {
        out.push_str(&format!("{}\n\n{}\n", words::LACKS_RIGHTS, fenced("sql", &grants.join("\n"))));
    }
    out.push_str(&table(&kind_rows(&outline.new_by_code())));
    for step in next_steps(outline) {
        let what = if step.what.is_empty() { String::new() } else { format!(": {}", prose(&step.what)) };
        out.push_str(&format!("Next: {}{what}\n\n", code(&step.command)));
    }
    let groups = outline.by_code();
    let mut blocks: Vec<String> = groups.iter().filter_map(|group| block(outline, group)).collect();
    blocks.extend(undecided_reasons(outline).iter().map(undecided));
    if let Detail::Change(change) = &outline.report.detail {
        blocks.extend(change.fixes.iter().map(fix));
    }
    let all = blocks.len();
    for (at, block) in blocks.into_iter().enumerate() {
        if out.len() + block.len() > LONGEST {
            out.push_str(&format!("{} more; `--format json` lists all\n\n", pluralize(all - at, "part")));
            break;
        }
        out.push_str(&block);
    }
    out
}

/// A hidden comment: the command, and the database's name in a list.
fn marker(report: &Report) -> String {
    let target = report.target.as_ref().map(|name| format!(" {}", to_file_stem(name))).unwrap_or_default();
    format!("<!-- evodoctor {}{target} -->", report.command)
}

/// The kinds of findings, in the order in which to act. All of it is our own text.
fn table(rows: &[KindRow<'_>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out =
        "| severity | code | problem | places | rows | fix |\n|---|---|---|--:|--:|---|\n".to_owned();
    for row in rows {
        let KindRow { severity, code, title, places, rows, fix } = row;
        let rows = if *rows == 0 { "-".to_owned() } else { format_count(*rows) };
        out.push_str(&format!(
            "| {severity} | {code} | {title} | {} | {rows} | {fix} |\n",
            format_count(*places)
        ));
    }
    out + "\n"
}

/// The database and its release.
fn about(report: &Report) -> Option<String> {
    let database = report.database.as_ref()?;
    let release = report.release.as_ref().map_or_else(|| "unknown".to_owned(), |release| release.describe());
    Some(format!(
        "{} on {}, schema {}, PostgreSQL {}, release {release}",
        code(&database.name),
        code(&database.host),
        code(&database.schema),
        code(&database.server_version),
    ))
}

/// A code's findings; `None` where there is nothing new to say.
fn block(outline: &ReportView<'_>, group: &CodeGroup<'_>) -> Option<String> {
    let news: Vec<_> = outline.new_findings().filter(|view| view.finding.code == group.code).collect();
    let worst = news.iter().map(|view| view.finding.severity).max();
    let mut body = String::new();
    if let Some(rule) = registry::find_rule(group.code).filter(|_| !news.is_empty()) {
        body.push_str(&format!("{}\n\n", prose(&rule.summary)));
    }
    for view in news.iter().take(MOST) {
        let mild = if view.finding.severity == Severity::Advice { "advice: " } else { "" };
        let finding = view.finding;
        let subject = if finding.subject.is_empty() { "\"\"" } else { &finding.subject };
        body.push_str(&format!("- {mild}{}: {}\n", code(subject), prose(&finding.detail)));
    }
    if news.len() > MOST {
        body.push_str(&format!("- {} more\n", news.len() - MOST));
    }
    if let Some(first) = news.first() {
        let commands: Vec<String> = first.commands().iter().map(|command| code(command)).collect();
        body.push_str(&format!("\nnext: {}\n", commands.join(", or ")));
    }
    if group.reason().is_some() {
        body.push_str("\npartly undecided: the reason is in the list of undecided checks\n");
    }
    let severity = worst?;
    let what = format!("{severity} {}: {}", group.title(), pluralize(news.len(), "finding"));
    Some(folded(&what, &body))
}

/// The checks that could not look everywhere for one reason.
fn undecided(UndecidedReason { reason, codes }: &UndecidedReason<'_>) -> String {
    let named = |code: &&str| match registry::find_rule(code) {
        Some(rule) => format!("{code} {}", rule.name),
        None => (*code).to_owned(),
    };
    let what = match codes.as_slice() {
        [only] => format!("undecided {}", named(only)),
        several => format!("undecided: {}", pluralize(several.len(), "check")),
    };
    let list = codes.iter().map(|code| format!("- {}\n", named(code))).collect::<String>();
    folded(&what, &format!("{}\n\n{}", prose(reason), if codes.len() > 1 { list } else { String::new() }))
}

/// The changes of a fix.
fn fix(fix: &FixPlan) -> String {
    let mut body = String::new();
    for rows in &fix.row_diff {
        let what =
            format!("{} {} in {}", pluralize(rows.count, "row"), rows.action.as_str(), code(&rows.table));
        body.push_str(&format!("- {what}: {}\n", prose(&rows.reason)));
    }
    if !fix.schema_diff.is_empty() {
        body.push_str(&format!("\n{}", fenced("diff", &fix.schema_diff)));
    }
    folded(&format!("what the fix of {} {} changes", fix.code, fix.name), &body)
}

/// A part that opens at a click. The title is our own.
fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{}\n\n</details>\n\n", body.trim_end())
}

/// A block of lines that are shown as they are.
pub fn fenced(language: &str, text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escape_control).collect();
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

/// A code span of one line.
fn code(text: &str) -> String {
    let text = escape_control(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    // One space at both ends belongs to the span, not to the text.
    let is_open = |c| c == '`' || c == ' ';
    let pad = if text.is_empty() || text.starts_with(is_open) || text.ends_with(is_open) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A sentence, in which the words that could be more than words are in code spans.
fn prose(sentence: &str) -> String {
    let sentence = escape_control(sentence);
    let mut out: Vec<String> = Vec::new();
    let mut odd: Vec<&str> = Vec::new();
    for word in sentence.split(' ') {
        if !is_plain(word) {
            odd.push(word);
            continue;
        }
        if !odd.is_empty() {
            out.push(spanned(&std::mem::take(&mut odd)));
        }
        out.push(word.to_owned());
    }
    if !odd.is_empty() {
        out.push(spanned(&odd));
    }
    out.join(" ")
}

/// Words in one code span, what ends the sentence or part of it behind it.
fn spanned(words: &[&str]) -> String {
    let text = words.join(" ");
    let body = text.trim_end_matches([',', ';', ':', '.']);
    if body.is_empty() { code(&text) } else { code(body) + &text[body.len()..] }
}

/// True if no renderer takes the word for anything else: markup, a link, a mention, an emoji, a commit, an issue.
fn is_plain(word: &str) -> bool {
    let body = word.trim_end_matches([',', ';', ':', '.']);
    let inner = body.trim_matches(['"', '\'', '(', ')']);
    let has_digit = body.chars().any(|c| c.is_ascii_digit());
    let is_commit = inner.len() >= SHORTEST_COMMIT && inner.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_issue = has_digit && body.contains('-');
    let is_emphasis = inner.starts_with('_') || inner.ends_with('_');
    let is_emoji = body.matches(':').count() > 1 || body.starts_with(':');
    let is_link = body.contains("www.") || body.contains("//");
    let may = |c: char| c.is_alphanumeric() || "'\"()-,;.:/=%+?_→…—".contains(c);
    let is_more = is_commit || is_issue || is_emphasis || is_emoji || is_link;
    !is_more && body.chars().all(may) && (!body.is_empty() || word.is_empty())
}

/// A commit's hash is known by so many characters.
const SHORTEST_COMMIT: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_words_are_spans_and_sentences_stay_sentences() {
        for (sentence, shown) in [
            ("3 rows refer to nothing.", "3 rows refer to nothing."),
            ("\"Chat\".\"labels\" is no array, see #12", "\"Chat\".\"labels\" is no array, see `#12`"),
            ("EVO101 of 2.3.7 (42P10): POST /openai/creds", "EVO101 of 2.3.7 (42P10): POST /openai/creds"),
            ("_a_ :x: http://h", "`_a_ :x: http://h`"),
            ("ask @alice or a`b``c now", "ask `@alice` or ```a`b``c``` now"),
            ("a | b <img src=x> [x](y)", "a `|` b `<img src=x> [x](y)`"),
            (
                "deadbeef1 42P10 GL-12 5511999990000 www.x.y",
                "`deadbeef1` 42P10 `GL-12 5511999990000 www.x.y`",
            ),
            ("a\nb\u{202e}c", "`a\\nb\\u{202e}c`"),
            ("`", "`` ` ``"),
        ] {
            assert_eq!(prose(sentence), shown);
        }
        assert_eq!(
            (code(""), code(" a"), fenced("sql", "```")),
            ("`  `".to_owned(), "`  a `".to_owned(), "````sql\n```\n````\n".to_owned())
        );
    }
}

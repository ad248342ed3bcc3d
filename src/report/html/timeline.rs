//! Wrong calls over time, by client and by route.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};
use serde_json::Value;

use crate::access_log::ReadSummary;
use crate::access_log::timestamp::{Timestamp, zone_name};
use crate::report::view::ReportView;
use crate::report::words::logs;
use crate::rules::finding::Finding;
use crate::text::humanize;

use super::text::{counted, grouped, name, plain, prose, table};

/// Columns of a chart, at most.
const MOST_COLUMNS: i64 = 96;

/// Rows of small charts, for all findings together and for each.
const MOST_ROWS: usize = 12;
const MOST_ROWS_OF_ONE: usize = 8;

/// Findings in the overview.
const MOST_IN_OVERVIEW: usize = 50;

/// Pixels of a column.
const COLUMN: i64 = 4;

/// Counts over time.
#[derive(Debug, Clone)]
struct TimeSeries {
    start: i64,
    seconds: i64,
    counts: Vec<u64>,
}

impl TimeSeries {
    fn of(part: &Value) -> Option<Self> {
        Self::read(part.get("timeline")?)
    }

    fn read(timeline: &Value) -> Option<Self> {
        let counts = timeline.get("counts")?.as_array()?.iter().filter_map(Value::as_u64).collect();
        let start = Timestamp::from_iso(timeline.get("from")?.as_str()?)?.millis().div_euclid(1000);
        Some(Self { start, seconds: timeline.get("seconds")?.as_i64()?.max(1), counts })
    }

    fn of_finding(finding: &Finding) -> Option<Self> {
        Self::read(finding.extra.get("timeline")?)
    }

    fn end(&self) -> i64 {
        self.start + self.seconds * i64::try_from(self.counts.len()).unwrap_or(0)
    }
}

/// The common scale of charts side by side.
#[derive(Debug, Clone, Copy)]
struct TimeAxis {
    start: i64,
    seconds: i64,
    columns: i64,
    /// The log's own zone, in minutes east of UTC.
    zone: i16,
}

impl TimeAxis {
    /// An axis that all of them fit on; `None` where no time is known.
    fn of<'s>(series: impl Iterator<Item = &'s TimeSeries> + Clone, zone: i16) -> Option<Self> {
        let mut seconds = series.clone().map(|one| one.seconds).max()?;
        let (first, end) = (series.clone().map(|one| one.start).min()?, series.map(TimeSeries::end).max()?);
        loop {
            let start = first.div_euclid(seconds) * seconds;
            let columns = (end - start + seconds - 1).div_euclid(seconds);
            if columns <= MOST_COLUMNS {
                return Some(Self { start, seconds, columns, zone });
            }
            seconds *= 2;
        }
    }

    /// Intervals are powers of two long and begin at multiples of that, so each lies in one column.
    fn add(self, series: &TimeSeries, to: &mut [u64]) {
        for (at, count) in (0..).zip(&series.counts) {
            let column = (series.start + at * series.seconds - self.start).div_euclid(self.seconds);
            if let Some(sum) = usize::try_from(column).ok().and_then(|column| to.get_mut(column)) {
                *sum += count;
            }
        }
    }

    fn counts<'s>(self, series: impl Iterator<Item = &'s TimeSeries>) -> Vec<u64> {
        let mut counts = vec![0; usize::try_from(self.columns).unwrap_or(0)];
        series.for_each(|one| self.add(one, &mut counts));
        counts
    }

    fn at(self, column: usize) -> String {
        let second = self.start + self.seconds * i64::try_from(column).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        Timestamp::from_unix(second as f64).map(|time| time.clock_in(self.zone)).unwrap_or_default()
    }
}

/// Columns, each as high as its share of `highest`.
fn chart(axis: TimeAxis, counts: &[u64], highest: u64, height: i64, label: &str) -> Markup {
    let width = axis.columns * COLUMN;
    let mut path = String::new();
    for (x, &count) in (0_i64..).step_by(4).zip(counts).filter(|(_, count)| **count > 0) {
        let share = (count * height.unsigned_abs()).div_ceil(highest.max(1));
        path.push_str(&format!("M{x} {height}v-{}h3v{}z", share.max(1), share.max(1)));
    }
    html! {
        svg.chart role="img" aria-label=(plain(label)) viewBox={ "0 0 " (width) " " (height) } preserveAspectRatio="none"
            height=(height) {
            path d=(path) {}
        }
    }
}

/// The wrong names with the right ones, a row for each finding, the worst first; `None` for one or none.
pub fn overview(outline: &ReportView<'_>) -> Option<Markup> {
    let row = |finding: &Finding| {
        vec![
            grouped(finding.count.unsigned_abs()),
            html! { a href={ "#" (finding.code) } { code { (finding.code) } } },
            name(&logs::with_ends(&finding.subject)),
            prose(&logs::in_a_path(finding)),
        ]
    };
    let news: Vec<&Finding> = outline.new_findings().map(|view| view.finding).collect();
    let rows: Vec<Vec<Markup>> = news.iter().take(MOST_IN_OVERVIEW).map(|finding| row(finding)).collect();
    (news.len() > 1).then(|| {
        html! {
            (table("Wrong names", &["Requests", "Code", "Written", "Write instead"], &rows))
            @if news.len() > rows.len() { p.left-out { (grouped((news.len() - rows.len()) as u64)) " more below." } }
        }
    })
}

/// When which client called what wrongly, over all findings.
pub fn section(outline: &ReportView<'_>, read: &ReadSummary) -> Option<Markup> {
    let findings: Vec<&Finding> = outline.views.iter().map(|view| view.finding).collect();
    let whole: Vec<TimeSeries> =
        findings.iter().filter_map(|finding| TimeSeries::of_finding(finding)).collect();
    let zone = findings.first().map(|finding| logs::zone(finding)).unwrap_or_default();
    let axis = TimeAxis::of(whole.iter(), zone)?;
    let counts = axis.counts(whole.iter());
    let clients = together(axis, &findings, "clients", |client| {
        let of = |key| client.get(key).and_then(Value::as_str);
        (of("address").unwrap_or("-").to_owned(), of("user_agent").unwrap_or("").to_owned())
    });
    let routes = together(axis, &findings, "endpoints", |endpoint| {
        let of = |key| endpoint.get(key).and_then(Value::as_str).unwrap_or("any").to_owned();
        (of("method"), of("path"))
    });
    let highest = counts.iter().max().copied().unwrap_or(0);
    let peak = counts.iter().position(|count| *count == highest).unwrap_or(0);
    Some(html! {
        p.lead {
            "A column is " (humanize::format_duration(Duration::from_secs(axis.seconds.unsigned_abs()))) ". Most at once: " (counted(highest, "request")) ", from " (axis.at(peak)) " on (times are " (zone_of(&findings)) "). "
            (counted(read.requests.lines, "line")) " were read, " (counted(read.requests.parsed, "request")) " understood."
        }
        figure.timeline {
            (chart(axis, &counts, highest, 96, &format!("Wrong calls over time, at most {highest} in {}", humanize::format_duration(Duration::from_secs(axis.seconds.unsigned_abs())))))
            figcaption { span { (axis.at(0)) } span { (axis.at(counts.len())) } }
        }
        (numbers(axis, &counts))
        h3 { "By client" }
        (rows(axis, &clients, ["Client", "User agent"], MOST_ROWS))
        h3 { "By route" }
        (rows(axis, &routes, ["Verb", "Route"], MOST_ROWS))
    })
}

/// On which clock the charts are.
fn zone_of(findings: &[&Finding]) -> String {
    let first = findings.first();
    match first.and_then(|first| first.extra.get("zone_minutes")).and_then(Value::as_i64) {
        Some(_) => zone_name(first.map(|first| logs::zone(first)).unwrap_or_default()),
        None => "those of the log, which names no zone".to_owned(),
    }
}

fn numbers(axis: TimeAxis, counts: &[u64]) -> Markup {
    let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let rows: Vec<Vec<Markup>> =
        filled.map(|(at, &count)| vec![html! { (axis.at(at)) }, grouped(count)]).collect();
    html! {
        details { summary { "The same as numbers" } (table("Wrong calls over time", &["From", "Requests"], &rows)) }
    }
}

/// A client or a route: how often it is in it, and when.
struct SeriesPart {
    count: u64,
    counts: Vec<u64>,
    in_all: Option<u64>,
}

type SeriesParts = Vec<((String, String), SeriesPart)>;

/// The same client or route of several findings together, the most frequent first.
fn together(
    axis: TimeAxis,
    findings: &[&Finding],
    key: &str,
    name: impl Fn(&Value) -> (String, String),
) -> SeriesParts {
    let mut parts: BTreeMap<(String, String), SeriesPart> = BTreeMap::new();
    let parts_of =
        |finding: &Finding| finding.extra.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let all =
        findings.iter().flat_map(|finding| parts_of(finding).into_iter().map(move |part| (*finding, part)));
    for (finding, part) in all {
        let new = || SeriesPart { count: 0, counts: axis.counts(std::iter::empty()), in_all: None };
        let sum = parts.entry(name(&part)).or_insert_with(new);
        sum.count += part.get("count").and_then(Value::as_u64).unwrap_or(0);
        sum.in_all = sum.in_all.max(part.get("requests_in_all").and_then(Value::as_u64));
        // Who made all of a finding's calls made them when the finding says.
        let is_all = part.get("count").and_then(Value::as_i64) == Some(finding.count);
        let series =
            TimeSeries::of(&part).or_else(|| is_all.then(|| TimeSeries::of_finding(finding)).flatten());
        if let Some(series) = series {
            axis.add(&series, &mut sum.counts);
        }
    }
    let mut parts: SeriesParts = parts.into_iter().collect();
    parts.sort_by_key(|(_, part)| std::cmp::Reverse(part.count));
    parts
}

/// The parts that have a hundredth of the requests or more, and the first in any case: the others are counted.
fn rows(axis: TimeAxis, parts: &SeriesParts, head: [&str; 2], most: usize) -> Markup {
    let all: u64 = parts.iter().map(|(_, part)| part.count).sum();
    let loud = parts.iter().take(most).take_while(|(_, part)| part.count * 100 >= all).count();
    let (shown, others) = parts.split_at(loud.max(1).min(parts.len()));
    let of_others: u64 = others.iter().map(|(_, part)| part.count).sum();
    let highest = shown.iter().flat_map(|(_, part)| &part.counts).max().copied().unwrap_or(0);
    html! {
        div.scroll tabindex="0" role="group" aria-label={ "Requests by " (head[0].to_lowercase()) } {
            table.multiples {
                thead { tr { th scope="col" { (head[0]) } th scope="col" { (head[1]) } th.end scope="col" { "Requests" } th scope="col" { "When" } } }
                tbody {
                    @for ((first, second), part) in shown {
                        tr {
                            th scope="row" { (name(first)) }
                            td { (prose(second)) }
                            td.end {
                                (grouped(part.count))
                                @if let Some(all) = part.in_all.filter(|all| *all > 0) { " " small { (share(part.count, all)) } }
                            }
                            td.when { (chart(axis, &part.counts, highest, 28, &format!("{first} {second} over time"))) }
                        }
                    }
                }
            }
        }
        @if !others.is_empty() {
            p.left-out { (grouped(others.len() as u64)) " more with " (counted(of_others, "request")) " in " code { "--format json" } "." }
        }
    }
}

fn share(count: u64, all: u64) -> String {
    match count * 100 / all {
        0 => "< 1 % of its own".to_owned(),
        percent => format!("{percent} % of its own"),
    }
}

/// The details of one wrong name: what to write, when it came, from whom, on which routes.
pub fn evidence(finding: &Finding) -> Markup {
    let whole = TimeSeries::of_finding(finding);
    let axis = TimeAxis::of(whole.iter(), logs::zone(finding));
    let instead = logs::instead(finding, true);
    let statuses = finding.extra.get("statuses").and_then(Value::as_object);
    let listed = |key: &str, field: &str| {
        let parts = finding.extra.get(key).and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> =
            parts.filter_map(|part| part.get(field)?.as_str()).take(MOST_ROWS_OF_ONE).collect();
        names.join(", ")
    };
    let (hosts, routers) = (listed("hosts", "host"), listed("routers", "router"));
    let client = |part: &Value| {
        let of = |key| part.get(key).and_then(Value::as_str);
        (of("address").unwrap_or("-").to_owned(), of("user_agent").unwrap_or("").to_owned())
    };
    let route = |part: &Value| {
        let of = |key| part.get(key).and_then(Value::as_str).unwrap_or("any").to_owned();
        (of("method"), of("path"))
    };
    html! {
        dl.pairs {
            div { dt { "Write instead" } dd { strong { (prose(&instead)) } } }
            div { dt { "Requests" } dd { (prose(&logs::how_often(finding))) } }
            @if let Some(statuses) = statuses.filter(|statuses| !statuses.is_empty()) {
                div { dt { "Answered" } dd { @for (status, count) in statuses { code { (status) } " × " (grouped(count.as_u64().unwrap_or(0))) " " } } }
            }
            @if !hosts.is_empty() { div { dt { "Host" } dd { (prose(&hosts)) } } }
            @if !routers.is_empty() { div { dt { "Router" } dd { (prose(&routers)) } } }
        }
        @if let Some(axis) = axis {
            details {
                summary { "Who, where and when" }
                @let counts = axis.counts(whole.iter());
                @let highest = counts.iter().max().copied().unwrap_or(0);
                figure.timeline {
                    (chart(axis, &counts, highest, 48, &format!("Calls of {} over time, at most {highest} in {}", finding.subject, humanize::format_duration(Duration::from_secs(axis.seconds.unsigned_abs())))))
                    figcaption { span { (axis.at(0)) } span { "a column is " (humanize::format_duration(Duration::from_secs(axis.seconds.unsigned_abs()))) } span { (axis.at(counts.len())) } }
                }
                (rows(axis, &together(axis, &[finding], "clients", client), ["Client", "User agent"], MOST_ROWS_OF_ONE))
                (rows(axis, &together(axis, &[finding], "endpoints", route), ["Verb", "Route"], MOST_ROWS_OF_ONE))
            }
        }
    }
}

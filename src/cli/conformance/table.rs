//! The report for people: first what is broken, with what was sent, expected and came; then a line a requirement; then a summary.
//!
//! What a broker wrote is printed without control characters.

use comfy_table::{Table, presets};
use osb::conformance::{Finding, Judged, Report, Verdict};

use super::super::print::plain;

/// How many findings of one requirement are shown.
const FINDINGS_MAX: usize = 2;
/// How much of a body is shown, in characters.
const BODY_CHARS: usize = 600;

/// The whole report as text.
pub(super) fn table(report: &Report, all: bool) -> String {
    let of_brokers = report.of_brokers();
    let mut text = String::new();
    for row in of_brokers.iter().filter(|row| matches!(row.verdict, Verdict::Failed | Verdict::Warned)) {
        text.push_str(&broken(row));
        text.push('\n');
    }
    let mut rows: Vec<&Judged> = if all { report.rows.iter().collect() } else { of_brokers };
    rows.sort_by_key(|row| row.verdict);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["VERDICT", "ID", "LEVEL", "REQUIREMENT"]);
    for row in rows {
        table.add_row([row.verdict.as_str(), &row.id, row.level.as_str(), &sentence(row)]);
    }
    text.push_str(&table.trim_fmt());
    text.push_str("\n\n");
    text.push_str(&summary(report));
    text
}

fn sentence(row: &Judged) -> String {
    let because = row.because.as_ref().map(|id| format!(", because of {id}")).unwrap_or_default();
    match &row.reason {
        Some(reason) => plain(&format!("{} ({reason}{because})", row.requirement)),
        None => row.requirement.clone(),
    }
}

fn broken(row: &Judged) -> String {
    let mut text = format!("{} {} ({}): {}\n  {}\n", row.verdict, row.id, row.level, row.requirement, row.link);
    for finding in row.findings.iter().take(FINDINGS_MAX) {
        text.push_str(&one(finding));
    }
    let more = row.findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        line(&mut text, "more", &format!("{more}, with --json"));
    }
    text
}

fn one(finding: &Finding) -> String {
    let mut text = String::new();
    line(&mut text, "in", &finding.case);
    if let Some(seen) = &finding.exchange {
        line(&mut text, "sent", &format!("{} {} with {}", seen.method, seen.path, seen.sent_by));
        if let Some(body) = &seen.request_body {
            line(&mut text, "", body);
        }
    }
    line(&mut text, "expected", &finding.expected);
    line(&mut text, "came", &finding.came);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let short: String = value.chars().take(BODY_CHARS).collect();
    let name = if name.is_empty() { String::new() } else { format!("{name}:") };
    text.push_str(&format!("  {name:<10}{}\n", plain(&short).replace('\n', " ")));
}

fn summary(report: &Report) -> String {
    let counts: Vec<String> =
        Verdict::ALL.iter().map(|verdict| format!("{} {verdict}", report.summary.get(verdict).unwrap_or(&0))).collect();
    let mut text = format!("OSB {}: {}\n", report.specification, counts.join(", "));
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    let pace = if report.subject.asynchronous { "some of it asynchronous" } else { "all of it at once" };
    let seconds = report.milliseconds / 1_000;
    text.push_str(&format!(
        "judged with plan {} of {}, {pace}; of other plans only the catalog was looked at; {} requests in {seconds} s",
        plain(&name(&report.subject.plan)),
        plain(&name(&report.subject.offering)),
        report.requests,
    ));
    if let Some(reason) = &report.incomplete {
        text.push_str(&format!("\nincomplete: {}", plain(reason)));
    }
    text
}

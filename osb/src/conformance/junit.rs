//! The report as JUnit XML, which continuous integration systems read: a test case a requirement.
//!
//! Failed is a failure; not judged and not applicable are skipped; a warning is a test that passed and says so in its output.

use super::report::{Finding, Judged, Report, Verdict};

/// The report's requirements of brokers as one JUnit test suite.
pub fn junit(report: &Report) -> String {
    let rows = report.of_brokers();
    let count = |verdicts: &[Verdict]| rows.iter().filter(|row| verdicts.contains(&row.verdict)).count();
    let seconds = format!("{}.{:03}", report.milliseconds / 1_000, report.milliseconds % 1_000);
    let head = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds}\"",
        rows.len() + usize::from(report.incomplete.is_some()),
        count(&[Verdict::Failed]),
        usize::from(report.incomplete.is_some()),
        count(&[Verdict::NotJudged, Verdict::NotApplicable]),
    );
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = format!("OSB {} conformance of {}", report.specification, report.subject.url);
    let head = format!("name=\"{}\" {head}", escaped(&name));
    xml.push_str(&format!("<testsuites {head}>\n<testsuite {head}>\n"));
    for row in rows {
        xml.push_str(&case(row));
    }
    if let Some(reason) = &report.incomplete {
        let error = format!("<error message=\"{}\"/>", escaped(reason));
        xml.push_str(&format!("<testcase classname=\"osb\" name=\"the whole run\" time=\"0\">{error}</testcase>\n"));
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

fn case(row: &Judged) -> String {
    let (group, _) = row.id.split_once('-').unwrap_or((&row.id, ""));
    let name = escaped(&format!("{} {}", row.id, row.requirement));
    let inner = match row.verdict {
        Verdict::Passed => String::new(),
        Verdict::Failed => {
            let first = row.findings.first().map_or(String::new(), |finding| finding.expected.clone());
            let message = escaped(&format!("expected {first}"));
            format!("<failure message=\"{message}\" type=\"{}\">{}</failure>", row.level, escaped(&findings(row)))
        }
        Verdict::Warned => format!("<system-out>{}</system-out>", escaped(&format!("warning: {}", findings(row)))),
        Verdict::NotJudged | Verdict::NotApplicable => {
            let reason = row.reason.clone().unwrap_or_default();
            format!("<skipped message=\"{}\"/>", escaped(&format!("{}: {reason}", row.verdict)))
        }
    };
    format!("<testcase classname=\"osb.{group}\" name=\"{name}\" time=\"0\">{inner}</testcase>\n")
}

fn findings(row: &Judged) -> String {
    let mut text = format!("{}\n", row.link);
    for finding in &row.findings {
        text.push_str(&one(finding));
        text.push('\n');
    }
    text
}

fn one(finding: &Finding) -> String {
    let sent = finding.exchange.as_ref().map_or(String::new(), |seen| {
        let body = seen.request_body.as_deref().unwrap_or_default();
        format!("sent: {} {} {body}\n", seen.method, seen.path)
    });
    format!("in: {}\n{sent}expected: {}\ncame: {}", finding.case, finding.expected, finding.came)
}

/// Text for an attribute or an element. What XML can't hold at all becomes a question mark.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_for_xml() {
        assert_eq!(escaped("a<b>&\"'\n\u{0}\u{1b}ü😀"), "a&lt;b&gt;&amp;&quot;&apos;&#10;??ü😀");
    }
}

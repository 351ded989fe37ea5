//! A broker judged by the conformance suite: how a run stands ([`RunState`]), and what of its report is kept ([`Judgement`]).
//!
//! The judging is `osb::conformance`. Invariant: what is kept names no parameter that the run was given: where one would stand in a
//! finding, it is masked.

use std::collections::BTreeMap;

use osb::conformance::{self, Judged, Level, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::Time;

/// Findings of one requirement that are kept.
const FINDINGS_MAX: usize = 5;
/// Characters of one sentence.
const SENTENCE_MAX: usize = 500;
/// Things left behind that are named.
const LEFT_MAX: usize = 100;
/// A text that is shorter than this is no secret, and may stand anywhere by chance.
const MASKED_MIN: usize = 4;
const MASK: &str = "(masked)";

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConformanceState)]
pub enum RunState {
    /// Some process will begin with it.
    Waiting,
    /// It is under way.
    Running,
    /// The process that ran it ended; another one deletes what it left.
    Cleaning,
    /// It is over, and there is a verdict.
    Finished,
    /// It was cut off: there is no verdict.
    Interrupted,
    /// It could not even begin.
    Failed,
}

impl RunState {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Cleaning => "cleaning",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// Reads what [`RunState::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Running, Self::Cleaning, Self::Finished, Self::Interrupted, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Whether something goes on, or will.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Waiting | Self::Running | Self::Cleaning)
    }
}

/// What a finished run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConformanceOutcome)]
pub enum Outcome {
    /// Nothing that binds is broken.
    Conforms,
    /// Something is.
    Fails,
    /// It could not be found out.
    Incomplete,
}

impl Outcome {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conforms => "conforms",
            Self::Fails => "fails",
            Self::Incomplete => "incomplete",
        }
    }

    /// Reads what [`Outcome::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Conforms, Self::Fails, Self::Incomplete].into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// What a review looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which form of the offering was judged: [`super::review::digest`].
    pub digest: String,
    /// What it came to.
    pub outcome: Outcome,
    /// The ids of the requirements that bind and are broken.
    pub failed: Vec<String>,
    /// Why it says less than it should.
    pub reason: Option<String>,
    /// When it was over.
    pub at: Time,
}

/// What is kept of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConformanceJudgement)]
pub struct Judgement {
    /// The version of OSB.
    pub specification: String,
    /// The plan that instances were made of, by the broker's name; the others were looked at in the catalog only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// How many requirements have which verdict.
    pub summary: BTreeMap<String, usize>,
    /// Requirements that bind brokers, the worst first.
    pub rows: Vec<JudgedRow>,
    /// Why it says less than it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// What may still be at the broker.
    pub left_behind: Vec<String>,
    /// Requests that were sent.
    pub requests: usize,
}

/// What became of one requirement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConformanceRow)]
pub struct JudgedRow {
    /// The requirement's id, such as `PRV-07`.
    pub id: String,
    /// How strong it is, such as `MUST`.
    pub level: String,
    /// `passed failed warned not_judged not_applicable`
    pub verdict: String,
    /// What is required.
    pub requirement: String,
    /// Where the specification says so.
    pub link: String,
    /// Why it was not judged, or does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it was broken, in a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl Judgement {
    /// What is kept of a report; `given` are the parameters of the run.
    pub fn of(report: &Report, given: &Value) -> Self {
        let mut secrets = Vec::new();
        collect(given, &mut secrets);
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let rows = report.of_brokers().into_iter().map(|row| kept(row, &secrets)).collect();
        Self {
            specification: report.specification.clone(),
            plan: report.subject.plan.clone(),
            summary: report.summary.iter().map(|(verdict, count)| (word(*verdict).to_owned(), *count)).collect(),
            rows,
            incomplete: report.incomplete.as_deref().map(|reason| shortened(reason, &secrets)),
            left_behind: left(&report.left_behind),
            requests: report.requests,
        }
    }

    /// The ids of the requirements that bind and are broken.
    pub fn failed(&self) -> Vec<String> {
        self.rows.iter().filter(|row| row.verdict == "failed").map(|row| row.id.clone()).collect()
    }
}

/// What a report comes to.
pub fn outcome(report: &Report) -> Outcome {
    match report.outcome(false) {
        conformance::Outcome::Conforms => Outcome::Conforms,
        conformance::Outcome::Fails => Outcome::Fails,
        conformance::Outcome::Incomplete => Outcome::Incomplete,
    }
}

/// What is named of what was left behind.
pub fn left(things: &[String]) -> Vec<String> {
    let mut named: Vec<String> = things.iter().take(LEFT_MAX).map(|thing| shortened(thing, &[])).collect();
    if things.len() > LEFT_MAX {
        named.push(format!("and {} more", things.len() - LEFT_MAX));
    }
    named
}

fn word(verdict: conformance::Verdict) -> &'static str {
    match verdict {
        conformance::Verdict::Failed => "failed",
        conformance::Verdict::Warned => "warned",
        conformance::Verdict::NotJudged => "not_judged",
        conformance::Verdict::Passed => "passed",
        conformance::Verdict::NotApplicable => "not_applicable",
    }
}

fn kept(row: &Judged, secrets: &[String]) -> JudgedRow {
    let finding = |finding: &conformance::Finding| {
        let sent = finding.exchange.as_ref().map(|seen| format!(" {} {}", seen.method, seen.path)).unwrap_or_default();
        let text = format!("{}:{sent} expected {}, came {}", finding.case, finding.expected, finding.came);
        shortened(&text, secrets)
    };
    let because = row.because.as_ref().map(|id| format!(", because of {id}")).unwrap_or_default();
    JudgedRow {
        id: row.id.clone(),
        level: Level::as_str(row.level).to_owned(),
        verdict: word(row.verdict).to_owned(),
        requirement: row.requirement.clone(),
        link: row.link.clone(),
        reason: row.reason.as_ref().map(|reason| shortened(&format!("{reason}{because}"), secrets)),
        findings: row.findings.iter().take(FINDINGS_MAX).map(finding).collect(),
    }
}

fn shortened(text: &str, secrets: &[String]) -> String {
    let masked = secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK));
    let plain: String = masked.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.chars().count() <= SENTENCE_MAX {
        return plain;
    }
    plain.chars().take(SENTENCE_MAX).chain(['…']).collect()
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().count() >= MASKED_MIN => into.push(text.clone()),
        Value::Number(number) if number.to_string().len() >= MASKED_MIN => into.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use osb::conformance::{Finding, Level, Side, Verdict as Found};
    use serde_json::json;

    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        let row = Judged {
            id: "PRV-07".into(),
            sides: vec![Side::Broker],
            level: Level::Must,
            requirement: "r".into(),
            link: "https://l.example".into(),
            verdict: Found::Failed,
            observations: 1,
            reason: None,
            because: None,
            findings,
        };
        Report {
            specification: "2.17".into(),
            suite: "1".into(),
            subject: Default::default(),
            summary: BTreeMap::from([(Found::Failed, 1)]),
            rows: vec![row],
            incomplete: None,
            interrupted: false,
            left_behind: (0..150).map(|n| format!("instance {n}")).collect(),
            requests: 3,
            milliseconds: 4,
        }
    }

    #[test]
    fn parameters_are_masked_in_what_is_kept_and_long_sentences_cut() {
        let came = format!("200 {{\"parameters\":{{\"token\":\"hunter22\",\"n\":12345}}}}{}", "x".repeat(1000));
        let finding = Finding { case: "c".into(), expected: "e".into(), came, exchange: None };
        let kept =
            Judgement::of(&report(vec![finding]), &json!({"create": {"token": "hunter22", "n": 12345, "s": "ab"}}));
        let text = serde_json::to_string(&kept).unwrap();
        assert!(!text.contains("hunter22") && !text.contains("12345") && text.contains(MASK), "{text}");
        assert_eq!(kept.rows[0].findings[0].chars().count(), SENTENCE_MAX + 1);
        assert_eq!((kept.left_behind.len(), kept.left_behind[100].as_str()), (101, "and 50 more"));
        assert_eq!((kept.failed(), kept.summary["failed"]), (vec!["PRV-07".to_owned()], 1));
    }
}

//! What the suite found out: per requirement a verdict, with what was sent, what was expected and what came where it failed.
//!
//! Plain data: it is read and written as JSON, and holds no credential.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use super::requirement::{Level, Side};

/// What became of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Broken, and it binds.
    Failed,
    /// Broken, and it doesn't bind.
    Warned,
    /// Could not be looked at, because something else went wrong.
    NotJudged,
    /// Kept, wherever it was looked at.
    Passed,
    /// Doesn't concern this broker, this plan, or brokers at all.
    NotApplicable,
}

impl Verdict {
    /// Every verdict, the worst first.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Warned, Self::NotJudged, Self::Passed, Self::NotApplicable];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Warned => "warned",
            Self::NotJudged => "not judged",
            Self::Passed => "passed",
            Self::NotApplicable => "not applicable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One place where a requirement was broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The case that found it.
    pub case: String,
    /// What was expected.
    pub expected: String,
    /// What came, in a line.
    pub came: String,
    /// The exchange, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// What became of one requirement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The requirement's id.
    pub id: String,
    /// Whom it binds.
    pub sides: Vec<Side>,
    /// How strong it is.
    pub level: Level,
    /// What is required.
    pub requirement: String,
    /// The specification's section.
    pub link: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How often it was looked at.
    pub observations: usize,
    /// Why it was not judged, or does not apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The requirement whose failure kept it from being judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Where it was broken; a few at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// What was judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The broker's URL.
    pub url: String,
    /// The offering that instances were made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offering: Option<String>,
    /// The plan that instances were made of; the others were looked at in the catalog only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether an operation was asynchronous.
    pub asynchronous: bool,
}

/// What a whole run found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the specification.
    pub specification: String,
    /// The version of the suite.
    pub suite: String,
    /// What was judged.
    pub subject: Subject,
    /// How many requirements have which verdict, those of brokers only.
    pub summary: BTreeMap<Verdict, usize>,
    /// Every requirement.
    pub rows: Vec<Judged>,
    /// Why the run says less than it should: what kept it from making an instance, or from going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Whether somebody stopped it.
    #[serde(default)]
    pub interrupted: bool,
    /// What may still be at the broker.
    #[serde(default)]
    pub left_behind: Vec<String>,
    /// How many requests were sent.
    pub requests: usize,
    /// How long it took.
    pub milliseconds: u64,
}

/// How a run ended, as an exit status says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that binds is broken.
    Conforms,
    /// Something is.
    Fails,
    /// It could not be found out.
    Incomplete,
}

impl Report {
    /// How the run ended. `strict` counts what should be, too.
    pub fn outcome(&self, strict: bool) -> Outcome {
        let counts = |row: &&Judged| match row.verdict {
            Verdict::Failed => true,
            Verdict::Warned => strict && matches!(row.level, Level::Should | Level::ShouldNot | Level::Recommended),
            _ => false,
        };
        if self.rows.iter().any(|row| counts(&row)) {
            Outcome::Fails
        } else if self.incomplete.is_some() {
            Outcome::Incomplete
        } else {
            Outcome::Conforms
        }
    }

    /// The requirements that brokers have to keep, the worst first.
    pub fn of_brokers(&self) -> Vec<&Judged> {
        let mut rows: Vec<&Judged> = self.rows.iter().filter(|row| row.sides.contains(&Side::Broker)).collect();
        rows.sort_by_key(|row| row.verdict);
        rows
    }

    /// The requirement with that id.
    pub fn row(&self, id: &str) -> Option<&Judged> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The ids of the requirements with that verdict.
    pub fn with(&self, verdict: Verdict) -> Vec<&str> {
        self.rows.iter().filter(|row| row.verdict == verdict).map(|row| row.id.as_str()).collect()
    }
}

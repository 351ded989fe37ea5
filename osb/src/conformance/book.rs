//! The verdicts in the making: what each case saw of each requirement, the worst of which counts.
//!
//! It decides nothing about a broker; cases do. Invariant: whatever was seen broken once stays broken.

use std::collections::HashMap;
use std::sync::Arc;

use super::exchange::Exchange;
use super::report::{Finding, Judged, Verdict};
use super::requirement::{Row, rows};

/// How many findings of one requirement are kept.
const FINDINGS_MAX: usize = 5;

/// What is known of one requirement.
#[derive(Default)]
struct Entry {
    observations: usize,
    findings: Vec<Finding>,
    not_judged: Option<(String, Option<&'static str>)>,
    not_applicable: Option<String>,
}

/// All verdicts so far.
#[derive(Default)]
pub(super) struct Book {
    entries: HashMap<&'static str, Entry>,
    /// Ids that cases used and that no row has; a unit test holds that there are none.
    pub(super) unknown: Vec<String>,
}

impl Book {
    fn entry(&mut self, row: &str) -> Option<&mut Entry> {
        let Some(row) = super::requirement::row(row) else {
            self.unknown.push(row.to_owned());
            return None;
        };
        Some(self.entries.entry(row.id).or_default())
    }

    /// A requirement was kept.
    pub(super) fn kept(&mut self, row: &str) {
        if let Some(entry) = self.entry(row) {
            entry.observations += 1;
        }
    }

    /// A requirement was broken.
    pub(super) fn broken(&mut self, row: &str, case: &str, expected: &str, came: String, seen: Option<&Arc<Exchange>>) {
        if let Some(entry) = self.entry(row) {
            entry.observations += 1;
            if entry.findings.len() < FINDINGS_MAX {
                entry.findings.push(Finding {
                    case: case.to_owned(),
                    expected: expected.to_owned(),
                    came,
                    exchange: seen.map(|exchange| exchange.as_ref().clone()),
                });
            }
        }
    }

    /// A requirement could not be looked at.
    pub(super) fn not_judged(&mut self, row: &str, reason: String, because: Option<&'static str>) {
        if let Some(entry) = self.entry(row) {
            entry.not_judged.get_or_insert((reason, because));
        }
    }

    /// A requirement doesn't concern this broker.
    pub(super) fn not_applicable(&mut self, row: &str, reason: String) {
        if let Some(entry) = self.entry(row) {
            entry.not_applicable.get_or_insert(reason);
        }
    }

    /// Whether a requirement was seen broken.
    pub(super) fn is_broken(&self, row: &str) -> bool {
        self.entries.get(row).is_some_and(|entry| !entry.findings.is_empty())
    }

    /// Whether anything is known of a requirement.
    pub(super) fn knows(&self, row: &str) -> bool {
        self.entries.contains_key(row)
    }

    /// Every requirement with its verdict. `unseen` says why one that no case looks at isn't looked at.
    pub(super) fn judged(mut self, unseen: impl Fn(&Row) -> Option<&'static str>) -> Vec<Judged> {
        rows().iter().map(|row| close(row, self.entries.remove(row.id).unwrap_or_default(), &unseen)).collect()
    }
}

fn close(row: &Row, entry: Entry, unseen: impl Fn(&Row) -> Option<&'static str>) -> Judged {
    let (verdict, reason, because) = if !entry.findings.is_empty() {
        (if row.level.binds() { Verdict::Failed } else { Verdict::Warned }, None, None)
    } else if entry.observations > 0 {
        (Verdict::Passed, None, None)
    } else if let Some((reason, because)) = entry.not_judged {
        (Verdict::NotJudged, Some(reason), because)
    } else if let Some(reason) = entry.not_applicable {
        (Verdict::NotApplicable, Some(reason), None)
    } else if !row.is_for_brokers() {
        (Verdict::NotApplicable, Some("a platform's duty: it can't be seen at a service broker".to_owned()), None)
    } else if let Some(reason) = unseen(row) {
        (Verdict::NotApplicable, Some(reason.to_owned()), None)
    } else {
        (Verdict::NotJudged, Some("the run did not come to it".to_owned()), None)
    };
    Judged {
        id: row.id.to_owned(),
        sides: row.sides.clone(),
        level: row.level,
        requirement: row.text.to_owned(),
        link: row.link(),
        verdict,
        observations: entry.observations,
        reason,
        because: because.map(str::to_owned),
        findings: entry.findings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(fill: impl FnOnce(&mut Book), id: &str) -> Judged {
        let mut book = Book::default();
        fill(&mut book);
        book.judged(|_| None).into_iter().find(|row| row.id == id).unwrap()
    }

    #[test]
    fn the_worst_that_was_seen_counts() {
        let broken = |book: &mut Book| {
            book.kept("PRV-07");
            book.broken("PRV-07", "a case", "201", "200".into(), None);
            book.kept("PRV-07");
            book.not_judged("PRV-07", "later".into(), Some("PRV-09"));
        };
        let seen = verdict(broken, "PRV-07");
        assert_eq!((seen.verdict, seen.observations, seen.findings.len()), (Verdict::Failed, 3, 1));
        let warned = verdict(|book| book.broken("PRV-08", "a case", "200", "201".into(), None), "PRV-08");
        assert_eq!(warned.verdict, Verdict::Warned);
    }

    #[test]
    fn what_was_seen_kept_is_passed_and_what_was_not_seen_says_why() {
        let half = |book: &mut Book| {
            book.not_judged("PRV-10", "too soon".into(), None);
            book.kept("PRV-10");
        };
        assert_eq!(verdict(half, "PRV-10").verdict, Verdict::Passed);
        let missing = verdict(|book| book.not_judged("PRV-10", "no instance".into(), Some("PRV-07")), "PRV-10");
        assert_eq!((missing.verdict, missing.because.as_deref()), (Verdict::NotJudged, Some("PRV-07")));
        let platform = verdict(|_| {}, "OM-01");
        assert_eq!(platform.verdict, Verdict::NotApplicable);
        assert!(platform.reason.unwrap().starts_with("a platform's duty"));
    }

    #[test]
    fn findings_are_bounded() {
        let many = |book: &mut Book| {
            for _ in 0..100 {
                book.broken("PRV-02", "a case", "400", "201".into(), None);
            }
        };
        assert_eq!(verdict(many, "PRV-02").findings.len(), FINDINGS_MAX);
    }
}

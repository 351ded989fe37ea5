//! What the hub refused, as a sentence that says what to do next. It decides nothing: the words are the hub's, only the advice
//! is the command line's.

use std::fmt;

use serde::Deserialize;

use super::print::plain;

/// A problem document (RFC 9457) of the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) status: u16,
    pub(super) detail: String,
    pub(super) code: String,
    #[serde(default)]
    pub(super) errors: Vec<Issue>,
    #[serde(default)]
    pub(super) request_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Issue {
    pointer: String,
    detail: String,
}

/// What to do about things that are not there: how the hub's sentence begins, and the advice.
const MISSING: &[(&str, &str)] = &[
    ("tenant `", "`bourse tenant list` shows those there are"),
    ("instance `", "`bourse list --tenant TENANT` shows those there are"),
    ("binding `", "`bourse show NAME --tenant TENANT` shows those there are"),
    ("broker `", "`bourse broker list` shows those there are"),
    ("platform `", "`bourse platform list` shows those there are"),
    ("operation `", "`bourse operation list` shows those there are"),
];
const NO_PLAN: &str = "there is no service plan";

impl Problem {
    fn advice(&self) -> Option<&'static str> {
        if self.detail.contains(NO_PLAN) {
            return Some("`bourse offering list` shows those there are");
        }
        let missing = MISSING.iter().filter(|_| self.status == 404);
        let missing = missing.filter(|(start, _)| self.detail.starts_with(start)).map(|(_, advice)| *advice).next();
        missing.or(match (self.status, self.code.as_str()) {
            (401, "invalid_token") => Some("check BOURSE_TOKEN, or run `bourse login`"),
            (401, _) => Some("check BOURSE_USERNAME and BOURSE_PASSWORD, or BOURSE_TOKEN"),
            (403, _) => Some("ask an administrator of the hub"),
            (_, "operation_in_progress") => Some("`bourse operation list --state in_progress` shows what is under way"),
            (412, _) => Some("read it again and repeat the change"),
            (502..=504, "broker_answer") => Some("`bourse broker list` shows how the brokers are"),
            (429 | 503, _) => Some("try again in a moment"),
            // The hub's own sentence says where to look.
            (_, "internal") => None,
            (500.., _) => Some("the hub's log says more"),
            _ => None,
        })
    }

    /// The hub's sentence without the advice that follows it for those who use the API by hand.
    fn sentence(&self) -> &str {
        let detail = self.detail.trim_end_matches('.');
        // Where a plan is missing, the pointer says nothing that the sentence doesn't.
        let detail = detail.find(NO_PLAN).and_then(|start| detail.get(start..)).unwrap_or(detail);
        detail.split_once("; GET /api/").map_or(detail, |(sentence, _)| sentence)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(self.sentence()))?;
        if let Some(advice) = self.advice() {
            write!(f, "; {advice}")?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, " (request {})", plain(request_id))?;
        }
        if self.errors.len() > 1 {
            for Issue { pointer, detail } in &self.errors {
                write!(f, "\n  {} {}", plain(pointer), plain(detail))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, code: &str, detail: &str, shown: &str) {
        let problem = Problem { status, code: code.to_owned(), detail: detail.to_owned(), ..Problem::default() };
        assert_eq!(problem.to_string(), shown);
    }

    #[test]
    fn a_refusal_says_what_to_do_next() {
        check(
            404,
            "not_found",
            "tenant `x` does not exist",
            "tenant `x` does not exist; `bourse tenant list` shows those there are",
        );
        check(
            500,
            "internal",
            "the hub could not do it; its log says why",
            "the hub could not do it; its log says why",
        );
        check(409, "taken", "the name is taken", "the name is taken");
        check(503, "busy", "the hub is busy", "the hub is busy; try again in a moment");
        check(
            422,
            "invalid",
            "/plan there is no service plan `p` of an offering `o`; GET /api/v1/offerings lists what there is",
            "there is no service plan `p` of an offering `o`; `bourse offering list` shows those there are",
        );
    }

    #[test]
    fn several_things_wrong_are_listed_and_one_is_not_repeated() {
        let issue = |pointer: &str| Issue { pointer: pointer.to_owned(), detail: "is\u{1b} wrong".to_owned() };
        let detail = "/a is wrong".to_owned();
        let mut problem = Problem { detail, errors: vec![issue("/a"), issue("/b")], ..Problem::default() };
        assert_eq!(problem.to_string(), "/a is wrong\n  /a is  wrong\n  /b is  wrong");
        problem.errors.pop();
        assert_eq!(problem.to_string(), "/a is wrong");
    }
}

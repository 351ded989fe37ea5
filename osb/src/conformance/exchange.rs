//! An exchange as it is kept and reported: what was sent, what came.
//!
//! Invariant: it holds no credential. `Authorization` is never in it, and what stands under `credentials` or `secret` in a
//! body is masked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::Request;
use crate::Object;

/// How much of a body is kept for the report, in characters.
const KEPT_CHARS: usize = 4_000;
const MASK: &str = "(masked)";

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Such as `PUT`.
    pub method: String,
    /// Path and query, as they were sent, behind the broker's URL.
    pub path: String,
    /// The headers that were sent, but for credentials.
    pub request_headers: Vec<(String, String)>,
    /// The body that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<String>,
    /// Whether it was sent with the credentials that the suite was given, with others, or with none.
    pub sent_by: String,
    /// The answer's status; none where there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The answer's body, its end cut off where it is long.
    #[serde(default)]
    pub body: String,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<String>,
    /// How long it took.
    pub milliseconds: u64,
    /// The body as JSON, whole and with nothing masked; never reported.
    #[serde(skip)]
    pub(super) json: Option<Value>,
    /// Whether nothing can have reached the broker.
    #[serde(skip)]
    pub(super) not_sent: bool,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Exchange {
    /// What was sent.
    pub(super) fn of(request: &Request, sent_by: &str) -> Self {
        Self {
            method: request.method.to_owned(),
            path: request.target(),
            request_headers: request.headers.clone(),
            request_body: request.body.as_deref().map(cut),
            sent_by: sent_by.to_owned(),
            status: None,
            headers: Vec::new(),
            body: String::new(),
            no_answer: None,
            milliseconds: 0,
            json: None,
            not_sent: false,
        }
    }

    /// With what came.
    pub(super) fn answered(mut self, answer: Answer) -> Self {
        self.status = Some(answer.status);
        self.headers = answer.headers;
        self.json = serde_json::from_slice(&answer.body).ok();
        let shown = match &self.json {
            Some(json) => masked(json).to_string(),
            None => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        self.body = cut(&shown);
        self
    }

    /// Whether the answer has that status.
    pub(super) fn is(&self, status: u16) -> bool {
        self.status == Some(status)
    }

    /// Whether the answer's status is one of those.
    pub(super) fn is_any(&self, statuses: &[u16]) -> bool {
        self.status.is_some_and(|status| statuses.contains(&status))
    }

    /// Whether it was refused as the caller's fault.
    pub(super) fn is_refused(&self) -> bool {
        self.status.is_some_and(|status| (400..500).contains(&status))
    }

    /// Whether it succeeded, or goes on.
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The answer's header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The header of that name that was sent.
    pub(super) fn sent_header(&self, name: &str) -> Option<&str> {
        self.request_headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The answer's body, where it is a JSON object.
    pub(super) fn object(&self) -> Option<&Object> {
        self.json.as_ref().and_then(Value::as_object)
    }

    /// A field of the answer's body.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.object()?.get(name)
    }

    /// A field of the answer's body that is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.field(name)?.as_str()
    }

    /// The answer in a line.
    pub fn came(&self) -> String {
        let Some(status) = self.status else {
            return format!("no answer: {}", self.no_answer.as_deref().unwrap_or("the exchange broke"));
        };
        let body: String = self.body.chars().take(200).collect();
        if body.is_empty() { format!("{status} without a body") } else { format!("{status} {body}") }
    }
}

fn cut(text: &str) -> String {
    let mut kept: String = text.chars().take(KEPT_CHARS).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

/// The same, with what may be a credential replaced.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let secret = ["credentials", "secret"].contains(&name.as_str());
                (name.clone(), if secret { hidden(value) } else { masked(value) })
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(entries) => Value::Array(entries.iter().map(masked).collect()),
        other => other.clone(),
    }
}

/// Keys and types remain, for whoever looks for what is wrong with them.
fn hidden(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), hidden(value))).collect(),
        Value::Array(entries) => entries.iter().map(hidden).collect(),
        Value::String(text) if !text.is_empty() => Value::from(MASK),
        Value::Number(_) => Value::from(0),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(status: u16, body: &str) -> Exchange {
        let answer = Answer { status, headers: vec![("ETag".into(), "x".into())], body: body.as_bytes().to_vec() };
        Exchange::of(&Request::catalog(), "the credentials given").answered(answer)
    }

    #[test]
    fn credentials_are_masked_and_their_shape_is_kept() {
        let body = r#"{"credentials":{"uri":"hunter2","port":5432,"tags":["hunter2"]},"dashboard_client":{"secret":"hunter2"}}"#;
        let seen = exchange(201, body);
        let shown = serde_json::to_string(&seen).unwrap();
        assert!(!shown.contains("hunter2") && !shown.contains("5432"), "{shown}");
        assert_eq!(seen.body, body.replace("hunter2", MASK).replace("5432", "0"));
        assert_eq!(seen.field("credentials").and_then(|found| found.get("port")), Some(&Value::from(5432)));
    }

    #[test]
    fn a_long_body_is_cut_and_an_answer_fits_a_line() {
        let seen = exchange(200, &"x".repeat(10_000));
        assert_eq!(seen.body.chars().count(), KEPT_CHARS + 1);
        assert_eq!(exchange(410, "").came(), "410 without a body");
        assert_eq!(seen.header("etag"), Some("x"));
    }
}

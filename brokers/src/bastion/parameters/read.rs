//! Reading one value: what it must be, in a sentence.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use osb::Object;
use osb::kit::Refusal;
use serde_json::Value;

/// How many login names a list may have.
const NAMES_MAX: usize = 32;
/// How long a login name may be.
const NAME_MAX: usize = 32;

pub(super) fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal::Invalid(sentence.into())
}

/// Refuses parameters in which a private key was pasted, at any depth: it must not be written anywhere.
pub(super) fn no_private_key(parameters: &Object) -> Result<(), Refusal> {
    fn holds(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains("PRIVATE KEY") || text.starts_with("PuTTY-User-Key-File"),
            Value::Array(list) => list.iter().any(holds),
            Value::Object(object) => object.values().any(holds),
            _ => false,
        }
    }
    let Some((name, _)) = parameters.iter().find(|(_, value)| holds(value)) else { return Ok(()) };
    Err(invalid(format!(
        "parameter `{name}` holds a private key: it was not kept here, but whoever has seen it can use it; make a new pair with `ssh-keygen -t ed25519` and send the file that ends in .pub"
    )))
}

pub(super) fn only(parameters: &Object, known: &[&str]) -> Result<(), Refusal> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => {
            let unknown: String = unknown.chars().take(64).collect();
            Err(invalid(format!("parameter `{unknown}` is not known here: use {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

fn there<'a>(parameters: &'a Object, name: &str) -> Option<&'a Value> {
    parameters.get(name).filter(|value| !value.is_null())
}

pub(super) fn text<'a>(parameters: &'a Object, name: &str, most: usize) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = there(parameters, name) else { return Ok(None) };
    let text = value.as_str().filter(|text| text.chars().count() <= most);
    text.map(Some).ok_or_else(|| invalid(format!("parameter `{name}` must be a text of at most {most} characters")))
}

pub(super) fn flag(parameters: &Object, name: &str) -> Result<Option<bool>, Refusal> {
    let Some(value) = there(parameters, name) else { return Ok(None) };
    value.as_bool().map(Some).ok_or_else(|| invalid(format!("parameter `{name}` must be true or false")))
}

pub(super) fn integer(parameters: &Object, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
    let Some(value) = there(parameters, name) else { return Ok(None) };
    let number = value.as_i64().filter(|number| range.contains(number));
    let must =
        || invalid(format!("parameter `{name}` must be a whole number from {} to {}", range.start(), range.end()));
    number.map(Some).ok_or_else(must)
}

/// A duration of ISO 8601 in seconds; a day is 24 hours.
pub(super) fn duration(parameters: &Object, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
    let Some(value) = there(parameters, name) else { return Ok(None) };
    let parsed = value.as_str().filter(|text| text.starts_with('P')).and_then(|text| text.parse::<Span>().ok());
    let parsed = parsed.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let seconds = parsed.map(|duration| duration.as_secs()).filter(|seconds| range.contains(seconds));
    let must = || {
        let (least, most) = (iso(*range.start()), iso(*range.end()));
        invalid(format!("parameter `{name}` must be a duration from {least} to {most}, such as \"{most}\""))
    };
    seconds.map(Some).ok_or_else(must)
}

/// Seconds as a duration of ISO 8601.
fn iso(seconds: i64) -> String {
    const DAY: i64 = 24 * 60 * 60;
    if seconds % DAY == 0 { format!("P{}D", seconds / DAY) } else { SignedDuration::from_secs(seconds).to_string() }
}

/// A list of login names; `None` where absent, refused where empty.
pub(super) fn names(parameters: &Object, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    names_at(parameters, name, name)
}

/// The same, called `shown` in a refusal.
pub(super) fn names_at(parameters: &Object, name: &str, shown: &str) -> Result<Option<Vec<String>>, Refusal> {
    let Some(value) = there(parameters, name) else { return Ok(None) };
    let list = value.as_array().filter(|list| !list.is_empty() && list.len() <= NAMES_MAX);
    let text = |value: &Value| value.as_str().filter(|text| is_login(text)).map(str::to_owned);
    let names: Option<Vec<String>> = list.and_then(|list| list.iter().map(text).collect());
    let must = || {
        invalid(format!(
            "parameter `{shown}` must be a list of 1 to {NAMES_MAX} login names, such as [\"deploy\"]: a letter or _, then letters, digits and _ . -"
        ))
    };
    let mut names = names.ok_or_else(must)?;
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(Some(names))
}

/// Whether a text can be a login name: nothing that a shell, a list of principals or a file name could take for more.
pub(super) fn is_login(text: &str) -> bool {
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && text.len() <= NAME_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether a text can be a host name or an address.
pub(super) fn is_host(text: &str) -> bool {
    let is_name = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_name || text.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a text can be the path of a file in a configuration of OpenSSH.
pub(super) fn is_path(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_./~@+%-".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(fine) && !text.starts_with('-')
}

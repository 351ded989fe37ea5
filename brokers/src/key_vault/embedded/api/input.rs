//! What a client sends, read with bounds: the path, the query, the JSON body.
//!
//! Pure. Invariant: a path that was read has no empty, `.` or `..` segment and no control character.

use std::net::IpAddr;

use osb::Object;
use serde_json::Value;

use super::reply::Reply;

const PATH_MAX: usize = 1024;
const SEGMENTS_MAX: usize = 32;
/// The first segments of what is here; anything else is a namespace.
const ROOTS: [&str; 4] = ["sys", "auth", "kv", "transit"];

/// What a client wants to do, in Vault's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Read,
    List,
    Write,
    Patch,
    Delete,
}

impl Verb {
    pub(super) fn of(method: &str, list: bool) -> Option<Self> {
        match method {
            "GET" if list => Some(Self::List),
            "GET" => Some(Self::Read),
            "LIST" => Some(Self::List),
            "POST" | "PUT" => Some(Self::Write),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    pub(super) fn capability(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// A request.
pub(super) struct Input {
    pub(super) verb: Verb,
    /// Without `/v1/` and without a namespace; ends with `/` only where the client's does.
    pub(super) path: String,
    pub(super) namespace: Option<String>,
    pub(super) version: Option<u64>,
    pub(super) body: Object,
    pub(super) token: Option<String>,
    pub(super) peer: IpAddr,
}

/// Apart: the namespace that stands before a path, and the rest.
pub(super) fn split_namespace(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((first, rest)) if !ROOTS.contains(&first) => (Some(first), rest),
        _ => (None, path),
    }
}

/// Reads a path as it was sent, percent-decoded once.
pub(super) fn path(sent: &str) -> Result<String, Reply> {
    let refused =
        || Reply::bad("this path can't be used: no empty, . or .. segments, no control characters, at most 1024 bytes");
    let path = decode(sent).filter(|path| path.len() <= PATH_MAX).ok_or_else(refused)?;
    let inner = path.strip_suffix('/').unwrap_or(&path);
    let plain = inner.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains(char::is_control);
    if plain && inner.split('/').count() <= SEGMENTS_MAX { Ok(path) } else { Err(refused()) }
}

fn decode(sent: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(sent.len());
    let mut rest = sent.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

/// A parameter of a query; the last one counts.
pub(super) fn query<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next_back()
}

impl Input {
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Reply> {
        text(&self.body, name)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Reply> {
        number(&self.body, name)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Reply> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(*yes)),
            // The command line sends strings.
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(Some(text == "true")),
            Some(_) => Err(Reply::bad(format!("field `{name}` must be true or false"))),
        }
    }

    /// Seconds, as a number or as in `90s`, `5m`, `24h`, `30d`.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, Reply> {
        let read = match self.body.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => seconds(text),
            Some(_) => None,
        };
        let bounded = read.filter(|seconds| (0..=10 * 365 * 24 * 3600).contains(seconds));
        bounded
            .map(Some)
            .ok_or_else(|| Reply::bad(format!("field `{name}` must be a duration such as 24h, at most ten years")))
    }

    /// Version numbers; the command line sends them as strings.
    pub(super) fn versions(&self) -> Result<Vec<u64>, Reply> {
        let number = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let read: Option<Vec<u64>> = match self.body.get("versions") {
            Some(Value::Array(items)) if items.len() <= 1000 => items.iter().map(number).collect(),
            Some(Value::String(text)) => text.split(',').map(|part| part.trim().parse().ok()).collect(),
            Some(other) => number(other).map(|one| vec![one]),
            None => Some(Vec::new()),
        };
        match read {
            Some(versions) if !versions.is_empty() => Ok(versions),
            _ => Err(Reply::bad("no version number provided")),
        }
    }
}

/// A text of an object.
pub(super) fn text<'a>(body: &'a Object, name: &str) -> Result<Option<&'a str>, Reply> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Reply::bad(format!("field `{name}` must be a string"))),
    }
}

/// A whole number of an object; the command line sends strings.
pub(super) fn number(body: &Object, name: &str) -> Result<Option<u64>, Reply> {
    let read = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    read.map(Some).ok_or_else(|| Reply::bad(format!("field `{name}` must be a whole number")))
}

fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut total, mut number) = (0_i64, String::new());
    for c in text.chars() {
        let factor = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return None,
        };
        total = total.checked_add(std::mem::take(&mut number).parse::<i64>().ok()?.checked_mul(factor)?)?;
    }
    number.is_empty().then_some(total)
}

/// Seconds as Vault shows durations: `3h25m45s`, and 0 as `0s`.
pub(super) fn shown_duration(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// RFC 3339, UTC.
pub(super) fn shown_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_can_not_climb() {
        assert_eq!(path("kv/data/a%20b/%25").unwrap(), "kv/data/a b/%");
        assert_eq!(path("kv/metadata/").unwrap(), "kv/metadata/");
        for bad in ["kv/../sys", "kv/%2e%2e/sys", "kv//a", "kv/data/%00", "kv/data/%zz", "kv/data/%ff", "", "/"] {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(path(&"a/".repeat(33)).is_err());
        assert_eq!(split_namespace("ns/kv/data/a"), (Some("ns"), "kv/data/a"));
        assert_eq!(split_namespace("kv/data/a"), (None, "kv/data/a"));
    }

    #[test]
    fn durations_are_read_as_vault_reads_them() {
        for (text, expected) in
            [("90", Some(90)), ("1h30m", Some(5400)), ("2d", Some(172_800)), ("5x", None), ("h", None), ("", None)]
        {
            assert_eq!(seconds(text).filter(|_| !text.is_empty()), expected, "{text}");
        }
        assert_eq!((shown_duration(0).as_str(), shown_duration(12345).as_str()), ("0s", "3h25m45s"));
        assert_eq!(query("version=1&version=2&list=true", "version"), Some("2"));
    }
}

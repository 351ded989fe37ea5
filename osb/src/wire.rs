//! Requests and answers as they travel: made once from a typed request, then sent any number of times.
//!
//! Paths are built here and nowhere else, so that an id such as `a%2Fb c` arrives as it was. The stamp signs exactly what
//! a [`WireRequest`] holds.

use bytes::Bytes;

/// A request without its headers: what is stored with an intent, what is sent, what a stamp signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRequest {
    /// `GET`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Path and query as sent, percent-encoded, beginning with `/v2/` (behind the broker's base URL).
    pub path_and_query: String,
    /// The body's bytes; empty where there is none.
    pub body: Bytes,
}

/// An answer with the headers that mean something to OSB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds, dates already turned into seconds from now.
    pub retry_after_seconds: Option<u64>,
    /// `ETag`, of a catalog.
    pub etag: Option<String>,
    /// The body's bytes.
    pub body: Bytes,
}

/// Reads a type of this crate from JSON that is parsed already, whatever numbers its unknown fields hold.
///
/// Serde keeps unknown fields in a form of its own for a moment, which has no place for integers beyond 64 bits when they come
/// from a `Value`; from text they pass. So what can't be read directly is read from its text.
///
/// # Errors
/// Where it doesn't have the type's form.
pub fn from_value<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> Result<T, serde_json::Error> {
    T::deserialize(value).or_else(|_| serde_json::from_str(&value.to_string()))
}

/// Whether some JSON nests no deeper than that. Counts brackets outside strings, before a parser recurses.
pub fn nests_within(json: &[u8], levels: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > levels {
            return false;
        }
    }
    true
}

/// What is wrong with the form of some JSON, in Serde's words but without the value that stands there: it may be secret.
pub fn form_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    for start in ["invalid type: ", "invalid value: ", "unknown variant "] {
        // The value may itself hold these words: the last ones are Serde's.
        if let Some((value, expected)) = text.strip_prefix(start).and_then(|rest| rest.rsplit_once(", expected ")) {
            let kind = if value.starts_with('`') { "" } else { value.split(' ').next().unwrap_or_default() };
            return format!("{}, expected {expected}", format!("{start}{kind}").trim_end());
        }
    }
    text
}

/// Percent-encodes everything but RFC 3986's unreserved characters, so that any string is one path segment or query value.
pub fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0').to_ascii_uppercase());
            encoded.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0').to_ascii_uppercase());
        }
    }
    encoded
}

/// Undoes [`encode`], exactly once. `None` for a `%` without two hexadecimal digits, and for what isn't UTF-8 afterwards.
pub fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_01_decoding_undoes_encoding_once() {
        for text in ["plain", "a%2Fb c", "%252F", "/?#[]@!$&'()*+,;=", "größe/ünï", "\u{0}\n", "..", "😀"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
        assert_eq!(encode("a%2Fb c"), "a%252Fb%20c");
    }

    #[test]
    fn numbers_of_any_size_in_unknown_fields_are_kept() {
        let text = r#"{"description":"d","x":12345678901234567890123,"y":{"z":[99.0,-12345678901234567890,1e400]}}"#;
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let read: crate::error::ErrorBody = from_value(&value).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap().to_string(), value.to_string());
        assert!(from_value::<crate::error::ErrorBody>(&serde_json::json!({"description": 1})).is_err());
    }

    #[test]
    fn what_is_wrong_with_the_form_is_said_without_the_value() {
        let check = |json: &str, expected: &str| {
            let error = serde_json::from_str::<crate::LastOperation>(json).unwrap_err();
            let said = form_error(&error);
            assert!(said.starts_with(expected), "{json}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        };
        check(r#"{"state":"hunter2, expected"}"#, "unknown variant, expected");
        check(r#"{"state":"failed","instance_usable":"hunter2"}"#, "invalid type: string, expected a boolean");
        check(r#""hunter2""#, "invalid type: string, expected struct");
        check(r#"{"state":"failed""#, "EOF while parsing");
        check("{}", "missing field");
    }

    #[test]
    fn broken_escapes_and_other_encodings_are_refused() {
        for text in ["%", "%4", "%zz", "%+1", "%ff", "a%c3"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}

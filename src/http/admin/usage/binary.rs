//! The binary form of a CloudEvent: attributes in `ce-` headers, `data` in the body (CloudEvents 1.0.2, HTTP binding 3.1). It gives
//! the same event in JSON form; what is in it is judged elsewhere.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};

use crate::http::error::Failure;

const PREFIX: &str = "ce-";

/// Whether a request is in this form.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion")
}

/// The event in JSON form.
///
/// # Errors
/// Where the body is no JSON.
pub(super) fn event(headers: &HeaderMap, body: &[u8]) -> Result<Value, Failure> {
    let mut event = Map::new();
    for (name, value) in headers {
        if let Some(attribute) = name.as_str().strip_prefix(PREFIX) {
            event.insert(attribute.to_owned(), Value::from(decoded(value.as_bytes())));
        }
    }
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        event.insert("datacontenttype".to_owned(), Value::from(decoded(kind.as_bytes())));
    }
    crate::http::input::shallow(body)?;
    let data =
        serde_json::from_slice(body).map_err(|error| Failure::malformed(format!("the body is no JSON: {error}")))?;
    event.insert("data".to_owned(), data);
    Ok(Value::Object(event))
}

/// A header's value: quotes around it are taken off, then what is percent-encoded is decoded once.
fn decoded(value: &[u8]) -> String {
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = quoted.unwrap_or(value);
    loop {
        rest = match rest {
            [] => return String::from_utf8_lossy(&bytes).into_owned(),
            [b'\\', next, after @ ..] if quoted.is_some() => {
                bytes.push(*next);
                after
            }
            [b'%', high, low, after @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    after
                }
                _ => {
                    bytes.push(b'%');
                    rest.get(1..).unwrap_or_default()
                }
            },
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(decoded(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn values_are_decoded_once() {
        check("plain", "plain");
        check("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀");
        check("%2525", "%25");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("\"a b\\\"c\"", "a b\"c");
        check("\"", "\"");
        check("%FF", "\u{fffd}");
        check("", "");
    }

    #[test]
    fn headers_are_attributes_and_the_body_is_data() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("ce-specversion", "1.0"), ("CE-Id", "a%2Fb"), ("content-type", "application/json"), ("accept", "*/*")]
        {
            headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value));
        }
        let read = event(&headers, br#"{"meter":"gb"}"#).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0", "id": "a/b", "datacontenttype": "application/json", "data": {"meter": "gb"},
        });
        assert_eq!(read, expected);
        assert!(event(&headers, b"").is_err());
    }
}

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

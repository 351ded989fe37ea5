//! HTTP/1.1 by hand: a request goes out byte for byte as a test writes it, paths like `..` and all.

use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::hub::Platform;

const BOUND: Duration = Duration::from_secs(60);

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct RawReply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl RawReply {
    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// The value of `Authorization` for a platform.
pub(crate) fn basic(platform: &Platform) -> String {
    let pair = format!("{}:{}", platform.username, platform.password);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Sends a request: `head` holds the request line and the headers, one a line; `Host`, `Connection` and, with a body,
/// `Content-Length` are added.
pub(crate) async fn send(url: &str, head: &str, body: &str) -> RawReply {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut request: String =
        head.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\r\n");
    request.push_str(&format!("\r\nHost: {address}\r\nConnection: close\r\n"));
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("could not connect");
        stream.write_all(request.as_bytes()).await.expect("could not send");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("could not read");
        answer
    };
    let answer = tokio::time::timeout(BOUND, exchange).await.expect("no answer in time");
    parse(&String::from_utf8(answer).expect("text")).unwrap_or_else(|| panic!("no HTTP answer to {head}"))
}

fn parse(answer: &str) -> Option<RawReply> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    assert!(!chunked, "answers of the hub have a length");
    Some(RawReply { status, headers, text: body.to_owned() })
}

//! The least HTTP/1.1 client that can order from a broker: bytes made by hand, one request at a time on a connection that is
//! kept. The same for all subjects, and cheap, because it runs on the cores that it loads.
//!
//! It follows no redirect, knows no TLS and no chunks: an answer without `Content-Length` is an error. Invariant: after an
//! answer the connection holds nothing of it any more.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Outcome;

/// Where requests go, and what all of them carry.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    prefix: String,
    head: String,
}

impl Door {
    /// Behind an `http://` URL with an IP address, which may hold a path.
    pub(crate) fn new(url: &str, credentials: Option<(&str, &str)>) -> Outcome<Self> {
        let rest = url.strip_prefix("http://").ok_or("only http:// is spoken")?;
        let (address, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut head = format!("Host: {address}\r\nX-Broker-API-Version: 2.17\r\n");
        if let Some((username, password)) = credentials {
            let pair = STANDARD.encode(format!("{username}:{password}"));
            head.push_str(&format!("Authorization: Basic {pair}\r\n"));
        }
        Ok(Self { address: address.parse()?, prefix: prefix.trim_end_matches('/').to_owned(), head })
    }

    /// A request's bytes.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&str>) -> Vec<u8> {
        self.request_with(method, path, "", body)
    }

    /// The same with more headers, each ended by CR LF.
    pub(crate) fn request_with(&self, method: &str, path: &str, headers: &str, body: Option<&str>) -> Vec<u8> {
        let Self { prefix, head, .. } = self;
        match body {
            None => format!("{method} {prefix}{path} HTTP/1.1\r\n{head}{headers}\r\n"),
            Some(body) => format!(
                "{method} {prefix}{path} HTTP/1.1\r\n{head}{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        }
        .into_bytes()
    }

    /// One exchange on a connection of its own.
    pub(crate) async fn once(&self, request: &[u8]) -> Outcome<Reply> {
        Connection::open(self.address).await?.exchange(request).await
    }
}

/// An answer with all its bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body, for people.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its whole answer, of which only the status is told.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Outcome<u16> {
        self.receive(request).await.map(|answer| answer.status)
    }

    /// The same with all of the answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<Reply> {
        let Answer { status, head_end, .. } = self.receive(request).await?;
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        Ok(Reply { status, head, body: self.buffer[head_end..].to_vec() })
    }

    async fn receive(&mut self, request: &[u8]) -> Outcome<Answer> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed before the answer was over".into());
            }
            let Some(answer) = Answer::read(&self.buffer)? else { continue };
            let whole = answer.head_end + answer.length;
            self.buffer.reserve(whole.saturating_sub(self.buffer.len()));
            while self.buffer.len() < whole {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err("the connection was closed before the body was over".into());
                }
            }
            return Ok(answer);
        }
    }
}

/// What the head of an answer says.
struct Answer {
    status: u16,
    head_end: usize,
    length: usize,
}

impl Answer {
    fn read(bytes: &[u8]) -> Outcome<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..end])?;
        let status: u16 = head.get(9..12).ok_or("no status line")?.parse()?;
        let length = match header(head, "content-length") {
            Some(length) => length.parse()?,
            None if matches!(status, 204 | 304) => 0,
            None => return Err(format!("an answer without Content-Length: {head}").into()),
        };
        let length = if status == 304 { 0 } else { length };
        Ok(Some(Self { status, head_end: end + 4, length }))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

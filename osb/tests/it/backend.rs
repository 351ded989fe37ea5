//! A backend made of text: it answers what it is told, closes, or keeps silent; and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use osb::client::Failure;
use osb::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How long a client waits for what never comes.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A server that reads whole requests, hands them to the test, and answers each with the next of those texts; an empty text closes
/// the connection instead. When there are no more, it keeps silent with the connection open.
pub(crate) async fn scripted(answers: &[&str]) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, requests) = mpsc::unbounded_channel();
    let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
    let place = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (seen, answers, place) = (seen.clone(), answers.clone(), Arc::clone(&place));
            tokio::spawn(async move {
                while let Some(request) = read_request(&mut stream).await {
                    // The test may have ended; then nobody wants to know.
                    seen.send(request).ok();
                    match answers.get(place.fetch_add(1, Ordering::SeqCst)) {
                        Some(text) if text.is_empty() => return,
                        Some(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                        None => std::future::pending().await,
                    }
                }
            });
        }
    });
    (address, requests)
}

pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\n{{}}")
}

/// A client that waits for long enough, however busy the machine is.
pub(crate) fn client(address: SocketAddr) -> Client {
    Client::builder(&format!("http://{address}")).build().unwrap()
}

/// A client for answers that never come.
pub(crate) fn impatient(address: SocketAddr) -> Client {
    Client::builder(&format!("http://{address}")).timeout(SHORT).build().unwrap()
}

pub(crate) fn order() -> ProvisionRequest {
    ProvisionRequest {
        instance_id: "i".into(),
        service_id: "s".into(),
        plan_id: "p".into(),
        organization_guid: "o".into(),
        space_guid: "sp".into(),
        ..Default::default()
    }
}

pub(crate) async fn send(client: &Client) -> Result<WireResponse, Failure> {
    client.send(&Call::default(), &WireRequest::from(&order())).await
}

#[track_caller]
pub(crate) fn assert_not_sent(result: Result<WireResponse, Failure>, word: &str) {
    let shown = format!("{result:?}");
    assert!(matches!(result, Err(Failure::NotSent { .. })) && shown.contains(word), "{shown} has no {word:?}");
}

pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

//! The model behind HTTP, by hand: so that a connection can be closed at any point.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::model::{Asked, Model};

pub(crate) const TOKEN: &str = "nbt_kEyOfToken.SECRETcanarySECRETcanarySECRETcanary1";

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Answered,
    /// The connection is closed, nothing is done.
    Lost,
    /// It is done, and the connection is closed.
    DoneAndLost,
    /// The connection is closed; it is done when the next requests have been answered.
    DoneLater,
    /// This status, nothing is done.
    Status(u16),
    /// It is done, and answered with this status.
    DoneAndStatus(u16),
    /// It is done, and answered 200 with what is not JSON.
    DoneAndGarbage,
    /// Somebody else adds this prefix to the parent's VRF, then it is done.
    DoneAfter(&'static str),
    /// It is done, then somebody else adds this prefix.
    DoneBefore(&'static str),
    /// It is done, and never answered.
    DoneAndSilent,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) model: Option<Model>,
    /// What happens to the next requests that change something; then all are answered.
    pub(crate) fates: VecDeque<Fate>,
    /// The same for those that only ask.
    pub(crate) fates_of_reads: VecDeque<Fate>,
    /// Requests that are done later, each with how many requests later.
    later: Vec<(usize, Asked)>,
    /// All that was asked, as `METHOD path`.
    pub(crate) asked: Vec<String>,
    /// The `Authorization` that is let in.
    pub(crate) authorization: String,
}

/// A server on a port of its own; it ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(model: Model) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/netbox", listener.local_addr().unwrap());
        let authorization = format!("Bearer {TOKEN}");
        let state = Arc::new(Mutex::new(State { model: Some(model), authorization, ..State::default() }));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, _tasks: tasks }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Looks at the database, or changes it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(self.state().model.as_mut().unwrap())
    }

    pub(crate) fn fates(&self, fates: &[Fate]) {
        self.state().fates = fates.iter().copied().collect();
    }

    /// Does all that was to be done later.
    pub(crate) fn catch_up(&self) {
        let mut state = self.state();
        for (_, asked) in std::mem::take(&mut state.later) {
            state.model.as_mut().unwrap().answer(&asked);
        }
    }

    /// How often something was added.
    pub(crate) fn additions(&self) -> usize {
        self.state().asked.iter().filter(|asked| asked.starts_with("POST ")).count()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some((head, body)) = request(&mut stream).await {
        let (fate, status, answer) = state.lock().unwrap().take(&head, &body);
        let text = match (fate, &answer) {
            (Fate::Lost | Fate::DoneAndLost | Fate::DoneLater, _) => return,
            (Fate::DoneAndSilent, _) => std::future::pending().await,
            (Fate::DoneAndGarbage, _) => "<html>".to_owned(),
            (_, Value::Null) => String::new(),
            (_, answer) => answer.to_string(),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nRetry-After: 7\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        if stream.write_all(format!("{head}{text}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A request: its head, and its body.
async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut body = bytes.split_off(end + 4);
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

impl State {
    fn take(&mut self, head: &str, body: &[u8]) -> (Fate, u16, Value) {
        let asked = asked(head, body);
        self.asked.push(format!("{} {}", asked.method, asked.path));
        if header(head, "authorization") != Some(&self.authorization) {
            return (Fate::Answered, 403, serde_json::json!({"detail": "Invalid v2 token"}));
        }
        let fates = if asked.method == "GET" { &mut self.fates_of_reads } else { &mut self.fates };
        let fate = fates.pop_front().unwrap_or(Fate::Answered);
        let model = self.model.as_mut().unwrap();
        for (left, _) in &mut self.later {
            *left -= 1;
        }
        for (_, asked) in self.later.extract_if(.., |(left, _)| *left == 0) {
            model.answer(&asked);
        }
        match fate {
            Fate::Lost => (fate, 0, Value::Null),
            Fate::DoneLater => {
                self.later.push((1 + self.asked.len() % 5, asked));
                (fate, 0, Value::Null)
            }
            Fate::Status(status) => (fate, status, serde_json::json!({"detail": "no"})),
            Fate::DoneAndStatus(status) => {
                let (_, answer) = model.answer(&asked);
                (fate, status, answer)
            }
            Fate::DoneAfter(other) => {
                model.add(other, model.prefixes[0].vrf, "active", "somebody else's");
                let (status, answer) = model.answer(&asked);
                (fate, status, answer)
            }
            Fate::DoneBefore(other) => {
                let (status, answer) = model.answer(&asked);
                model.add(other, model.prefixes[0].vrf, "active", "somebody else's");
                (fate, status, answer)
            }
            Fate::Answered | Fate::DoneAndLost | Fate::DoneAndGarbage | Fate::DoneAndSilent => {
                let (status, answer) = model.answer(&asked);
                (fate, status, answer)
            }
        }
    }
}

fn asked(head: &str, body: &[u8]) -> Asked {
    let mut first = head.lines().next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap());
    let url = reqwest::Url::parse(&format!("http://netbox{target}")).unwrap();
    let path = url.path().strip_prefix("/netbox").expect("the path of the configured URL comes first").to_owned();
    assert_eq!(header(head, "accept"), Some("application/json"));
    let body = if body.is_empty() {
        None
    } else {
        assert_eq!(header(head, "content-type"), Some("application/json"));
        Some(serde_json::from_slice(body).unwrap())
    };
    let query = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    Asked { method, path, query, body }
}

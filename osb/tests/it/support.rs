//! What the tests share: a broker that records what it is asked and answers what it is told, and a raw HTTP exchange.

use std::any::Any;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use osb::server::{Open, Running, Server};
use osb::*;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const INSTANCE: &str = "/v2/service_instances/i";
pub(crate) const BINDING: &str = "/v2/service_instances/i/service_bindings/b";
pub(crate) const PROVISION: &str = r#"{"service_id":"s","plan_id":"p","organization_guid":"o","space_guid":"sp"}"#;
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
/// Ids that are easily mangled on their way.
pub(crate) const ODD_IDS: [&str; 12] = [
    "4f9d3a50-0000-4000-8000-000000000001",
    "tb-1",
    "a%2Fb%20c",
    "a/b c",
    "%252F",
    "ünï/😀",
    "a+b&c=d?e#f;g:h@i",
    "...",
    "%2e%2e",
    "\n\t\u{0}\u{7f}",
    "\\\"<>`{}|^",
    "last_operation",
];

/// An object that is easily mangled on its way.
pub(crate) fn free() -> Object {
    object(
        r#"{"price":99.0,"big":123456789012345678901234567890,"tiny":1E-400,"n":null,"a":[1,{"b":[]}],"z":1,"ä":"ü"}"#,
    )
}

/// A request as a broker saw it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a test holds a handful of them")]
pub(crate) enum Seen {
    Catalog,
    Provision(ProvisionRequest),
    FetchInstance(FetchInstanceRequest),
    InstanceOperation(InstanceOperationRequest),
    Update(UpdateRequest),
    Deprovision(DeprovisionRequest),
    Bind(BindRequest),
    FetchBinding(FetchBindingRequest),
    BindingOperation(BindingOperationRequest),
    Unbind(UnbindRequest),
}

/// Answers what it is told, in order; panics when it wasn't told anything.
#[derive(Default)]
pub(crate) struct Scripted {
    replies: Mutex<VecDeque<Box<dyn Any + Send>>>,
    seen: Mutex<Vec<(Call, Seen)>>,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What the next call, which must be one with that kind of answer, is answered.
    pub(crate) fn reply<T: Send + 'static>(&self, reply: Result<T, Error>) {
        self.replies.lock().unwrap().push_back(Box::new(reply));
    }

    /// Takes back what the next call would have been answered.
    pub(crate) fn unreply(&self) {
        self.replies.lock().unwrap().pop_back().expect("a reply was scripted");
    }

    /// The only call since the last look.
    #[track_caller]
    pub(crate) fn only_call(&self) -> (Call, Seen) {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert_eq!(seen.len(), 1, "calls: {seen:?}");
        seen.remove(0)
    }

    /// How many calls there were since the last look.
    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn next<T: 'static>(&self, call: &Call, seen: Seen) -> Result<T, Error> {
        self.seen.lock().unwrap().push((call.clone(), seen));
        let reply = self.replies.lock().unwrap().pop_front();
        let reply = reply.expect("a reply was scripted");
        *reply.downcast::<Result<T, Error>>().expect("the reply is of the right kind")
    }
}

#[async_trait]
impl ServiceBroker for Scripted {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error> {
        self.next(call, Seen::Catalog)
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        self.next(call, Seen::Provision(request))
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        self.next(call, Seen::FetchInstance(request))
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        self.next(call, Seen::InstanceOperation(request))
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        self.next(call, Seen::Update(request))
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        self.next(call, Seen::Deprovision(request))
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        self.next(call, Seen::Bind(request))
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.next(call, Seen::FetchBinding(request))
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.next(call, Seen::BindingOperation(request))
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        self.next(call, Seen::Unbind(request))
    }
}

/// A server without credentials before that broker, on a port of its own.
pub(crate) fn serve(broker: &Arc<Scripted>) -> Running {
    let broker: Arc<dyn ServiceBroker> = Arc::<Scripted>::clone(broker);
    Server::new(Open::new(broker)).bind("127.0.0.1:0").unwrap()
}

pub(crate) fn object(json: &str) -> Object {
    serde_json::from_str(json).unwrap()
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn description(&self) -> String {
        self.json()["description"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends those bytes and reads one answer.
pub(crate) async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = complete(&bytes) {
            return answer;
        }
        let read = stream.read_buf(&mut bytes).await.unwrap();
        assert!(read > 0, "the connection ended after {:?}", String::from_utf8_lossy(&bytes));
    }
}

fn complete(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
    let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    (answer.body.len() >= length).then_some(answer)
}

/// A request with a version header and further header lines, each ended by CRLF.
pub(crate) async fn request(address: SocketAddr, line: &str, headers: &str, body: &str) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let version = "X-Broker-API-Version: 2.17\r\n";
    raw(address, format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{version}{headers}{length}\r\n{body}"))
        .await
}

/// An error in JSON, whose description holds that word.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.head);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.description().contains(word), "{:?} has no {word:?}", answer.description());
}

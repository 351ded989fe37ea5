//! The faults that no type of OSB expresses, made on the connection itself; and `GET /state`.
//!
//! The broker marks such an answer with a status that nothing else uses; this layer, outermost on actix-web, turns it into
//! the real thing. `GET /state` goes through the very door that guards `/v2`. Invariant: no marked status leaves the server.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::sync::Arc;

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpResponse, web};
use async_trait::async_trait;
use futures_util::stream;
pub use osb::server::Running;
use osb::server::{Door, Head, Server};
use osb::{Error, ServiceBroker};
use serde_json::Value;

use super::Faults;

/// How much [`WireFault::Huge`] answers.
pub const HUGE_BYTES: usize = 32 * 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;
/// The mark of the answer to `GET /state`.
const STATE_MARK: u16 = 590;
/// Marks a request for `/state` on its way through the door. What a caller sends under this name is removed.
const STATE_HEADER: HeaderName = HeaderName::from_static("x-faults-state");

/// A fault of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// The connection ends without an answer.
    DropsConnection,
    /// 200 with something that is not JSON.
    Garbage,
    /// 200 with no body.
    Empty,
    /// 200 with [`HUGE_BYTES`] of JSON.
    Huge,
    /// 203 with an empty JSON object.
    WrongStatus,
}

const MARKS: [(WireFault, u16); 5] = [
    (WireFault::DropsConnection, 591),
    (WireFault::Garbage, 592),
    (WireFault::Empty, 593),
    (WireFault::Huge, 594),
    (WireFault::WrongStatus, 595),
];

impl WireFault {
    /// The answer that this layer turns into the fault. In process, without this layer, it is all that a caller sees.
    pub(super) fn answer(self) -> Error {
        let mark = MARKS.iter().find(|(fault, _)| *fault == self).map_or(500, |(_, mark)| *mark);
        Error::with(mark, "FaultOnTheWire", format!("over HTTP this is {self:?}"))
    }

    fn marked_by(status: StatusCode) -> Option<Self> {
        MARKS.iter().find(|(_, mark)| *mark == status.as_u16()).map(|(fault, _)| *fault)
    }

    fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(match self {
            Self::WrongStatus => StatusCode::NON_AUTHORITATIVE_INFORMATION,
            _ => StatusCode::OK,
        });
        response.content_type("application/json");
        match self {
            // A body that fails before its first byte makes actix close the connection with nothing sent.
            Self::DropsConnection => {
                let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "dropped on purpose");
                response.body(BodyStream::new(stream::iter([Err::<web::Bytes, _>(broken)])))
            }
            Self::Garbage => response.body("<html>{\"credentials\": not json"),
            Self::Empty => response.finish(),
            Self::Huge => {
                let chunk = web::Bytes::from(vec![b'x'; CHUNK_BYTES]);
                let begin = web::Bytes::from_static(b"{\"dashboard_url\":\"");
                let chunks = std::iter::repeat_n(chunk, HUGE_BYTES / CHUNK_BYTES);
                let whole = std::iter::once(begin).chain(chunks).chain([web::Bytes::from_static(b"\"}")]);
                response.body(BodyStream::new(stream::iter(whole.map(Ok::<_, io::Error>))))
            }
            Self::WrongStatus => response.body("{}"),
        }
    }
}

/// Listens there (port 0 picks one) behind that door. Must be called within a tokio runtime.
///
/// # Errors
/// Where the address can't be listened on.
pub fn bind(door: impl Door, faults: &Faults, address: impl ToSocketAddrs) -> io::Result<Running> {
    listen(door, faults, TcpListener::bind(address)?)
}

/// The same on a socket that listens already.
///
/// # Errors
/// Where the socket can't be used.
pub fn listen(door: impl Door, faults: &Faults, listener: TcpListener) -> io::Result<Running> {
    let server = Server::new(StateDoor { door, faults: faults.clone() });
    server.clone().listen_with(listener, move |config| {
        config.service(web::scope("").wrap(from_fn(layer)).configure(server.configure()));
    })
}

/// Marks requests for the state, and turns marked answers into what they stand for.
async fn layer(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    request.headers_mut().remove(&STATE_HEADER);
    if request.path() == "/state" && request.method() == Method::GET {
        request.headers_mut().insert(STATE_HEADER, HeaderValue::from_static("1"));
        let uri = Uri::from_static("/v2/state");
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if response.status().as_u16() == STATE_MARK {
        response.response_mut().head_mut().status = StatusCode::OK;
    }
    Ok(match WireFault::marked_by(response.status()) {
        Some(fault) => response.into_response(fault.response()),
        None => response,
    })
}

/// The door, with the state behind it for requests that are marked.
struct StateDoor<D> {
    door: D,
    faults: Faults,
}

#[async_trait]
impl<D: Door> Door for StateDoor<D> {
    async fn open(&self, head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error> {
        let broker = self.door.open(head).await?;
        if head.header(STATE_HEADER.as_str()).is_none() {
            return Ok(broker);
        }
        let mut answer = Error::new(STATE_MARK);
        if let Value::Object(report) = self.faults.report() {
            answer.body.extra = report;
        }
        Err(answer)
    }
}

//! Puts any [`ServiceBroker`](crate::ServiceBroker) on actix-web.
//!
//! The order for every request is fixed: limits of path and headers, 401, 412, route, body, broker. Whoever has no
//! credential learns nothing else. The request identity is echoed on every answer.
//!
//! It does not know what a broker does, keeps nothing between requests, and decides about callers only through its
//! [`Door`]. Invariant: every answer of this module is JSON with a status that OSB or HTTP gives a meaning.
//!
//! A client that goes away drops the broker's future at an `.await`: a broker that must not be interrupted hands its work
//! to a task of its own.

mod answer;
mod door;
mod gate;
mod parse;
mod route;
mod running;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;

pub use door::{BasicAuth, Door, Head, Open};
pub use running::Running;

use crate::Error;
use crate::server::answer::Answer;
use crate::server::route::{Endpoint, Route};

/// What a request may weigh.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of the body; more is 413.
    pub body_bytes: usize,
    /// How deep arrays and objects may nest in a body; more is 400.
    pub json_depth: usize,
    /// Of the path as sent; more is 414.
    pub path_bytes: usize,
    /// Of the query as sent; more is 414. An `operation` of 10,000 characters fits, percent-encoded.
    pub query_bytes: usize,
    /// Of all header names and values together; more is 431.
    pub header_bytes: usize,
    /// How long the body may take to arrive; longer is 400.
    pub body_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            json_depth: 64,
            path_bytes: 8 * 1024,
            query_bytes: 48 * 1024,
            header_bytes: 32 * 1024,
            body_deadline: Duration::from_secs(30),
        }
    }
}

/// A broker's HTTP side: a door, limits, and `/v2/…` behind them. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    door: Arc<dyn Door>,
    limits: Limits,
    realm: String,
}

impl Server {
    /// A server with the default limits behind that door.
    pub fn new(door: impl Door) -> Self {
        Self { door: Arc::new(door), limits: Limits::default(), realm: "service broker".to_owned() }
    }

    /// Other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Another realm in the `WWW-Authenticate` header of 401 answers. Quotes and backslashes are left out.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        self.realm =
            realm.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').filter(|c| !"\"\\".contains(*c)).collect();
        self
    }

    /// Mounts `/v2` in the scope (or the app) whose `configure` it is given to. Everything under `/v2` is answered here.
    pub fn configure(&self) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        let server = self.clone();
        move |config| {
            config.service(web::scope("/v2").default_service(web::to(move |request, payload| {
                let server = server.clone();
                async move { server.respond(&request, payload, Place::Mounted).await }
            })));
        }
    }

    /// Lets a request for something beside `/v2` pass the same limits and the same door, for handlers of one's own.
    ///
    /// # Errors
    /// The answer to give instead.
    pub async fn admit(&self, request: &HttpRequest) -> Result<(), HttpResponse> {
        let admitted = async {
            gate::head_within(&self.limits, request)?;
            self.door.open(&Head::new(request)).await
        };
        match admitted.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refuse(request, error)),
        }
    }

    /// An error as `/v2` would answer it, for handlers of one's own.
    pub fn refuse(&self, request: &HttpRequest, error: Error) -> HttpResponse {
        Answer::from(error).into_response(&self.realm, gate::request_identity(request))
    }

    /// The same rules (401 first) for whatever is not under a mount: nothing is there.
    fn nowhere(
        &self,
    ) -> impl Fn(HttpRequest, web::Payload) -> futures_util::future::LocalBoxFuture<'static, HttpResponse> + Clone + use<>
    {
        let server = self.clone();
        move |request, payload| {
            let server = server.clone();
            Box::pin(async move { server.respond(&request, payload, Place::Elsewhere).await })
        }
    }

    /// A panic of a door or a broker is an answer, too: 500.
    async fn respond(&self, request: &HttpRequest, payload: web::Payload, place: Place) -> HttpResponse {
        let run = AssertUnwindSafe(self.answer(request, payload, place)).catch_unwind();
        let answer = match run.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::from(error),
            Err(_) => {
                tracing::error!(method = %request.method(), "the service broker panicked");
                Answer::from(Error::internal("the service broker failed unexpectedly"))
            }
        };
        answer.into_response(&self.realm, gate::request_identity(request))
    }

    async fn answer(&self, request: &HttpRequest, payload: web::Payload, place: Place) -> Result<Answer, Error> {
        gate::head_within(&self.limits, request)?;
        let broker = self.door.open(&Head::new(request)).await?;
        gate::version(request)?;
        let route = match place {
            Place::Mounted => Route::of(request)?,
            Place::Elsewhere => return Err(route::nothing_here()),
        };
        let Some(endpoint) = Endpoint::of(request.method(), route) else {
            return Ok(Answer::method_not_allowed(route.methods()));
        };
        let originating_identity = gate::originating_identity(request)?;
        let body = gate::body(&self.limits, request, payload).await?;
        let call = gate::call(request, originating_identity, body.clone());
        let input = parse::Input::read(&self.limits, request, body)?;
        endpoint.run(broker.as_ref(), &call, input).await
    }
}

/// Whether a request came in under a mount.
#[derive(Clone, Copy)]
enum Place {
    Mounted,
    Elsewhere,
}

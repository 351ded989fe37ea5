//! The first and last to see a request: its id and trace, one line in the log, and the chain of causes where the fault is the
//! hub's. It logs neither query, body nor credentials.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, web};
use tracing::Instrument as _;
use uuid::Uuid;

use super::error::Failure;
use super::{Draining, origin, routes};
use crate::app::App;
use crate::clock::fresh_id;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_MAX: usize = 128;

/// What every request has from the beginning; handlers find it in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The client's `X-Request-Id` where it sent a decent one, else one of ours.
    pub request_id: String,
    /// The trace that this request is part of, with this hub's own span (W3C Trace Context).
    pub traceparent: String,
}

impl Trace {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let decent =
            |id: &&str| (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        // A platform has OSB's own word for it, and finds its request in the log by that.
        let identity = || text("x-broker-api-request-identity").filter(decent);
        let sent = text("x-request-id").filter(decent).or_else(identity);
        let (trace_id, flags) = text("traceparent").and_then(parse_traceparent).unwrap_or_else(|| {
            let fresh = Uuid::new_v4().simple().to_string();
            (fresh, "00".to_owned())
        });
        let span = Uuid::new_v4().simple().to_string();
        let span = span.get(..16).unwrap_or_default();
        Self {
            request_id: sent.map_or_else(fresh_id, str::to_owned),
            traceparent: format!("00-{trace_id}-{span}-{flags}"),
        }
    }

    fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }
}

/// Trace id and flags of a `traceparent`; none where it is not one.
fn parse_traceparent(text: &str) -> Option<(String, String)> {
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let decent = known && hex(trace, 32) && !zero(trace) && hex(span, 16) && !zero(span) && hex(flags, 2);
    decent.then(|| (trace.to_owned(), flags.to_owned()))
}

/// What an order by a person carries on to the broker: the request's id and trace.
pub fn call(request: &HttpRequest) -> osb::Call {
    let trace = request.extensions().get::<Trace>().cloned();
    let (request_identity, traceparent) = trace.map(|trace| (trace.request_id, trace.traceparent)).unzip();
    osb::Call { request_identity, traceparent, ..osb::Call::default() }
}

/// Wraps everything that is served.
///
/// # Errors
/// What the wrapped service gives; it is answered by then.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let trace = Trace::of(request.headers());
    request.extensions_mut().insert(trace.clone());
    let method = request.method().clone();
    let app = request.app_data::<web::Data<App>>().cloned();
    let trusted = app.as_ref().map_or(&[][..], |app| &app.config().server.trusted_proxies);
    let origin = origin::of(&request, &trace, trusted);
    let draining = request.app_data::<web::Data<Draining>>().cloned();
    let in_flight = draining.as_ref().map(|draining| draining.enter());
    let span = tracing::info_span!("request", request.id = %trace.request_id, trace.id = %trace.trace_id());
    async move {
        let mut response = origin.scope(next.call(request)).await?.map_into_boxed_body();
        if let Some(failure) = response.response().error().and_then(|error| error.as_error::<Failure>())
            && failure.fault().is_some()
        {
            report(failure);
            let told = failure.response(Some(&trace.request_id));
            response = response.into_response(told);
        }
        let route = response.request().match_pattern();
        let route = route.as_deref().map_or("none", routes::known_path);
        let (status, took) = (response.status().as_u16(), started.elapsed());
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let Some(app) = app {
            app.metrics().http_request(method.as_str(), route, status, took);
        }
        tracing::info!(http.method = %method, http.route = route, http.status = status, duration_ms, "answered");
        if let Ok(id) = HeaderValue::from_str(&trace.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if draining.is_some_and(|draining| draining.is_draining()) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        drop(in_flight);
        Ok(response)
    }
    .instrument(span)
    .await
}

/// Logs what went wrong, where the fault is the hub's.
pub fn report(failure: &Failure) {
    if let Some(fault) = failure.fault() {
        tracing::error!(error = %chain(fault), "the request failed");
    }
}

/// An error and all its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn trace(pairs: &[(&'static str, &str)]) -> Trace {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Trace::of(&headers)
    }

    #[test]
    fn a_trace_is_continued_under_a_span_of_our_own() {
        let ours = trace(&[("traceparent", SENT)]).traceparent;
        assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours.ends_with("-01"), "{ours}");
        assert_ne!(ours, SENT);
        assert!(parse_traceparent(&ours).is_some());
        let later = format!("cc{}-more", &SENT[2..]);
        assert!(parse_traceparent(&later).is_some(), "a later version may say more");
    }

    #[test]
    fn what_is_no_trace_is_replaced_by_one() {
        let zero = SENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        for bad in ["", "x", &zero, &SENT.to_uppercase(), &format!("{SENT}-x"), &SENT.replace("00-4", "ff-4")] {
            assert!(parse_traceparent(bad).is_none(), "{bad}");
        }
        assert!(parse_traceparent(&trace(&[("traceparent", "x")]).traceparent).is_some());
    }

    #[test]
    fn rid_03_a_decent_request_id_is_kept_and_another_is_not() {
        const IDENTITY: &str = "x-broker-api-request-identity";
        assert_eq!(trace(&[("x-request-id", "abc-1"), (IDENTITY, "abc-2")]).request_id, "abc-1");
        for bad in ["", "a b", &"x".repeat(129)] {
            assert_ne!(trace(&[("x-request-id", bad)]).request_id, bad);
            assert_ne!(trace(&[(IDENTITY, bad)]).request_id, bad);
            assert_eq!(trace(&[("x-request-id", bad), (IDENTITY, "abc-2")]).request_id, "abc-2", "RID-03");
        }
    }
}

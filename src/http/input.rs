//! What handlers take from a request: a JSON body ([`Body`]) and query parameters ([`Params`]), each within limits. What is no
//! JSON is malformed; what is JSON and does not fit is invalid, with a pointer to the place.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, ETAG, HeaderMap, IF_MATCH};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::error::Failure;
use super::pointer::pointer_at;
use crate::app::{self, tenants::Precondition};

/// Bytes of a body, where its route doesn't say otherwise.
pub const BODY_MAX: usize = 1024 * 1024;
/// Levels of a JSON body, as on the side of platforms.
const DEPTH_MAX: usize = 64;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON body of at most `MAX` bytes.
#[derive(Clone, Debug)]
pub struct Body<T, const MAX: usize = BODY_MAX>(pub T);

impl<T: DeserializeOwned + 'static, const MAX: usize> FromRequest for Body<T, MAX> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let raw = Raw::<MAX>::from_request(request, payload);
        Box::pin(async move { parse(&raw.await?.0).map(Self) })
    }
}

/// A body of at most `MAX` bytes, whatever it holds.
#[derive(Clone, Debug)]
pub struct Raw<const MAX: usize = BODY_MAX>(pub web::BytesMut);

impl<const MAX: usize> FromRequest for Raw<MAX> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let announced = request.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()).and_then(|length| length.parse().ok());
        let payload = payload.take();
        Box::pin(async move {
            if announced.is_some_and(|length: u64| usize::try_from(length).map_or(true, |length| length > MAX)) {
                return Err(Failure::too_large(MAX));
            }
            let read = tokio::time::timeout(BODY_WITHIN, read(payload, MAX));
            read.await.map_err(|_| Failure::too_slow())?.map(Self)
        })
    }
}

async fn read(mut payload: Payload, max: usize) -> Result<web::BytesMut, Failure> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::malformed("the body could not be read to its end"))?;
        if bytes.len() + chunk.len() > max {
            return Err(Failure::too_large(max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(in crate::http) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    if bytes.is_empty() {
        return Err(Failure::malformed("the body is empty: send a JSON object, {} if there is nothing to say"));
    }
    shallow(bytes)?;
    // The whole text first: that a field is unknown says nothing while what follows may be no JSON.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| Failure::malformed(no_json(&error)))?;
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let pointer = pointer_at(text, error.line(), error.column());
            app::Error::invalid(pointer, without_place(&error)).into()
        }
        Category::Io | Category::Syntax | Category::Eof => Failure::malformed(no_json(&error)),
    })
}

/// Checks that a body nests no deeper than an order may: what is kept of it, and told of it, lies some levels deeper.
///
/// # Errors
/// [`Failure::malformed`].
pub(in crate::http) fn shallow(bytes: &[u8]) -> Result<(), Failure> {
    if osb::wire::nests_within(bytes, DEPTH_MAX) {
        return Ok(());
    }
    Err(Failure::malformed(format!("the body nests deeper than {DEPTH_MAX} levels")))
}

fn no_json(error: &serde_json::Error) -> String {
    format!("the body is no JSON: {error}")
}

/// The message without the value that stands there, which may be secret, and without its ` at line 1 column 2`, which the
/// pointer says better.
fn without_place(error: &serde_json::Error) -> String {
    let text = osb::wire::form_error(error);
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// Query parameters. An unknown one is an error where `T` denies them: a filter with a slip of the pen would show everything.
#[derive(Clone, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = web::Query::<T>::from_query(request.query_string());
        ready(match read {
            Ok(query) => Ok(Self(query.into_inner())),
            Err(error) => Err(Failure::malformed(format!("query parameters: {error}"))),
        })
    }
}

/// What `If-Match` asks for.
///
/// # Errors
/// Where it is not one strong entity tag, or `*`.
pub fn if_match(headers: &HeaderMap) -> Result<Precondition, Failure> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(Precondition::None) };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(Precondition::Exists);
    }
    let tag = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match tag.filter(|tag| !tag.contains('"')) {
        Some(tag) => Ok(Precondition::Tag(tag.to_owned())),
        None => Err(Failure::malformed("If-Match must be one entity tag in quotes, or *")),
    }
}

/// The header that [`if_match`] is given back.
pub fn etag(tag: &str) -> (actix_web::http::header::HeaderName, String) {
    (ETAG, format!("\"{tag}\""))
}

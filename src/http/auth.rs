//! Who calls, decided from the `Authorization` header before anything else of a request is looked at. [`identify`] wraps all
//! of the management API; a handler says in its signature what it needs ([`Admin`], [`Reporter`], [`super::permits::Can`]).

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Failure;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;

/// Finds out who calls and keeps it with the request; nobody known gets further than 401, and a page of another site that
/// uses a browser's credentials no further than 403.
///
/// # Errors
/// What the wrapped service gives.
pub async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match admit(&request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(failure) => Ok(ServiceResponse::from_err(failure, request.into_parts().0)),
    }
}

async fn admit(request: &ServiceRequest) -> Result<Caller, Failure> {
    let app = request.app_data::<web::Data<App>>().ok_or(app::Error::Unauthorized)?;
    let caller = caller(app, request.headers()).await?;
    app.admit(&caller)?;
    let foreign = request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if foreign && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(app::Error::Forbidden("a page of another site may not do this".to_owned()).into());
    }
    Ok(caller)
}

/// Who sent these headers.
///
/// # Errors
/// 401 where that is nobody known.
pub async fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, Failure> {
    if let Some(token) = bearer(headers) {
        return Ok(app.authenticate_bearer(token).await?);
    }
    let (username, password) = basic(headers).ok_or(app::Error::Unauthorized)?;
    Ok(app.authenticate(&username, &password).await?)
}

/// What stands behind the scheme of the one `Authorization` header.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let mut values = headers.get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (given, credentials) = value.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// The bearer token (RFC 6750), which is taken from nowhere else.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer").filter(|token| !token.is_empty())
}

/// User name and password of HTTP Basic (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let pair = String::from_utf8(STANDARD.decode(credentials(headers, "basic")?).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}

/// An administrator. A handler that takes it can't be reached by anybody else.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

impl FromRequest for Admin {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Caller>() {
            Some(caller) if caller.is_administrator() => Ok(Self(caller.clone())),
            Some(_) => Err(app::Error::Forbidden("only an administrator may do this".to_owned()).into()),
            None => Err(app::Error::Unauthorized.into()),
        })
    }
}

/// Who may report usage: a broker with credentials of its own, or an administrator.
#[derive(Clone, Debug)]
pub struct Reporter(pub Caller);

impl FromRequest for Reporter {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Caller>() {
            Some(caller) if Permission::Broker.sight(caller).is_some() => Ok(Self(caller.clone())),
            Some(_) => Err(app::Error::Forbidden("only a broker or an administrator may do this".to_owned()).into()),
            None => Err(app::Error::Unauthorized.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        basic(&headers)
    }

    #[test]
    fn basic_is_read_and_nothing_else() {
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read(&["Basic YTpiOmM="]), pair("a", "b:c"));
        assert_eq!(read(&["bAsIc YTo="]), pair("a", ""));
        for bad in ["", "Basic", "Basic !", "Basic YQ==", "Bearer YTpi", "YTpi", "Basic /////w=="] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!(read(&["Basic YTpi", "Basic YTpi"]), None, "two are none");
        assert_eq!(read(&[]), None);
    }
}

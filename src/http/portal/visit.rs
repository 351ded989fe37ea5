//! Whose browser asks. [`closed`] and [`open`] wrap every page: they find the session, refuse what another site sends, make a page of
//! every failure, and say what a browser may do with the answer.
//!
//! Cookies, all out of reach of scripts: the session's secret, before there is one a secret that ties a form to the browser that was
//! given it, and the sign-ins that it has begun at the identity provider ([`attempts`](super::attempts)). All are bound to this host and, over HTTPS, to HTTPS (`__Host-`).

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::attempts::{AWAY_SECONDS, Attempts};
use super::frame;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::http::error::{self, Failure};
use crate::http::observe::{self, Trace};
use crate::secret::{self, Secret};

const SESSION: &str = "bourse-session";
/// What ends the paths that pages ask for by themselves.
const LIVE: &str = "/live";
const FRONT: &str = "bourse-front";
/// The sign-ins that a browser has begun at the identity provider.
const AWAY: &str = "bourse-away";
/// Characters of a cookie that is one of ours.
const SECRET_LEN: usize = 43;

/// Nothing from elsewhere, no script or style within a page, no frame around it, and forms for this hub alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A visit: what a page has to know of the browser that asks for it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who is signed in.
    pub caller: Option<Caller>,
    /// Path and query of the page.
    pub address: String,
    /// How many approvals wait for them.
    pub waiting: i64,
    /// What a form has to give back.
    csrf: String,
    /// The secret that this browser keeps: the session's, where there is one.
    secret: Secret<String>,
    /// The sign-ins that were begun in this browser.
    attempts: Attempts,
    /// Whether it reaches the hub over HTTPS.
    secure: bool,
}

impl FromRequest for Visit {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.extensions().get::<Self>().cloned();
        ready(found.ok_or_else(|| app::Error::Unauthorized.into()))
    }
}

impl Visit {
    /// What each form has in its field `csrf`.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether a form was given to this browser.
    pub fn gave(&self, csrf: &str) -> bool {
        secret::password_matches(csrf, &secret::hash_password(&self.csrf))
    }

    /// The session's secret, to end it with.
    pub(super) fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.address.split('?').next().unwrap_or_default()
    }

    /// Another page, asked for with GET.
    pub fn to(&self, address: &str) -> HttpResponse {
        HttpResponse::SeeOther().insert_header((LOCATION, address)).finish()
    }

    /// Another page, for whoever signed in just now.
    pub(super) fn signed_in(&self, secret: &Secret<String>, address: &str) -> HttpResponse {
        let mut answer = self.to(address);
        answer.add_cookie(&cookie(SESSION, secret.expose(), self.secure)).ok();
        answer
    }

    /// The sign-ins that were begun in this browser.
    pub(super) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// An answer with which the browser keeps these sign-ins and no other.
    pub(super) fn keeping(&self, mut answer: HttpResponse, attempts: &Attempts) -> HttpResponse {
        let mut kept = cookie(AWAY, &attempts.written(), self.secure);
        if kept.value().is_empty() {
            kept.make_removal();
        } else {
            kept.set_max_age(Duration::seconds(AWAY_SECONDS));
        }
        answer.add_cookie(&kept).ok();
        answer
    }

    /// Another page, for whoever is signed in no more.
    pub(super) fn signed_out(&self, address: &str) -> HttpResponse {
        let mut answer = self.to(address);
        let mut gone = cookie(SESSION, "", self.secure);
        gone.make_removal();
        answer.add_cookie(&gone).ok();
        answer
    }

    async fn of(request: &ServiceRequest, app: &App) -> Result<(Self, bool), Failure> {
        let secure = app.config().server.public_url.starts_with("https://");
        let address = request.uri().path_and_query().map_or("/", |address| address.as_str()).to_owned();
        let session = sent(request, SESSION, secure);
        let caller = match &session {
            // What a page asks for by itself is no visit: a tab that is left open keeps nobody signed in.
            Some(secret) if request.match_pattern().is_some_and(|pattern| pattern.ends_with(LIVE)) => {
                app.session_unseen(&secret::hash_password(secret.expose())).await?
            }
            Some(secret) => app.session(secret.expose()).await?,
            None => None,
        };
        let front = sent(request, FRONT, secure);
        let fresh = caller.is_none() && front.is_none();
        let secret = match (session, front) {
            (Some(session), _) if caller.is_some() => session,
            (_, Some(front)) => front,
            (_, None) => secret::generate_password().map_err(app::Error::from)?,
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let csrf = URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"form"));
        let away = request.cookie(&named(AWAY, secure));
        let attempts = away.map(|kept| Attempts::read(kept.value(), app.clock().now())).unwrap_or_default();
        Ok((Self { caller, address, waiting: 0, csrf, secret, attempts, secure }, fresh))
    }
}

fn named(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}

fn cookie(name: &str, value: &str, secure: bool) -> Cookie<'static> {
    let cookie = Cookie::build(named(name, secure), value.to_owned()).path("/").http_only(true);
    cookie.same_site(SameSite::Lax).secure(secure).finish()
}

fn sent(request: &ServiceRequest, name: &str, secure: bool) -> Option<Secret<String>> {
    let cookie = request.cookie(&named(name, secure))?;
    let decent = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let ours = cookie.value().len() == SECRET_LEN && cookie.value().bytes().all(decent);
    ours.then(|| Secret::new(cookie.value().to_owned()))
}

/// Wraps a page that everybody may see.
///
/// # Errors
/// None: each becomes a page.
pub async fn open(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    serve(request, next, false).await
}

/// Wraps a page for those who are signed in. Others are sent to sign in, and back.
///
/// # Errors
/// None: each becomes a page.
pub async fn closed(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    serve(request, next, true).await
}

async fn serve(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    closed: bool,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let trace = request.extensions().get::<Trace>().cloned();
    let trace = trace.as_ref().map(|trace| trace.request_id.as_str());
    let (visit, fresh) = match enter(&request, closed).await {
        Ok(Entered::In(visit, fresh)) => (*visit, fresh),
        Ok(Entered::Elsewhere(answer)) => {
            let mut response = request.into_response(answer);
            say(response.headers_mut(), false);
            return Ok(response);
        }
        Err(failure) => {
            observe::report(&failure);
            let mut response = request.into_response(frame::failed(None, &failure, trace));
            say(response.headers_mut(), false);
            return Ok(response);
        }
    };
    let secure = visit.secure;
    if let Some(caller) = &visit.caller {
        request.extensions_mut().insert(caller.clone());
    }
    request.extensions_mut().insert(visit.clone());
    let response = next.call(request).await?.map_into_boxed_body();
    let failure = response.response().error().map(|error| match error.as_error::<Failure>() {
        Some(failure) => {
            observe::report(failure);
            frame::failed(Some(&visit), failure, trace)
        }
        // What is no part of a path, or no body, of ours.
        None => frame::failed(Some(&visit), &Failure::malformed("this address or form is not one of this hub"), trace),
    });
    let mut response = match failure {
        Some(mut page) => {
            // What the browser is to keep or to forget holds for a failure, too.
            for kept in response.response().cookies() {
                page.add_cookie(&kept).ok();
            }
            response.into_response(page)
        }
        None => response,
    };
    // What a cache may keep for others is given nobody's secret.
    if fresh && !response.headers().contains_key(CACHE_CONTROL) {
        response.response_mut().add_cookie(&cookie(FRONT, visit.secret.expose(), secure)).ok();
    }
    say(response.headers_mut(), secure);
    Ok(response)
}

enum Entered {
    /// Whoever it is, and whether their browser needs a secret to begin with.
    In(Box<Visit>, bool),
    Elsewhere(HttpResponse),
}

async fn enter(request: &ServiceRequest, closed: bool) -> Result<Entered, Failure> {
    let app = request.app_data::<web::Data<App>>().ok_or(app::Error::Unauthorized)?;
    let (mut visit, fresh) = Visit::of(request, app).await?;
    if let Some(caller) = &visit.caller {
        app.admit(caller)?;
        if closed {
            visit.waiting = app.approvals_waiting(caller).await?;
        }
    } else if closed {
        // Back to the page that shows the form, where it was a form that was sent.
        let back = if request.method() == Method::GET { visit.address.as_str() } else { visit.path() };
        let query = serde_urlencoded::to_string([("to", back)]).unwrap_or_default();
        return Ok(Entered::Elsewhere(visit.to(&format!("/sign-in?{query}"))));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if !reads && site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(app::Error::Forbidden("a page of another site may not do this".to_owned()).into());
    }
    Ok(Entered::In(Box::new(visit), fresh))
}

/// Answers what no route has: a browser with a page, a program with a problem document.
///
/// # Errors
/// Always, but where it is a page.
pub async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let accepted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let failure = error::no_such_path(request.clone()).await;
    let (true, Err(failure)) = (accepted.contains("text/html"), &failure) else { return failure };
    let mut answer = frame::failed(None, failure, None);
    say(answer.headers_mut(), false);
    Ok(answer)
}

/// What a browser is told about every answer.
fn say(headers: &mut HeaderMap, secure: bool) {
    let fixed = |text: &'static str| HeaderValue::from_static(text);
    headers.insert(CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(REFERRER_POLICY, fixed("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), fixed("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin"));
    let none = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
    headers.insert(HeaderName::from_static("permissions-policy"), fixed(none));
    if secure {
        let always = HeaderName::from_static("strict-transport-security");
        headers.insert(always, fixed("max-age=31536000"));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, fixed("no-store"));
    }
}

/// The status of a page that shows what was wrong with a form.
pub fn status(failure: &Failure) -> StatusCode {
    actix_web::ResponseError::status_code(failure)
}

//! `/git/{slug}.git/…`: smart HTTP for clones and pushes.
//!
//! The order is fixed: 401 for whoever has no valid token, whatever they ask for; then 404 for all but the three paths of
//! smart HTTP on the token's own repository; then 403 for what its role doesn't allow. Paths are compared as they came,
//! undecoded. Invariant: nothing of a request but one of three known words gets into a path.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use tokio::process::Command;

use super::access::{Guest, admit, basic};
use super::cgi;
use super::embedded::Embedded;
use super::parameters::Role;
use super::store::RepositoryRow;

/// The longest address of a repository.
const SLUG_MAX: usize = 80;
/// How much a compressed request to fetch may have: Git inflates it, at worst to a thousand times as much.
const COMPRESSED_MAX: u64 = 1 << 20;

/// What smart HTTP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// What there is, before a fetch or a push.
    Refs {
        push: bool,
    },
    Fetch,
    Push,
}

impl Ask {
    fn pushes(self) -> bool {
        matches!(self, Self::Refs { push: true } | Self::Push)
    }

    /// Path below the repository, and query.
    fn target(self) -> (&'static str, &'static str) {
        match self {
            Self::Refs { push: false } => ("info/refs", "service=git-upload-pack"),
            Self::Refs { push: true } => ("info/refs", "service=git-receive-pack"),
            Self::Fetch => ("git-upload-pack", ""),
            Self::Push => ("git-receive-pack", ""),
        }
    }
}

/// Mounts the repositories of that driver.
pub(super) fn configure(embedded: Arc<Embedded>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        let embedded = Arc::clone(&embedded);
        config.service(web::scope("/git").default_service(web::to(move |request: HttpRequest, payload: Payload| {
            let embedded = Arc::clone(&embedded);
            async move { respond(&embedded, &request, payload).await }
        })));
    }
}

/// Slug and request, where it is one of smart HTTP's three.
fn parse<'a>(method: &Method, path: &'a str, query: &str) -> Option<(&'a str, Ask)> {
    let (slug, rest) = path.strip_prefix("/git/")?.split_once(".git/")?;
    let fits = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if slug.is_empty() || slug.len() > SLUG_MAX || !fits {
        return None;
    }
    let asks = [Ask::Refs { push: false }, Ask::Refs { push: true }, Ask::Fetch, Ask::Push];
    let ask = asks.into_iter().find(|ask| ask.target() == (rest, query))?;
    let right = if matches!(ask, Ask::Refs { .. }) { Method::GET } else { Method::POST };
    (*method == right).then_some((slug, ask))
}

fn plain(status: StatusCode, sentence: &str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(format!("{sentence}\n"))
}

fn busy(sentence: &str) -> HttpResponse {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, sentence);
    let after = actix_web::http::header::HeaderValue::from_static("5");
    response.headers_mut().insert(actix_web::http::header::RETRY_AFTER, after);
    response
}

async fn respond(embedded: &Arc<Embedded>, request: &HttpRequest, payload: Payload) -> HttpResponse {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let guest = match header.and_then(basic) {
        None => Ok(None),
        Some((username, password)) => {
            admit(&embedded.store, embedded.build_key(), (&username, &password), embedded.now()).await
        }
    };
    let guest = match guest {
        Ok(Some(guest)) => guest,
        Ok(None) => {
            let mut response = plain(StatusCode::UNAUTHORIZED, "give the user name and token of a binding");
            let challenge = actix_web::http::header::HeaderValue::from_static("Basic realm=\"git\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return response;
        }
        Err(error) => {
            tracing::error!(%error, "a token could not be looked at");
            return busy("try again later");
        }
    };
    let nothing = || plain(StatusCode::NOT_FOUND, "there is no such repository for this token");
    let Some((slug, ask)) = parse(request.method(), request.uri().path(), request.uri().query().unwrap_or_default())
    else {
        return nothing();
    };
    let repository = match embedded.store.repository(&guest.repository).await {
        Ok(Some(repository)) if repository.slug == slug && !repository.archived => repository,
        Ok(_) => return nothing(),
        Err(error) => {
            tracing::error!(%error, "a repository could not be looked up");
            return busy("try again later");
        }
    };
    if ask.pushes() && guest.role < Role::Write {
        return plain(StatusCode::FORBIDDEN, "this token may only read");
    }
    if let Some(refusal) = refuse_encoding(request, ask) {
        return refusal;
    }
    serve(embedded, request, payload, &repository, &guest, ask).await
}

/// Git compresses what it asks for, never what it pushes: an inflated push would have no bound.
fn refuse_encoding(request: &HttpRequest, ask: Ask) -> Option<HttpResponse> {
    let mut encodings = request.headers().get_all(CONTENT_ENCODING);
    let fits = encodings.all(|encoding| match encoding.as_bytes() {
        encoding if encoding.eq_ignore_ascii_case(b"identity") => true,
        b"gzip" | b"x-gzip" => ask == Ask::Fetch,
        _ => false,
    });
    let sentence = if ask == Ask::Push { "a push must not be compressed" } else { "only gzip is understood" };
    (!fits).then(|| plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence))
}

async fn serve(
    embedded: &Arc<Embedded>,
    request: &HttpRequest,
    payload: Payload,
    repository: &RepositoryRow,
    guest: &Guest,
    ask: Ask,
) -> HttpResponse {
    let Some(turn) = embedded.turn(&repository.resource).await else {
        return busy("too many clones and pushes are under way");
    };
    let room = match ask.pushes() {
        false => None,
        true => match embedded.room(repository).await {
            Ok(0) => return plain(StatusCode::FORBIDDEN, "the repository is full: nothing more can be pushed"),
            Ok(room) => Some(room),
            Err(error) => {
                tracing::error!(error = ?error, "a repository could not be measured");
                return busy("try again later");
            }
        },
    };
    if ask == Ask::Push
        && let Err(error) = embedded.begin_push(&repository.resource).await
    {
        tracing::error!(%error, "a push could not be written down");
        return busy("try again later");
    }
    let mut command = embedded.backend(repository, guest, room);
    let (path, query) = ask.target();
    command
        .env("PATH_INFO", format!("/{}/{path}", embedded.directory(repository)))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", request.method().as_str());
    pass_headers(request, &mut command);
    let mut bounds = embedded.bounds(ask == Ask::Push);
    if request.headers().contains_key(CONTENT_ENCODING) && ask == Ask::Fetch {
        bounds.body_bytes = bounds.body_bytes.min(COMPRESSED_MAX);
    }
    let after = {
        let (embedded, resource, username) =
            (Arc::clone(embedded), repository.resource.clone(), guest.username.clone());
        move || async move {
            if ask == Ask::Push {
                embedded.after_push(&resource, Some(&username)).await;
            }
            drop(turn);
        }
    };
    match cgi::exchange(command, payload, bounds, after).await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.head.status).unwrap_or(StatusCode::BAD_GATEWAY);
            let mut response = HttpResponse::build(status);
            for (name, value) in answer.head.headers {
                response.append_header((name, value));
            }
            let body = stream::unfold(answer.body, async |mut body| body.recv().await.map(|chunk| (chunk, body)));
            response.streaming(Box::pin(body))
        }
        Err(error) => {
            // Where it ran at all, what it did is looked at by the next round.
            tracing::error!(error = ?error, repository = repository.slug, "git gave no answer");
            busy("git gave no answer: try again later")
        }
    }
}

/// What of a request's headers Git reads.
fn pass_headers(request: &HttpRequest, command: &mut Command) {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let passed = [
        ("CONTENT_TYPE", CONTENT_TYPE.as_str()),
        ("HTTP_CONTENT_ENCODING", CONTENT_ENCODING.as_str()),
        ("CONTENT_LENGTH", "content-length"),
        ("GIT_PROTOCOL", "git-protocol"),
    ];
    for (variable, name) in passed {
        // Longer ones are never Git's.
        if let Some(value) = header(name).filter(|value| value.len() <= 200 && !value.contains('\0')) {
            command.env(variable, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_paths_of_smart_http_are_known() {
        let get = |path, query| parse(&Method::GET, path, query);
        let post = |path| parse(&Method::POST, path, "");
        assert_eq!(get("/git/a-1.git/info/refs", "service=git-upload-pack"), Some(("a-1", Ask::Refs { push: false })));
        assert_eq!(get("/git/a-1.git/info/refs", "service=git-receive-pack"), Some(("a-1", Ask::Refs { push: true })));
        assert_eq!(post("/git/a-1.git/git-upload-pack"), Some(("a-1", Ask::Fetch)));
        assert_eq!(post("/git/a-1.git/git-receive-pack"), Some(("a-1", Ask::Push)));
        for path in [
            "/git/a.git/HEAD",
            "/git/a.git/objects/info/packs",
            "/git/a.git/../b.git/info/refs",
            "/git/../a.git/info/refs",
            "/git/%2e%2e.git/info/refs",
            "/git//a.git/info/refs",
            "/git/a.git//info/refs",
            "/git/A.git/info/refs",
            "/git/.git/info/refs",
            "/git/a/b.git/info/refs",
            "/git/a.git/info/refs/",
            "//git/a.git/info/refs",
        ] {
            assert_eq!(get(path, "service=git-upload-pack"), None, "{path}");
        }
        assert_eq!(get("/git/a.git/info/refs", ""), None, "the dumb protocol");
        assert_eq!(get("/git/a.git/info/refs", "service=git-upload-pack&x=1"), None);
        assert_eq!(get("/git/a.git/git-upload-pack", ""), None);
        assert_eq!(post("/git/a.git/info/refs"), None);
    }
}

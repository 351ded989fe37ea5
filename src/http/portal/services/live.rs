//! `/services/{tenant}/{name}/live`: server-sent events that say that a service changed, and no more: the page is then fetched anew. A
//! stream ends after a while, and when the process stops; a browser begins again by itself.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;

use super::super::visit::Visit;
use crate::app::App;
use crate::app::services::live::{Follower, Heard};
use crate::http::Draining;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, ReadOrder};

/// The query parameters of the stream.
pub const QUERY: &[&str] = &["seen"];
/// After how many milliseconds a browser begins again.
const AGAIN_MS: u32 = 3000;

/// What the page shows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Seen {
    seen: String,
}

/// `GET /services/{tenant}/{name}/live`
///
/// # Errors
/// 404 where it is not theirs to see; 503 where too many follow.
pub async fn stream(
    who: Can<ReadOrder>,
    visit: Visit,
    app: Data<App>,
    draining: Data<Draining>,
    path: Path<(String, String)>,
    seen: Params<Seen>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let (tenant, key) = path.into_inner();
    // A browser that begins again says what it heard last.
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = last.filter(|last| !last.is_empty()).unwrap_or(&seen.0.seen);
    let follower = app.follow(&who.caller, visit.secret(), (&tenant, &key), seen).await?;
    let events = stream::unfold(Stage::Begin(Box::new(follower), draining), |stage| async move {
        match stage {
            Stage::Begin(follower, draining) => {
                Some((told(&format!("retry: {AGAIN_MS}\n\n")), Stage::Follow(follower, draining)))
            }
            Stage::Follow(mut follower, draining) => {
                let heard = tokio::select! {
                    heard = follower.next() => heard,
                    () = draining.begun() => Heard::End,
                };
                let text = match heard {
                    Heard::Changed(mark) => format!("id: {mark}\nevent: change\ndata: {mark}\n\n"),
                    Heard::Nothing => ":\n\n".to_owned(),
                    Heard::End => return None,
                };
                Some((told(&text), Stage::Follow(follower, draining)))
            }
        }
    });
    let answer = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events);
    Ok(answer)
}

/// Where a stream stands.
enum Stage {
    Begin(Box<Follower>, Data<Draining>),
    Follow(Box<Follower>, Data<Draining>),
}

fn told(text: &str) -> Result<Bytes, actix_web::Error> {
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

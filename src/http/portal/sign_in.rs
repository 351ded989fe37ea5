//! Signing in and out. People sign in at their identity provider; the administrator, who may be the only one there is, here.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use maud::html;
use serde::Deserialize;

use super::attempts::Attempt;
use super::fields::Fields;
use super::frame::Page;
use super::kit::{self, Line, Tone};
use super::visit::Visit;
use crate::app::{self, App};
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SignedIn};
use crate::secret;

/// Where to go on.
#[derive(Clone, Debug, Deserialize)]
pub struct Whither {
    #[serde(default)]
    to: String,
}

/// What the identity provider sends back (RFC 6749, section 4.1.2). It may say more, which is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Back {
    state: String,
    code: String,
    error: String,
}

/// `GET /sign-in`
///
/// # Errors
/// None.
pub async fn show(visit: Visit, app: Data<App>, whither: Params<Whither>) -> Result<HttpResponse, Failure> {
    if visit.caller.is_some() {
        return Ok(visit.to(onwards(&whither.0.to)));
    }
    Ok(page(&visit, &app, &whither.0.to, "", None))
}

/// `POST /sign-in`
///
/// # Errors
/// 429 where too many tries from there were wrong.
pub async fn sign_in(visit: Visit, app: Data<App>, fields: Fields) -> Result<HttpResponse, Failure> {
    let (username, to) = (fields.text("username"), fields.text("to"));
    match app.sign_in_administrator(username, fields.raw("password").unwrap_or_default()).await {
        Ok(secret) => {
            leave(&visit, &app).await?;
            Ok(visit.signed_in(&secret, onwards(to)))
        }
        Err(app::Error::Unauthorized) => Ok(page(
            &visit,
            &app,
            to,
            username,
            Some("User name or password is wrong, or they are not an administrator's."),
        )),
        Err(other) => Err(other.into()),
    }
}

/// `GET /sign-in/oidc`: on to the identity provider.
///
/// # Errors
/// 503 where it is away.
pub async fn begin(visit: Visit, app: Data<App>, whither: Params<Whither>) -> Result<HttpResponse, Failure> {
    let secret = secret::generate_password().map_err(app::Error::from)?;
    let address = app.begin_sign_in(&secret).await?;
    let attempts = visit.attempts().with(secret, onwards(&whither.0.to), app.clock().now());
    Ok(visit.keeping(visit.to(&address), &attempts))
}

/// `GET /sign-in/callback`: back from the identity provider. The sign-in that was begun is over with that, whatever came of it; another one
/// that this browser has begun, in another tab, goes on.
///
/// # Errors
/// 401 where it was no sign-in of this browser; 503 where the provider is away.
pub async fn finish(visit: Visit, app: Data<App>, back: Params<Back>) -> Result<HttpResponse, Failure> {
    let (begun, left) = visit.attempts().take(|secret| app.began_sign_in(secret, &back.0.state));
    let answer = finished(&visit, &app, begun, back.0).await;
    Ok(visit.keeping(answer.unwrap_or_else(HttpResponse::from_error), &left))
}

async fn finished(visit: &Visit, app: &App, begun: Option<Attempt>, back: Back) -> Result<HttpResponse, Failure> {
    let Back { state, code, error } = back;
    let to = begun.as_ref().map(|begun| begun.whither.clone()).unwrap_or_default();
    if !error.is_empty() {
        let wrong = if error == "access_denied" {
            "You said no, or may not sign in here."
        } else {
            "The identity provider could not sign you in."
        };
        return Ok(page(visit, app, &to, "", Some(wrong)));
    }
    // No failed login: nobody guesses a state, and any page can have a browser come here with a wrong one.
    let Some(begun) = begun else {
        let wrong = "You are not signed in: this sign-in was not begun in this browser, or too long ago, or it is over already. Sign in again.";
        return Ok(page(visit, app, &to, "", Some(wrong)));
    };
    match app.finish_sign_in(&begun.secret, (&state, &code)).await {
        Ok(secret) => {
            leave(visit, app).await?;
            Ok(visit.signed_in(&secret, onwards(&to)))
        }
        Err(app::Error::BadToken(why)) => {
            Ok(page(visit, app, &to, "", Some(&format!("You are not signed in: {why}."))))
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /sign-out`
///
/// # Errors
/// Where the database fails.
pub async fn sign_out(who: Can<SignedIn>, visit: Visit, app: Data<App>, _: Fields) -> Result<HttpResponse, Failure> {
    app.close_session(&who.caller, visit.secret().expose()).await?;
    Ok(visit.signed_out("/sign-in"))
}

/// Ends the session that this browser had before.
async fn leave(visit: &Visit, app: &App) -> Result<(), Failure> {
    if let Some(caller) = &visit.caller {
        app.close_session(caller, visit.secret().expose()).await?;
    }
    Ok(())
}

/// Where whoever signed in goes on: a page of this portal, the first one where it was none.
fn onwards(to: &str) -> &str {
    if kit::is_own(to) && !to.starts_with("/sign-") { to } else { "/" }
}

fn page(visit: &Visit, app: &App, to: &str, username: &str, wrong: Option<&str>) -> HttpResponse {
    let status = if wrong.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    let found: Vec<_> = wrong.iter().map(|text| (String::new(), (*text).to_owned())).collect();
    let query = serde_urlencoded::to_string([("to", to)]).unwrap_or_default();
    let administrator = html! {
        form method="post" action="/sign-in" {
            (kit::csrf(visit))
            input type="hidden" name="to" value=(to);
            (kit::line(&Line { name: "username", label: "User name", value: username, required: true,
                autocomplete: "username", ..Line::default() }))
            (kit::line(&Line { name: "password", label: "Password", kind: "password", required: true,
                autocomplete: "current-password", ..Line::default() }))
            p.actions { button.second[app.can_sign_in()] type="submit" { "Sign in" } }
        }
    };
    Page::new(visit, "Sign in").status(status).show(html! {
        @if !found.is_empty() { (kit::notice(Tone::Bad, &html! { @for (_, text) in &found { p { (text) } } })) }
        div.sign-in {
            @if app.can_sign_in() {
                section {
                    h2 { "With your account" }
                    p { "You say who you are at your organisation's identity provider and come back." }
                    p.actions { a.button href={ "/sign-in/oidc?" (query) } { "Sign in with your account" } }
                }
                details open[!username.is_empty()] {
                    summary { "As the administrator" }
                    (administrator)
                }
            } @else {
                section { h2 { "As the administrator" } (administrator) }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere_by_signing_in() {
        assert_eq!(onwards("/catalog?q=a"), "/catalog?q=a");
        for other in ["//a.example", "https://a.example", "", "/sign-out", "/sign-in?to=/"] {
            assert_eq!(onwards(other), "/", "{other}");
        }
    }
}

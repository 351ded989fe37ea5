//! Signing in and out. People sign in at their identity provider; the administrator, who may be the only one there is, here.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use maud::html;
use serde::Deserialize;

use super::fields::Fields;
use super::frame::Page;
use super::kit::{self, Line};
use super::visit::Visit;
use crate::app::{self, App};
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SignedIn};

/// Where to go on.
#[derive(Clone, Debug, Deserialize)]
pub struct Whither {
    #[serde(default)]
    to: String,
}

/// `GET /sign-in`
///
/// # Errors
/// None.
pub async fn show(visit: Visit, whither: Params<Whither>) -> Result<HttpResponse, Failure> {
    if visit.caller.is_some() {
        return Ok(visit.to(onwards(&whither.0.to)));
    }
    Ok(page(&visit, &whither.0.to, "", None))
}

/// `POST /sign-in`
///
/// # Errors
/// 429 where too many tries from there were wrong.
pub async fn sign_in(visit: Visit, app: Data<App>, fields: Fields) -> Result<HttpResponse, Failure> {
    let (username, to) = (fields.text("username"), fields.text("to"));
    match app.sign_in_administrator(username, fields.raw("password").unwrap_or_default()).await {
        Ok(secret) => Ok(visit.signed_in(&secret, onwards(to))),
        Err(app::Error::Unauthorized) => {
            Ok(page(&visit, to, username, Some("User name or password is wrong, or they are not an administrator's.")))
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

/// Where whoever signed in goes on: a page of this portal, the first one where it was none.
fn onwards(to: &str) -> &str {
    if kit::is_own(to) && !to.starts_with("/sign-") { to } else { "/" }
}

fn page(visit: &Visit, to: &str, username: &str, wrong: Option<&str>) -> HttpResponse {
    let status = if wrong.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    let found: Vec<_> = wrong.iter().map(|text| ("username".to_owned(), (*text).to_owned())).collect();
    Page::new(visit, "Sign in").status(status).show(html! {
        (kit::errors(&found))
        div.sign-in {
            form method="post" action="/sign-in" {
                h2 { "As the administrator" }
                (kit::csrf(visit))
                input type="hidden" name="to" value=(to);
                (kit::line(&Line { name: "username", label: "User name", value: username, required: true,
                    autocomplete: "username", wrong, ..Line::default() }))
                (kit::line(&Line { name: "password", label: "Password", kind: "password", required: true,
                    autocomplete: "current-password", ..Line::default() }))
                p.actions { button type="submit" { "Sign in" } }
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

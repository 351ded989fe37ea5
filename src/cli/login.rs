//! `bourse login`, `logout` and `whoami`: a token from the hub's identity provider by the device flow (RFC 8628), kept for the commands
//! that follow ([`super::logins`]), and renewed when it has expired.
//!
//! Invariant: tokens go to the provider that the hub names and over HTTPS, or to this machine; the hub's own token only to the hub.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Error as CliError;
use super::client::{Client, Error};
use super::logins::Login;
use super::print::{self, Out, pick};
use crate::clock::Clock;

/// How long the provider's page may stay open where it does not say.
const EXPIRES_IN: u64 = 600;
/// How long to wait between two questions where the provider does not say.
const INTERVAL: u64 = 5;
/// Never longer than this, whatever it says.
const INTERVAL_MAX: u64 = 60;
/// A token that is good for less is renewed.
const ABOUT_TO_EXPIRE: i64 = 30;
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Arguments of `bourse login` and `bourse logout`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Args {}

/// Arguments of `bourse whoami`.
#[derive(Debug, clap::Args)]
pub(super) struct WhoArgs {
    #[command(flatten)]
    out: Out,
}

/// Logs in.
pub(super) async fn run(client: &Client, _: Args) -> Result<(), CliError> {
    let how = client.open(client.at(&[".well-known", "bourse-login"])?).await?;
    if how.0 == 404 {
        return Err(Error::Usage(
            "the hub has no identity provider to log in with: see `oidc.login_client_id`".to_owned(),
        )
        .into());
    }
    let how = how.1;
    let issuer = pick(&how, "/issuer");
    let found =
        client.open(safe(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?).await?.1;
    if pick(&found, "/issuer") != issuer {
        return Err(Error::Outcome(format!("{issuer} is no identity provider, or calls itself otherwise")).into());
    }
    let mut asked = vec![("client_id", pick(&how, "/client_id")), ("scope", pick(&how, "/scope"))];
    let resource = pick(&how, "/resource");
    if !resource.is_empty() {
        asked.push(("resource", resource.clone()));
    }
    let device = safe(&pick(&found, "/device_authorization_endpoint"))?;
    let token_endpoint = safe(&pick(&found, "/token_endpoint"))?;
    let (status, device) = client.form(device, &asked).await?;
    if status != 200 {
        return Err(refused(&device).into());
    }
    let (page, code) = (pick(&device, "/verification_uri"), pick(&device, "/user_code"));
    print::note(&format!("open {} and enter the code {}", print::plain(&page), print::plain(&code)))?;
    let given = granted(client, &token_endpoint, &asked[0].1, &resource, &device).await?;
    let login = Login {
        issuer,
        client_id: asked.swap_remove(0).1,
        token_endpoint: token_endpoint.into(),
        resource,
        access_token: String::new(),
        refresh_token: None,
        expires_at: 0,
    };
    client.logins()?.keep(&client.hub(), with(login, &given)?)?;
    print::note("logged in; `bourse whoami` says as whom")?;
    Ok(())
}

/// Asks until whoever sits before the page has said yes or no.
async fn granted(client: &Client, at: &Url, client_id: &str, resource: &str, device: &Value) -> Result<Value, Error> {
    let number = |path: &str| device.pointer(path).and_then(Value::as_u64);
    let end = Instant::now() + Duration::from_secs(number("/expires_in").unwrap_or(EXPIRES_IN));
    let mut interval = number("/interval").unwrap_or(INTERVAL).clamp(1, INTERVAL_MAX);
    let code = pick(device, "/device_code");
    let mut pairs = vec![("grant_type", DEVICE.to_owned()), ("client_id", client_id.to_owned()), ("device_code", code)];
    if !resource.is_empty() {
        pairs.push(("resource", resource.to_owned()));
    }
    let _busy = client.busy("waiting for your yes");
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Outcome("nobody said yes in time: log in again".to_owned()));
        }
        sleep(Duration::from_secs(interval).min(left)).await;
        let (status, answer) = client.form(at.clone(), &pairs).await?;
        match (status, pick(&answer, "/error").as_str()) {
            (200, _) => return Ok(answer),
            (_, "authorization_pending") => {}
            (_, "slow_down") => interval = (interval + 5).min(INTERVAL_MAX),
            _ => return Err(refused(&answer)),
        }
    }
}

/// The login with the tokens that were given. A provider may leave the refresh token as it was.
fn with(login: Login, given: &Value) -> Result<Login, Error> {
    let access_token = pick(given, "/access_token");
    if access_token.is_empty() {
        return Err(Error::Outcome("the identity provider gave no token".to_owned()));
    }
    let text = |path: &str| given.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let good_for = given.pointer("/expires_in").and_then(Value::as_i64).unwrap_or(300);
    let expires_at = Clock::system().now().seconds().saturating_add(good_for);
    let refresh_token = text("/refresh_token").or(login.refresh_token);
    Ok(Login { access_token, refresh_token, expires_at, ..login })
}

/// What is kept for a hub, renewed where it has expired.
pub(super) async fn renewed(client: &Client, login: Login) -> Result<Login, Error> {
    if login.expires_at > Clock::system().now().seconds() + ABOUT_TO_EXPIRE {
        return Ok(login);
    }
    let again = || Error::Usage("your login has expired: run `bourse login`".to_owned());
    let token = login.refresh_token.clone().ok_or_else(again)?;
    let mut pairs = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", login.client_id.clone()),
        ("refresh_token", token),
    ];
    if !login.resource.is_empty() {
        pairs.push(("resource", login.resource.clone()));
    }
    let (status, given) = client.form(safe(&login.token_endpoint)?, &pairs).await?;
    if status != 200 {
        return Err(again());
    }
    let login = with(login, &given)?;
    client.logins()?.keep(&client.hub(), login.clone())?;
    Ok(login)
}

/// Logs out.
pub(super) async fn leave(client: &Client, _: Args) -> Result<(), CliError> {
    let there = client.logins()?.forget(&client.hub())?;
    print::note(if there { "logged out" } else { "you were not logged in" })?;
    Ok(())
}

/// Says who calls.
pub(super) async fn who(client: &Client, args: WhoArgs) -> Result<(), CliError> {
    let me = client.get(&["me"], &[]).await?;
    args.out.one(
        &me,
        &[
            ("NAME", "/name"),
            ("KIND", "/kind"),
            ("ROLES", "/roles"),
            ("GROUPS", "/groups"),
            ("BROKERS", "/brokers"),
            ("TENANTS", "/tenants"),
        ],
    )
}

/// Tokens go over HTTPS, or stay on this machine.
fn safe(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).ok();
    let here = |url: &Url| {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    url.filter(|url| url.scheme() == "https" || (url.scheme() == "http" && here(url)))
        .ok_or_else(|| Error::Outcome(format!("the identity provider's address `{text}` is not https")))
}

fn refused(answer: &Value) -> Error {
    let (error, why) = (pick(answer, "/error"), pick(answer, "/error_description"));
    Error::Outcome(
        format!("the identity provider said no: {} {}", print::plain(&error), print::plain(&why)).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_https_or_nowhere_else() {
        for good in ["https://id.example/token", "http://127.0.0.1:1/t", "http://localhost/", "http://[::1]:2/"] {
            assert!(safe(good).is_ok(), "{good}");
        }
        for bad in ["http://id.example/token", "", "ftp://localhost/", "http://127.0.0.1.example/"] {
            assert!(safe(bad).is_err(), "{bad}");
        }
    }
}

//! The management API as the command line uses it: who calls ([`Connection`]), one exchange ([`Client::send`]), and lists that
//! are followed to their end or a bound. It knows no noun and prints nothing.
//!
//! Invariant: credentials go to the hub that was named and nowhere else: no redirects, no proxy of the environment.

use std::error::Error as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Map, Value};

use super::login;
use super::logins::{Login, Logins};
use super::problem::Problem;
use super::spinner::{Busy, Spinner};
use crate::secret::Secret;

/// How long one request may take: longer than the hub takes to answer an order (`server.answer_within`).
const TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read at most.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// Entries of one page.
const PAGE_MAX: usize = 1000;
/// Bytes of a password on standard input.
const PASSWORD_MAX: u64 = 64 * 1024;

/// Which hub, and who asks it. The options are known by ids that no command's own argument has: clap would take one for the
/// other, and a user name to delete for the user who asks.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Hub")]
pub(super) struct Connection {
    /// The hub.
    #[arg(
        id = "hub_url",
        long = "url",
        global = true,
        value_name = "URL",
        env = "BOURSE_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// The user name.
    #[arg(id = "hub_username", long = "username", global = true, value_name = "NAME", env = "BOURSE_USERNAME")]
    username: Option<String>,
    /// The password; better in the environment, or on standard input, than on the command line.
    #[arg(id = "hub_password", long = "password", global = true, value_name = "PASSWORD", env = "BOURSE_PASSWORD", hide_env_values = true, value_parser = secret)]
    password: Option<Secret<String>>,
    /// Read the password from standard input.
    #[arg(id = "hub_password_stdin", long = "password-stdin", global = true)]
    password_stdin: bool,
    /// A token, instead of user name and password.
    #[arg(id = "hub_token", long = "token", global = true, value_name = "TOKEN", env = "BOURSE_TOKEN", hide_env_values = true, value_parser = secret)]
    token: Option<Secret<String>>,
    /// More root certificates to trust, PEM.
    #[arg(id = "hub_ca_file", long = "ca-file", global = true, value_name = "FILE", env = "BOURSE_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Where `bourse login` keeps what it got.
    #[arg(
        id = "hub_login_file",
        long = "login-file",
        global = true,
        value_name = "FILE",
        env = "BOURSE_LOGIN_FILE",
        hide = true
    )]
    login_file: Option<PathBuf>,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// A file, or standard input, can't be read.
    #[error("could not read {0}")]
    Read(String, #[source] io::Error),
    /// A file or directory can't be written.
    #[error("could not write {0}")]
    Write(String, #[source] io::Error),
    /// Nobody is there.
    #[error("could not connect to the hub at {0}: is it running, and is BOURSE_URL or --url right? ({1})")]
    Connect(Url, String),
    /// The connection broke, or the answer took too long. What was asked may have happened.
    #[error(
        "the hub at {0} did not answer to the end ({1}); what was asked may have happened: look before you repeat it"
    )]
    Exchange(Url, String),
    /// Something else answers there.
    #[error("what answers at {0} is no Bourse hub (status {1}): check BOURSE_URL or --url")]
    Foreign(Url, u16),
    /// The answer is larger than is read.
    #[error("the hub's answer is larger than {ANSWER_MAX} bytes: lower --limit")]
    TooLarge,
    /// The hub refused.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// What was waited for went wrong, or is not over.
    #[error("{0}")]
    Outcome(String),
}

impl Error {
    /// 2 where the command line or the way to the hub is wrong, 1 where the hub said no.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Read(..) | Self::Write(..) | Self::Connect(..) | Self::Foreign(..) => 2,
            Self::Exchange(..) | Self::TooLarge | Self::Refused(_) | Self::Outcome(_) => 1,
        }
    }

    /// Whether the hub says that it isn't there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }
}

#[derive(Debug)]
enum Credentials {
    Basic(String, Secret<String>),
    Bearer(Secret<String>),
    /// What `bourse login` kept.
    Login(Login),
    Nobody,
}

/// A hub, and who asks it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
    login_file: Option<PathBuf>,
    spinner: Spinner,
}

/// What the hub answered to something that it did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `null` where there is none.
    pub(super) body: Value,
}

impl Answer {
    /// Whether it goes on.
    pub(super) fn is_accepted(&self) -> bool {
        self.status == 202
    }
}

impl Connection {
    /// A client; nothing is sent yet.
    pub(super) fn client(self) -> Result<Client, Error> {
        let mut client = self.prepared()?;
        client.credentials = self.credentials(&client)?;
        Ok(client)
    }

    /// A client of nobody in particular.
    pub(super) fn nobody(self) -> Result<Client, Error> {
        self.prepared()
    }

    fn prepared(&self) -> Result<Client, Error> {
        let base = base(&self.url)?;
        let broken = |what: String| Error::Usage(what);
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("bourse/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &self.ca_file {
            let pem = fs::read(file).map_err(|error| Error::Read(file.display().to_string(), error))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty());
            let roots = roots.ok_or_else(|| broken(format!("{} holds no certificate in PEM", file.display())))?;
            builder = builder.tls_certs_merge(roots);
        }
        let http = builder.build().map_err(|error| broken(format!("could not prepare HTTPS: {error}")))?;
        let login_file = self.login_file.clone();
        Ok(Client { http, base, credentials: Credentials::Nobody, login_file, spinner: Spinner::default() })
    }

    fn credentials(self, client: &Client) -> Result<Credentials, Error> {
        let given = |secret: Option<Secret<String>>| secret.filter(|secret| !secret.expose().is_empty());
        if let Some(token) = given(self.token) {
            return Ok(Credentials::Bearer(token));
        }
        let password = if self.password_stdin { Some(stdin_secret()?) } else { given(self.password) };
        match (self.username.filter(|name| !name.is_empty()), password) {
            (Some(username), Some(password)) => Ok(Credentials::Basic(username, password)),
            (None, None) if let Some(login) = client.logins()?.of(&client.hub())? => Ok(Credentials::Login(login)),
            _ => Err(Error::Usage(
                "who are you? run `bourse login`, or set BOURSE_USERNAME and BOURSE_PASSWORD, or BOURSE_TOKEN (`--help` names the flags)"
                    .to_owned(),
            )),
        }
    }
}

/// A secret of the command line or the environment.
#[expect(clippy::unnecessary_wraps, reason = "clap's parsers can fail")]
pub(super) fn secret(text: &str) -> Result<Secret<String>, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// The secret on standard input, without the end of its line.
pub(super) fn stdin_secret() -> Result<Secret<String>, Error> {
    let mut text = String::new();
    let read = io::stdin().lock().take(PASSWORD_MAX).read_to_string(&mut text);
    read.map_err(|error| Error::Read("standard input".to_owned(), error))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Error::Usage("there is no password on standard input".to_owned()));
    }
    Ok(Secret::new(secret.to_owned()))
}

/// Where the management API begins.
fn base(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    url.ok_or_else(|| {
        Error::Usage("the hub's URL must begin with http:// or https:// and hold a host and no credentials".to_owned())
    })
}

impl Client {
    /// Something runs until this is dropped.
    pub(super) fn busy(&self, what: &str) -> Busy<'_> {
        self.spinner.busy(what)
    }

    /// Reads something. `path` is what follows `/api/v1/`.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Error> {
        let request = self.http.get(self.address(path, query)?);
        Ok(self.exchange(request).await?.body)
    }

    /// Does something.
    pub(super) async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Answer, Error> {
        self.send_about(method, path, &[], body).await
    }

    /// The same with a query.
    pub(super) async fn send_about(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut request = self.http.request(method, self.address(path, query)?);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.exchange(request).await
    }

    /// Reads the pages of a list until there are `limit` entries or no more.
    pub(super) async fn list(&self, path: &[&str], query: &[(&str, &str)], limit: usize) -> Result<Value, Error> {
        let _busy = self.busy("reading");
        let (mut items, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
        loop {
            let size = (limit - items.len()).min(PAGE_MAX).to_string();
            let mut query = query.to_vec();
            query.push(("limit", size.as_str()));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(mut more)) = page.get_mut("items").map(Value::take) else {
                return Err(Error::Foreign(self.base.clone(), 200));
            };
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            let over = more.is_empty() || next.is_none();
            items.append(&mut more);
            if over || items.len() >= limit {
                let fields = [("items".to_owned(), items.into()), ("next".to_owned(), next.into())];
                return Ok(Map::from_iter(fields).into());
            }
            cursor = next;
        }
    }

    /// Reads what the hub publishes under `/.well-known/`.
    pub(super) async fn well_known(&self, name: &str) -> Result<Value, Error> {
        let url = self.at(&[".well-known", name])?;
        Ok(self.exchange(self.http.get(url)).await?.body)
    }

    /// Gets another token where the one that `bourse login` kept has expired.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        if let Credentials::Login(login) = &self.credentials {
            self.credentials = Credentials::Login(login::renewed(self, login.clone()).await?);
        }
        Ok(())
    }

    /// The hub, as logins are kept for it.
    pub(super) fn hub(&self) -> String {
        self.base.to_string()
    }

    /// Where logins are kept.
    pub(super) fn logins(&self) -> Result<Logins, Error> {
        Logins::at(self.login_file.clone())
    }

    /// An address of the hub outside the management API.
    pub(super) fn at(&self, path: &[&str]) -> Result<Url, Error> {
        let mut url = self.base.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(path);
        }
        Ok(url)
    }

    /// What anybody gets from there, as JSON.
    pub(super) async fn open(&self, url: Url) -> Result<(u16, Value), Error> {
        let (status, bytes) = self.sent(self.http.get(url.clone()).header("accept", "application/json")).await?;
        Ok((status, serde_json::from_slice(&bytes).map_err(|_| Error::Foreign(url, status))?))
    }

    /// What anybody gets who sends that form, as JSON.
    pub(super) async fn form(&self, url: Url, pairs: &[(&str, String)]) -> Result<(u16, Value), Error> {
        let mut form = self.base.clone();
        form.query_pairs_mut().clear().extend_pairs(pairs);
        let body = form.query().unwrap_or_default().to_owned();
        let request = self.http.post(url.clone()).header("content-type", "application/x-www-form-urlencoded");
        let (status, bytes) = self.sent(request.header("accept", "application/json").body(body)).await?;
        Ok((status, serde_json::from_slice(&bytes).map_err(|_| Error::Foreign(url, status))?))
    }

    fn address(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Error> {
        // A URL would lose these, and then be another one.
        if path.iter().any(|step| matches!(*step, "" | "." | "..")) {
            return Err(Error::Usage("a name or id must not be empty, `.` or `..`".to_owned()));
        }
        let mut url = self.base.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Reads something that is no JSON, or is wanted as the very bytes that were sent.
    pub(super) async fn text(&self, path: &[&str], query: &[(&str, &str)], accept: &str) -> Result<String, Error> {
        let request = self.http.get(self.address(path, query)?);
        let (status, bytes) = self.bytes(request, accept).await?;
        if status != 200 {
            self.read(status, &bytes)?;
        }
        String::from_utf8(bytes).map_err(|_| Error::Foreign(self.base.clone(), status))
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Answer, Error> {
        let (status, bytes) = self.bytes(request, "application/json").await?;
        self.read(status, &bytes)
    }

    async fn bytes(&self, request: reqwest::RequestBuilder, accept: &str) -> Result<(u16, Vec<u8>), Error> {
        let _busy = self.busy("asking the hub");
        let request = request.header("accept", accept);
        let request = match &self.credentials {
            Credentials::Basic(username, password) => request.basic_auth(username, Some(password.expose())),
            Credentials::Bearer(token) => request.bearer_auth(token.expose()),
            Credentials::Login(login) => request.bearer_auth(&login.access_token),
            Credentials::Nobody => request,
        };
        self.sent(request).await
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), Error> {
        let mut response = request.send().await.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err(Error::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, bytes))
    }

    fn read(&self, status: u16, bytes: &[u8]) -> Result<Answer, Error> {
        let foreign = || Error::Foreign(self.base.clone(), status);
        if (200..300).contains(&status) {
            let body = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(bytes) };
            return Ok(Answer { status, body: body.map_err(|_| foreign())? });
        }
        let mut problem: Problem = serde_json::from_slice(bytes).map_err(|_| foreign())?;
        problem.status = status;
        Err(Error::Refused(Box::new(problem)))
    }

    fn broken(&self, error: reqwest::Error) -> Error {
        let connecting = error.is_connect();
        let error = error.without_url();
        // The last cause is the one that says something: "connection refused", "invalid peer certificate".
        let (mut cause, mut why) = (error.source(), error.to_string());
        while let Some(next) = cause {
            why = next.to_string();
            cause = next.source();
        }
        if connecting { Error::Connect(self.base.clone(), why) } else { Error::Exchange(self.base.clone(), why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        drop(rustls::crypto::ring::default_provider().install_default());
        Client {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            base: base("https://hub.example/behind/").unwrap(),
            credentials: Credentials::Bearer(Secret::new("t".to_owned())),
            login_file: None,
            spinner: Spinner::default(),
        }
    }

    #[test]
    fn names_are_escaped_and_never_change_the_path() {
        let url = client().address(&["tenants", "a/b c", "instances"], &[("q", "x y&z")]).unwrap();
        assert_eq!(url.as_str(), "https://hub.example/behind/api/v1/tenants/a%2Fb%20c/instances?q=x+y%26z");
        for bad in ["", ".", ".."] {
            assert_eq!(client().address(&["brokers", bad], &[]).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_refused_before_anything_is_sent() {
        for bad in ["hub", "ftp://hub", "http://u:p@hub", "http://hub/?x=1", ""] {
            assert_eq!(base(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_problem_document_is_not_the_hub() {
        assert!(matches!(client().read(404, b"<html>"), Err(Error::Foreign(_, 404))));
        assert!(matches!(client().read(200, b"<html>"), Err(Error::Foreign(_, 200))));
        assert!(client().read(404, br#"{"detail":"d","code":"not_found"}"#).unwrap_err().is_not_found());
        assert_eq!(client().read(204, b"").unwrap(), Answer { status: 204, body: Value::Null });
    }

    #[test]
    fn credentials_are_not_in_debug() {
        let client =
            Client { credentials: Credentials::Basic("u".to_owned(), Secret::new("hunter2".to_owned())), ..client() };
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}

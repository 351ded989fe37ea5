//! A browser for tests of the portal that need no scripts: it keeps cookies, follows redirects, and sends forms as they stand on the
//! page. What only a real browser can show is tested with one (`chromium.rs`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::hub::CLIENT;
use super::management::{Answer, send};
use super::oidc::Forger;

/// A browser that looks at one hub.
pub(crate) struct Browser {
    hub: String,
    cookies: BTreeMap<String, String>,
    /// Where it is: path and query.
    pub(crate) address: String,
    /// What it shows.
    pub(crate) page: Answer,
}

/// The portal's client at identity providers of tests.
pub(crate) const PORTAL: &str = "bourse-portal";

/// Redirects that are followed for one click.
const REDIRECTS_MAX: usize = 5;

impl Browser {
    /// Nobody's yet.
    pub(crate) async fn open(hub: &str) -> Self {
        let page = Answer { status: 0, headers: reqwest::header::HeaderMap::new(), text: String::new() };
        let mut browser = Self { hub: hub.to_owned(), cookies: BTreeMap::new(), address: "/".to_owned(), page };
        browser.get("/").await;
        browser
    }

    /// The administrator's.
    pub(crate) async fn administrator(hub: &str, password: &str) -> Self {
        let mut browser = Self::open(hub).await;
        browser.submit("/sign-in", &[("username", "admin"), ("password", password)]).await;
        assert!(!browser.address.starts_with("/sign-in"), "{:?}", browser.page);
        browser
    }

    /// Somebody's whom a forger names, with these claims besides.
    pub(crate) async fn person(hub: &str, name: &str, now: i64, claims: &Value) -> Self {
        let mut browser = Self::open(hub).await;
        let (state, nonce) = browser.leave().await;
        let mut all = json!({"sub": name, "aud": PORTAL, "nonce": nonce, "iat": now, "exp": now + 600});
        for (name, value) in claims.as_object().expect("an object") {
            all[name] = value.clone();
        }
        browser.get(&format!("/sign-in/callback?state={state}&code={}", Forger::code(&all))).await;
        browser
    }

    /// Sets out for the identity provider: the state and the nonce that it has to give back.
    pub(crate) async fn leave(&mut self) -> (String, String) {
        self.leave_for("/account").await
    }

    /// The same, to go on at an address of the hub.
    pub(crate) async fn leave_for(&mut self, to: &str) -> (String, String) {
        let query = serde_urlencoded::to_string([("to", to)]).expect("a query");
        self.get(&format!("/sign-in/oidc?{query}")).await;
        let location = self.page.header("location").to_owned();
        assert_eq!(self.page.status, 303, "{:?}", self.page);
        let query: BTreeMap<String, String> =
            serde_urlencoded::from_str(location.split_once('?').expect("a query").1).expect("a query");
        (query["state"].clone(), query["nonce"].clone())
    }

    /// Goes to an address of the hub; the page that it ends at.
    pub(crate) async fn get(&mut self, address: &str) -> &Answer {
        let request = CLIENT.get(format!("{}{address}", self.hub));
        self.address = address.to_owned();
        self.go(request).await
    }

    /// Sends a form with these fields to an address, with the token of the page that it shows.
    pub(crate) async fn submit(&mut self, address: &str, fields: &[(&str, &str)]) -> &Answer {
        let csrf = self.csrf();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        let address = address.to_owned();
        self.post(&address, &all).await
    }

    /// Sends exactly these fields.
    pub(crate) async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> &Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields");
        let request = CLIENT.post(format!("{}{address}", self.hub)).body(body);
        self.address = address.to_owned();
        self.go(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// The token of the forms on the page.
    #[track_caller]
    pub(crate) fn csrf(&self) -> String {
        let mark = "name=\"csrf\" value=\"";
        let at = self.page.text.find(mark).unwrap_or_else(|| panic!("no form on {}: {:?}", self.address, self.page));
        self.page.text[at + mark.len()..].chars().take_while(|sign| *sign != '"').collect()
    }

    /// What it would send as `Cookie`.
    pub(crate) fn cookies(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The page's text without markup, blanks made one.
    pub(crate) fn words(&self) -> String {
        words(&self.page.text)
    }

    async fn go(&mut self, request: reqwest::RequestBuilder) -> &Answer {
        let mut answer = send(request.header("cookie", self.cookies())).await;
        self.keep(&answer);
        for _ in 0..REDIRECTS_MAX {
            let location = answer.header("location").to_owned();
            if answer.status != 303 || !location.starts_with('/') {
                break;
            }
            self.address = location;
            let next = CLIENT.get(format!("{}{}", self.hub, self.address)).header("cookie", self.cookies());
            answer = send(next).await;
            self.keep(&answer);
        }
        self.page = answer;
        &self.page
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            assert!(
                cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
                "{cookie}"
            );
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if value.is_empty() || cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// A page's text without markup, blanks made one, the few characters that `maud` escapes put back.
pub(crate) fn words(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for sign in page.chars() {
        match sign {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            sign if !inside => text.push(sign),
            _ => {}
        }
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! Identity providers: the certified `oidc-provider` on Node.js, and one in this process that says whatever a test wants said.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::hub::CLIENT;
use super::process::Process;
use super::python;

/// What a token has to be for.
pub(crate) const AUDIENCE: &str = "urn:bourse";

/// An identity provider in a process of its own. It ends with this.
pub(crate) struct Provider {
    pub(crate) url: String,
    _process: Process,
}

impl Provider {
    /// With these users, each with a list of groups.
    pub(crate) async fn start(users: Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/oidc_provider/provider.mjs");
        let packages = python::oidc_provider_packages();
        let environment = [("NODE_PATH", packages.to_str().expect("a path that is text"))];
        let arguments = [script.into_os_string(), users.to_string().into()];
        let (process, url) = Process::serve("oidc-provider", &python::node(), arguments, &environment).await;
        Self { url, _process: process }
    }

    /// A token of a user for a resource: [`AUDIENCE`], with `:ES256` and the like behind it, or another.
    pub(crate) async fn token(&self, user: &str, resource: &str) -> String {
        let form = format!("grant_type=client_credentials&scope=api&resource={resource}");
        let request = CLIENT.post(format!("{}/token", self.url)).basic_auth(user, Some("secret"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let text = request.send().await.expect("no answer").text().await.expect("no text");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Signs in as somebody at the address that a hub sent a browser to; where it is sent then.
    pub(crate) async fn sign_in(&self, address: &str, account: &str) -> String {
        let mut cookies = BTreeMap::new();
        let mut next = CLIENT.get(address);
        for _ in 0..6 {
            let kept: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = next.header("cookie", kept.join("; ")).send().await.expect("no answer");
            for cookie in answer.headers().get_all("set-cookie") {
                let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').expect("a cookie");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
            let status = answer.status();
            let Some(location) = location else { panic!("{status}: {}", answer.text().await.expect("no text")) };
            let location = if location.starts_with('/') { format!("{}{location}", self.url) } else { location };
            if !location.starts_with(&self.url) {
                return location;
            }
            next = if location.contains("/interaction/") {
                let form = CLIENT.post(location).header("content-type", "application/x-www-form-urlencoded");
                form.body(format!("account={account}"))
            } else {
                CLIENT.get(location)
            };
        }
        panic!("the sign-in goes round and round");
    }

    /// `rotate`, `rotate?keep`, `away?on=1`, `consent?code=…&account=…`
    pub(crate) async fn control(&self, what: &str) {
        let answer = CLIENT.request(Method::POST, format!("{}/control/{what}", self.url)).send().await;
        let answer = answer.expect("no answer");
        let status = answer.status().as_u16();
        assert_eq!(status, 204, "{}", answer.text().await.expect("no text"));
    }
}

/// An identity provider in this process, which signs anything.
pub(crate) struct Forger {
    pub(crate) url: String,
    key: Arc<Ed25519KeyPair>,
    asked: Arc<AtomicUsize>,
    gate: Arc<tokio::sync::Mutex<()>>,
    waiting: Arc<AtomicBool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Forger {
    pub(crate) async fn start() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let key = Arc::new(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys =
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "forged", "alg": "EdDSA", "use": "sig", "x": x}]});
        let document = json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        });
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let (signs, issuer) = (Arc::clone(&key), url.clone());
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        let (shut, waiting) = (Arc::clone(&gate), Arc::new(AtomicBool::new(false)));
        let waits = Arc::clone(&waiting);
        let serving = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let length = connection.read(&mut head).await.unwrap_or(0);
                let of_keys = head[..length].starts_with(b"GET /keys ");
                counter.fetch_add(usize::from(of_keys), Ordering::SeqCst);
                if shut.try_lock().is_err() {
                    waits.store(true, Ordering::SeqCst);
                    drop(shut.lock().await);
                    waits.store(false, Ordering::SeqCst);
                }
                let body = if head.starts_with(b"POST /token ") {
                    let text = String::from_utf8_lossy(&head[..length]);
                    let code = text.split("code=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
                    let claims = URL_SAFE_NO_PAD.decode(code).expect("a code of `Forger::code`");
                    let claims: Value = serde_json::from_slice(&claims).expect("claims");
                    let header = json!({"alg": "EdDSA", "kid": "forged"});
                    json!({"id_token": sign(&signs, &issuer, &header, 0, &claims)}).to_string()
                } else if of_keys {
                    keys.to_string()
                } else {
                    document.to_string()
                };
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                connection.write_all(answer.as_bytes()).await.ok();
            }
        });
        Self { url, key, asked, gate, waiting, serving }
    }

    /// Whether somebody waits for an answer that is held back.
    pub(crate) fn is_asked(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    /// It answers nothing until what this gives is dropped.
    pub(crate) async fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.gate).lock_owned().await
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A token that is right, changed by these claims; `null` takes one away.
    pub(crate) fn token(&self, now: i64, changes: Value) -> String {
        self.signed(&json!({"alg": "EdDSA", "kid": "forged", "typ": "at+jwt"}), now, changes)
    }

    /// The same with another head.
    pub(crate) fn signed(&self, header: &Value, now: i64, changes: Value) -> String {
        sign(&self.key, &self.url, header, now, &changes)
    }

    /// A code that is good for an ID token with these claims.
    pub(crate) fn code(claims: &Value) -> String {
        URL_SAFE_NO_PAD.encode(claims.to_string())
    }
}

fn sign(key: &Ed25519KeyPair, issuer: &str, header: &Value, now: i64, changes: &Value) -> String {
    let mut claims = json!({"iss": issuer, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let text = [header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = key.sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

//! No secret value in a log, an error, a usage event, or in clear in the file: the program itself, at its most talkative.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bourse_brokers::key_vault::plan::Plan::KvTransit;
use osb::client::{Client, Credentials};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::room::{Consumer, Desk, bytes_of};
use super::server::Bao;

const VALUE: &str = "canary-value-4b1d0c7e";
const PATH: &str = "canary-path-77aa01";
/// `canary-plain-52f6`, as transit takes it.
const PLAINTEXT: &str = "Y2FuYXJ5LXBsYWluLTUyZjY=";

/// The program with all logs, which it returns when it has ended.
struct Program {
    child: Child,
    url: String,
    logs: tokio::task::JoinHandle<Vec<u8>>,
}

impl Program {
    async fn start(folder: &std::path::Path, arguments: &[&str], token: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bourse-brokers"))
            .args(["key-vault", "--listen", "127.0.0.1:0", "--username", "u", "--data"])
            .arg(folder)
            .args(arguments)
            .env("RUST_LOG", "trace")
            .env("BOURSE_BROKERS_PASSWORD", "canary-password-90cd")
            .env("BOURSE_BROKERS_VAULT_TOKEN", token)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        let logs = tokio::spawn(async move {
            let mut logs = Vec::new();
            errors.read_to_end(&mut logs).await.unwrap();
            logs
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
        Self { url: line.strip_prefix("listening on ").unwrap().to_owned(), child, logs }
    }

    fn desk(&self) -> Desk {
        let credentials = Credentials::Basic { username: "u".into(), password: "canary-password-90cd".into() };
        Desk(Arc::new(Client::builder(&self.url).credentials(credentials).build().unwrap()))
    }

    async fn stop(mut self) -> Vec<u8> {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        assert!(tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.unwrap().unwrap().success());
        self.logs.await.unwrap()
    }
}

fn assert_absent(what: &str, bytes: &[u8], canaries: &[String]) {
    for canary in canaries {
        let found = bytes.windows(canary.len()).position(|part| part == canary.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(200)..(at + canary.len() + 50).min(bytes.len())];
            panic!("{canary} is in {what}: {}", String::from_utf8_lossy(around));
        }
    }
}

/// Everything that a vault is used for. Returns the secrets that there were.
async fn use_it(desk: &Desk) -> Vec<String> {
    let mut canaries: Vec<String> =
        [VALUE, PATH, PLAINTEXT, "canary-plain-52f6", "canary-password-90cd"].map(str::to_owned).into();
    desk.order("a", KvTransit, json!({"keys": [{"name": "k"}]})).await.unwrap();
    let credentials = desk.bind("a", KvTransit, "b", json!({"role": "admin"})).await.unwrap();
    canaries.push(credentials["auth"]["wrapped_secret_id"].as_str().unwrap().to_owned());
    let consumer = Consumer::log_in(&credentials).await;
    canaries.push(consumer.token.clone());
    assert_eq!(consumer.write(PATH, json!({"password": VALUE})).await, 200);
    assert_eq!(consumer.read(PATH).await.1["password"], VALUE);
    let (_, sealed) = consumer.post("transit/encrypt/k", json!({"plaintext": PLAINTEXT})).await;
    let ciphertext = sealed["data"]["ciphertext"].clone();
    assert_eq!(
        consumer.post("transit/decrypt/k", json!({"ciphertext": ciphertext})).await.1["data"]["plaintext"],
        PLAINTEXT
    );
    let token = desk.bind("a", KvTransit, "t", json!({"auth": "token"})).await.unwrap();
    canaries.push(token["token"].as_str().unwrap().to_owned());
    desk.rotate("a", "r", "b").await.unwrap();

    // What can't be read is answered without being repeated.
    for (path, body) in [
        ("kv/data/x".to_owned(), json!({"data": VALUE})),
        (format!("kv/data/{PATH}"), json!({"data": {"password": VALUE}, "options": {"cas": 77}})),
        ("kv/data/x".to_owned(), json!({"data": {"a": "b"}, "options": VALUE})),
        ("transit/encrypt/k".to_owned(), json!({"plaintext": format!("{VALUE}!")})),
        ("transit/decrypt/k".to_owned(), json!({"ciphertext": format!("vault:v1:{PLAINTEXT}")})),
        ("transit/sign/k".to_owned(), json!({"input": PLAINTEXT})),
        ("auth/approle/login".to_owned(), json!({"role_id": VALUE, "secret_id": VALUE})),
        ("sys/wrapping/unwrap".to_owned(), json!({"token": VALUE})),
        ("kv/metadata/x".to_owned(), json!({"custom_metadata": [VALUE]})),
    ] {
        let (status, answer) = consumer.post(&path, body).await;
        assert!(status >= 400, "{path}: {answer}");
        assert_absent(&format!("the answer to {path}"), answer.to_string().as_bytes(), &canaries);
    }
    canaries
}

async fn finish(desk: &Desk) {
    for binding in ["b", "t", "r"] {
        desk.unbind("a", KvTransit, binding).await.unwrap();
    }
    desk.delete("a", KvTransit).await.unwrap();
}

#[tokio::test]
async fn no_secret_of_the_brokers_own_vaults_is_in_a_log_an_error_or_clear_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[], "unused").await;
    let desk = program.desk();
    let canaries = use_it(&desk).await;
    let live = bytes_of(folder.path());
    assert!(live.windows(11).any(|part| part == b"vault_grant"), "the file and its log were read");
    assert_absent("the file while it is used", &live, &canaries);
    finish(&desk).await;
    let logs = program.stop().await;
    assert!(logs.len() > 1000, "it was talkative");
    assert_absent("the log", &logs, &canaries);
    assert_absent("the file", &bytes_of(folder.path()), &canaries);
}

#[tokio::test]
async fn no_secret_of_vaults_on_a_real_server_is_in_a_log_an_error_or_clear_in_the_file() {
    let bao = Bao::start().await;
    let made = bao.root(None).post("auth/token/create", Value::Null).await.1;
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--driver", "openbao", "--vault-address", &bao.address];
    let program = Program::start(folder.path(), &arguments, &token).await;
    let desk = program.desk();
    let mut canaries = use_it(&desk).await;
    canaries.push(token);
    assert_absent("the file while it is used", &bytes_of(folder.path()), &canaries);
    finish(&desk).await;
    assert_absent("the log", &program.stop().await, &canaries);
    assert_absent("the file", &bytes_of(folder.path()), &canaries);
}

//! The brokers' own vaults, used by programs that others wrote for Vault: the crate `vaultrs` and OpenBao's command line.

use std::collections::HashMap;
use std::process::Output;

use bourse_brokers::key_vault::plan::Plan::KvTransit;
use osb::Object;
use serde_json::{Value, json};
use tokio::process::Command;
use vaultrs::api::kv2::requests::SetSecretRequestOptions;
use vaultrs::api::transit::KeyType;
use vaultrs::api::transit::requests::{CreateKeyRequestBuilder, DecryptDataRequestBuilder};
use vaultrs::client::{Client as _, VaultClient, VaultClientSettingsBuilder};
use vaultrs::{auth, kv2, sys, token, transit};

use super::room::Room;
use super::server::program;

/// A client with the token that a login with these credentials gives.
pub(crate) async fn vaultrs_client(credentials: &Object) -> VaultClient {
    rustls_provider();
    let mut settings = VaultClientSettingsBuilder::default();
    settings.address(credentials["address"].as_str().unwrap()).verify(true);
    if let Some(namespace) = credentials.get("namespace").and_then(Value::as_str) {
        settings.set_namespace(namespace.to_owned());
    }
    let auth = &credentials["auth"];
    let wrapped = settings.token(auth["wrapped_secret_id"].as_str().unwrap()).build().unwrap();
    let mut client = VaultClient::new(wrapped).unwrap();
    let unwrapped: HashMap<String, Value> = sys::wrapping::unwrap(&client, None).await.unwrap();
    let path = auth["path"].as_str().unwrap().strip_prefix("auth/").unwrap();
    let (role_id, secret_id) = (auth["role_id"].as_str().unwrap(), unwrapped["secret_id"].as_str().unwrap());
    let login = auth::approle::login(&client, path, role_id, secret_id).await.unwrap();
    client.set_token(&login.client_token);
    client
}

fn rustls_provider() {
    drop(osb::kit::Http::new(std::time::Duration::from_secs(1), None));
}

async fn credentials(room: &Room) -> Object {
    let keys = json!({"keys": [{"name": "orders"}, {"name": "release", "type": "ed25519"}]});
    room.order("a", KvTransit, keys).await.unwrap();
    room.bind("a", KvTransit, "b", json!({"role": "admin"})).await.unwrap()
}

#[tokio::test]
async fn a_client_in_rust_logs_in_and_keeps_secrets() {
    let room = Room::embedded().await;
    let client = vaultrs_client(&credentials(&room).await).await;
    assert!(client.lookup().await.unwrap().ttl > 3000);
    assert!(client.renew(Some("30m")).await.unwrap().lease_duration <= 1800);
    let secret = HashMap::from([("user".to_owned(), "app".to_owned())]);
    assert_eq!(kv2::set(&client, "kv", "app/db", &secret).await.unwrap().version, 1);
    assert_eq!(kv2::read::<HashMap<String, String>>(&client, "kv", "app/db").await.unwrap(), secret);
    let stale = SetSecretRequestOptions { cas: 0 };
    assert!(kv2::set_with_options(&client, "kv", "app/db", &secret, stale).await.is_err());
    kv2::set(&client, "kv", "app/db", &json!({"user": "new"})).await.unwrap();
    assert_eq!(kv2::read_version::<Value>(&client, "kv", "app/db", 1).await.unwrap()["user"], "app");
    assert_eq!(kv2::list(&client, "kv", "").await.unwrap(), ["app/"]);
    assert_eq!(kv2::list(&client, "kv", "app").await.unwrap(), ["db"]);
    kv2::delete_latest(&client, "kv", "app/db").await.unwrap();
    assert!(kv2::read::<Value>(&client, "kv", "app/db").await.is_err());
    kv2::undelete_versions(&client, "kv", "app/db", vec![2]).await.unwrap();
    assert_eq!(kv2::read::<Value>(&client, "kv", "app/db").await.unwrap()["user"], "new");
    kv2::destroy_versions(&client, "kv", "app/db", vec![1]).await.unwrap();
    let metadata = kv2::read_metadata(&client, "kv", "app/db").await.unwrap();
    assert!(metadata.versions["1"].destroyed && !metadata.versions["2"].destroyed);
    assert_eq!(kv2::config::read(&client, "kv").await.unwrap().max_versions, 10);
    kv2::delete_metadata(&client, "kv", "app/db").await.unwrap();
    assert!(kv2::list(&client, "kv", "").await.is_err(), "the folder went with its last secret");
    token::revoke_self(&client).await.unwrap();
    assert!(client.lookup().await.is_err());
}

#[tokio::test]
async fn a_client_in_rust_encrypts_and_signs() {
    let room = Room::embedded().await;
    let client = vaultrs_client(&credentials(&room).await).await;
    let sealed = transit::data::encrypt(&client, "transit", "orders", "aGVsbG8=", None).await.unwrap();
    transit::key::rotate(&client, "transit", "orders").await.unwrap();
    let rewrapped = transit::data::rewrap(&client, "transit", "orders", &sealed.ciphertext, None).await.unwrap();
    assert!(rewrapped.ciphertext.starts_with("vault:v2:"));
    for ciphertext in [&sealed.ciphertext, &rewrapped.ciphertext] {
        let opened = transit::data::decrypt(&client, "transit", "orders", ciphertext, None).await.unwrap();
        assert_eq!(opened.plaintext, "aGVsbG8=");
    }
    let mut with = DecryptDataRequestBuilder::default();
    with.associated_data("eA==");
    let other = transit::data::decrypt(&client, "transit", "orders", &sealed.ciphertext, Some(&mut with)).await;
    assert!(other.is_err(), "other associated data");
    let signed = transit::data::sign(&client, "transit", "release", "aGVsbG8=", None).await.unwrap();
    assert!(signed.signature.starts_with("vault:v1:"));
    let mut kind = CreateKeyRequestBuilder::default();
    kind.key_type(KeyType::EcdsaP256);
    transit::key::create(&client, "transit", "made", Some(&mut kind)).await.unwrap();
    assert_eq!(transit::key::list(&client, "transit").await.unwrap().keys, ["made", "orders", "release"]);
    let key = transit::key::read(&client, "transit", "made").await.unwrap();
    assert!(key.supports_signing && !key.exportable);
}

/// OpenBao's command line.
struct Cli {
    address: String,
    namespace: String,
    token: String,
    home: tempfile::TempDir,
}

impl Cli {
    async fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new(program("python"));
        command.arg(program("bao")).args(args).env_clear();
        command.env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("BAO_ADDR", &self.address).env("BAO_NAMESPACE", &self.namespace).env("BAO_TOKEN", &self.token);
        command.kill_on_drop(true).output().await.unwrap()
    }

    async fn run(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    async fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args).await).unwrap()
    }
}

async fn cli(credentials: &Object) -> Cli {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut cli = Cli {
        address: text(&credentials["address"]),
        namespace: text(&credentials["namespace"]),
        token: text(&credentials["auth"]["wrapped_secret_id"]),
        home: tempfile::tempdir().unwrap(),
    };
    let secret_id = cli.run(&["unwrap", "-field=secret_id"]).await;
    cli.token = String::new();
    let (role, secret) =
        (format!("role_id={}", text(&credentials["auth"]["role_id"])), format!("secret_id={}", secret_id.trim()));
    cli.token = cli.run(&["write", "-field=token", "auth/approle/login", &role, &secret]).await.trim().to_owned();
    cli
}

#[tokio::test]
async fn the_command_line_of_openbao_keeps_secrets() {
    let room = Room::embedded().await;
    let cli = cli(&credentials(&room).await).await;
    assert!(cli.run(&["status"]).await.contains("Sealed"));
    assert!(cli.json(&["token", "lookup", "-format=json"]).await["data"]["ttl"].as_i64().unwrap() > 0);
    cli.run(&["token", "renew"]).await;
    cli.run(&["kv", "put", "-mount=kv", "app/db", "user=app", "password=one"]).await;
    cli.run(&["kv", "put", "-cas=1", "kv/app/db", "user=app", "password=two"]).await;
    assert!(!cli.output(&["kv", "put", "-cas=1", "kv/app/db", "password=three"]).await.status.success());
    assert_eq!(cli.run(&["kv", "get", "-mount=kv", "-field=password", "app/db"]).await.trim(), "two");
    assert_eq!(cli.run(&["kv", "get", "-version=1", "-field=password", "kv/app/db"]).await.trim(), "one");
    cli.run(&["kv", "patch", "-mount=kv", "app/db", "password=three"]).await;
    let read = cli.json(&["kv", "get", "-mount=kv", "-format=json", "app/db"]).await;
    assert_eq!(read["data"]["data"], json!({"user": "app", "password": "three"}));
    assert_eq!(cli.json(&["kv", "list", "-mount=kv", "-format=json"]).await, json!(["app/"]));
    assert_eq!(cli.json(&["kv", "list", "-format=json", "kv/app"]).await, json!(["db"]));
    cli.run(&["kv", "delete", "-mount=kv", "app/db"]).await;
    assert!(!cli.output(&["kv", "get", "-mount=kv", "-field=password", "app/db"]).await.status.success());
    cli.run(&["kv", "undelete", "-mount=kv", "-versions=3", "app/db"]).await;
    cli.run(&["kv", "rollback", "-mount=kv", "-version=1", "app/db"]).await;
    assert_eq!(cli.run(&["kv", "get", "-mount=kv", "-field=password", "app/db"]).await.trim(), "one");
    cli.run(&["kv", "destroy", "-mount=kv", "-versions=1,2", "app/db"]).await;
    cli.run(&["kv", "metadata", "put", "-mount=kv", "-max-versions=5", "-custom-metadata=owner=me", "app/db"]).await;
    let metadata = cli.json(&["kv", "metadata", "get", "-mount=kv", "-format=json", "app/db"]).await;
    assert_eq!(
        (&metadata["data"]["max_versions"], &metadata["data"]["custom_metadata"]["owner"]),
        (&json!(5), &json!("me"))
    );
    assert_eq!(metadata["data"]["versions"]["1"]["destroyed"], true);
    cli.run(&["kv", "metadata", "delete", "-mount=kv", "app/db"]).await;
    assert!(!cli.output(&["kv", "metadata", "get", "-mount=kv", "app/db"]).await.status.success());
    cli.run(&["token", "revoke", "-self"]).await;
    assert!(!cli.output(&["token", "lookup"]).await.status.success());
}

#[tokio::test]
async fn the_command_line_of_openbao_encrypts_and_signs() {
    let room = Room::embedded().await;
    let cli = cli(&credentials(&room).await).await;
    let sealed = cli.run(&["write", "-field=ciphertext", "transit/encrypt/orders", "plaintext=aGVsbG8="]).await;
    cli.run(&["write", "-f", "transit/keys/orders/rotate"]).await;
    let sealed = format!("ciphertext={}", sealed.trim());
    assert_eq!(cli.run(&["write", "-field=plaintext", "transit/decrypt/orders", &sealed]).await.trim(), "aGVsbG8=");
    let again = cli.run(&["write", "-field=ciphertext", "transit/rewrap/orders", &sealed]).await;
    assert!(again.starts_with("vault:v2:"));
    let signature = cli.run(&["write", "-field=signature", "transit/sign/release", "input=aGVsbG8="]).await;
    let signature = format!("signature={}", signature.trim());
    let valid = cli.run(&["write", "-field=valid", "transit/verify/release", "input=aGVsbG8=", &signature]).await;
    assert_eq!(valid.trim(), "true");
    let other = cli.run(&["write", "-field=valid", "transit/verify/release", "input=b3RoZXI=", &signature]).await;
    assert_eq!(other.trim(), "false");
    cli.run(&["write", "-f", "transit/keys/third", "type=chacha20-poly1305"]).await;
    assert_eq!(cli.json(&["list", "-format=json", "transit/keys"]).await, json!(["orders", "release", "third"]));
    cli.run(&["read", "transit/keys/release"]).await;
    cli.run(&["write", "transit/keys/orders/config", "min_decryption_version=2"]).await;
    assert!(!cli.output(&["write", "transit/decrypt/orders", &sealed]).await.status.success());
    let drawn = cli.json(&["write", "-f", "-format=json", "transit/datakey/plaintext/orders"]).await;
    let wrapped = format!("ciphertext={}", drawn["data"]["ciphertext"].as_str().unwrap());
    let opened = cli.run(&["write", "-field=plaintext", "transit/decrypt/orders", &wrapped]).await;
    assert_eq!(opened.trim(), drawn["data"]["plaintext"].as_str().unwrap());
}

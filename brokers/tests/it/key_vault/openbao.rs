//! What only a real server shows: it dies, is sealed, loses things behind the broker's back, and checks tokens of others.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bourse_brokers::key_vault::plan::Plan::{Kv, KvTransit};
use bourse_brokers::key_vault::{Isolation, Issuer, IssuerKeys, KeyVault, StartError, TokenSource};
use osb::kit::Clock;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::clients::vaultrs_client;
use super::room::{Consumer, DAY, Room};
use super::server::Bao;

#[tokio::test]
async fn a_server_that_died_makes_orders_wait_and_a_later_unbind_succeeds() {
    let mut bao = Bao::start().await;
    let port = bao.port();
    let room = Room::openbao(&bao, Isolation::Namespaces, Vec::new()).await;
    room.order("a", Kv, Value::Null).await.unwrap();
    room.bind("a", Kv, "b", Value::Null).await.unwrap();
    bao.kill().await;
    for refused in [
        room.order("c", Kv, Value::Null).await.map(|_| ()).unwrap_err(),
        room.unbind("a", Kv, "b").await.unwrap_err(),
        room.delete("a", Kv).await.unwrap_err(),
    ] {
        assert_eq!(refused.status, 503, "{refused:?}");
        let shown = refused.to_string();
        assert!(!shown.contains(&port.to_string()) && !shown.contains("127.0.0.1"), "{shown}");
    }
    // A development server keeps nothing: whatever there was is gone.
    let _back = Bao::start_on(port).await.expect("the port is free again");
    room.unbind("a", Kv, "b").await.unwrap();
    room.delete("a", Kv).await.unwrap();
    room.order("c", Kv, Value::Null).await.unwrap();
    room.delete("c", Kv).await.unwrap();
    room.pass(31 * DAY);
    room.broker.tend().await;
    assert_eq!(room.broker.retained().await.unwrap(), []);
}

#[tokio::test]
async fn a_sealed_server_makes_orders_wait_and_an_unsealed_one_has_lost_nothing() {
    let bao = Bao::start().await;
    let room = Room::openbao(&bao, Isolation::Namespaces, Vec::new()).await;
    room.order("a", Kv, Value::Null).await.unwrap();
    let client = vaultrs_client(&room.bind("a", Kv, "b", Value::Null).await.unwrap()).await;
    vaultrs::kv2::set(&client, "kv", "x", &json!({"k": "v"})).await.unwrap();
    let root = bao.root(None);
    assert_eq!(root.call("PUT", "sys/seal", Value::Null).await.0, 204);
    assert_eq!(room.bind("a", Kv, "c", Value::Null).await.unwrap_err().status, 503);
    assert_eq!(root.call("PUT", "sys/unseal", json!({"key": bao.unseal_key})).await.0, 200);
    let reads = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Ok(read) = vaultrs::kv2::read::<Value>(&client, "kv", "x").await {
                return read;
            }
        }
    };
    let read = tokio::time::timeout(std::time::Duration::from_secs(20), reads).await.unwrap();
    assert_eq!(read, json!({"k": "v"}));
    room.bind("a", Kv, "c", Value::Null).await.unwrap();
}

#[tokio::test]
async fn what_was_taken_away_by_hand_is_no_obstacle() {
    let bao = Bao::start().await;
    for isolation in [Isolation::Namespaces, Isolation::Mounts] {
        let room = Room::openbao(&bao, isolation, Vec::new()).await;
        let shown = room.order("a", KvTransit, Value::Null).await.unwrap();
        let namespace = shown.get("namespace").and_then(Value::as_str);
        let root = bao.root(namespace);
        let one = room.bind("a", KvTransit, "one", Value::Null).await.unwrap();
        room.bind("a", KvTransit, "two", json!({"auth": "token"})).await.unwrap();
        let mount = one["auth"]["path"].as_str().unwrap().to_owned();
        let policy = mount.strip_prefix("auth/").unwrap();
        assert_eq!(root.call("DELETE", &format!("sys/{mount}"), Value::Null).await.0, 204);
        assert_eq!(root.call("DELETE", &format!("sys/policies/acl/{policy}"), Value::Null).await.0, 204);
        room.unbind("a", KvTransit, "one").await.unwrap();
        match namespace {
            Some(namespace) => {
                let path = format!("sys/namespaces/{namespace}");
                assert_eq!(bao.root(None).call("DELETE", &path, Value::Null).await.0, 200);
            }
            None => {
                let kv = shown["mounts"]["kv"].as_str().unwrap();
                assert_eq!(root.call("DELETE", &format!("sys/mounts/{kv}"), Value::Null).await.0, 204);
            }
        }
        room.unbind("a", KvTransit, "two").await.unwrap();
        room.delete("a", KvTransit).await.unwrap();
        room.pass(31 * DAY);
        room.broker.tend().await;
        assert_eq!(room.broker.retained().await.unwrap(), [], "{isolation:?}");
    }
}

#[tokio::test]
async fn a_retired_vault_is_taken_into_use_again_with_what_it_holds() {
    let bao = Bao::start().await;
    for room in [Room::embedded().await, Room::openbao(&bao, Isolation::Namespaces, Vec::new()).await] {
        room.order("a", Kv, Value::Null).await.unwrap();
        let writer = Consumer::of(&room.bind("a", Kv, "b", json!({"auth": "token"})).await.unwrap());
        assert_eq!(writer.write("x", json!({"k": "v"})).await, 200);
        room.unbind("a", Kv, "b").await.unwrap();
        room.delete("a", Kv).await.unwrap();
        let resource = room.broker.retained().await.unwrap()[0].resource.clone();
        room.broker.restore(&resource).await.unwrap();
        let reader = Consumer::of(&room.bind("a", Kv, "c", json!({"auth": "token"})).await.unwrap());
        assert_eq!(reader.read("x").await, (200, json!({"k": "v"})));
        assert!(!writer.is_known().await);
    }
}

#[tokio::test]
async fn a_retired_vault_that_was_deleted_on_the_server_is_not_taken_into_use_again() {
    let bao = Bao::start().await;
    for isolation in [Isolation::Namespaces, Isolation::Mounts] {
        let room = Room::openbao(&bao, isolation, Vec::new()).await;
        let shown = room.order("a", Kv, Value::Null).await.unwrap();
        room.delete("a", Kv).await.unwrap();
        let namespace = shown.get("namespace").and_then(Value::as_str);
        let kv = format!("sys/mounts/{}", shown["mounts"]["kv"].as_str().unwrap());
        let root = bao.root(namespace);
        assert_eq!(root.call("DELETE", &kv, Value::Null).await.0, 204);
        let resource = room.broker.retained().await.unwrap()[0].resource.clone();
        assert!(room.broker.restore(&resource).await.is_err(), "{isolation:?}: without its mount");
        assert_eq!(room.broker.retained().await.unwrap().len(), 1, "{isolation:?}: it is still there to be destroyed");
        let (status, mounts) = root.get("sys/mounts").await;
        let mount = format!("{}/", shown["mounts"]["kv"].as_str().unwrap());
        assert!(status == 200 && mounts["data"][mount].is_null(), "{isolation:?}: nothing was made in its place");
        if let Some(namespace) = namespace {
            let path = format!("sys/namespaces/{namespace}");
            assert_eq!(bao.root(None).call("DELETE", &path, Value::Null).await.0, 200);
            assert!(room.broker.restore(&resource).await.is_err(), "without its namespace");
        }
    }
}

/// A token of an issuer that signs with ES256.
fn jwt(key: &EcdsaKeyPair, claims: Value) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "ES256", "typ": "JWT"})), part(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn pem(key: &EcdsaKeyPair) -> String {
    // What stands before the point in a public key of P-256 (RFC 5480).
    let head = BASE64_STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE").unwrap();
    let der = [&head[..], &key.public_key().as_ref()[1..]].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
}

#[tokio::test]
async fn a_token_of_a_trusted_issuer_is_all_that_a_consumer_needs() {
    let bao = Bao::start().await;
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &SystemRandom::new()).unwrap();
    let keys = IssuerKeys::PublicKeys(vec![pem(&key)]);
    let issuer = Issuer { issuer: "https://issuer.example".into(), keys };
    let room = Room::openbao(&bao, Isolation::Namespaces, vec![issuer]).await;
    room.order("a", Kv, Value::Null).await.unwrap();
    let elsewhere = json!({"auth": "jwt", "bound_claims": {"sub": "payments", "iss": "https://other.example"}});
    assert_eq!(room.bind("a", Kv, "x", elsewhere).await.unwrap_err().status, 400);
    let claims = json!({"auth": "jwt", "bound_claims": {"sub": "payments", "aud": "vault"}});
    let credentials = room.bind("a", Kv, "b", claims).await.unwrap();
    assert_eq!(credentials["auth"].as_object().unwrap().keys().collect::<Vec<_>>(), ["method", "path", "role"]);
    assert!(credentials.get("token").is_none(), "no secret at all");

    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = |issuer: &str, subject: &str| json!({"iss": issuer, "sub": subject, "aud": "vault", "iat": now, "nbf": now - 5, "exp": now + 300});
    let nobody = Consumer::of(&credentials);
    let login = format!("{}/login", credentials["auth"]["path"].as_str().unwrap());
    let role = credentials["auth"]["role"].clone();
    let try_with = |token: String| {
        let (nobody, login, role) = (nobody.clone(), login.clone(), role.clone());
        async move { nobody.post(&login, json!({"role": role, "jwt": token})).await }
    };
    for (issuer, subject) in [("https://issuer.example", "somebody"), ("https://other.example", "payments")] {
        assert_eq!(try_with(jwt(&key, claims(issuer, subject))).await.0, 400, "{issuer} {subject}");
    }
    let (status, answer) = try_with(jwt(&key, claims("https://issuer.example", "payments"))).await;
    assert_eq!(status, 200, "{answer}");
    let token = answer["auth"]["client_token"].as_str().unwrap().to_owned();
    let consumer = Consumer { token, ..nobody.clone() };
    assert_eq!(consumer.write("x", json!({"k": "v"})).await, 200);
    room.unbind("a", Kv, "b").await.unwrap();
    assert!(!consumer.is_known().await);
    assert_ne!(try_with(jwt(&key, claims("https://issuer.example", "payments"))).await.0, 200);
}

#[tokio::test]
async fn a_token_that_may_too_little_is_told_what_is_missing_and_the_named_policy_is_enough() {
    let bao = Bao::start().await;
    let root = bao.root(None);
    let token = |policy: &str| {
        let (root, policy) = (root.clone(), policy.to_owned());
        async move {
            root.post("sys/policies/acl/broker", json!({"policy": policy})).await;
            let (_, made) = root.post("auth/token/create", json!({"policies": ["broker"]})).await;
            made["auth"]["client_token"].as_str().unwrap().to_owned()
        }
    };
    for isolation in [Isolation::Namespaces, Isolation::Mounts] {
        let mut config = bao.config(isolation, Vec::new());
        config.token = TokenSource::Fixed(token("path \"sys/health\" { capabilities = [\"read\"] }").await);
        let Err(StartError::Forbidden(missing)) = KeyVault::openbao(config.clone(), Clock::System).await else {
            panic!("it starts with a token that may nothing")
        };
        config.token = TokenSource::Fixed(token(&missing.replace("; ", "\n")).await);
        KeyVault::openbao(config.clone(), Clock::System).await.unwrap();
        let room = Room::openbao_with(config).await;
        room.order("a", KvTransit, json!({"keys": [{"name": "k"}]})).await.unwrap();
        for (binding, auth) in [("one", "approle"), ("two", "token")] {
            room.bind("a", KvTransit, binding, json!({"auth": auth})).await.unwrap();
            room.unbind("a", KvTransit, binding).await.unwrap();
        }
        room.change("a", None, json!({"rotate": ["k"]})).await.unwrap();
        room.delete("a", KvTransit).await.unwrap();
        room.pass(31 * DAY);
        room.broker.tend().await;
        assert_eq!(room.broker.retained().await.unwrap(), [], "{isolation:?}");
    }
}

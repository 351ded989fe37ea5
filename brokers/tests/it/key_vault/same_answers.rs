//! The brokers' own vaults answer as a real OpenBao server does: the same calls, one after the other, to both.

use bourse_brokers::key_vault::Isolation;
use bourse_brokers::key_vault::plan::Plan::KvTransit;
use serde_json::{Value, json};

use super::room::{Consumer, Room};
use super::server::Bao;

type Line = (&'static str, &'static str, Value, &'static [&'static str]);

const NOTHING: &[&str] = &[];
const DATA: &[&str] =
    &["/data/data", "/data/metadata/version", "/data/metadata/destroyed", "/data/metadata/custom_metadata"];
const KEYS: &[&str] = &["/data/keys"];
const ERRORS: &[&str] = &["/errors"];
const WROTE: &[&str] = &["/data/version", "/data/deletion_time", "/data/destroyed", "/data/custom_metadata"];
const META: &[&str] = &[
    "/data/current_version",
    "/data/oldest_version",
    "/data/max_versions",
    "/data/cas_required",
    "/data/delete_version_after",
    "/data/custom_metadata",
    "/data/versions/1/destroyed",
    "/data/versions/2/destroyed",
];

/// Calls, with the parts of the answer that must be the same besides the status: about one secret.
fn about_a_secret() -> Vec<Line> {
    vec![
        ("GET", "kv/config", Value::Null, &["/data/max_versions", "/data/cas_required", "/data/delete_version_after"]),
        ("GET", "kv/data/a", Value::Null, ERRORS),
        ("GET", "kv/metadata/a", Value::Null, ERRORS),
        ("LIST", "kv/metadata", Value::Null, ERRORS),
        ("LIST", "kv/metadata/x", Value::Null, ERRORS),
        ("DELETE", "kv/data/a", Value::Null, NOTHING),
        ("POST", "kv/delete/a", json!({"versions": [1]}), NOTHING),
        ("POST", "kv/destroy/a", json!({"versions": [1]}), NOTHING),
        ("POST", "kv/data/a", json!({"options": {"cas": 1}, "data": {"k": "v"}}), ERRORS),
        ("POST", "kv/data/a", json!({"options": {"cas": 0}, "data": {"k": "v", "n": {"x": 1, "y": "2"}}}), WROTE),
        ("POST", "kv/data/a", json!({"options": {"cas": 0}, "data": {"k": "v"}}), ERRORS),
        ("POST", "kv/data/a", json!({}), ERRORS),
        ("GET", "kv/data/a", Value::Null, DATA),
        ("GET", "kv/data/a?version=1", Value::Null, DATA),
        ("GET", "kv/data/a?version=0", Value::Null, DATA),
        ("GET", "kv/data/a?version=2", Value::Null, ERRORS),
        ("GET", "kv/subkeys/a", Value::Null, &["/data/subkeys", "/data/metadata/version"]),
        ("PATCH", "kv/data/a", json!({"data": {"n": {"x": null}, "m": "z"}}), WROTE),
        ("GET", "kv/data/a", Value::Null, DATA),
        ("PATCH", "kv/data/none", json!({"data": {"n": "x"}}), NOTHING),
        ("PATCH", "kv/data/a", json!({"options": {"cas": 1}, "data": {"n": "x"}}), ERRORS),
        ("POST", "kv/metadata/a", json!({"max_versions": 2, "custom_metadata": {"owner": "me"}}), NOTHING),
        ("GET", "kv/metadata/a", Value::Null, META),
        ("GET", "kv/data/a", Value::Null, DATA),
        ("DELETE", "kv/data/a", Value::Null, NOTHING),
        ("GET", "kv/data/a", Value::Null, DATA),
        ("GET", "kv/subkeys/a", Value::Null, &["/data/subkeys"]),
        ("PATCH", "kv/data/a", json!({"data": {"n": "x"}}), NOTHING),
        ("GET", "kv/data/a?version=1", Value::Null, DATA),
        ("POST", "kv/undelete/a", json!({"versions": [2, 9]}), NOTHING),
        ("GET", "kv/data/a", Value::Null, DATA),
        ("POST", "kv/destroy/a", json!({"versions": ["1"]}), NOTHING),
        ("GET", "kv/data/a?version=1", Value::Null, DATA),
        ("POST", "kv/undelete/a", json!({"versions": [1]}), NOTHING),
        ("GET", "kv/data/a?version=1", Value::Null, DATA),
        ("POST", "kv/destroy/a", json!({}), ERRORS),
        ("POST", "kv/data/a", json!({"data": {"third": 3}}), WROTE),
        ("POST", "kv/data/a", json!({"data": {"fourth": 4}}), WROTE),
        ("POST", "kv/data/a", json!({"data": {"fifth": 5}}), WROTE),
        ("GET", "kv/metadata/a", Value::Null, META),
        ("GET", "kv/data/a?version=3", Value::Null, DATA),
        ("GET", "kv/data/a?version=4", Value::Null, DATA),
        ("DELETE", "kv/metadata/a", Value::Null, NOTHING),
        ("GET", "kv/metadata/a", Value::Null, ERRORS),
        ("POST", "kv/data/a", json!({"data": {"again": 1}}), WROTE),
        ("POST", "kv/data/sp%C3%A4te%20ecke/%C3%BC%25", json!({"data": {"x": "y"}}), WROTE),
    ]
}

/// About folders, metadata and configuration.
fn about_folders_and_metadata() -> Vec<Line> {
    vec![
        ("POST", "kv/data/dir/b", json!({"data": {"b": 1}}), WROTE),
        ("POST", "kv/data/dir/sub/c", json!({"data": {"c": null}}), WROTE),
        ("GET", "kv/data/dir/sub/c", Value::Null, DATA),
        ("LIST", "kv/metadata", Value::Null, KEYS),
        ("LIST", "kv/metadata/", Value::Null, KEYS),
        ("GET", "kv/metadata/dir?list=true", Value::Null, KEYS),
        ("GET", "kv/data/dir", Value::Null, ERRORS),
        ("DELETE", "kv/metadata/dir/sub/c", Value::Null, NOTHING),
        ("LIST", "kv/metadata/dir/", Value::Null, KEYS),
        ("LIST", "kv/metadata/dir/sub", Value::Null, ERRORS),
        ("DELETE", "kv/metadata/dir/sub/c", Value::Null, NOTHING),
        ("POST", "kv/metadata/new", json!({"cas_required": true, "delete_version_after": "3h25m45s"}), NOTHING),
        ("GET", "kv/metadata/new", Value::Null, META),
        ("GET", "kv/data/new", Value::Null, ERRORS),
        ("POST", "kv/data/new", json!({"data": {"a": "b"}}), ERRORS),
        ("POST", "kv/data/new", json!({"options": {"cas": 0}, "data": {"a": "b"}}), &["/data/version"]),
        ("POST", "kv/config", json!({"max_versions": 3}), NOTHING),
        ("POST", "kv/metadata/more", json!({"max_versions": 5}), NOTHING),
        ("POST", "kv/data/more", json!({"data": {}}), WROTE),
        ("POST", "kv/data/more", json!({"data": {}}), WROTE),
        ("POST", "kv/data/more", json!({"data": {}}), WROTE),
        ("POST", "kv/data/more", json!({"data": {}}), WROTE),
        ("POST", "kv/data/more", json!({"data": {}}), WROTE),
        ("GET", "kv/metadata/more", Value::Null, META),
        ("POST", "kv/data/more", json!({"data": {}}), WROTE),
        ("GET", "kv/metadata/more", Value::Null, META),
        ("GET", "kv/config", Value::Null, &["/data/max_versions", "/data/cas_required"]),
    ]
}

/// About keys.
fn about_keys() -> Vec<Line> {
    vec![
        ("LIST", "transit/keys", Value::Null, ERRORS),
        ("GET", "transit/keys/k", Value::Null, ERRORS),
        (
            "POST",
            "transit/keys/k",
            json!({}),
            &[
                "/data/latest_version",
                "/data/type",
                "/data/supports_encryption",
                "/data/supports_signing",
                "/data/exportable",
                "/data/auto_rotate_period",
                "/data/min_decryption_version",
            ],
        ),
        ("POST", "transit/keys/bad", json!({"type": "foo"}), NOTHING),
        (
            "POST",
            "transit/keys/e",
            json!({"type": "ed25519"}),
            &["/data/type", "/data/supports_encryption", "/data/supports_signing", "/data/keys/1/name"],
        ),
        (
            "POST",
            "transit/keys/p",
            json!({"type": "ecdsa-p256", "auto_rotate_period": "24h"}),
            &["/data/type", "/data/auto_rotate_period", "/data/keys/1/name"],
        ),
        ("POST", "transit/keys/k", json!({"type": "ed25519"}), &["/data/type", "/data/latest_version"]),
        ("LIST", "transit/keys", Value::Null, KEYS),
        ("POST", "transit/encrypt/k", json!({"plaintext": "aGk="}), &["/data/key_version"]),
        ("POST", "transit/encrypt/k", json!({}), ERRORS),
        ("POST", "transit/encrypt/k", json!({"plaintext": "!"}), NOTHING),
        ("POST", "transit/decrypt/k", json!({"ciphertext": "vault:v9:AAAA"}), ERRORS),
        ("POST", "transit/decrypt/k", json!({"ciphertext": "x"}), ERRORS),
        ("POST", "transit/decrypt/none", json!({"ciphertext": "vault:v1:AAAA"}), ERRORS),
        ("POST", "transit/encrypt/e", json!({"plaintext": "aGk="}), NOTHING),
        ("POST", "transit/sign/k", json!({"input": "aGk="}), ERRORS),
        ("POST", "transit/sign/e", json!({"input": "aGk="}), &["/data/key_version"]),
        ("POST", "transit/verify/e", json!({"input": "aGk=", "signature": "vault:v1:AAAA"}), &["/data/valid"]),
        ("POST", "transit/hmac/k", json!({"input": "aGk="}), NOTHING),
        ("POST", "transit/keys/k/rotate", Value::Null, &["/data/latest_version"]),
        ("POST", "transit/encrypt/k", json!({"plaintext": "aGk=", "key_version": 1}), &["/data/key_version"]),
        ("POST", "transit/keys/k/config", json!({"min_decryption_version": 2}), &["/data/min_decryption_version"]),
        ("POST", "transit/keys/k/config", json!({"min_decryption_version": 7}), NOTHING),
        ("POST", "transit/keys/none/config", json!({"deletion_allowed": true}), NOTHING),
        ("DELETE", "transit/keys/k", Value::Null, NOTHING),
        ("POST", "transit/keys/k/config", json!({"deletion_allowed": true}), &["/data/deletion_allowed"]),
        ("DELETE", "transit/keys/k", Value::Null, NOTHING),
        ("GET", "transit/keys/k", Value::Null, ERRORS),
        ("POST", "transit/datakey/wrapped/p", json!({}), NOTHING),
        (
            "POST",
            "transit/encrypt/new",
            json!({"batch_input": [{"plaintext": "aGk="}, {"plaintext": "aGk=", "reference": "r"}]}),
            &["/data/batch_results/0/key_version", "/data/batch_results/1/reference"],
        ),
        (
            "POST",
            "transit/decrypt/new",
            json!({"batch_input": [{"ciphertext": "vault:v1:aaaa"}]}),
            &["/data/batch_results/0/reference"],
        ),
    ]
}

/// About mounts and the token itself, which ends with it.
fn about_itself() -> Vec<Line> {
    vec![
        ("GET", "sys/internal/ui/mounts/kv/a", Value::Null, &["/data/type", "/data/path", "/data/options"]),
        ("GET", "sys/internal/ui/mounts/none/a", Value::Null, NOTHING),
        ("GET", "kv/nothing/a", Value::Null, NOTHING),
        ("GET", "cubby/nothing", Value::Null, NOTHING),
        ("POST", "auth/token/renew-self", json!({}), &["/auth/renewable", "/auth/lease_duration"]),
        ("POST", "auth/token/create", json!({}), NOTHING),
        ("GET", "sys/policies/acl/default", Value::Null, NOTHING),
        ("POST", "auth/token/revoke-self", Value::Null, NOTHING),
        ("GET", "auth/token/lookup-self", Value::Null, ERRORS),
    ]
}

#[tokio::test]
async fn the_same_calls_are_answered_alike_by_a_real_server() {
    let bao = Bao::start().await;
    let (own, real) = (Room::embedded().await, Room::openbao(&bao, Isolation::Namespaces, Vec::new()).await);
    let mut consumers = Vec::new();
    for room in [&own, &real] {
        room.order("a", KvTransit, Value::Null).await.unwrap();
        let credentials = room.bind("a", KvTransit, "b", json!({"role": "admin"})).await.unwrap();
        consumers.push(Consumer::log_in(&credentials).await);
    }
    let mut differences = Vec::new();
    for (method, path, body, parts) in
        [about_a_secret(), about_folders_and_metadata(), about_keys(), about_itself()].concat()
    {
        let (own_status, own) = consumers[0].call(method, path, body.clone()).await;
        let (real_status, real) = consumers[1].call(method, path, body.clone()).await;
        if own_status != real_status {
            differences.push(format!("{method} {path} {body}: {own_status} {own}, but really {real_status} {real}"));
        }
        for part in parts {
            let (own, real) = (own.pointer(part), real.pointer(part));
            if own != real {
                differences.push(format!("{method} {path} {body}: {part} is {own:?}, but really {real:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

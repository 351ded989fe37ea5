//! The life of a vault, the same with every driver: ordered, used, rotated, revoked, deleted, destroyed.

use bourse_brokers::key_vault::Isolation;
use bourse_brokers::key_vault::plan::Plan::{Kv, KvTransit};
use serde_json::{Value, json};

use super::room::{Consumer, DAY, Room};
use super::server::Bao;

/// Uses a vault through its bindings until both are gone.
async fn check_use(room: &Room) -> Consumer {
    let keys = json!({"keys": [{"name": "orders"}], "network": "net-1", "kv": {"max_versions": 3}});
    let shown = room.order("a", KvTransit, keys).await.unwrap();
    assert_eq!((&shown["network"], &shown["secrets"]), (&json!("net-1"), &json!(0)));
    assert_eq!(shown["keys"][0]["name"], "orders");
    room.order("b", Kv, Value::Null).await.unwrap();

    let credentials = room.bind("a", KvTransit, "one", Value::Null).await.unwrap();
    assert_eq!(credentials["auth"]["method"], "approle");
    assert!(credentials.get("token").is_none());
    let one = Consumer::log_in(&credentials).await;
    let wrapped = credentials["auth"]["wrapped_secret_id"].as_str().unwrap();
    let thief = Consumer { token: wrapped.to_owned(), ..one.clone() };
    assert_eq!(thief.post("sys/wrapping/unwrap", Value::Null).await.0, 400, "it unwraps once");

    assert_eq!(one.write("app/db", json!({"password": "hunter2"})).await, 200);
    assert_eq!(one.read("app/db").await, (200, json!({"password": "hunter2"})));
    assert_eq!(one.call("DELETE", &format!("{}/metadata/app/db", one.kv), Value::Null).await.0, 403, "not its role");
    let plain = json!({"plaintext": "aGVsbG8="});
    let (status, encrypted) = one.post(&format!("{}/encrypt/orders", one.transit), plain).await;
    assert_eq!(status, 200, "{encrypted}");
    let ciphertext = encrypted["data"]["ciphertext"].clone();

    let of_other = room.bind("b", Kv, "other", Value::Null).await.unwrap();
    let other = Consumer::log_in(&of_other).await;
    let astray = Consumer { token: other.token.clone(), ..one.clone() };
    assert_eq!(astray.read("app/db").await.0, 403, "another instance's token");
    assert_eq!(astray.write("app/db", json!({})).await, 403);
    assert_eq!(other.read("app/db").await.0, 404, "its own vault is empty");

    let narrow = json!({"role": "read", "paths": ["app/*"], "auth": "token", "ttl": "PT10M"});
    let narrow = Consumer::of(&room.bind("a", KvTransit, "narrow", narrow).await.unwrap());
    assert_eq!(narrow.read("app/db").await.0, 200);
    assert_eq!(narrow.read("elsewhere").await.0, 403);
    assert_eq!(narrow.write("app/db", json!({})).await, 403);
    let uses = json!({"role": "encrypt", "auth": "token"});
    let uses = Consumer::of(&room.bind("a", KvTransit, "uses", uses).await.unwrap());
    assert_eq!(uses.read("app/db").await.0, 403);

    room.change("a", None, json!({"rotate": ["orders"], "keys": [{"name": "more", "type": "ed25519"}]})).await.unwrap();
    let shown = room.shown("a").await;
    assert_eq!(shown["keys"].as_array().unwrap().len(), 2);
    let rotated = shown["keys"].as_array().unwrap().iter().find(|key| key["name"] == "orders").unwrap();
    assert_eq!(rotated["latest_version"], 2);
    let (_, decrypted) =
        uses.post(&format!("{}/decrypt/orders", uses.transit), json!({"ciphertext": ciphertext})).await;
    assert_eq!(decrypted["data"]["plaintext"], "aGVsbG8=", "an older version still opens");
    let back = room.change("a", Some(Kv), Value::Null).await.unwrap_err();
    assert!((400..=422).contains(&back.status), "kv-transit never goes back: {back:?}");
    assert_eq!(room.change("a", None, json!({"rotate": ["nothing"]})).await.unwrap_err().status, 400);

    let next = Consumer::log_in(&room.rotate("a", "two", "one").await.unwrap()).await;
    assert_eq!(next.read("app/db").await.0, 200, "the successor may do the same");
    assert_eq!(one.read("app/db").await.0, 200, "its predecessor goes on");
    room.unbind("a", KvTransit, "one").await.unwrap();
    assert!(!one.is_known().await, "what was unbound is of no use");
    assert_eq!(one.read("app/db").await.0, 403);
    assert_eq!(next.read("app/db").await.0, 200);
    room.unbind("a", KvTransit, "narrow").await.unwrap();
    assert!(!narrow.is_known().await);
    for binding in ["two", "uses"] {
        room.unbind("a", KvTransit, binding).await.unwrap();
    }
    assert!(!next.is_known().await && !uses.is_known().await);
    room.unbind("b", Kv, "other").await.unwrap();
    next
}

#[tokio::test]
async fn a_vault_of_the_brokers_own_lives_and_dies() {
    let room = Room::embedded().await;
    check_use(&room).await;
    let last = room.bind("a", KvTransit, "last", json!({"auth": "token"})).await.unwrap();
    room.unbind("a", KvTransit, "last").await.unwrap();
    room.delete("a", KvTransit).await.unwrap();
    assert!(!Consumer::of(&last).is_known().await);
    let rows = |table: &'static str| {
        let reader = room.db.reader().clone();
        async move {
            let statement = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
            sqlx::query_scalar::<_, i64>(statement).fetch_one(&reader).await.unwrap()
        }
    };
    let sealed_key: Vec<Vec<u8>> =
        sqlx::query_scalar("select data_key from vault where closed = 1").fetch_all(room.db.reader()).await.unwrap();
    let holds_key = || room.bytes().windows(sealed_key[0].len()).any(|part| part == sealed_key[0]);
    assert!(sealed_key.len() == 1 && holds_key());
    room.broker.tend().await;
    assert_eq!((rows("vault_version").await, rows("vault_grantee").await), (1, 0), "closed, not destroyed");
    room.pass(30 * DAY + 1);
    room.broker.tend().await;
    for table in ["vault_version", "vault_secret", "vault_key", "vault_entry"] {
        assert_eq!(rows(table).await, 0, "{table}");
    }
    assert_eq!(rows("vault").await, 1, "the other one stays");
    assert!(!holds_key(), "not even in free pages or beside the file");
}

async fn check_on_a_server(isolation: Isolation) {
    let bao = Bao::start().await;
    let room = Room::openbao(&bao, isolation, Vec::new()).await;
    check_use(&room).await;
    let shown = room.shown("a").await;
    let mut root = Consumer::of(&shown);
    root.token = "root".into();
    assert_eq!(root.read("app/db").await.0, 200);

    // Someone whom the broker does not know of any more goes, too.
    let credentials = room.bind("a", KvTransit, "last", Value::Null).await.unwrap();
    let last = Consumer::log_in(&credentials).await;
    room.unbind("a", KvTransit, "last").await.unwrap();
    room.delete("a", KvTransit).await.unwrap();
    assert!(!last.is_known().await);
    room.broker.tend().await;
    assert_eq!(root.read("app/db").await, (200, json!({"password": "hunter2"})), "kept for its retention");
    let (_, mounts) = root.get("sys/auth").await;
    assert_eq!(mounts["data"].as_object().unwrap().len(), 1, "only tokens: {mounts}");
    room.pass(30 * DAY + 1);
    room.broker.tend().await;
    assert_eq!(root.read("app/db").await.0, 404, "destroyed");
    room.delete("b", Kv).await.unwrap();
}

#[tokio::test]
async fn a_vault_in_a_namespace_of_a_real_server_lives_and_dies() {
    check_on_a_server(Isolation::Namespaces).await;
}

#[tokio::test]
async fn a_vault_in_mounts_of_a_real_server_lives_and_dies() {
    check_on_a_server(Isolation::Mounts).await;
}

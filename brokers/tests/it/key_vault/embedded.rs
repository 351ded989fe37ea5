//! What the brokers' own vaults do at their edges: races, limits, ends of lifetimes, restarts, meters.

use std::sync::atomic::Ordering;

use bourse_brokers::key_vault::SCHEMA;
use bourse_brokers::key_vault::plan::Plan::{Kv, KvTransit};
use serde_json::{Value, json};

use super::room::{Consumer, DAY, Desk, Room};
use crate::process::{start, stop};

async fn consumer(room: &Room, with: Value) -> Consumer {
    room.order("a", KvTransit, with).await.unwrap();
    let all = json!({"role": "admin", "auth": "token", "ttl": "P30D"});
    Consumer::of(&room.bind("a", KvTransit, "b", all).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_and_set_loses_no_write_to_a_race() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 8;
    let room = Room::embedded().await;
    let consumer = consumer(&room, Value::Null).await;
    assert_eq!(consumer.write("n", json!({"n": 0})).await, 200);
    let writers = (0..WRITERS).map(|_| {
        let consumer = consumer.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while done < EACH {
                let (_, read) = consumer.get("kv/data/n").await;
                let (n, version) = (read["data"]["data"]["n"].as_u64().unwrap(), &read["data"]["metadata"]["version"]);
                let body = json!({"data": {"n": n + 1}, "options": {"cas": version}});
                match consumer.post("kv/data/n", body).await.0 {
                    200 => done += 1,
                    400 => {}
                    other => panic!("{other}"),
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(consumer.read("n").await.1["n"], WRITERS * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_while_others_encrypt_and_nothing_becomes_unreadable() {
    let room = Room::embedded().await;
    let consumer = consumer(&room, json!({"keys": [{"name": "k"}]})).await;
    let users = (0..4).map(|_| {
        let consumer = consumer.clone();
        tokio::spawn(async move {
            let mut sealed = Vec::new();
            for _ in 0..25 {
                let (status, answer) = consumer.post("transit/encrypt/k", json!({"plaintext": "aGk="})).await;
                assert_eq!(status, 200, "{answer}");
                sealed.push(answer["data"]["ciphertext"].clone());
            }
            sealed
        })
    });
    let users = users.collect::<Vec<_>>();
    for _ in 0..10 {
        assert_eq!(consumer.post("transit/keys/k/rotate", Value::Null).await.0, 200);
    }
    for user in users {
        for ciphertext in user.await.unwrap() {
            let (_, opened) = consumer.post("transit/decrypt/k", json!({"ciphertext": ciphertext})).await;
            assert_eq!(opened["data"]["plaintext"], "aGk=");
        }
    }
    let (_, key) = consumer.get("transit/keys/k").await;
    assert_eq!(key["data"]["latest_version"], 11);
}

#[tokio::test]
async fn a_key_rotates_by_itself_when_its_time_has_come() {
    let room = Room::embedded().await;
    let consumer = consumer(&room, json!({"keys": [{"name": "k", "auto_rotate_period": "P1D"}]})).await;
    for version in 1..4 {
        let (_, sealed) = consumer.post("transit/encrypt/k", json!({"plaintext": "aGk="})).await;
        assert_eq!(sealed["data"]["key_version"], version);
        room.pass(DAY);
    }
}

#[tokio::test]
async fn a_vault_takes_no_more_requests_than_its_limit_and_none_from_elsewhere() {
    let room = Room::embedded().await;
    let limited = consumer(&room, json!({"rate_limit": {"rps": 5}})).await;
    let mut refused = 0;
    for _ in 0..40 {
        refused += u32::from(limited.read("x").await.0 == 429);
    }
    assert!(refused > 0);
    room.order("b", Kv, json!({"bound_cidrs": ["10.0.0.0/8"]})).await.unwrap();
    let token = Consumer::of(&room.bind("b", Kv, "t", json!({"auth": "token"})).await.unwrap());
    assert_eq!(token.read("x").await.0, 403, "from elsewhere");
    let credentials = room.bind("b", Kv, "r", Value::Null).await.unwrap();
    let mut consumer = Consumer::of(&credentials);
    consumer.token = credentials["auth"]["wrapped_secret_id"].as_str().unwrap().to_owned();
    let (_, unwrapped) = consumer.post("sys/wrapping/unwrap", Value::Null).await;
    let secret_id = unwrapped["data"]["secret_id"].as_str().unwrap();
    assert_eq!(consumer.token_for(&credentials["auth"], secret_id).await.0, 400);
    room.change("b", None, json!({"bound_cidrs": ["127.0.0.0/8"]})).await.unwrap();
    assert_eq!(token.read("x").await.0, 404, "let in, and empty");
    assert_eq!(consumer.token_for(&credentials["auth"], secret_id).await.0, 200);
}

#[tokio::test]
async fn who_guesses_has_to_wait() {
    let room = Room::embedded().await;
    let credentials = {
        room.order("a", Kv, Value::Null).await.unwrap();
        room.bind("a", Kv, "b", Value::Null).await.unwrap()
    };
    let guesser = Consumer::of(&credentials);
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(guesser.token_for(&credentials["auth"], "guess").await.0);
    }
    assert!(statuses.starts_with(&[400; 30]) && statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn who_has_good_credentials_gets_in_however_often_others_fail_from_the_same_address() {
    let room = Room::embedded().await;
    room.order("a", Kv, Value::Null).await.unwrap();
    let credentials = room.bind("a", Kv, "b", Value::Null).await.unwrap();
    let mut stranger = Consumer::of(&credentials);
    stranger.token = "s.guess".into();
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(stranger.post("sys/wrapping/unwrap", Value::Null).await.0);
        statuses.push(stranger.token_for(&credentials["auth"], "guess").await.0);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(Consumer::log_in(&credentials).await.is_known().await, "unwraps and logs in");
}

#[tokio::test]
async fn behind_a_trusted_proxy_bound_networks_hold_for_the_caller() {
    for (proxy, from_inside, from_outside) in [("127.0.0.0/8", 404, 403), ("192.0.2.0/24", 403, 403)] {
        let room = Room::behind(&[proxy.parse().unwrap()]).await;
        let token = consumer(&room, json!({"bound_cidrs": ["10.0.0.0/8"]})).await;
        let url = format!("{}/v1/kv/data/x", token.address);
        for (forwarded, expected) in [("198.51.100.1, 10.0.0.9", from_inside), ("10.0.0.9, 198.51.100.1", from_outside)]
        {
            let headers = [("X-Vault-Token", token.token.as_str()), ("X-Forwarded-For", forwarded)];
            let answer = token.http.send("GET", &url, &headers, None).await.unwrap();
            assert_eq!(answer.status, expected, "{proxy}: {forwarded}");
        }
    }
}

#[tokio::test]
async fn what_is_too_large_malformed_or_elsewhere_is_refused() {
    let room = Room::embedded().await;
    let consumer = consumer(&room, Value::Null).await;
    assert_eq!(consumer.write("x", json!({"v": "x".repeat(1_100_000)})).await, 413);
    for path in ["kv/data/../x", "kv/data/%2e%2e/x", "kv/data//x", "kv/data/", "kv/data/%00"] {
        let (status, answer) = consumer.get(path).await;
        assert!((400..=405).contains(&status), "{path}: {status} {answer}");
    }
    assert_eq!(consumer.get(&format!("kv/data/{}", "x".repeat(1100))).await.0, 400);
    let wrapping = [("X-Vault-Token", consumer.token.as_str()), ("X-Vault-Wrap-TTL", "60s")];
    let url = format!("{}/v1/kv/config", consumer.address);
    let answer = consumer.http.send("GET", &url, &wrapping, None).await.unwrap();
    assert_eq!(answer.status, 400, "what was to be wrapped is never sent in clear");

    let namespace = consumer.namespace.clone().unwrap();
    let nowhere = Consumer { namespace: None, ..consumer.clone() };
    assert_eq!(nowhere.get("kv/config").await.0, 200, "a token belongs to one vault");
    assert_eq!(nowhere.get(&format!("{namespace}/kv/config")).await.0, 200);
    assert_eq!(nowhere.get("other/kv/config").await.0, 403);
    let astray = Consumer { namespace: Some("other".into()), ..consumer.clone() };
    assert_eq!(astray.get("kv/config").await.0, 403);
    let nobody = Consumer { token: String::new(), ..consumer };
    assert_eq!(nobody.get("kv/config").await.0, 403);
    assert_eq!(nobody.get("sys/health").await.0, 200);
}

#[tokio::test]
async fn wrapped_secret_ids_and_tokens_end_when_their_time_is_over() {
    let room = Room::embedded().await;
    room.order("a", Kv, Value::Null).await.unwrap();
    let credentials = room.bind("a", Kv, "b", json!({"ttl": "PT10M", "wrap_ttl": "PT1M"})).await.unwrap();
    let consumer = Consumer::log_in(&credentials).await;
    room.pass(9 * 60);
    let (_, renewed) = consumer.post("auth/token/renew-self", Value::Null).await;
    assert_eq!(renewed["auth"]["lease_duration"], 600);
    room.pass(9 * 60);
    assert!(consumer.is_known().await);
    room.pass(61);
    assert!(!consumer.is_known().await);

    let late = room.bind("a", Kv, "late", json!({"wrap_ttl": "PT1M"})).await.unwrap();
    room.pass(61);
    let mut consumer = Consumer::of(&late);
    consumer.token = late["auth"]["wrapped_secret_id"].as_str().unwrap().to_owned();
    assert_eq!(consumer.post("sys/wrapping/lookup", Value::Null).await.0, 400);
    assert_eq!(consumer.post("sys/wrapping/unwrap", Value::Null).await.0, 400);

    let token = Consumer::of(&room.bind("a", Kv, "t", json!({"auth": "token", "ttl": "PT10M"})).await.unwrap());
    room.pass(500);
    let (_, renewed) = token.post("auth/token/renew-self", json!({"increment": "1h"})).await;
    assert_eq!(renewed["auth"]["lease_duration"], 100, "a binding's own token never outlives the binding");
    let refused = room.bind("a", Kv, "j", json!({"auth": "jwt", "bound_claims": {"sub": "x"}})).await.unwrap_err();
    assert!(refused.status == 400 && refused.to_string().contains("approle or token"), "{refused}");
}

async fn readings(room: &Room, meter: &str) -> Vec<u64> {
    let events: Vec<String> =
        sqlx::query_scalar("select event from kit_usage order by number").fetch_all(room.db.reader()).await.unwrap();
    let events = events.iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
    let of_meter = events.filter(|event| event["data"]["meter"] == meter);
    of_meter.map(|event| event["data"]["quantity"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn meters_go_on_where_they_were_after_a_restart() {
    let room = Room::embedded().await;
    let consumer = consumer(&room, json!({"keys": [{"name": "k"}]})).await;
    for path in ["x", "y", "y"] {
        consumer.write(path, json!({"v": 1})).await;
    }
    consumer.post("transit/encrypt/k", json!({"plaintext": "aGk="})).await;
    consumer.post("transit/keys/k/rotate", Value::Null).await;
    room.pass(3600);
    room.broker.tend().await;
    assert_eq!(readings(&room, "secrets").await.last(), Some(&2));
    assert_eq!(readings(&room, "key_versions").await.last(), Some(&2));
    assert_eq!(readings(&room, "transit_ops").await.last(), Some(&2));
    assert_eq!(readings(&room, "api_ops").await.last(), Some(&5));
    consumer.read("x").await;
    room.broker.tend().await;

    let Room { folder, running, broker, .. } = room;
    running.stop().await;
    broker.close().await;
    let room = Room::embedded_in(folder).await;
    room.now.store(super::room::START + 3600, Ordering::SeqCst);
    let consumer = Consumer { address: room.running.url(), ..consumer };
    assert_eq!(consumer.read("y").await, (200, json!({"v": 1})), "everything is on disk");
    room.pass(3600);
    room.broker.tend().await;
    assert_eq!(readings(&room, "api_ops").await.last(), Some(&7));
}

#[tokio::test]
async fn a_vault_that_is_full_refuses_until_something_is_destroyed_and_others_go_on() {
    const MOST: u64 = 400_000;
    let room = Room::embedded_with(tempfile::tempdir().unwrap(), |api| api.holding(MOST)).await;
    let full = consumer(&room, Value::Null).await;
    let large = || json!({"v": "x".repeat(100_000)});
    let mut statuses = Vec::new();
    for path in ["a", "a", "b", "c", "d"] {
        statuses.push(full.write(path, large()).await);
    }
    assert_eq!(statuses, [200, 200, 200, 507, 507]);
    let (_, answer) = full.post("kv/data/d", json!({"data": large()})).await;
    assert!(answer["errors"][0].as_str().unwrap().contains("this vault is full"), "{answer}");
    assert_eq!(full.get("kv/metadata/d").await.0, 404, "what was refused left nothing");
    room.order("other", Kv, Value::Null).await.unwrap();
    let other = Consumer::of(&room.bind("other", Kv, "o", json!({"auth": "token"})).await.unwrap());
    assert_eq!(other.write("a", large()).await, 200);

    let bytes = async || {
        let select = "select max(bytes) from vault_bytes";
        sqlx::query_scalar::<_, i64>(select).fetch_one(room.db.reader()).await.unwrap()
    };
    let held = bytes().await;
    assert!((300_000..400_000).contains(&held), "{held}");
    assert_eq!(full.post("kv/destroy/a", json!({"versions": [1]})).await.0, 204);
    assert!(bytes().await < held - 100_000);
    assert_eq!(full.write("c", large()).await, 200);
    room.pass(3600);
    room.broker.tend().await;
    assert!(readings(&room, "stored_bytes").await.iter().any(|bytes| (300_000..400_000).contains(bytes)));
    full.post("transit/encrypt/k", json!({"plaintext": "aGk="})).await;
    for path in ["a", "b", "c"] {
        assert_eq!(full.call("DELETE", &format!("kv/metadata/{path}"), Value::Null).await.0, 204);
    }
    full.post("transit/keys/k/config", json!({"deletion_allowed": true})).await;
    full.call("DELETE", "transit/keys/k", Value::Null).await;
    other.write("x", json!({"v": 1})).await;
    let empty = "select min(bytes) from vault_bytes";
    let empty: i64 = sqlx::query_scalar(empty).fetch_one(room.db.reader()).await.unwrap();
    assert_eq!(empty, 0, "what is gone counts no more");
}

#[tokio::test]
async fn bytes_of_a_file_that_did_not_count_them_are_counted_when_it_is_opened() {
    let room = Room::embedded().await;
    let consumer = consumer(&room, json!({"keys": [{"name": "k"}]})).await;
    consumer.write("folder/x", json!({"v": "y".repeat(1000)})).await;
    let select = "select bytes from vault_bytes";
    let counted: i64 = sqlx::query_scalar(select).fetch_one(room.db.reader()).await.unwrap();
    let mut writer = room.db.writer().await.unwrap();
    sqlx::query("delete from vault_bytes").execute(writer.connection().unwrap()).await.unwrap();
    drop(writer);
    let Room { folder, running, broker, .. } = room;
    running.stop().await;
    broker.close().await;
    let room = Room::embedded_in(folder).await;
    let again: i64 = sqlx::query_scalar(select).fetch_one(room.db.reader()).await.unwrap();
    assert!(counted > 1000 && again == counted, "{counted} {again}");
}

#[tokio::test]
async fn requests_that_were_counted_outlive_an_orderly_end() {
    let directory = tempfile::tempdir().unwrap();
    let (child, url) = start(&["key-vault"], directory.path()).await;
    let client = osb::client::Client::builder(&url).build().unwrap();
    let desk = Desk(std::sync::Arc::new(client));
    desk.order("a", Kv, Value::Null).await.unwrap();
    let token = Consumer::of(&desk.bind("a", Kv, "b", json!({"auth": "token"})).await.unwrap());
    for _ in 0..7 {
        assert_eq!(token.read("x").await.0, 404);
    }
    assert_eq!(stop(child).await, Some(0));
    let db = osb::kit::Db::open(&directory.path().join("key-vault.db"), SCHEMA).await.unwrap();
    let counted: i64 = sqlx::query_scalar("select api_ops from vault").fetch_one(db.reader()).await.unwrap();
    assert_eq!(counted, 7);
}

//! Secrets with versions against a small model of what Vault's documentation says of KV v2.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bourse_brokers::key_vault::plan::Plan::Kv;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::room::{Consumer, Room};

/// How many versions the vault keeps.
const KEPT: u64 = 3;

#[derive(Clone, Debug)]
enum Step {
    Put { cas: Option<u64>, value: u32 },
    Delete,
    DeleteVersions(Vec<u64>),
    Undelete(Vec<u64>),
    Destroy(Vec<u64>),
    Describe { max: u64, after: u64, cas_required: bool },
    Remove,
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let versions = || prop::collection::vec(1..8_u64, 1..3);
    prop_oneof![
        6 => (prop::option::weighted(0.3, 0..6_u64), any::<u32>()).prop_map(|(cas, value)| Step::Put { cas, value }),
        2 => Just(Step::Delete),
        2 => versions().prop_map(Step::DeleteVersions),
        2 => versions().prop_map(Step::Undelete),
        1 => versions().prop_map(Step::Destroy),
        1 => (0..6_u64, 0..30_u64, prop::bool::weighted(0.2))
            .prop_map(|(max, after, cas_required)| Step::Describe { max, after, cas_required }),
        1 => Just(Step::Remove),
        2 => (1..20_i64).prop_map(Step::Pass),
    ]
}

struct Version {
    value: u32,
    /// When it can't be read any more.
    ends: Option<i64>,
    destroyed: bool,
}

#[derive(Default)]
struct Secret {
    /// Whether there is anything, be it only metadata.
    there: bool,
    current: u64,
    max: u64,
    after: i64,
    cas_required: bool,
    versions: BTreeMap<u64, Version>,
}

impl Secret {
    fn put(&mut self, cas: Option<u64>, value: u32, now: i64) -> bool {
        if cas.is_none() && self.cas_required || cas.is_some_and(|cas| cas != self.current) {
            return false;
        }
        self.current += 1;
        let ends = (self.after > 0).then(|| now + self.after);
        self.versions.insert(self.current, Version { value, ends, destroyed: false });
        let keep = self.max.max(KEPT);
        let current = self.current;
        self.versions.retain(|number, _| number + keep > current);
        true
    }

    fn readable(&self, number: u64, now: i64) -> Option<u32> {
        let version = self.versions.get(&number)?;
        (!version.destroyed && version.ends.is_none_or(|at| at > now)).then_some(version.value)
    }

    fn delete(&mut self, numbers: &[u64], now: i64) {
        for number in numbers {
            if self.readable(*number, now).is_some() {
                self.versions.get_mut(number).unwrap().ends = Some(now);
            }
        }
    }
}

/// Does a step to both and says what should be answered, and what was.
async fn take(step: &Step, room: &Room, consumer: &Consumer, path: &str, model: &mut Option<Secret>) -> (u16, u16) {
    let now = room.now.load(Ordering::SeqCst);
    let post = |kind: &str, body: Value| {
        let (path, consumer) = (format!("kv/{kind}/{path}"), consumer.clone());
        async move { consumer.post(&path, body).await.0 }
    };
    match step {
        Step::Put { cas, value } => {
            let options = cas.map_or(json!({}), |cas| json!({"cas": cas}));
            let mut secret = model.take().unwrap_or_default();
            let done = secret.put(*cas, *value, now);
            if done || secret.there {
                secret.there = true;
                *model = Some(secret);
            }
            let status = post("data", json!({"data": {"v": value}, "options": options})).await;
            (if done { 200 } else { 400 }, status)
        }
        Step::Delete => {
            if let Some(secret) = model {
                secret.delete(&[secret.current], now);
            }
            (204, consumer.call("DELETE", &format!("kv/data/{path}"), Value::Null).await.0)
        }
        Step::DeleteVersions(versions) => {
            if let Some(secret) = model {
                secret.delete(versions, now);
            }
            (204, post("delete", json!({"versions": versions})).await)
        }
        Step::Undelete(versions) => {
            for number in versions {
                let version = model.as_mut().and_then(|secret| secret.versions.get_mut(number));
                if let Some(version) = version.filter(|version| !version.destroyed) {
                    version.ends = None;
                }
            }
            (204, post("undelete", json!({"versions": versions})).await)
        }
        Step::Destroy(versions) => {
            for number in versions {
                if let Some(version) = model.as_mut().and_then(|secret| secret.versions.get_mut(number)) {
                    version.destroyed = true;
                }
            }
            (204, post("destroy", json!({"versions": versions})).await)
        }
        Step::Describe { max, after, cas_required } => {
            let secret = model.get_or_insert_default();
            secret.there = true;
            (secret.max, secret.after, secret.cas_required) = (*max, i64::try_from(*after).unwrap(), *cas_required);
            let body =
                json!({"max_versions": max, "delete_version_after": format!("{after}s"), "cas_required": cas_required});
            (204, post("metadata", body).await)
        }
        Step::Remove => {
            *model = None;
            (204, consumer.call("DELETE", &format!("kv/metadata/{path}"), Value::Null).await.0)
        }
        Step::Pass(seconds) => {
            room.pass(*seconds);
            (200, 200)
        }
    }
}

async fn check(room: &Room, consumer: &Consumer, path: &str, model: Option<&Secret>, after: &Step) {
    let now = room.now.load(Ordering::SeqCst);
    let current = model.map_or(0, |secret| secret.current);
    for number in 0..=current + 1 {
        let (status, answer) = consumer.get(&format!("kv/data/{path}?version={number}")).await;
        let asked = if number == 0 { current } else { number };
        let expected = model.and_then(|secret| secret.readable(asked, now));
        assert_eq!(status == 200, expected.is_some(), "version {number} after {after:?}: {answer}");
        assert_eq!(answer["data"]["data"]["v"].as_u64(), expected.map(u64::from), "version {number} after {after:?}");
    }
    let (status, metadata) = consumer.get(&format!("kv/metadata/{path}")).await;
    assert_eq!(status == 200, model.is_some(), "after {after:?}: {metadata}");
    let Some(model) = model else { return };
    assert_eq!(metadata["data"]["current_version"], current);
    let kept: Vec<u64> =
        metadata["data"]["versions"].as_object().unwrap().keys().map(|key| key.parse().unwrap()).collect();
    assert_eq!(kept, model.versions.keys().copied().collect::<Vec<u64>>(), "after {after:?}");
}

#[test]
fn secrets_with_versions_do_what_a_small_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (room, consumer) = runtime.block_on(async {
        let room = Room::embedded().await;
        let with = json!({"kv": {"max_versions": KEPT}, "rate_limit": {"rps": 100_000}});
        room.order("a", Kv, with).await.unwrap();
        let all = json!({"role": "admin", "auth": "token", "ttl": "P30D"});
        let consumer = Consumer::of(&room.bind("a", Kv, "b", all).await.unwrap());
        (room, consumer)
    });
    let cases = AtomicUsize::new(0);
    let config = Config { cases: 24, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..25);
    let run = |steps: Vec<Step>| {
        let path = format!("case/{}", cases.fetch_add(1, Ordering::SeqCst));
        runtime.block_on(async {
            let mut model = None;
            for step in &steps {
                let (expected, status) = take(step, &room, &consumer, &path, &mut model).await;
                assert_eq!(status, expected, "{step:?}");
                check(&room, &consumer, &path, model.as_ref(), step).await;
            }
        });
        Ok(())
    };
    TestRunner::new(config).run(&steps, run).unwrap();
    // What lists and meters say follows from the same.
    runtime.block_on(async {
        let (_, listed) = consumer.call("LIST", "kv/metadata/case", Value::Null).await;
        let mut readable = 0;
        for name in listed["data"]["keys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert_eq!(consumer.get(&format!("kv/metadata/case/{name}")).await.0, 200);
            let (_, metadata) = consumer.get(&format!("kv/metadata/case/{name}")).await;
            let now = room.now.load(Ordering::SeqCst);
            let live = |version: &Value| {
                let ends = version["deletion_time"].as_str().filter(|time| !time.is_empty());
                let ended = ends.is_some_and(|time| time.parse::<jiff::Timestamp>().unwrap().as_second() <= now);
                version["destroyed"] == false && !ended
            };
            readable += u64::from(metadata["data"]["versions"].as_object().unwrap().values().any(live));
        }
        assert_eq!(room.shown("a").await["secrets"], readable);
    });
}

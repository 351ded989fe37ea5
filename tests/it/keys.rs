//! Keys rotate beside a running hub: everything is sealed anew in parts, whoever dies or changes something meanwhile; then the old key
//! goes, and everything opens. Keys of stamps rotate by hand, too.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bourse::app::App;
use bourse::app::points::Step;
use bourse::clock::Time;
use bourse::domain::caller::Caller;
use bourse::secret::{Sealer, Secret, key_of};
use bourse::store::sealed::{self, COLUMNS};
use bourse::store::stamp_keys::{self, StampKey};
use bourse::store::{Db, Error};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::{Bare, On, on_each};
use crate::support::command::{command, finish};
use crate::support::hub::{BOUND, Platform, try_request};
use crate::support::process::Process;
use crate::support::site::{Site, admin, order};
use crate::support::wait::wait_until;

/// More than are written in one part.
const VALUES: usize = 250;

fn admin_caller() -> Caller {
    Caller::Admin("admin".to_owned())
}

fn value(index: usize) -> String {
    format!("k-{index:04}")
}

/// Values sealed under the hub's key, in the place of keys that will never sign.
async fn fill(bare: &Bare) {
    let sealer = bare.sealer();
    for index in 0..VALUES {
        let kid = value(index);
        let private_key = sealer.seal(&format!("stamp_keys/{kid}/private_key"), kid.as_bytes()).expect("sealed");
        let never = Time(i64::MAX);
        let key = StampKey { kid, private_key, public_key: "{}".to_owned(), created_at: Time(0), signs_from: never };
        let done = bare.db.write(move |tx| {
            let key = key.clone();
            Box::pin(async move { stamp_keys::insert(tx, &key).await })
        });
        done.await.expect("could not insert");
    }
}

/// Every sealed value: its place, and its bytes.
async fn sealed_values(db: &Db) -> Vec<(String, Vec<u8>)> {
    let read = db.read(|tx| {
        Box::pin(async move {
            let mut all = Vec::new();
            for column in COLUMNS {
                for (id, prefix) in sealed::prefixes(tx, column, "", 1_000_000).await? {
                    if let (Some(_), Some(value)) = (key_of(&prefix), sealed::value(tx, column, &id).await?) {
                        all.push((column.place(&id), value));
                    }
                }
            }
            Ok::<_, Error>(all)
        })
    });
    read.await.expect("could not read")
}

/// How many values are under the newest key of a hub, and how many are not.
async fn under(app: &App) -> (u64, u64) {
    let status = app.key_status().await.expect("a status");
    let sum = |newest: bool| {
        let values = status.values.iter().filter(|values| (values.key == status.keys[0]) == newest);
        values.map(|values| values.values).sum()
    };
    (sum(true), sum(false))
}

async fn pass(app: &App) -> (u64, u64, u64) {
    let (mut sums, mut after) = ((0, 0, 0), None);
    loop {
        let part = app.reseal(&admin_caller(), after.as_deref(), false).await.expect("a part");
        sums = (sums.0 + part.resealed, sums.1 + part.changed, sums.2 + part.unreadable);
        after = part.next;
        if after.is_none() {
            return sums;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_dies_in_the_middle_is_begun_again_and_ends_with_nothing_under_the_old_key() {
    on_each(async |on| {
        for step in [Step::Resealed, Step::ResealWritten] {
            let bare = Bare::on(on, |_| {}).await;
            fill(&bare).await;
            let all = u64::try_from(sealed_values(&bare.db).await.len()).expect("few");
            let new = Sealer::generate_key().expect("a key");
            let passed = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&passed);
            let dies = bare.rekeyed(&new, Arc::new(move |at| at == step && count.fetch_add(1, Ordering::SeqCst) == 1));
            dies.reseal(&admin_caller(), None, false).await.expect_err("it dies in the second part");
            let (done, left) = under(&dies).await;
            assert!(done > 0 && left > 0 && done + left == all, "{done} {left} {all}");
            let again = bare.rekeyed(&new, Arc::new(|_| false));
            assert_eq!(pass(&again).await, (left, 0, 0));
            assert_eq!(pass(&again).await, (0, 0, 0), "the second time there is nothing to do");
            assert_eq!(under(&again).await, (all, 0));
            let only = Sealer::new(&[Secret::new(new)]).expect("a key");
            for (place, value) in sealed_values(&bare.db).await {
                only.open(&place, &value).unwrap_or_else(|reason| panic!("{place}: {reason}"));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_changed_while_it_is_sealed_anew_is_not_lost() {
    on_each(async |on| {
        let bare = Bare::on(on, |_| {}).await;
        fill(&bare).await;
        let place = format!("stamp_keys/{}/private_key", value(7));
        let changed = bare.sealer().seal(&place, b"changed").expect("sealed");
        let (db, once, bytes) = (bare.db.clone(), AtomicBool::new(true), changed.clone());
        let new = Sealer::generate_key().expect("a key");
        let rotates = bare.rekeyed(
            &new,
            Arc::new(move |at| {
                if at == Step::Resealed && once.swap(false, Ordering::SeqCst) {
                    let (db, bytes) = (db.clone(), bytes.clone());
                    let change = async move {
                        let done = db.write(move |tx| {
                            let sql = sqlx::query("update stamp_keys set private_key = $2 where kid = $1");
                            let bytes = bytes.clone();
                            Box::pin(async move { tx.execute(sql.bind(value(7)).bind(bytes)).await })
                        });
                        assert_eq!(done.await.expect("changed"), 1);
                    };
                    let handle = tokio::runtime::Handle::current();
                    tokio::task::block_in_place(|| handle.block_on(change));
                }
                false
            }),
        );
        let (_, missed, _) = pass(&rotates).await;
        assert_eq!(missed, 1);
        let find = async || {
            let all = sealed_values(&bare.db).await;
            all.into_iter().find(|(found, _)| *found == place).expect("it is there").1
        };
        assert_eq!(find().await, changed, "what somebody wrote meanwhile stands");
        assert_eq!(pass(&rotates).await, (1, 0, 0));
        let only = Sealer::new(&[Secret::new(new)]).expect("a key");
        assert_eq!(only.open(&place, &find().await).expect("it opens"), b"changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_key_of_stamps_is_published_now_and_signs_later() {
    on_each(async |on| {
        let bare = Bare::on(on, |_| {}).await;
        let first = bare.app.jwks().await.expect("keys").keys[0].kid.clone();
        let signing = async |app: &App| {
            let status = app.key_status().await.expect("a status");
            status.stamps.iter().find(|key| key.signs).map(|key| key.kid.clone())
        };
        let other = bare.another().await;
        assert_eq!(other.app.jwks().await.expect("keys").keys.len(), 1);
        let keys = bare.app.rotate_stamp_keys(&admin_caller(), false).await.expect("a key");
        assert_eq!((keys.len(), signing(&bare.app).await), (2, first.clone()));
        let again = bare.app.rotate_stamp_keys(&admin_caller(), false).await.expect("a key");
        assert_eq!(again.len(), 2, "the next one is there already");
        other.app.refresh_keys().await.expect("refreshed");
        for app in [&bare.app, &other.app] {
            assert_eq!(app.jwks().await.expect("keys").keys.len(), 2);
        }
        bare.clock.advance(bare.app.config().security.stamp_key_published_before + Duration::from_secs(1));
        assert_eq!(signing(&bare.app).await, Some(keys[1].kid.clone()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_key_of_stamps_is_gone_at_once_and_another_signs() {
    on_each(async |on| {
        let bare = Bare::on(on, |_| {}).await;
        let other = bare.another().await;
        let old = bare.app.jwks().await.expect("keys");
        assert_eq!(other.app.jwks().await.expect("keys"), old);
        let keys = bare.app.rotate_stamp_keys(&admin_caller(), true).await.expect("a key");
        assert!(keys.len() == 1 && keys[0].signs, "{keys:?}");
        other.app.refresh_keys().await.expect("refreshed");
        for app in [&bare.app, &other.app] {
            let now = app.jwks().await.expect("keys");
            assert_eq!(now.keys.iter().map(|key| key.kid.as_deref()).collect::<Vec<_>>(), [Some(keys[0].kid.as_str())]);
            assert_ne!(now, old);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_an_earlier_key_signed_can_be_verified_for_ever() {
    on_each(async |on| {
        let bare = Bare::on(on, |_| {}).await;
        let head = bare.app.audit_head().await.expect("a head");
        let kid = bare.app.rotate_audit_key(&admin_caller()).await.expect("a key");
        let later = bare.app.audit_head().await.expect("a head");
        assert!(later.kid == kid && head.kid != kid);
        let keys = bare.app.audit_keys().await.expect("keys");
        assert!(head.is_signed_by(&keys) && later.is_signed_by(&keys));
    })
    .await;
}

/// Orders until it is told to stop, from whichever process answers; says how many were made.
async fn load(urls: Arc<std::sync::RwLock<Vec<String>>>, p: Platform, stop: Arc<AtomicBool>, worker: usize) -> usize {
    let mut made = 0;
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let url = {
            let urls = urls.read().expect("a lock");
            urls[number % urls.len()].clone()
        };
        let id = format!("w{worker}-{number}");
        let credentials = Some((p.username.as_str(), p.password.as_str()));
        let instance = format!("{url}/v2/service_instances/{id}");
        let body = order("ok", &json!({"number": number}));
        let Some(reply) = try_request(Method::PUT, &instance, credentials, Some(body.clone())).await else { continue };
        if reply.status != 201 {
            assert!(reply.status >= 500, "{reply:?}");
            continue;
        }
        made += 1;
        let bind = json!({"service_id": body["service_id"], "plan_id": body["plan_id"]});
        let binding = format!("{instance}/service_bindings/b");
        if let Some(reply) = try_request(Method::PUT, &binding, credentials, Some(bind)).await {
            assert!(reply.status == 201 || reply.status >= 500, "{reply:?}");
        }
    }
    made
}

async fn ids(url: &str) -> Vec<Value> {
    admin(url, Method::GET, "keys", None).await.body["keys"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_under_load_with_a_kill_in_the_middle_and_then_the_old_one_is_dropped() {
    on_each(async |on| {
        let site = Site::new(on).await;
        let folder = tempfile::tempdir().expect("no temporary directory");
        let file = folder.path().join("keys");
        let [old, new] = [0; 2].map(|_| Sealer::generate_key().expect("a key"));
        // As a file is replaced that others read: whole.
        let keep = |keys: &[&String]| {
            let beside: PathBuf = folder.path().join("keys.new");
            std::fs::write(&beside, keys.iter().map(|key| format!("{key}\n")).collect::<String>()).expect("written");
            std::fs::rename(&beside, &file).expect("renamed");
        };
        keep(&[&old]);
        let path = file.display().to_string();
        let settings =
            [("BOURSE__SECURITY__ENCRYPTION_KEY", ""), ("BOURSE__SECURITY__ENCRYPTION_KEY_FILE", path.as_str())];
        let start = async || site.start_with(&["serve"], &settings).await;
        let mut hubs: Vec<(Process, String)> = vec![start().await];
        if on == On::Postgres {
            hubs.push(start().await);
        }
        let p = site.furnish(&hubs[0].1).await;
        let urls = Arc::new(std::sync::RwLock::new(hubs.iter().map(|hub| hub.1.clone()).collect::<Vec<_>>()));
        let stop = Arc::new(AtomicBool::new(false));
        let work = |worker| tokio::spawn(load(Arc::clone(&urls), p.clone(), Arc::clone(&stop), worker));
        let workers: Vec<_> = (0..3).map(work).collect();

        // The new key opens everywhere before it seals anywhere.
        for keys in [[&old, &new], [&new, &old]] {
            keep(&keys);
            let first = Sealer::new(&keys.map(|key| Secret::new(key.clone()))).expect("keys").key_ids();
            for (_, url) in &hubs {
                wait_until("the keys to be read", BOUND, async || ids(url).await == *first).await;
            }
        }
        let part = admin(&hubs[0].1, Method::POST, "keys/rotate", Some(json!({}))).await;
        assert_eq!(part.status, 200, "{part:?}");
        hubs[0].0.kill().await;
        hubs[0] = start().await;
        *urls.write().expect("a lock") = hubs.iter().map(|hub| hub.1.clone()).collect();
        let rotate = async |url: &str| {
            let done = finish(command(url, &["keys", "rotate", "--output", "json"])).await;
            assert_eq!(done.code, 0, "{done:?}");
            serde_json::from_str::<Value>(&done.out).expect("JSON")
        };
        rotate(&hubs[0].1).await;
        stop.store(true, Ordering::SeqCst);
        let mut made = 0;
        for worker in workers {
            made += worker.await.expect("it did not panic");
        }
        assert!(made > 0);
        let last = rotate(&hubs[0].1).await;
        assert_eq!(last["unreadable"], 0);
        let newest = ids(&hubs[0].1).await[0].clone();
        let status = admin(&hubs[0].1, Method::GET, "keys", None).await.body;
        let values = status["values"].as_array().expect("values");
        assert!(values.len() >= 5 && values.iter().all(|values| values["key"] == newest), "{status}");

        // The old key goes, and a process that never knew it opens everything.
        keep(&[&new]);
        for (hub, _) in &mut hubs {
            assert!(hub.terminate().await.success());
        }
        let (mut hub, url) = start().await;
        assert_eq!(ids(&url).await, [newest]);
        let db = site.db().await;
        let only = Sealer::new(&[Secret::new(new.clone())]).expect("a key");
        let all = sealed_values(&db).await;
        assert!(all.len() > made, "{} values of {made} orders", all.len());
        for (place, value) in all {
            only.open(&place, &value).unwrap_or_else(|reason| panic!("{place}: {reason}"));
        }
        db.close().await;
        let after = format!("{url}/v2/service_instances/after");
        let credentials = Some((p.username.as_str(), p.password.as_str()));
        let reply = try_request(Method::PUT, &after, credentials, Some(order("ok", &json!({})))).await;
        assert_eq!(reply.map(|reply| reply.status), Some(201));
        assert!(hub.terminate().await.success());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_on_sqlite_makes_its_next_key_itself_and_one_with_a_given_key_refuses() {
    let site = Site::new(On::Sqlite).await;
    let (mut hub, url) = site.start_with(&["serve"], &[("BOURSE__SECURITY__ENCRYPTION_KEY", "")]).await;
    site.furnish(&url).await;
    let before = ids(&url).await;
    let done = finish(command(&url, &["keys", "rotate", "--new-key"])).await;
    assert_eq!(done.code, 0, "{done:?}");
    let after = ids(&url).await;
    assert!(after.len() == 2 && after[1..] == before[..], "{before:?} {after:?}");
    let status = finish(command(&url, &["keys", "status"])).await;
    let (newest, oldest) = (after[0].as_str().expect("an id"), after[1].as_str().expect("an id"));
    assert!(status.out.contains(newest) && !status.out.contains(oldest), "{status:?}");
    assert!(hub.terminate().await.success());

    let given = Site::new(On::Sqlite).await;
    let (mut hub, url) = given.start().await;
    let refused = admin(&url, Method::POST, "keys/rotate", Some(json!({"new_key": true}))).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("keys_are_given")), "{refused:?}");
    assert!(hub.terminate().await.success());
}

//! Builds on a real Buildbot: from a push to its result.

use serde_json::{Value, json};

use super::buildbot::{Master, nowhere};
use super::room::{Room, Wish, bare};

const FAILING: &str = "#!/bin/sh\necho no\nexit 1\n";

#[tokio::test]
async fn from_order_to_refused_push_with_builds_that_succeed_and_fail() {
    let master = Master::running().await;
    let room = Room::with(Wish { builds: Some(master.client()), hooks_anywhere: true, ..Wish::default() }).await;
    room.order("a", "basic", json!({"template": "static-site"})).await.unwrap();
    room.bind("a", "hook", json!({"kind": "webhook", "url": "http://127.0.0.1:1/"})).await.unwrap();
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let url = credentials["git_url"].as_str().unwrap();
    room.clone_to(url, "work").await.fine();
    assert_eq!(room.attributes("a").await["builds"], "on");

    let good = room.commit("work", "site/more.html", "<p>more</p>").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    let last = room.built("a", &good).await;
    assert_eq!((&last["state"], &last["number"], &last["branch"]), (&json!("success"), &json!(1), &json!("main")));
    assert!(last["started_at"].is_string() && last["finished_at"].is_string(), "{last}");
    assert!(last["url"].as_str().unwrap().ends_with("/builds/1"), "{last}");

    let bad = room.commit("work", "ci.sh", FAILING).await;
    room.git("work", &["push", "--quiet"]).await.fine();
    let last = room.built("a", &bad).await;
    assert_eq!((&last["state"], &last["number"]), (&json!("failure"), &json!(2)));

    // Nobody listens to the web hook: what it would hear waits.
    let db = osb::kit::Db::open(&room.path("data/devops-toolchain.db"), "").await.unwrap();
    let told = sqlx::query_scalar("select body from delivery order by number").fetch_all(db.reader()).await.unwrap();
    let told: Vec<Value> = told.iter().map(|body: &String| serde_json::from_str(body).unwrap()).collect();
    let builds: Vec<_> = told.iter().filter(|event| event["type"] == "build").map(|event| &event["state"]).collect();
    assert_eq!(builds, [&json!("success"), &json!("failure")]);

    // A build may read while it runs, not afterwards.
    let path = credentials["clone_url"].as_str().unwrap().strip_prefix(&room.url).unwrap();
    let refs = format!("{path}/info/refs?service=git-upload-pack");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"the-key-that-both-sides-know");
    let password: String =
        ring::hmac::sign(&key, b"build-1").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bare(&room.url, "GET", &refs, Some(("build-1", &password)), &[]).await.0, 401);
    let kept = master.kept();
    for canary in [password.as_str(), credentials["token"].as_str().unwrap(), "the-key-that-both-sides-know"] {
        assert!(!kept.windows(canary.len()).any(|part| part == canary.as_bytes()), "{canary} is kept by Buildbot");
    }

    room.pass(3600);
    room.git("work", &["commit", "--quiet", "--allow-empty", "--message", "late"]).await.fine();
    room.git("work", &["push", "--quiet"]).await.refused("Authentication failed");
}

#[tokio::test]
async fn a_commit_must_be_built_elsewhere_before_it_gets_into_a_branch_that_wants_that() {
    let master = Master::running().await;
    let room = Room::with(Wish { builds: Some(master.client()), ..Wish::default() }).await;
    let url = room.ready("a", json!({"branch_rules": {"required_status": true}})).await;
    room.clone_to(&url, "work").await.fine();
    let good = room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.refused("only takes commits whose build has succeeded");
    room.git("work", &["push", "--quiet", "origin", "main:proposal"]).await.fine();
    room.git("work", &["push", "--quiet"]).await.refused("only takes commits whose build has succeeded");
    assert_eq!(room.built("a", &good).await["state"], "success");
    room.git("work", &["push", "--quiet"]).await.fine();
    let bad = room.commit("work", "ci.sh", FAILING).await;
    room.git("work", &["push", "--quiet", "--force", "origin", "main:proposal"]).await.fine();
    assert_eq!(room.built("a", &bad).await["state"], "failure");
    room.git("work", &["push", "--quiet"]).await.refused("only takes commits whose build has succeeded");
}

#[tokio::test]
async fn builds_wait_for_a_ci_server_that_is_down_and_over_a_restart_of_the_broker() {
    let mut master = Master::new().await;
    let room = Room::with(Wish { builds: Some(master.client()), ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    let revision = room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.service.work().await.unwrap();
    let last = room.attributes("a").await["last_build"].take();
    assert_eq!((&last["state"], &last["revision"]), (&json!("pending"), &json!(revision)));
    assert!(last["reason"].as_str().unwrap().contains("can't be reached"), "{last}");

    let room = room.begin_again(Wish { builds: Some(master.client()), ..Wish::default() }).await;
    room.pass(10);
    master.start().await;
    assert_eq!(room.built("a", &revision).await["state"], "success");
}

#[tokio::test]
async fn nothing_is_built_where_builds_are_off_or_their_minutes_are_used_up() {
    let room = Room::with(Wish { builds: Some(nowhere()), ..Wish::default() }).await;
    let url = room.ready("a", json!({"ci": {"enabled": false}})).await;
    room.clone_to(&url, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    let shown = room.attributes("a").await;
    assert_eq!((&shown["builds"], &shown["last_build"]), (&json!("off"), &Value::Null));

    room.update("a", None, json!({"ci": {"enabled": true, "minutes_month": 1}})).await.unwrap();
    let db = osb::kit::Db::open(&room.path("data/devops-toolchain.db"), "").await.unwrap();
    let statement =
        "insert into build (repository, revision, branch, state, queued_at, next_at, started_at, finished_at)
        select resource, 'before', 'main', 'success', $1, $1, $1, $1 + 60 from repository";
    let mut writer = db.writer().await.unwrap();
    let now = super::room::START;
    sqlx::query(statement).bind(now).execute(writer.connection().unwrap()).await.unwrap();
    drop(writer);
    room.commit("work", "b.txt", "two").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.service.work().await.unwrap();
    let last = room.attributes("a").await["last_build"].take();
    assert_eq!(last["state"], "pending");
    assert!(last["reason"].as_str().unwrap().contains("used up"), "{last}");
}

#[tokio::test]
async fn with_a_limit_of_minutes_builds_go_one_by_one_and_one_that_still_runs_counts() {
    let room = Room::with(Wish { builds: Some(nowhere()), ..Wish::default() }).await;
    let url = room.ready("a", json!({"ci": {"minutes_month": 1}})).await;
    room.clone_to(&url, "work").await.fine();
    let db = osb::kit::Db::open(&room.path("data/devops-toolchain.db"), "").await.unwrap();
    let statement =
        "insert into build (repository, revision, branch, state, queued_at, next_at, started_at, request, deadline)
        select resource, 'before', 'main', 'running', $1, $1 + 9999, $1, 1, $1 + 9999 from repository";
    let mut writer = db.writer().await.unwrap();
    sqlx::query(statement).bind(super::room::START).execute(writer.connection().unwrap()).await.unwrap();
    drop(writer);
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    for (seconds, sentence) in [(0, "one by one"), (5, "one by one"), (55, "used up")] {
        room.pass(seconds);
        room.service.work().await.unwrap();
        let last = room.attributes("a").await["last_build"].take();
        assert_eq!(last["state"], "pending");
        assert!(last["reason"].as_str().unwrap().contains(sentence), "{last}");
    }
    room.update("a", None, json!({"ci": {"minutes_month": null}})).await.unwrap();
    room.pass(3600);
    room.service.work().await.unwrap();
    let last = room.attributes("a").await["last_build"].take();
    assert!(last["reason"].as_str().unwrap().contains("can't be reached"), "it is asked for: {last}");
}

#[tokio::test]
async fn what_was_pushed_just_before_the_broker_died_is_looked_at_when_it_begins_again() {
    let room = Room::with(Wish { builds: Some(nowhere()), ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    let before = room.git("work", &["rev-parse", "HEAD"]).await.fine().trim().to_owned();
    let revision = room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    // As it is on disk after the push, and before anybody looked at it.
    let db = osb::kit::Db::open(&room.path("data/devops-toolchain.db"), "").await.unwrap();
    let mut writer = db.writer().await.unwrap();
    for statement in ["delete from build", "update repository set pushed = 1"] {
        sqlx::query(statement).execute(writer.connection().unwrap()).await.unwrap();
    }
    let statement = "update branch set revision = $1";
    sqlx::query(statement).bind(&before).execute(writer.connection().unwrap()).await.unwrap();
    drop(writer);
    db.close().await;
    assert_eq!(room.attributes("a").await["last_build"], Value::Null);
    let room = room.begin_again(Wish { builds: Some(nowhere()), ..Wish::default() }).await;
    room.service.work().await.unwrap();
    let last = room.attributes("a").await["last_build"].take();
    assert_eq!((&last["state"], &last["revision"]), (&json!("pending"), &json!(revision)));
}

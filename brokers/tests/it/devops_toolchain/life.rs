//! A toolchain from its order to its end, with a real Git client.

use serde_json::{Value, json};

use super::room::{Room, START, Wish, pair, path_of};

#[tokio::test]
async fn an_order_without_parameters_is_cloned_committed_to_and_pushed_with_what_a_bind_without_parameters_gives() {
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let url = credentials["git_url"].as_str().unwrap();
    room.clone_to(url, "work").await.fine();
    for file in ["README.md", "ci.sh"] {
        assert!(room.path("work").join(file).is_file(), "{file} of the template");
    }
    let first = room.git("work", &["log", "--format=%an %ae %ct %s"]).await.fine();
    assert_eq!(first.trim(), format!("Bourse toolchain@bourse.invalid {START} Begin project from the template empty"));
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.clone_to(url, "again").await.fine();
    assert_eq!(std::fs::read_to_string(room.path("again").join("a.txt")).unwrap(), "one");

    assert!(!credentials["clone_url"].as_str().unwrap().contains('@'), "no credential is in it");
    assert_eq!(credentials["expires_at"], "2027-01-15T09:00:00Z");
    let shown = room.attributes("a").await;
    assert_eq!(shown["clone_url"], credentials["clone_url"]);
    assert_eq!((&shown["driver"], &shown["live_tokens"]), (&json!("embedded"), &json!(1)));
    assert!(shown["builds"].as_str().unwrap().contains("no CI server is connected"), "{shown}");
    assert!(!shown.to_string().contains(pair(&credentials).1.as_str()));
}

#[tokio::test]
async fn each_template_is_what_a_clone_holds() {
    let room = Room::new().await;
    for (template, file) in [("rust-service", "src/main.rs"), ("static-site", "site/index.html")] {
        let with = json!({"template": template, "name": template, "default_branch": "trunk"});
        let url = room.ready(template, with).await;
        room.clone_to(&url, template).await.fine();
        assert!(room.path(template).join(file).is_file(), "{file}");
        assert_eq!(room.git(template, &["branch", "--show-current"]).await.fine().trim(), "trunk");
        assert!(url.contains(&format!("/git/{template}-")), "the name is part of the address");
    }
}

#[tokio::test]
async fn a_token_is_of_no_use_from_its_last_second_on_and_the_one_that_took_its_place_is() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    room.pass(3599);
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    let next = room.rotate("a", "b2", "b").await.unwrap();
    assert_ne!(next["token"], pair(&room.bind("a", "b", Value::Null).await.unwrap()).1);
    room.git("work", &["fetch", "--quiet"]).await.fine();
    room.pass(1);
    room.commit("work", "b.txt", "two").await;
    room.git("work", &["push", "--quiet"]).await.refused("Authentication failed");
    let next = next["git_url"].as_str().unwrap();
    room.git("work", &["push", "--quiet", next, "main"]).await.fine();
    room.unbind("a", "b2").await.unwrap();
    room.git("work", &["fetch", "--quiet", next]).await.refused("Authentication failed");
}

#[tokio::test]
async fn a_retired_toolchain_lets_nobody_in_and_is_kept_as_a_bundle_until_it_is_destroyed() {
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    let credentials = room.bind("a", "b", json!({"ttl": "PT24H"})).await.unwrap();
    let (username, token) = pair(&credentials);
    let refs = format!("{}/info/refs?service=git-upload-pack", path_of(&room, &credentials));
    assert_eq!(room.status("GET", &refs, Some((&username, &token))).await, 200);
    room.unbind("a", "b").await.unwrap();
    assert_eq!(room.status("GET", &refs, Some((&username, &token))).await, 401);
    let credentials = room.bind("a", "c", json!({"ttl": "PT24H"})).await.unwrap();
    let (username, token) = pair(&credentials);
    room.delete("a").await.unwrap();
    assert_eq!(room.status("GET", &refs, Some((&username, &token))).await, 401);

    let kept = |folder: &str| std::fs::read_dir(room.path("data").join(folder)).unwrap().flatten().count();
    assert_eq!((kept("repos"), kept("exports")), (1, 1));
    let bundle = std::fs::read_dir(room.path("data/exports")).unwrap().next().unwrap().unwrap().path();
    room.clone_to(bundle.to_str().unwrap(), "from-bundle").await.fine();
    assert!(room.path("from-bundle/ci.sh").is_file());
    room.pass(30 * 24 * 3600);
    room.broker.tend().await;
    assert_eq!((kept("repos"), kept("exports")), (0, 0));
    room.order("a", "basic", Value::Null).await.unwrap();
}

#[tokio::test]
async fn a_retired_toolchain_that_is_taken_into_use_again_has_its_history_and_no_tokens() {
    let room = Room::new().await;
    let old = room.ready("a", Value::Null).await;
    room.clone_to(&old, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.delete("a").await.unwrap();
    let [retained] = room.broker.retained().await.unwrap().try_into().unwrap();
    room.broker.restore(&retained.resource).await.unwrap();
    room.git("work", &["fetch", "--quiet"]).await.refused("Authentication failed");
    let new = room.bind("a", "b2", Value::Null).await.unwrap();
    room.clone_to(new["git_url"].as_str().unwrap(), "again").await.fine();
    room.commit("again", "b.txt", "two").await;
    room.git("again", &["push", "--quiet"]).await.fine();
    // What is kept at the next deletion is how it is then.
    room.delete("a").await.unwrap();
    let bundle = std::fs::read_dir(room.path("data/exports")).unwrap().next().unwrap().unwrap().path();
    room.clone_to(bundle.to_str().unwrap(), "from-bundle").await.fine();
    assert!(room.path("from-bundle/a.txt").is_file() && room.path("from-bundle/b.txt").is_file());
}

#[tokio::test]
async fn everything_is_there_after_a_restart_but_for_another_address() {
    let room = Room::new().await;
    room.order("a", "basic", json!({"members": [{"group": "developers", "role": "maintain"}]})).await.unwrap();
    let (username, token) = pair(&room.bind("a", "b", Value::Null).await.unwrap());
    let room = room.begin_again(Wish::default()).await;
    let shown = room.attributes("a").await;
    assert_eq!(shown["members"], json!([{"group": "developers", "role": "maintain"}]));
    let url = shown["clone_url"].as_str().unwrap().replace("http://", &format!("http://{username}:{token}@"));
    room.clone_to(&url, "work").await.fine();
}

#[tokio::test]
async fn what_is_settled_can_not_be_changed_and_the_rest_is() {
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    for with in [json!({"name": "other"}), json!({"template": "static-site"}), json!({"default_branch": "trunk"})] {
        let refused = room.update("a", None, with).await.unwrap_err();
        assert_eq!(refused.status, 422);
        assert!(refused.body.description.as_option().unwrap().contains("can't be changed"), "{refused:?}");
    }
    let with = json!({"members": [{"group": "ops"}], "branch_rules": {"linear_history": true}, "secrets": "vault-1"});
    room.update("a", None, with).await.unwrap();
    let shown = room.attributes("a").await;
    assert_eq!(shown["members"], json!([{"group": "ops", "role": "write"}]));
    assert_eq!((&shown["branch_rules"]["linear_history"], &shown["secrets"]), (&json!(true), &json!("vault-1")));
    room.update("a", Some("regulated"), json!({"branch_rules": {"push": "maintain"}})).await.unwrap();
    let refused = room.update("a", None, json!({"branch_rules": {"allow_force_push": true}})).await.unwrap_err();
    assert!(refused.body.description.as_option().unwrap().contains("plan regulated"), "{refused:?}");
    let refused = room.order("b", "basic", json!({"branch_rules": {"required_status": true}})).await.unwrap_err();
    assert!(refused.body.description.as_option().unwrap().contains("needs builds"), "{refused:?}");
    let refused = room.bind("a", "b", json!({"kind": "runner"})).await.unwrap_err();
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn meters_read_bytes_build_seconds_and_tokens() {
    use sqlx::Row as _;
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    room.bind("a", "c", Value::Null).await.unwrap();
    room.clone_to(&url, "work").await.fine();
    room.pass(3601);
    room.broker.tend().await;
    let db = osb::kit::Db::open(&room.path("data/devops-toolchain.db"), "").await.unwrap();
    let rows = sqlx::query("select event from kit_usage order by number").fetch_all(db.reader()).await.unwrap();
    let events: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row.get("event")).unwrap()).collect();
    let last = |meter: &str| {
        let found = events.iter().rev().find(|event| event["data"]["meter"] == meter).unwrap();
        found["data"]["quantity"].as_str().unwrap().parse::<u64>().unwrap()
    };
    assert!(last("repo_bytes") > 100);
    assert_eq!((last("ci_seconds"), last("tokens_issued")), (0, 2));
}

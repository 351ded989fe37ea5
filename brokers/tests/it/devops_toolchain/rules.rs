//! What holds on the default branch, by a real Git client's pushes.

use serde_json::{Value, json};

use super::room::Room;

/// Makes another history of the clone: its last commit is replaced.
async fn rewrite(room: &Room, clone: &str, how: &str) {
    std::fs::write(room.path(clone).join("rewritten.txt"), how).unwrap();
    room.git(clone, &["add", "--all"]).await.fine();
    room.git(clone, &["commit", "--quiet", "--amend", "--message", "rewritten"]).await.fine();
}

/// Makes a merge commit on `main`.
async fn merge(room: &Room, clone: &str) {
    room.git(clone, &["checkout", "--quiet", "-b", "side"]).await.fine();
    room.commit(clone, "side.txt", "x").await;
    room.git(clone, &["checkout", "--quiet", "main"]).await.fine();
    room.git(clone, &["merge", "--quiet", "--no-ff", "--message", "merged", "side"]).await.fine();
}

#[tokio::test]
async fn the_default_branch_is_neither_rewritten_nor_deleted_and_other_branches_are() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    rewrite(&room, "work", "one").await;
    let forced = room.git("work", &["push", "--quiet", "--force"]).await;
    forced.refused("main is protected: its history can't be rewritten");
    room.git("work", &["push", "--quiet", "origin", ":main"]).await.refused("deletion of the current branch");
    room.git("work", &["push", "--quiet", "origin", "main:other"]).await.fine();
    rewrite(&room, "work", "two").await;
    room.git("work", &["push", "--quiet", "--force", "origin", "main:other", "main:refs/tags/v1"]).await.fine();
    room.git("work", &["push", "--quiet", "origin", ":other"]).await.fine();
    let odd = room.git("work", &["push", "--quiet", "origin", "main:refs/builds/x"]).await;
    odd.refused("only branches and tags can be pushed");
    let listed = room.git("work", &["ls-remote", "origin"]).await.fine();
    assert!(listed.contains("refs/tags/v1") && !listed.contains("other") && !listed.contains("builds"), "{listed}");
}

#[tokio::test]
async fn rules_hold_from_the_update_on_that_brings_them() {
    let room = Room::new().await;
    let url = room.ready("a", json!({"branch_rules": {"allow_force_push": true}})).await;
    room.clone_to(&url, "work").await.fine();
    rewrite(&room, "work", "three").await;
    room.git("work", &["push", "--quiet", "--force"]).await.fine();
    room.update("a", None, json!({"branch_rules": {"allow_force_push": false, "linear_history": true}})).await.unwrap();
    rewrite(&room, "work", "four").await;
    room.git("work", &["push", "--quiet", "--force"]).await.refused("can't be rewritten");
    room.git("work", &["reset", "--quiet", "--hard", "origin/main"]).await.fine();
    merge(&room, "work").await;
    room.git("work", &["push", "--quiet"]).await.refused("kept linear");
    room.update("a", None, json!({"branch_rules": {"protected": false}})).await.unwrap();
    room.git("work", &["push", "--quiet"]).await.fine();
}

#[tokio::test]
async fn in_plan_regulated_only_maintainers_move_the_default_branch() {
    let room = Room::new().await;
    room.order("a", "regulated", Value::Null).await.unwrap();
    let writer = room.bind("a", "w", Value::Null).await.unwrap();
    let maintainer = room.bind("a", "m", json!({"role": "maintain"})).await.unwrap();
    let (writer, maintainer) = (writer["git_url"].as_str().unwrap(), maintainer["git_url"].as_str().unwrap());
    room.clone_to(writer, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.refused("only role maintain may push to it");
    room.git("work", &["push", "--quiet", "origin", "main:proposal"]).await.fine();
    room.git("work", &["push", "--quiet", maintainer, "main"]).await.fine();
    merge(&room, "work").await;
    room.git("work", &["push", "--quiet", maintainer, "main"]).await.refused("kept linear");
}

#[tokio::test]
async fn pushes_at_once_to_branches_of_their_own_all_arrive_and_of_those_to_one_branch_one_does() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    let clones = ["c1", "c2", "c3", "c4"];
    for clone in clones {
        room.clone_to(&url, clone).await.fine();
        room.commit(clone, &format!("{clone}.txt"), clone).await;
    }
    let to = clones.map(|clone| format!("main:{clone}"));
    let [one, two, three, four] = &to;
    let push = async |clone, to: &str| room.git(clone, &["push", "--quiet", "origin", to]).await;
    let (a, b, c, d) = tokio::join!(push("c1", one), push("c2", two), push("c3", three), push("c4", four));
    for said in [a, b, c, d] {
        said.fine();
    }
    let (a, b) = tokio::join!(push("c1", "main"), push("c2", "main"));
    assert!(a.ok ^ b.ok, "{a:?} {b:?}");
    let listed = room.git("c1", &["ls-remote", "--heads", "origin"]).await.fine();
    assert_eq!(listed.lines().count(), 5, "{listed}");
}

//! Many branches: how many there may be, and that those that are there are in no deletion's way.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::room::Room;

/// The only repository's directory.
fn repository(room: &Room) -> PathBuf {
    std::fs::read_dir(room.path("data/repos")).unwrap().next().unwrap().unwrap().path()
}

/// So many branches more, at that commit, as Git keeps them.
fn write_branches(room: &Room, count: usize, revision: &str) {
    let mut packed = String::new();
    for number in 0..count {
        writeln!(packed, "{revision} refs/heads/b{number:06}").unwrap();
    }
    std::fs::write(repository(room).join("packed-refs"), packed).unwrap();
}

#[tokio::test]
async fn a_push_that_leads_to_more_than_a_thousand_branches_and_tags_is_refused() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    let head = room.git("work", &["rev-parse", "HEAD"]).await.fine();
    write_branches(&room, 998, head.trim());
    let two = ["push", "--quiet", "origin", "HEAD:refs/heads/x", "HEAD:refs/tags/y"];
    room.git("work", &two).await.refused("at most 1000 branches and tags");
    let both = [&two[..1], &["--atomic"], &two[1..]].concat();
    assert!(!room.git("work", &both).await.ok);
    room.git("work", &["push", "--quiet", "origin", "HEAD:refs/tags/y"]).await.fine();
    room.git("work", &["push", "--quiet", "origin", "HEAD:refs/heads/x"]).await.refused("delete some first");
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.git("work", &["push", "--quiet", "origin", ":b000001"]).await.fine();
    room.git("work", &["push", "--quiet", "origin", "HEAD:refs/heads/x"]).await.fine();
}

#[tokio::test]
async fn a_toolchain_with_more_branches_than_are_looked_at_is_deleted_and_bundled() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    write_branches(&room, 10_001, room.git("work", &["rev-parse", "HEAD"]).await.fine().trim());
    room.delete("a").await.unwrap();
    let bundle = std::fs::read_dir(room.path("data/exports")).unwrap().next().unwrap().unwrap().path();
    let heads = room.git("work", &["bundle", "list-heads", bundle.to_str().unwrap()]).await.fine();
    assert!(heads.contains("refs/heads/b010000"));
}

#[tokio::test]
async fn a_toolchain_whose_bundle_can_not_be_made_is_deleted_and_destroyed_all_the_same() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    std::fs::remove_dir_all(repository(&room).join("objects")).unwrap();
    std::fs::create_dir(repository(&room).join("objects")).unwrap();
    room.delete("a").await.unwrap();
    assert!(!room.clone_to(&url, "work").await.ok, "nobody gets in");
    let kept = |folder: &str| std::fs::read_dir(room.path("data").join(folder)).unwrap().flatten().count();
    assert_eq!((kept("repos"), kept("exports")), (1, 0));
    room.pass(30 * 24 * 3600);
    room.broker.tend().await;
    assert_eq!((kept("repos"), kept("exports")), (0, 0));
}

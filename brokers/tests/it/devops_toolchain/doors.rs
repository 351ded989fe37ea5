//! Who gets in, and what a request may hold.

use std::time::Duration;

use base64::Engine as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use bourse_brokers::devops_toolchain::Limits;

use super::room::{Room, Wish, bare, pair, path_of};

const FETCH: &str = "info/refs?service=git-upload-pack";
const PUSH: &str = "info/refs?service=git-receive-pack";

#[tokio::test]
async fn nobody_gets_in_without_a_token_of_the_repository_with_the_right_role() {
    let room = Room::new().await;
    for id in ["a", "b"] {
        room.order(id, "basic", Value::Null).await.unwrap();
    }
    let writer = room.bind("a", "w", Value::Null).await.unwrap();
    let reader = room.bind("a", "r", json!({"role": "read"})).await.unwrap();
    let other = room.bind("b", "w", Value::Null).await.unwrap();
    let path = path_of(&room, &writer);
    let [writer, reader, other] = [&writer, &reader, &other].map(pair);
    let status =
        async |basic: Option<(&str, &str)>, what: &str| room.status("GET", &format!("{path}/{what}"), basic).await;

    assert_eq!(status(None, FETCH).await, 401, "nobody");
    assert_eq!(status(Some((&writer.0, "bdt_wrong")), FETCH).await, 401, "a wrong token");
    assert_eq!(status(Some((&writer.0, "")), FETCH).await, 401, "no token");
    assert_eq!(status(Some(("", &writer.1)), FETCH).await, 401, "a token without its user name");
    assert_eq!(status(Some((&other.0, &writer.1)), FETCH).await, 401, "a token under another's user name");
    assert_eq!(status(Some(("build-1", "00")), FETCH).await, 401, "a build where there are none");
    assert_eq!(status(Some((&other.0, &other.1)), FETCH).await, 404, "another tenant's token");
    assert_eq!(status(Some((&other.0, &other.1)), PUSH).await, 404);
    assert_eq!(status(Some((&reader.0, &reader.1)), FETCH).await, 200);
    assert_eq!(status(Some((&reader.0, &reader.1)), PUSH).await, 403);
    assert_eq!(room.status("POST", &format!("{path}/git-receive-pack"), Some((&reader.0, &reader.1))).await, 403);
    assert_eq!(status(Some((&writer.0, &writer.1)), PUSH).await, 200);

    // The broker's own door and that of repositories are two: neither takes what the other wants.
    assert_eq!(status(Some(super::room::PAIR), FETCH).await, 401);
    assert_eq!(room.status("GET", "/v2/catalog", Some((&writer.0, &writer.1))).await, 401);
}

#[tokio::test]
async fn no_path_but_the_three_of_smart_http_leads_anywhere() {
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    room.order("b", "basic", Value::Null).await.unwrap();
    let (own, other) =
        (room.bind("a", "w", Value::Null).await.unwrap(), room.bind("b", "w", Value::Null).await.unwrap());
    let (username, token) = pair(&own);
    let slug = path_of(&room, &own).trim_start_matches("/git/").trim_end_matches(".git").to_owned();
    let foreign = path_of(&room, &other).trim_start_matches("/git/").trim_end_matches(".git").to_owned();
    let piece = prop_oneof![
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("%2E%2e%2f".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just("%00".to_owned()),
        Just("repos".to_owned()),
        Just("etc/passwd".to_owned()),
        Just("devops-toolchain.db".to_owned()),
        Just("config".to_owned()),
        Just("HEAD".to_owned()),
        Just("objects/info/packs".to_owned()),
        Just("info/refs".to_owned()),
        Just("git-upload-pack".to_owned()),
        Just(format!("{slug}.git")),
        Just(format!("{slug}%2egit")),
        Just(format!("{foreign}.git")),
        "[a-zA-Z0-9._~%-]{1,12}",
    ];
    let paths = (prop::collection::vec(piece, 1..6), any::<bool>());
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let strange = std::sync::Mutex::new(Vec::new());
    runner
        .run(&paths, |(pieces, query)| {
            let query = if query { "?service=git-upload-pack" } else { "" };
            strange.lock().unwrap().push(format!("/git/{}{query}", pieces.join("/")));
            Ok(())
        })
        .unwrap();
    let right = format!("/git/{slug}.git/info/refs?service=git-upload-pack");
    let strange = strange.into_inner().unwrap();
    for path in strange.iter().filter(|path| **path != right) {
        let (status, answer) = bare(&room.url, "GET", path, Some((&username, &token)), &[]).await;
        assert!((400..500).contains(&status), "{path}: {status} {answer}");
        assert!(!answer.contains("refs/heads") && !answer.contains("root:"), "{path}: {answer}");
    }
    assert_eq!(room.status("GET", &right, Some((&username, &token))).await, 200);
    for path in [format!("//git/{slug}.git/info/refs?service=git-upload-pack"), "/git".to_owned(), "/git/".to_owned()] {
        let status = room.status("GET", &path, Some((&username, &token))).await;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

/// What can't be compressed much.
fn noise(bytes: usize) -> String {
    use ring::rand::SecureRandom as _;
    let mut drawn = vec![0; bytes];
    ring::rand::SystemRandom::new().fill(&mut drawn).unwrap();
    drawn.into_iter().map(|byte| char::from(b'!' + byte % 94)).collect()
}

#[tokio::test]
async fn a_push_is_bounded_by_itself_and_by_what_the_repository_holds() {
    let limits = Limits { repository_bytes: 600_000, push_bytes: 400_000, ..Limits::default() };
    let room = Room::with(Wish { limits, ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    room.git("work", &["config", "core.compression", "0"]).await.fine();
    room.commit("work", "large.bin", &noise(500_000)).await;
    let refused = room.git("work", &["push", "--quiet"]).await;
    assert!(!refused.ok, "more than a push may bring: {}", refused.text);
    room.git("work", &["reset", "--quiet", "--hard", "origin/main"]).await.fine();
    room.commit("work", "half.bin", &noise(350_000)).await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.commit("work", "other.bin", &noise(350_000)).await;
    let refused = room.git("work", &["push", "--quiet"]).await;
    assert!(!refused.ok, "more than the repository may hold: {}", refused.text);
    assert!(room.attributes("a").await["repo_bytes"].as_u64().unwrap() <= 600_000);
    let listed = room.git("work", &["ls-remote", "--heads", "origin"]).await.fine();
    assert!(listed.contains(room.git("work", &["rev-parse", "HEAD~1"]).await.fine().trim()), "the rest still works");
}

#[tokio::test]
async fn both_versions_of_the_protocol_and_compressed_and_chunked_bodies_work() {
    let room = Room::new().await;
    let url = room.ready("a", Value::Null).await;
    for version in ["0", "2"] {
        let clone = format!("v{version}");
        room.clone_to(&url, &clone).await.fine();
        room.git(&clone, &["config", "protocol.version", version]).await.fine();
        // More than what Git sends in one piece, so that the body comes in chunks.
        room.git(&clone, &["config", "http.postBuffer", "65536"]).await.fine();
        room.git(&clone, &["config", "core.compression", "0"]).await.fine();
        room.commit(&clone, &format!("{clone}.txt"), &clone.repeat(100_000)).await;
        // Many refs wanted make a request of more than 1,024 bytes, which Git compresses.
        for branch in 0..40 {
            room.commit(&clone, "n.txt", &format!("{clone} {branch}")).await;
            room.git(&clone, &["branch", &format!("b{branch}-{version}")]).await.fine();
        }
        room.git(&clone, &["push", "--quiet", "origin", "--all"]).await.fine();
        let traced = room.traced_clone(&url, &format!("{clone}-again")).await.fine();
        assert!(traced.contains("content-encoding: gzip"), "the body was compressed");
        let listed = room.git(&format!("{clone}-again"), &["branch", "--remotes"]).await.fine();
        assert!(listed.contains(&format!("b39-{version}")), "{listed}");
        room.git(&clone, &["fetch", "--quiet"]).await.fine();
        room.git(&clone, &["reset", "--quiet", "--hard", "origin/main"]).await.fine();
    }
}

#[tokio::test]
async fn what_is_no_git_request_is_answered_and_harms_nobody() {
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    let credentials = room.bind("a", "w", Value::Null).await.unwrap();
    let (path, (username, token)) = (path_of(&room, &credentials), pair(&credentials));
    for body in [&b""[..], b"0000", b"ffff", b"\x1f\x8b\x08garbage", &[0; 5000]] {
        for verb in ["git-upload-pack", "git-receive-pack"] {
            let (status, _) = bare(&room.url, "POST", &format!("{path}/{verb}"), Some((&username, &token)), body).await;
            assert_ne!(status, 0, "{verb} was answered");
        }
    }
    let status = room.status("GET", &format!("{path}/{FETCH}"), Some((&username, &token))).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_client_that_stalls_is_let_go_and_those_who_wait_for_its_turn_get_theirs() {
    use tokio::io::AsyncReadExt as _;
    let limits = Limits { exchanges: 1, exchange: Duration::from_secs(2), ..Limits::default() };
    let room = Room::with(Wish { limits, ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let (path, (username, token)) = (path_of(&room, &credentials), pair(&credentials));
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{token}"));
    let mut stalled = stall(&room, &path, &basic).await;
    room.clone_to(&url, "work").await.fine();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stalled.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection was closed");
}

/// A request to that path whose body never comes.
async fn stall(room: &Room, path: &str, basic: &str) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt as _;
    let mut stalled = tokio::net::TcpStream::connect(room.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST {path}/git-receive-pack HTTP/1.1\r\nHost: b\r\nAuthorization: Basic {basic}\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000\r\n\r\n"
    );
    stalled.write_all(head.as_bytes()).await.unwrap();
    stalled
}

#[tokio::test]
async fn those_who_stall_in_one_repository_take_nobody_elses_turns() {
    let limits = Limits { exchanges: 4, ..Limits::default() };
    let room = Room::with(Wish { limits, ..Wish::default() }).await;
    room.order("a", "basic", Value::Null).await.unwrap();
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let (path, (username, token)) = (path_of(&room, &credentials), pair(&credentials));
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{token}"));
    let mut stalled = Vec::new();
    for _ in 0..8 {
        stalled.push(stall(&room, &path, &basic).await);
    }
    let other = room.ready("b", Value::Null).await;
    let cloned = tokio::time::timeout(Duration::from_secs(20), room.clone_to(&other, "other")).await;
    cloned.expect("it waits for nobody").fine();
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    use tokio::io::AsyncWriteExt as _;
    let limits = Limits { exchanges: 1, idle: Duration::from_secs(1), ..Limits::default() };
    let room = Room::with(Wish { limits, ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let (path, (username, token)) = (path_of(&room, &credentials), pair(&credentials));
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{token}"));
    room.clone_to(&url, "work").await.fine();
    let head = room.commit("work", "large.bin", &noise(24 << 20)).await;
    room.git("work", &["push", "--quiet"]).await.fine();
    let body = format!("0032want {head}\n00000009done\n");
    let mut deaf = tokio::net::TcpStream::connect(room.url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!(
        "POST {path}/git-upload-pack HTTP/1.1\r\nHost: b\r\nAuthorization: Basic {basic}\r\nContent-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    deaf.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 15];
    tokio::io::AsyncReadExt::read_exact(&mut deaf, &mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let listed = tokio::time::timeout(Duration::from_secs(20), room.git("work", &["ls-remote", "origin"])).await;
    listed.expect("its turn is free again").fine();
}

#[tokio::test]
async fn a_push_that_takes_too_long_is_over_with_all_that_it_started_when_the_client_hears_of_it() {
    let limits = Limits { exchange: Duration::from_secs(3), ..Limits::default() };
    let room = Room::with(Wish { limits, ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    room.clone_to(&url, "work").await.fine();
    let started = room.path("started");
    let hook = format!("#!/bin/sh\necho $$ >{}\nexec sleep 600\n", started.display());
    std::fs::write(room.path("data/hooks/update"), hook).unwrap();
    room.commit("work", "a.txt", "one").await;
    assert!(!room.git("work", &["push", "--quiet"]).await.ok);
    let process = std::fs::read_to_string(started).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the hook lives on: {stat}");
    let before = room.git("work", &["rev-parse", "HEAD~1"]).await.fine();
    assert!(room.git("work", &["ls-remote", "origin", "main"]).await.fine().contains(before.trim()));
}

#[tokio::test]
async fn a_push_whose_body_is_compressed_is_refused() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let room = Room::new().await;
    room.order("a", "basic", Value::Null).await.unwrap();
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let (path, (username, token)) = (path_of(&room, &credentials), pair(&credentials));
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{token}"));
    let cases = [
        ("git-receive-pack", "gzip", true),
        ("git-receive-pack", "identity, gzip", true),
        ("git-receive-pack", "identity", false),
        ("git-upload-pack", "gzip", false),
        ("git-upload-pack", "deflate", true),
    ];
    for (verb, encoding, refused) in cases {
        let mut stream = tokio::net::TcpStream::connect(room.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "POST {path}/{verb} HTTP/1.1\r\nHost: b\r\nConnection: close\r\nAuthorization: Basic {basic}\r\nContent-Encoding: {encoding}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // An exchange without a body may end in the middle.
        stream.read_to_end(&mut answer).await.ok();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 "), "{verb} {encoding} was answered");
        // Git's own 415, for want of a content type, says something else.
        let ours = answer.contains("must not be compressed") || answer.contains("only gzip is understood");
        assert_eq!(ours, refused, "{verb} {encoding}: {answer}");
        assert!(!refused || answer.starts_with("HTTP/1.1 415 "), "{answer}");
    }
}

#[tokio::test]
async fn no_token_is_in_the_database_or_any_other_file_in_clear() {
    let room = Room::with(Wish { hooks_anywhere: true, ..Wish::default() }).await;
    let url = room.ready("a", Value::Null).await;
    let credentials = room.bind("a", "b", Value::Null).await.unwrap();
    let hook = room.bind("a", "h", json!({"kind": "webhook", "url": "http://127.0.0.1:9/hook"})).await.unwrap();
    let canaries = [pair(&credentials).1, hook["secret"].as_str().unwrap().trim_start_matches("whsec_").to_owned()];
    room.clone_to(&url, "work").await.fine();
    room.commit("work", "a.txt", "one").await;
    room.git("work", &["push", "--quiet"]).await.fine();
    room.service.work().await.unwrap();
    let mut open = vec![room.path("data")];
    let mut looked_at = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.metadata().unwrap().is_dir() {
                open.push(entry.path());
                continue;
            }
            looked_at += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            for canary in &canaries {
                let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!found, "{} is in {}", canary, entry.path().display());
            }
        }
    }
    assert!(looked_at > 5);
    assert!(!format!("{:?}", room.broker).contains(&canaries[0]));
}

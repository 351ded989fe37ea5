//! What hosts fetch, beside `/v2`.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::site::Site;
use super::sshd::key;

/// Head and body of a GET with more header lines.
async fn get(address: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

fn etag(head: &str) -> String {
    head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned()
}

#[tokio::test]
async fn hosts_fetch_lists_and_keys_without_a_lock_and_again_only_when_they_changed() {
    let site = Site::new().await;
    let address = site.running.address();
    let (_, public) = key(site.directory.path(), "id", "ed25519").await;
    site.order("b", json!({})).await.unwrap();
    let given = site.bind("b", "one", json!({"public_key": public})).await.unwrap();
    let base = format!("/bastions/{}", site.resource("b").await);

    let (head, body) = get(address, &format!("{base}/user-ca.pub"), "").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/plain"), "{head}");
    assert_eq!(body, given["user_ca_public_key"].as_str().unwrap().as_bytes());
    let (_, host_ca) = get(address, &format!("{base}/host-ca.pub"), "").await;
    let line = String::from_utf8(host_ca).unwrap();
    assert_eq!(given["known_hosts"], format!("@cert-authority * {line}"));

    let path = format!("{base}/krl");
    let (head, body) = get(address, &path, "").await;
    assert_eq!(body, std::fs::read(site.krl_file("b").await).unwrap());
    let known = etag(&head);
    let (head, body) = get(address, &path, &format!("If-None-Match: {known}\r\n")).await;
    assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{head}");
    site.unbind("b", "one", 0).await;
    let (head, body) = get(address, &path, &format!("If-None-Match: {known}\r\n")).await;
    assert!(head.starts_with("http/1.1 200") && etag(&head) != known, "{head}");
    assert_eq!(body, std::fs::read(site.krl_file("b").await).unwrap());

    for path in ["/bastions/nobody/krl", "/bastions/..%2f..%2fbastion.key/krl", "/bastions/nobody/user-ca.pub"] {
        assert!(get(address, path, "").await.0.starts_with("http/1.1 404"), "{path}");
    }
}

#[tokio::test]
async fn a_deleted_bastion_vouches_for_nobody_until_its_retention_ends_and_then_is_gone() {
    let site = Site::new().await;
    site.order("b", json!({"retention_days": 2})).await.unwrap();
    let (base, krl) = (format!("/bastions/{}", site.resource("b").await), site.krl_file("b").await);
    let address = site.running.address();
    site.delete("b").await.unwrap();
    let (_, body) = get(address, &format!("{base}/user-ca.pub"), "").await;
    assert_eq!(String::from_utf8(body).unwrap(), "# this bastion was deleted: it vouches for nobody\n");
    assert_eq!(get(address, &format!("{base}/krl"), "").await.1, std::fs::read(&krl).unwrap());
    site.advance(86_400);
    site.broker.tend().await;
    assert!(krl.exists(), "one of two days");
    site.advance(86_400);
    site.broker.tend().await;
    assert!(!krl.exists());
    assert!(get(address, &format!("{base}/krl"), "").await.0.starts_with("http/1.1 404"));
}

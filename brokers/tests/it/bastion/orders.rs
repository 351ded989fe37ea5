//! Orders through the trait: certificates as ssh-keygen shows them, rotation, keys that are replaced, meters, and what lies on
//! disk.

use std::path::Path;

use base64::Engine as _;
use bourse_brokers::bastion::Verdict;
use osb::{Call, Error, Maybe, ServiceBroker as _};
use serde_json::{Value, json};

use super::site::{Site, write_files};
use super::sshd::{key, run_well};
use crate::support::object;

#[track_caller]
fn check_refused<T: std::fmt::Debug>(outcome: Result<T, Error>, status: u16, sentence: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.status, status, "{error}");
    assert!(error.description().is_some_and(|description| description.contains(sentence)), "{error}");
}

/// What `ssh-keygen -L` shows of a certificate, without indentation.
async fn shown(directory: &Path, given: &osb::Object) -> Vec<String> {
    write_files(directory, given);
    let text = run_well("ssh-keygen", &["-L", "-f", "certificate"], directory).await;
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn section<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
    let from = lines.iter().position(|line| line.starts_with(name)).unwrap() + 1;
    lines[from..].iter().take_while(|line| !line.contains(':')).map(String::as_str).collect()
}

#[tokio::test]
async fn a_certificate_says_who_as_whom_from_where_and_how_long_and_nothing_more() {
    let site = Site::new().await;
    let root = site.directory.path().join("user");
    std::fs::create_dir_all(&root).unwrap();
    let with = json!({
        "source_cidrs": ["192.0.2.7/24", "2001:db8::/32"], "force_command": "/usr/bin/uptime -p",
        "principals": ["deploy", "operator"], "allow": {"port_forward": true},
    });
    site.order("b", with).await.unwrap();
    for kind in ["ed25519", "ecdsa"] {
        let (_, public) = key(&root, kind, kind).await;
        let mut request = Site::bind_request("b", kind, 0, json!({"public_key": public, "ttl": "PT1H"}));
        request.context = Maybe::Present(object(json!({"bourse": {"tenant": {"id": "t-1", "name": "retail"}}})));
        let user = json!({"username": "Eve: \n\"x\""}).to_string();
        let identity = format!("bourse {}", base64::prelude::BASE64_STANDARD.encode(user));
        let call = Call { originating_identity: Some(osb::OriginatingIdentity(identity)), ..Call::default() };
        let osb::Bound::Created(response) = site.broker.bind(&call, request).await.unwrap() else { panic!("201") };
        let metadata = response.metadata.into_option().unwrap();
        let given = response.credentials.into_option().unwrap();
        let lines = shown(&root.join(format!("given-{kind}")), &given).await;
        assert!(lines.contains(&format!("Key ID: \"bourse:retail:Eve____x_:{kind}\"")), "{lines:?}");
        assert!(lines.contains(&format!("Serial: {}", given["serial"])), "{lines:?}");
        assert_eq!(section(&lines, "Principals"), ["deploy", "operator"]);
        let options = section(&lines, "Critical Options");
        assert_eq!(options[0], "force-command /usr/bin/uptime -p", "{lines:?}");
        assert!(lines.iter().any(|line| line == "source-address 192.0.2.0/24,2001:db8::/32"), "{lines:?}");
        assert_eq!(section(&lines, "Extensions"), ["permit-port-forwarding", "permit-pty"]);
        let expires = metadata["expires_at"].as_str().unwrap();
        assert_eq!(expires.replace(".0Z", "Z"), given["valid_before"].as_str().unwrap());
        assert!(metadata["renew_before"].as_str().unwrap() < expires);
    }
}

/// A public key of a security key: its private half needs the hardware, its public half is only a point and a name.
fn security_key() -> String {
    let mut blob = Vec::new();
    for part in [b"sk-ssh-ed25519@openssh.com".as_slice(), &[7; 32], b"ssh:"] {
        blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend(part);
    }
    format!("sk-ssh-ed25519@openssh.com {} me", base64::prelude::BASE64_STANDARD.encode(blob))
}

#[tokio::test]
async fn keys_of_security_keys_are_certified_and_rsa_and_private_keys_are_not() {
    let site = Site::new().await;
    site.order("b", Value::Null).await.unwrap();
    let root = site.directory.path().join("user");
    std::fs::create_dir_all(&root).unwrap();
    let given = site.bind("b", "sk", json!({"public_key": security_key()})).await.unwrap();
    let lines = shown(&root, &given).await;
    assert!(
        lines.iter().any(|line| line.contains("sk-ssh-ed25519-cert-v01@openssh.com user certificate")),
        "{lines:?}"
    );
    let (_, rsa) = key(&root, "rsa", "rsa").await;
    check_refused(site.bind("b", "rsa", json!({"public_key": rsa})).await, 400, "must be an ed25519 or ecdsa key");
    let (private, _) = key(&root, "mine", "ed25519").await;
    let secret = std::fs::read_to_string(private).unwrap();
    let refused = site.bind("b", "oops", json!({"public_key": secret})).await;
    check_refused(refused, 400, "holds a private key: it was not kept here");
    site.broker.close().await;
    let middle = secret.lines().nth(2).unwrap();
    for entry in ["bastion.db", "bastion.db-wal"] {
        let bytes = std::fs::read(site.directory.path().join(entry)).unwrap_or_default();
        assert!(!bytes.windows(middle.len()).any(|part| part == middle.as_bytes()), "{entry}");
    }
}

#[tokio::test]
async fn a_bind_without_a_key_lets_nobody_in_and_tells_a_host_all_it_needs() {
    let site = Site::new().await;
    site.order("b", Value::Null).await.unwrap();
    let response = site.bound(Site::bind_request("b", "t", 0, Value::Null)).await.unwrap();
    assert_eq!(response.metadata, Maybe::Absent, "there is nothing that expires");
    let given = response.credentials.into_option().unwrap();
    assert!(given.get("certificate").is_none());
    for line in ["TrustedUserCAKeys", "RevokedKeys", "AuthorizedPrincipalsFile", "PasswordAuthentication no"] {
        assert!(given["sshd_config"].as_str().unwrap().contains(line), "{line}");
    }
    assert_eq!(site.shown("b").await["live_grants"], 0);
    assert_eq!(site.shown("b").await["certificates_issued"], 0);
}

#[tokio::test]
async fn a_rotation_certifies_the_same_key_again_and_both_are_good_until_they_expire() {
    let site = Site::new().await;
    let (_, public) = key(site.directory.path(), "id", "ed25519").await;
    site.order("b", Value::Null).await.unwrap();
    let first = site.bind("b", "one", json!({"public_key": public})).await.unwrap();
    site.advance(600);
    let mut rotation = Site::bind_request("b", "two", 0, Value::Null);
    rotation.predecessor_binding_id = Maybe::Present("one".into());
    let second = site.bound(rotation.clone()).await.unwrap().credentials.into_option().unwrap();
    assert_ne!(first["serial"], second["serial"]);
    assert!(first["valid_before"].as_str() < second["valid_before"].as_str());
    assert_eq!(site.shown("b").await["live_grants"], 2);
    site.advance(301);
    assert_eq!(site.shown("b").await["live_grants"], 1);
    rotation.binding_id = "three".into();
    check_refused(site.bound(rotation).await, 400, "predecessor_binding_id");
}

#[tokio::test]
async fn replaced_keys_are_trusted_until_their_last_certificate_has_expired_and_never_sign_again() {
    let site = Site::new().await;
    let (_, public) = key(site.directory.path(), "id", "ed25519").await;
    site.order("b", Value::Null).await.unwrap();
    let old = site.bind("b", "one", json!({"public_key": public, "ttl": "PT8H"})).await.unwrap();
    site.change("b", json!({"ca_generation": 2})).await.unwrap();
    let new = site.bind("b", "two", json!({"public_key": public})).await.unwrap();
    let lines = |given: &osb::Object| -> Vec<String> {
        given["user_ca_public_key"].as_str().unwrap().lines().map(str::to_owned).collect()
    };
    let (before, after) = (lines(&old), lines(&new));
    assert_eq!((before.len(), after.len()), (1, 2));
    assert_eq!(after[1], before[0], "the new one first");
    site.change("b", json!({"ca_generation": 2})).await.unwrap();
    assert_eq!(site.shown("b").await["user_ca_fingerprints"].as_array().unwrap().len(), 2, "a repeat changes nothing");
    site.advance(8 * 3_600);
    let later = site.bind("b", "three", json!({"public_key": public})).await.unwrap();
    assert_eq!(lines(&later), [after[0].clone()]);
    check_refused(site.change("b", json!({"ca_generation": 1})).await, 422, "`ca_generation` can only grow, and is 2");
}

#[tokio::test]
async fn gateway_plans_say_that_this_broker_has_none() {
    let site = Site::new().await;
    for plan in [1, 2] {
        check_refused(site.order_plan("b", plan, Value::Null).await, 400, "start it with --gateway-listen");
    }
    check_refused(site.order("b", json!({"max_ttl": "PT9H"})).await, 400, "`max_ttl` must be a duration");
}

#[tokio::test]
async fn what_is_shown_and_metered_is_what_was_ordered() {
    let site = Site::new().await;
    let (_, public) = key(site.directory.path(), "id", "ed25519").await;
    let targets = json!([{"name": "web-1", "host": "10.0.0.5", "port": 2222}]);
    let shown = site.order("b", json!({"network": "net-1", "targets": targets})).await.unwrap();
    assert_eq!(shown["network"], "net-1");
    assert_eq!(
        shown["targets"],
        json!([{"name": "web-1", "host": "10.0.0.5", "port": 2222, "principals": ["deploy"]}])
    );
    assert!(shown["user_ca_fingerprints"][0].as_str().unwrap().starts_with("SHA256:"));
    for name in ["one", "two"] {
        site.bind("b", name, json!({"public_key": public})).await.unwrap();
    }
    let bound = site.bound(Site::bind_request("b", "three", 0, json!({"public_key": public}))).await.unwrap();
    let endpoints = bound.endpoints.into_option().unwrap();
    assert_eq!(endpoints, [json!({"host": "10.0.0.5", "ports": ["2222"], "protocol": "tcp"})]);
    site.unbind("b", "two", 0).await;
    site.advance(3_600);
    site.bind("b", "four", json!({"public_key": public})).await.unwrap();
    site.broker.tend().await;
    let file = site.directory.path().join("bastion.db");
    let db = osb::kit::Db::open(&file, "").await.unwrap();
    let events: Vec<String> =
        sqlx::query_scalar("select event from kit_usage order by number").fetch_all(db.reader()).await.unwrap();
    let last: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let read = |meter: &str| {
        let events = last.iter().filter(|event| event["data"]["meter"] == meter);
        events.map(|event| event["data"]["quantity"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (read("certs_issued"), read("live_grants")),
        (vec!["0".into(), "4".into()], vec!["0".into(), "1".into()])
    );
    assert!(read("session_seconds").is_empty(), "this plan has no sessions");
}

#[tokio::test]
async fn no_private_key_lies_in_clear_and_none_is_left_after_a_deletion() {
    let site = Site::new().await;
    site.order("b", Value::Null).await.unwrap();
    let mut shown = format!("{:?}", site.authority());
    shown.push_str(&Value::from(site.shown("b").await).to_string());
    shown.push_str(&Value::from(site.bind("b", "t", Value::Null).await.unwrap()).to_string());
    let file = site.directory.path().join("bastion.db");
    let db = osb::kit::Db::open(&file, "").await.unwrap();
    let sealed: Vec<Vec<u8>> = sqlx::query_scalar("select private_key from ca").fetch_all(db.reader()).await.unwrap();
    assert_eq!(sealed.len(), 2);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend(std::fs::read(site.directory.path().join("bastion.db-wal")).unwrap());
    bytes.extend(shown.as_bytes());
    // What each private key of OpenSSH begins with: armour, its name, and the name in base64.
    for mark in ["PRIVATE KEY", "openssh-key-v1", "b3BlbnNzaC1rZXktdjE"] {
        assert!(!bytes.windows(mark.len()).any(|part| part == mark.as_bytes()), "{mark}");
    }
    site.delete("b").await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from ca where private_key is not null")
        .fetch_one(db.reader())
        .await
        .unwrap();
    assert_eq!(left, 0);
    check_refused(site.bind("b", "x", Value::Null).await, 404, "no service instance");
}

#[tokio::test]
async fn a_changed_line_of_the_audit_shows() {
    let site = Site::new().await;
    let (_, public) = key(site.directory.path(), "id", "ed25519").await;
    site.order("b", Value::Null).await.unwrap();
    for name in ["one", "two", "three"] {
        site.bind("b", name, json!({"public_key": public, "reason": "INC-1"})).await.unwrap();
    }
    site.unbind("b", "two", 0).await;
    let resource = site.resource("b").await;
    let shown = site.shown("b").await;
    let Verdict::Whole { lines, head } = site.authority().verify_audit(&resource).await.unwrap() else {
        panic!("whole")
    };
    assert_eq!((lines, shown["audit"].clone()), (4, json!({"lines": 4, "head": head})));
    let db = osb::kit::Db::open(&site.directory.path().join("bastion.db"), "").await.unwrap();
    let mut writer = db.writer().await.unwrap();
    let text = "update audit set line = replace(line, 'INC-1', 'INC-2') where number = 2";
    sqlx::query(text).execute(writer.connection().unwrap()).await.unwrap();
    drop(writer);
    assert_eq!(site.authority().verify_audit(&resource).await.unwrap(), Verdict::Broken(2));
}

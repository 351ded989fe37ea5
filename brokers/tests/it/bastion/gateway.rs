//! The authority as a gateway sees it: who is let in, what a session is certified for, when it is cut, and the audit.

use std::net::IpAddr;
use std::time::Duration;

use bourse_brokers::bastion::access::{Access as _, Denied, Entry, Event, Grant, Recording};
use bourse_brokers::bastion::{GatewayAddress, Verdict, plan};
use osb::{Call, Maybe, Object, ServiceBroker as _, UpdateRequest};
use russh::keys::{Certificate, PublicKey};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::site::Site;
use super::sshd::key;

const NEAR: &str = "192.0.2.7";
const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMjOBkIz1Hf0cpDA2q6OX2KrR3ZxqfSIsxZ0qUHTz4qL";

/// A broker with a gateway, a bastion `b` with two targets, and a user's binding `mine`.
struct Behind {
    site: Site,
    public: String,
    given: Object,
}

async fn behind() -> Behind {
    let gateway = GatewayAddress { host: "gate.example".into(), port: 2222, host_key: HOST_KEY.into() };
    let site = Site::with(Some(gateway)).await;
    let with = json!({
        "targets": [
            {"name": "web", "host": "10.0.0.5", "principals": ["deploy", "operator"]},
            {"name": "db", "host": "10.0.0.6", "port": 2022, "principals": ["dba"]},
        ],
        "source_cidrs": ["192.0.2.0/24"], "force_command": "/usr/bin/uptime", "allow": {"sftp": false},
    });
    site.order_plan("b", 1, with).await.unwrap();
    let (_, public) = key(site.directory.path(), "id", "ed25519").await;
    let given = site.bind_plan("b", "mine", 1, json!({"public_key": public})).await.unwrap();
    Behind { site, public, given }
}

fn certificate(given: &Object) -> Certificate {
    Certificate::from_openssh(given["certificate"].as_str().unwrap()).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Behind {
    async fn admit(&self) -> Result<Grant, Denied> {
        self.site.authority().admit(&certificate(&self.given), ip(NEAR)).await
    }

    async fn check_denied(&self, certificate: &Certificate, source: &str, reason: &str) {
        let denied = self.site.authority().admit(certificate, ip(source)).await.unwrap_err();
        assert!(denied.reason.contains(reason), "{reason}: {denied}");
    }
}

#[tokio::test]
async fn who_was_certified_is_let_in_to_the_targets_as_they_are_now() {
    let behind = behind().await;
    let grant = behind.admit().await.unwrap();
    assert_eq!(grant.principals, ["deploy", "operator", "dba"]);
    let places: Vec<_> = grant.targets.iter().map(|target| (target.name.as_str(), target.port)).collect();
    assert_eq!(places, [("web", 22), ("db", 2022)]);
    assert_eq!((grant.recording, grant.sftp, grant.port_forwarding), (Recording::Metadata, false, false));
    let host =
        behind.site.bind_plan("b", "web", 1, json!({"kind": "host", "public_key": behind.public, "target": "web"}));
    let host_ca = host.await.unwrap()["host_ca_public_key"].as_str().unwrap().trim().to_owned();
    assert_eq!(grant.targets[0].host_key, Some(format!("@cert-authority {host_ca}")), "hosts that it certified itself");
    assert_eq!((grant.user.as_str(), grant.tenant.as_deref()), ("anonymous", None));
    let config = behind.given["ssh_config"].as_str().unwrap();
    for line in ["HostName gate.example", "Port 2222", "User deploy+web", "User dba+db"] {
        assert!(config.contains(line), "{line}: {config}");
    }
    assert_eq!(behind.given["known_hosts"], format!("[gate.example]:2222 {HOST_KEY}\n"));

    behind
        .site
        .change("b", json!({"targets": [{"name": "web", "host": "10.0.0.9", "principals": ["deploy"]}]}))
        .await
        .unwrap();
    let grant = behind.admit().await.unwrap();
    assert_eq!(
        (grant.principals.as_slice(), grant.targets[0].host.as_str()),
        (["deploy".to_owned()].as_slice(), "10.0.0.9")
    );
    let request = UpdateRequest {
        instance_id: "b".into(),
        service_id: plan::SERVICE_ID.into(),
        plan_id: Maybe::Present(plan::PLANS[2].id.into()),
        ..UpdateRequest::default()
    };
    behind.site.broker.update(&Call::default(), request.clone()).await.unwrap();
    assert_eq!(behind.admit().await.unwrap().recording, Recording::Full);
    let without = UpdateRequest { plan_id: Maybe::Present(plan::PLANS[0].id.into()), ..request };
    let refused = behind.site.broker.update(&Call::default(), without).await.unwrap_err();
    assert_eq!(refused.status, 422, "{refused}");
}

#[tokio::test]
async fn who_was_not_certified_or_no_longer_is_or_comes_from_elsewhere_is_not() {
    let behind = behind().await;
    let (site, mine) = (&behind.site, certificate(&behind.given));
    behind.check_denied(&mine, "198.51.100.1", "`source-address` is not met").await;
    let other = self::behind().await;
    behind.check_denied(&certificate(&other.given), NEAR, "not signed by a bastion of this broker").await;

    // One bit of the body is another than what was signed.
    let mut bytes = mine.to_bytes().unwrap();
    let at = bytes.windows(6).position(|part| part == b"deploy").unwrap();
    bytes[at] ^= 1;
    behind.check_denied(&Certificate::from_bytes(&bytes).unwrap(), NEAR, "its signature is wrong").await;

    let host = site.bind_plan("b", "h", 1, json!({"kind": "host", "public_key": behind.public, "target": "web"})).await;
    behind.check_denied(&certificate(&host.unwrap()), NEAR, "not one for the gateway").await;
    let grant = behind.admit().await.unwrap();
    let session_key = PublicKey::from_openssh(&behind.public).unwrap();
    let session = site.authority().session_certificate(&grant, &grant.targets[0], "s1", &session_key).await.unwrap();
    behind.check_denied(&session, NEAR, "not one for the gateway").await;

    site.change("b", json!({"source_cidrs": ["203.0.113.0/24"]})).await.unwrap();
    behind.check_denied(&mine, NEAR, "not among those of the bastion").await;
    site.change("b", json!({"source_cidrs": []})).await.unwrap();
    site.advance(900);
    behind.check_denied(&mine, NEAR, "has expired").await;
    site.advance(-900);
    assert!(behind.admit().await.is_ok());
    site.unbind("b", "mine", 1).await;
    behind.check_denied(&mine, NEAR, "is revoked").await;
    let denied = site.authority().session_certificate(&grant, &grant.targets[0], "s2", &session_key).await.unwrap_err();
    assert!(denied.reason.contains("taken away"), "{denied}");
}

#[tokio::test]
async fn hosts_trust_what_the_gateway_is_certified_for_and_not_what_users_hold() {
    let behind = behind().await;
    let grant = behind.admit().await.unwrap();
    let gateway_key = PublicKey::from_openssh(&behind.public).unwrap();
    let authority = behind.site.authority();
    let session = authority.session_certificate(&grant, &grant.targets[0], "0a-1", &gateway_key).await.unwrap();
    assert_eq!(session.valid_principals(), ["deploy", "operator"], "those of the target, not `dba`");
    assert_eq!(session.key_id(), "bourse:-:anonymous:mine:0a-1");
    let now = u64::try_from(behind.site.now.load(std::sync::atomic::Ordering::SeqCst)).unwrap();
    assert!(session.valid_before() <= now + 300 && session.valid_before() > now);
    assert_eq!(session.critical_options().get("force-command").map(String::as_str), Some("/usr/bin/uptime"));
    let trusted = PublicKey::from_openssh(behind.given["user_ca_public_key"].as_str().unwrap().trim()).unwrap();
    assert_eq!(session.signature_key(), trusted.key_data());
    assert_ne!(certificate(&behind.given).signature_key(), trusted.key_data());
    behind.site.change("b", json!({"ca_generation": 2})).await.unwrap();
    let renewed = authority.session_certificate(&grant, &grant.targets[0], "0a-2", &gateway_key).await.unwrap();
    assert_ne!(renewed.signature_key(), trusted.key_data());
    let mut elsewhere = grant.targets[0].clone();
    elsewhere.host = "198.51.100.66".into();
    let denied = authority.session_certificate(&grant, &elsewhere, "s", &gateway_key).await.unwrap_err();
    assert!(denied.reason.contains("not among those of the grant"), "{denied}");
}

#[tokio::test]
async fn sessions_are_cut_when_access_is_taken_away_here_elsewhere_or_ends() {
    let behind = behind().await;
    let authority = behind.site.authority();
    let grant = behind.admit().await.unwrap();
    let mut here = authority.revoked(&grant);
    assert!(!*here.borrow());
    behind.site.unbind("b", "mine", 1).await;
    assert!(here.has_changed().unwrap() && *here.borrow_and_update(), "before the unbind is answered");

    let wait = async |binding: &str, end: &dyn Fn()| {
        let given = behind.site.bind_plan("b", binding, 1, json!({"public_key": behind.public})).await.unwrap();
        let grant = authority.admit(&certificate(&given), ip(NEAR)).await.unwrap();
        let mut cut = authority.revoked(&grant);
        end();
        timeout(Duration::from_secs(20), cut.wait_for(|cut| *cut)).await.unwrap().unwrap();
        grant.resource
    };
    wait("late", &|| behind.site.advance(900)).await;
    let file = behind.site.directory.path().join("bastion.db");
    wait("elsewhere", &|| {
        // What another process writes.
        let file = file.clone();
        tokio::spawn(async move {
            let db = osb::kit::Db::open(&file, "").await.unwrap();
            let mut writer = db.writer().await.unwrap();
            let text = "update access set revoked_at = 1 where key_id like '%elsewhere'";
            sqlx::query(text).execute(writer.connection().unwrap()).await.unwrap();
        });
    })
    .await;
}

#[tokio::test]
async fn sessions_stand_in_the_audit_and_on_the_meters() {
    let behind = behind().await;
    let authority = behind.site.authority();
    let grant = behind.admit().await.unwrap();
    let entry = |event: Event| Entry {
        bastion: Some(grant.bastion.clone()),
        grant: Some(grant.resource.clone()),
        user: Some(grant.user.clone()),
        session: Some("s1".into()),
        source: ip(NEAR),
        event,
    };
    let started = Event::Started { target: "web".into(), principal: "deploy".into() };
    let ended =
        Event::Ended { target: "web".into(), seconds: 61, recorded_bytes: 4_096, reason: "closed by the user".into() };
    authority.audit(entry(started)).await.unwrap();
    authority.audit(entry(ended)).await.unwrap();
    let stray = Event::Denied { target: None, reason: "no certificate".into() };
    authority.audit(Entry { bastion: None, grant: None, user: None, ..entry(stray) }).await.unwrap();
    let verdict = authority.verify_audit(&grant.bastion).await.unwrap();
    assert!(matches!(verdict, Verdict::Whole { lines: 3, .. }), "issued, started, ended: {verdict:?}");
    behind.site.advance(3_600);
    behind.site.broker.tend().await;
    let db = osb::kit::Db::open(&behind.site.directory.path().join("bastion.db"), "").await.unwrap();
    let events: Vec<String> =
        sqlx::query_scalar("select event from kit_usage order by number").fetch_all(db.reader()).await.unwrap();
    let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let last = events.iter().rfind(|event| event["data"]["meter"] == "session_seconds").unwrap();
    assert_eq!((&last["data"]["quantity"], &last["data"]["unit"]), (&json!("61"), &json!("s")));
    assert!(events.iter().all(|event| event["data"]["meter"] != "recording_bytes"), "not a meter of this plan");
}

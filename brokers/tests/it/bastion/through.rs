//! All of it together: OpenSSH, the gateway, the authority, and a host that trusts only the gateway.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bourse_brokers::bastion::access::recordings;
use bourse_brokers::bastion::gateway::{Gateway as Server, GatewayConfig, Limits, Running, SealKey};
use bourse_brokers::bastion::{GatewayAddress, GatewayKeys, SCHEMA};
use osb::kit::{Clock, Db, Sealer};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::site::{Site, write_files};
use super::sshd::{Sshd, free_port, key, login, myself, run_well};

struct Through {
    site: Site,
    gateway: Running,
    web: Sshd,
    port: u16,
    private: PathBuf,
    public: String,
}

impl Through {
    /// A bastion with a recording gateway, and a host `web` behind it that was set up with what a binding gave.
    async fn new() -> Self {
        let keys = tempfile::tempdir().unwrap();
        let db = Db::open(&keys.path().join("keys.db"), SCHEMA).await.unwrap();
        let kept = GatewayKeys::open(&db, &Sealer::from_file(&keys.path().join("key")).unwrap()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway_port = listener.local_addr().unwrap().port();
        let host_key = kept.host_line().unwrap();
        let site = Site::with(Some(GatewayAddress { host: "127.0.0.1".into(), port: gateway_port, host_key })).await;
        let config = GatewayConfig {
            host_key: kept.host_key,
            host_certificate: None,
            seal_key: SealKey::from_seed(&kept.seal_seed).unwrap(),
            data: site.directory.path().to_owned(),
            clock: Clock::Manual(site.now.clone()),
            limits: Limits::default(),
        };
        let gateway = Server::start(listener, site.authority().clone(), config).unwrap();

        let (me, port) = (myself().await, free_port());
        let targets = json!([{"name": "web", "host": "127.0.0.1", "port": port, "principals": [me]}]);
        site.order_plan("b", 2, json!({"targets": targets})).await.unwrap();
        let directory = site.directory.path().join("web");
        std::fs::create_dir_all(&directory).unwrap();
        let (_, host) = key(&directory, "host_key", "ed25519").await;
        let with = json!({
            "kind": "host", "public_key": host, "target": "web", "directory": directory.join("bourse"),
        });
        let given = site.bind_plan("b", "host", 2, with).await.unwrap();
        write_files(&directory, &given);
        run_well("sh", &["setup"], &directory).await;
        let web = Sshd::start(&directory, port, given["sshd_config"].as_str().unwrap()).await;
        let (private, public) = key(site.directory.path(), "id", "ed25519").await;
        Self { site, gateway, web, port, private, public }
    }

    async fn user(&self, binding: &str) -> PathBuf {
        let with = json!({"public_key": self.public, "identity_file": self.private});
        let directory = self.site.directory.path().join(binding);
        write_files(&directory, &self.site.bind_plan("b", binding, 2, with).await.unwrap());
        directory
    }
}

#[tokio::test]
async fn a_session_goes_through_the_gateway_is_recorded_and_nobody_goes_round_it() {
    let through = Through::new().await;
    let files = through.user("mine").await;
    assert_eq!(login(&files, "web", &[]).await, Ok(()), "{}", through.web.log());
    through.web.has_logged("ID bourse:-:anonymous:mine:").await;
    let resource = through.site.resource("b").await;
    let kept: Vec<_> = std::fs::read_dir(recordings(through.site.directory.path(), &resource)).unwrap().collect();
    assert!(!kept.is_empty(), "it was recorded");

    let port = format!("Port={}", through.port);
    let user = format!("User={}", myself().await);
    let round =
        ["-o", port.as_str(), "-o", user.as_str(), "-o", "HostName=127.0.0.1", "-o", "StrictHostKeyChecking=no"];
    let said = login(&files, "web", &round).await.unwrap_err();
    assert!(said.contains("Permission denied"), "the host trusts the gateway only: {said}");

    // New keys of the CAs: the host still shows a certificate of the old one, and pulls the new one.
    through.site.change("b", json!({"ca_generation": 2})).await.unwrap();
    run_well("sh", &["bourse/pull"], &through.site.directory.path().join("web")).await;
    let renewed = through.user("renewed").await;
    assert_eq!(login(&renewed, "web", &[]).await, Ok(()), "{}", through.web.log());
    assert_eq!(login(&files, "web", &[]).await, Ok(()), "what was certified before is still good");
    through.gateway.stop().await;
}

#[tokio::test]
async fn an_unbind_cuts_the_session_and_the_audit_tells_all_of_it() {
    let through = Through::new().await;
    let files = through.user("mine").await;
    let mut command = Command::new("ssh");
    command.args(["-F", "ssh_config", "-o", "BatchMode=yes", "web", "echo ready; cat"]).current_dir(&files);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut session = command.spawn().unwrap();
    let mut ready = [0; 6];
    let reading = session.stdout.as_mut().unwrap().read_exact(&mut ready);
    timeout(Duration::from_secs(30), reading).await.unwrap().unwrap();
    assert_eq!(&ready, b"ready\n");
    through.site.unbind("b", "mine", 2).await;
    assert!(!timeout(Duration::from_secs(20), session.wait()).await.unwrap().unwrap().success());
    assert!(login(&files, "web", &[]).await.is_err(), "nor does another one begin");
    through.gateway.stop().await;

    let db = Db::open(&through.site.directory.path().join("bastion.db"), "").await.unwrap();
    let lines: Vec<String> = sqlx::query_scalar("select line from audit where bastion <> '' order by number")
        .fetch_all(db.reader())
        .await
        .unwrap();
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["certificate.issued", "certificate.issued", "certificate.issued"], "host, user, session");
    for kind in ["session.started", "certificate.revoked", "session.ended", "session.denied"] {
        assert_eq!(kinds.iter().filter(|found| **found == kind).count(), 1, "{kind}: {kinds:?}");
    }
    let ended = lines.iter().find(|line| line["type"] == "session.ended").unwrap();
    assert_eq!((&ended["target"], &ended["user"]), (&json!("web"), &json!("anonymous")));
}

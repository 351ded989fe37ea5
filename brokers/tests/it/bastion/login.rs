//! Logins with OpenSSH itself: hosts set up with what a binding gave, users with what another gave.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::site::{Site, write_files};
use super::sshd::{Sshd, free_port, key, login, myself, run, run_well};

/// Two hosts and a user's key: `jump` in front of `web`.
struct Hosts {
    site: Site,
    me: String,
    root: PathBuf,
    ports: [u16; 2],
    private: PathBuf,
    public: String,
}

impl Hosts {
    async fn new() -> Self {
        let site = Site::new().await;
        let root = site.directory.path().join("hosts");
        std::fs::create_dir_all(&root).unwrap();
        let (private, public) = key(&root, "id", "ed25519").await;
        Self { site, me: myself().await, root, ports: [free_port(), free_port()], private, public }
    }

    /// Orders a bastion with both hosts behind it.
    async fn order(&self, id: &str, more: Value) {
        let mut with = json!({"targets": [
            {"name": "jump", "host": "127.0.0.1", "port": self.ports[0], "principals": [self.me]},
            {"name": "web", "host": "127.0.0.1", "port": self.ports[1], "principals": [self.me], "via": "jump"},
        ]});
        for (name, value) in more.as_object().unwrap() {
            with[name] = value.clone();
        }
        self.site.order(id, with).await.unwrap();
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Sets a host up as its administrator would: a key, a binding, `sh setup`, the lines for sshd.
    async fn host(&self, id: &str, name: &str, port: u16) -> Sshd {
        let directory = self.directory(name);
        std::fs::create_dir_all(&directory).unwrap();
        let (_, public) = key(&directory, "host_key", "ed25519").await;
        let with = json!({
            "kind": "host", "public_key": public, "target": name, "directory": directory.join("bourse"),
        });
        let given = self.site.bind(id, &format!("host-{name}"), with).await.unwrap();
        write_files(&directory, &given);
        run_well("sh", &["setup"], &directory).await;
        Sshd::start(&directory, port, given["sshd_config"].as_str().unwrap()).await
    }

    /// Binds for the user, and writes the files.
    async fn user(&self, id: &str, binding: &str, more: Value) -> PathBuf {
        let mut with = json!({"public_key": self.public, "identity_file": self.private});
        for (name, value) in more.as_object().unwrap() {
            with[name] = value.clone();
        }
        let directory = self.directory(binding);
        write_files(&directory, &self.site.bind(id, binding, with).await.unwrap());
        directory
    }
}

#[tokio::test]
async fn a_user_jumps_to_the_target_with_what_a_bind_gave_and_is_out_once_it_is_revoked() {
    let hosts = Hosts::new().await;
    hosts.order("b", json!({})).await;
    let (jump, web) = (hosts.host("b", "jump", hosts.ports[0]).await, hosts.host("b", "web", hosts.ports[1]).await);
    let files = hosts.user("b", "mine", json!({})).await;
    assert_eq!(login(&files, "web", &[]).await, Ok(()), "{}\n{}", jump.log(), web.log());
    web.has_logged("ID bourse:-:anonymous:mine (serial").await;
    assert!(jump.log().contains("ID bourse:-:anonymous:mine (serial"), "{}", jump.log());

    let apart = hosts.user("b", "apart", json!({"directory": hosts.directory("apart")})).await;
    let config = apart.join("ssh_config");
    let anywhere = run("ssh", &["-F", config.to_str().unwrap(), "web", "true"], Path::new("/")).await;
    assert!(anywhere.status.success(), "{}", String::from_utf8_lossy(&anywhere.stderr));

    let elsewhere = format!("127.0.0.1:{}", hosts.site.running.address().port());
    let beside = run("ssh", &["-F", "ssh_config", "-W", &elsewhere, "jump"], &files).await;
    assert!(!beside.status.success(), "the jump host lets through to the targets behind it only");
    jump.has_logged("Received request from").await;

    // The jump host asks now and then; the target reads the broker's own file.
    let shared = hosts.directory("web").join("bourse/revoked.krl");
    std::fs::remove_file(&shared).unwrap();
    std::os::unix::fs::symlink(hosts.site.krl_file("b").await, &shared).unwrap();
    assert_eq!(login(&files, "web", &[]).await, Ok(()), "not revoked yet");
    hosts.site.unbind("b", "mine", 0).await;
    assert_eq!(login(&files, "jump", &[]).await, Ok(()), "a host that pulls learns of it at its next pull");
    assert!(login(&files, "web", &[]).await.is_err());
    web.has_logged("revoked by file").await;
    run_well("sh", &["bourse/pull"], &hosts.directory("jump")).await;
    assert!(login(&files, "jump", &[]).await.is_err());
    jump.has_logged("revoked by file").await;
}

/// What one login is refused for: the words in the host's log.
async fn check_refused(files: &Path, name: &str, more: &[&str], host: &Sshd, words: &str) {
    let before = host.log().len();
    let said = login(files, name, more).await.unwrap_err();
    assert!(said.contains("Permission denied (publickey)"), "{words}: {said}");
    host.has_logged_after(before, words).await;
}

#[tokio::test]
async fn who_is_late_elsewhere_somebody_else_or_another_tenant_is_refused() {
    let hosts = Hosts::new().await;
    hosts.order("b", json!({"principals": [hosts.me, "operator"]})).await;
    let with = json!({"targets": [
        {"name": "web", "host": "127.0.0.1", "port": hosts.ports[1], "principals": [hosts.me, "operator"]},
        {"name": "db", "host": "127.0.0.1", "port": hosts.ports[0], "principals": [hosts.me]},
    ]});
    hosts.site.change("b", with).await.unwrap();
    let web = hosts.host("b", "web", hosts.ports[1]).await;
    let fine = hosts.user("b", "fine", json!({"target": "web"})).await;
    assert_eq!(login(&fine, "web", &[]).await, Ok(()), "{}", web.log());

    let other = hosts.user("b", "other", json!({"principals": ["operator"]})).await;
    let as_me = format!("User={}", hosts.me);
    check_refused(&other, "web", &["-o", &as_me], &web, "does not contain an authorized principal").await;

    let beside = hosts.user("b", "beside", json!({"target": "db"})).await;
    let there = format!("Port={}", hosts.ports[1]);
    check_refused(&beside, "db", &["-o", &there], &web, "does not contain an authorized principal").await;

    hosts.site.change("b", json!({"source_cidrs": ["192.0.2.0/24", "2001:db8::1"]})).await.unwrap();
    let away = hosts.user("b", "away", json!({})).await;
    check_refused(&away, "web", &[], &web, "not from a permitted source address").await;
    hosts.site.change("b", json!({"source_cidrs": ["127.0.0.0/8"]})).await.unwrap();
    let near = hosts.user("b", "near", json!({})).await;
    assert_eq!(login(&near, "web", &[]).await, Ok(()), "{}", web.log());

    hosts.site.advance(-3_600);
    let late = hosts.user("b", "late", json!({"ttl": "PT15M"})).await;
    check_refused(&late, "web", &[], &web, "Certificate invalid: expired").await;
    hosts.site.advance(3_600);

    // Another bastion, with the same hosts in its list.
    let with = json!({"targets": [
        {"name": "web", "host": "127.0.0.1", "port": hosts.ports[1], "principals": [hosts.me]},
    ]});
    hosts.site.order("theirs", with).await.unwrap();
    let theirs = hosts.user("theirs", "theirs", json!({})).await;
    let known = std::fs::read_to_string(theirs.join("known_hosts")).unwrap();
    let said = login(&theirs, "web", &[]).await.unwrap_err();
    assert!(said.contains("Host key verification failed"), "its CA has not certified this host: {said} {known}");
    check_refused(
        &theirs,
        "web",
        &["-o", "StrictHostKeyChecking=no"],
        &web,
        "ID bourse:-:anonymous:theirs (serial 1) CA",
    )
    .await;
    assert_eq!(login(&fine, "web", &[]).await, Ok(()), "{}", web.log());
}

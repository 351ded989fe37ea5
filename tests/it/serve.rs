//! `bourse serve` as a process: its first start, its key, TLS, and how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::management::{client, send};
use crate::support::process::{Process, Signal, hub_binary, scratch};
use crate::support::wait::wait_until;

const BOUND: Duration = Duration::from_secs(10);

/// Starts `bourse serve` with its database in `home`.
async fn serve(home: &Path, more: &[(&str, &str)]) -> (Process, String) {
    let url = format!("sqlite:{}", home.join("bourse.db").display());
    let mut environment = vec![("BOURSE__SERVER__LISTEN", "127.0.0.1:0"), ("BOURSE__DATABASE__URL", url.as_str())];
    environment.extend_from_slice(more);
    Process::serve("serve", &hub_binary(), ["serve"], &environment).await
}

fn remove(home: PathBuf) {
    std::fs::remove_dir_all(home).expect("could not clean up");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_administrator_and_says_the_password_once() {
    let home = scratch("first");
    let (mut hub, url) = serve(&home, &[]).await;
    let said = hub.stderr();
    let password =
        said.lines().find_map(|line| line.split_once("(shown this once): ")).expect("a password").1.to_owned();
    assert_eq!(hub.stdout().lines().count(), 1, "{}", hub.stdout());
    let list = |url: &str, password: &str| {
        send(client().get(format!("{url}/api/v1/tenants")).basic_auth("admin", Some(password.to_owned())))
    };
    list(&url, &password).await.is(200);
    assert!(hub.terminate().await.success());

    let (mut again, url) = serve(&home, &[("BOURSE__ADMIN__PASSWORD", "another")]).await;
    assert!(!again.stderr().contains("shown this once"));
    list(&url, &password).await.is(200);
    list(&url, "another").await.refuses(401, "unauthorized");
    assert!(again.terminate().await.success());
    remove(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_password_works_and_is_in_no_log_and_not_in_the_database() {
    let home = scratch("chosen");
    let settings = [("BOURSE__ADMIN__PASSWORD", "correct horse"), ("BOURSE__LOG__LEVEL", "trace")];
    let (mut hub, url) = serve(&home, &settings).await;
    for password in ["correct horse", "wrong", "correct horse"] {
        let answer =
            send(client().get(format!("{url}/api/v1/tenants?limit=7")).basic_auth("admin", Some(password))).await;
        assert_eq!(answer.status == 200, password == "correct horse", "{answer:?}");
    }
    assert!(hub.terminate().await.success());
    let log = hub.stderr();
    assert!(log.contains("/api/v1/tenants") && !log.contains("limit=7"), "{log}");
    for secret in ["correct horse", "Y29ycmVjdCBob3JzZ"] {
        assert!(!log.contains(secret) && !hub.stdout().contains(secret));
    }
    let database = std::fs::read(home.join("bourse.db")).expect("the database");
    assert!(!database.windows(13).any(|window| window == b"correct horse"));
    remove(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_keeps_off_a_sqlite_database_that_is_served_and_others_cannot_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = scratch("second");
    let (mut hub, url) = serve(&home, &[]).await;
    let second = Command::new(hub_binary())
        .arg("serve")
        .env("BOURSE__SERVER__LISTEN", "127.0.0.1:0")
        .env("BOURSE__DATABASE__URL", format!("sqlite:{}", home.join("bourse.db").display()))
        .output()
        .expect("could not start");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another process serves from this SQLite database"), "{said}");
    assert_eq!(send(client().get(format!("{url}/healthz"))).await.status, 200, "the first one goes on");
    for file in ["bourse.db", "bourse.db-wal", "bourse.db.key"] {
        let mode = std::fs::metadata(home.join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} has mode {mode:o}");
    }
    assert!(hub.terminate().await.success());
    remove(home);
}

/// The beginning of a request whose body has yet to come.
fn begin(url: &str, length: usize) -> TcpStream {
    let mut connection = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
    connection.set_read_timeout(Some(BOUND)).expect("a time limit");
    let head = format!(
        "PUT /api/v1/tenants/late HTTP/1.1\r\nHost: hub\r\nAuthorization: Basic YWRtaW46cA==\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("the head");
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_what_is_in_flight_takes_nothing_new_and_ends_with_0() {
    let home = scratch("drain");
    let (mut hub, url) = serve(&home, &[("BOURSE__ADMIN__PASSWORD", "p"), ("BOURSE__LOG__LEVEL", "debug")]).await;
    let body = json!({ "display_name": "late" }).to_string();
    let mut late = begin(&url, body.len());
    // In flight is what has been read: the hub has derived this password and waits for the body.
    send(client().get(format!("{url}/api/v1/tenants")).basic_auth("admin", Some("p"))).await.is(200);
    hub.signal(Signal::Term);
    let address = url.trim_start_matches("http://").to_owned();
    wait_until("nobody is let in any more", BOUND, async || TcpStream::connect(&address).is_err()).await;
    late.write_all(body.as_bytes()).expect("the body");
    let mut answer = String::new();
    late.read_to_string(&mut answer).expect("an answer, then the end of the connection");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(hub.exit_status().await.success());
    remove(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_bounded_and_a_second_signal_ends_it_at_once() {
    let home = scratch("bound");
    let (mut hub, url) = serve(&home, &[("BOURSE__ADMIN__PASSWORD", "p"), ("BOURSE__SERVER__DRAIN", "PT1S")]).await;
    let stuck = begin(&url, 10);
    assert!(hub.terminate().await.success(), "after a second at most, whoever waits");
    drop(stuck);

    let (mut hub, url) = serve(&home, &[("BOURSE__SERVER__DRAIN", "PT1H")]).await;
    let stuck = begin(&url, 10);
    send(client().get(format!("{url}/api/v1/tenants")).basic_auth("admin", Some("p"))).await.is(200);
    hub.signal(Signal::Term);
    let address = url.trim_start_matches("http://").to_owned();
    wait_until("it drains", BOUND, async || TcpStream::connect(&address).is_err()).await;
    hub.assert_running();
    assert!(!hub.terminate().await.success());
    drop(stuck);
    remove(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_with_a_certificate_of_ones_own() {
    let home = scratch("https");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (home.join("cert.pem"), home.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let (mut hub, url) =
        serve(&home, &[("BOURSE__SERVER__TLS__CERT", &cert), ("BOURSE__SERVER__TLS__KEY", &key)]).await;
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let port = url.rsplit(':').next().expect("a port");
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a root");
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).resolve("localhost", address);
    let client = client.build().expect("a client");
    assert_eq!(send(client.get(format!("https://localhost:{port}/healthz"))).await.status, 200);
    assert!(hub.terminate().await.success());
    remove(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_only_works_serves_health_and_nothing_else() {
    let home = scratch("worker");
    let database = format!("sqlite:{}", home.join("bourse.db").display());
    let settings = [("BOURSE__SERVER__LISTEN", "127.0.0.1:0"), ("BOURSE__DATABASE__URL", database.as_str())];
    let (mut hub, url) = Process::serve("worker", &hub_binary(), ["serve", "--role", "worker"], &settings).await;
    assert_eq!(send(client().get(format!("{url}/readyz"))).await.status, 200);
    send(client().get(format!("{url}/api/v1/tenants"))).await.refuses(404, "no_such_path");
    assert!(hub.terminate().await.success());
    remove(home);
}

fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output =
        Command::new(hub_binary()).args(arguments).envs(environment.iter().copied()).output().expect("a process");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn what_can_not_start_says_why_in_one_line() {
    let said = refused(&["serve"], &[("BOURSE__DATABASE__URL", "postgres://user:hunter2@127.0.0.1:1/none")]);
    assert!(said.contains("security.encryption_key") && !said.contains("hunter2"), "{said}");
    let said = refused(&["serve"], &[("BOURSE__SERVER__LISTN", "x")]);
    assert!(said.contains("listn"), "{said}");
    let said = refused(&["serve", "--config", "/nonexistent.toml"], &[]);
    assert!(said.contains("nonexistent.toml"), "{said}");
    let said = refused(&["migrate"], &[("BOURSE__DATABASE__URL", "mysql://x")]);
    assert!(said.contains("sqlite:FILE"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_behind_is_not_ready_until_it_is_migrated() {
    let home = scratch("behind");
    let database = format!("sqlite:{}", home.join("bourse.db").display());
    let environment = [("BOURSE__DATABASE__URL", database.as_str()), ("BOURSE__DATABASE__MIGRATE", "false")];
    let said = refused(&["serve"], &[environment[0], environment[1], ("BOURSE__SERVER__LISTEN", "127.0.0.1:0")]);
    assert!(said.contains("bourse migrate"), "{said}");
    let migrated = Command::new(hub_binary()).arg("migrate").envs(environment).output().expect("a process");
    assert!(migrated.status.success(), "{migrated:?}");
    let (mut hub, url) = serve(&home, &[("BOURSE__DATABASE__MIGRATE", "false")]).await;
    send(client().get(format!("{url}/readyz"))).await.is(200);
    assert!(hub.terminate().await.success());
    remove(home);
}

//! `bourse serve` as a process: its first start, its key, TLS, and how it ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::bare::{On, on_each};
use crate::support::bench;
use crate::support::command::{Done, finish};
use crate::support::home::Home;
use crate::support::hub::try_request;
use crate::support::management::{client, send};
use crate::support::process::{Process, Signal, hub_binary};
use crate::support::recorder::{self, Recorder};
use crate::support::site::{admin, plan_ids, tenant_and_platform};
use crate::support::wait::wait_until;

const BOUND: Duration = Duration::from_secs(15);

/// A request of an administrator whose password is `pw`, about all tenants.
async fn list(url: &str, password: &str) -> crate::support::management::Answer {
    send(client().get(format!("{url}/api/v1/tenants?limit=7")).basic_auth("admin", Some(password))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_administrator_and_says_the_password_once() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let (mut hub, url) = home.serve(&[]).await;
        let said = hub.stderr();
        let password =
            said.lines().find_map(|line| line.split_once("(shown this once): ")).expect("a password").1.to_owned();
        assert_eq!(hub.stdout().lines().count(), 1, "{}", hub.stdout());
        list(&url, &password).await.is(200);
        assert!(hub.terminate().await.success());

        let (mut again, url) = home.serve(&[("BOURSE__ADMIN__PASSWORD", "another")]).await;
        assert!(!again.stderr().contains("shown this once"));
        list(&url, &password).await.is(200);
        list(&url, "another").await.refuses(401, "unauthorized");
        assert!(again.terminate().await.success());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_password_works_and_is_in_no_log_and_not_in_the_database() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let settings = [("BOURSE__ADMIN__PASSWORD", "correct horse"), ("BOURSE__LOG__LEVEL", "trace")];
        let (mut hub, url) = home.serve(&settings).await;
        for password in ["correct horse", "wrong", "correct horse"] {
            let answer = list(&url, password).await;
            assert_eq!(answer.status == 200, password == "correct horse", "{answer:?}");
        }
        assert!(hub.terminate().await.success());
        let log = hub.stderr();
        assert!(log.contains("/api/v1/tenants") && !log.contains("limit=7"), "{log}");
        for secret in ["correct horse", "Y29ycmVjdCBob3JzZ"] {
            assert!(!log.contains(secret) && !hub.stdout().contains(secret));
        }
        let contents = home.contents().await;
        let holds = |wanted: &[u8]| {
            contents.iter().filter(|(_, bytes)| bytes.windows(wanted.len()).any(|window| window == wanted)).count()
        };
        assert!(holds(b"pbkdf2") > 0, "it was looked at where passwords are kept");
        assert_eq!(holds(b"correct horse"), 0);
    })
    .await;
}

// SQLite alone: any number of processes may serve from one PostgreSQL (`replicas`), and its files are the server's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_keeps_off_a_sqlite_database_that_is_served_and_others_cannot_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new(On::Sqlite).await;
    let (mut hub, url) = home.serve(&[]).await;
    let said = refused(&["serve"], &home.settings(&[])).await;
    assert!(said.contains("another process serves from this SQLite database"), "{said}");
    assert_eq!(send(client().get(format!("{url}/healthz"))).await.status, 200, "the first one goes on");
    for file in ["bourse.db", "bourse.db-wal", "bourse.db.key"] {
        let mode = std::fs::metadata(home.folder().join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} has mode {mode:o}");
    }
    assert!(hub.terminate().await.success());
}

/// What a person waits for: a connection, and what comes over it.
fn connect(url: &str) -> TcpStream {
    let connection = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
    connection.set_read_timeout(Some(BOUND)).expect("a time limit");
    connection
}

/// The beginning of a request whose body has yet to come. The hub has read it and is at work on it: it asks for the rest.
fn begin(url: &str, length: usize) -> TcpStream {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut connection = connect(url);
    let head = format!(
        "PUT /api/v1/tenants/late HTTP/1.1\r\nHost: hub\r\nAuthorization: Basic YWRtaW46cHc=\r\n\
         Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("the head");
    let mut asked = vec![0; GO_ON.len()];
    connection.read_exact(&mut asked).expect("an interim answer");
    assert_eq!(asked, GO_ON);
    connection
}

async fn nobody_is_let_in(url: &str) {
    let address = url.trim_start_matches("http://").to_owned();
    wait_until("nobody is let in any more", BOUND, async || TcpStream::connect(&address).is_err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_what_is_in_flight_takes_nothing_new_and_ends_with_0() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let settings = [("BOURSE__ADMIN__PASSWORD", "pw"), ("BOURSE__EGRESS__ALLOW", "127.0.0.0/8")];
        let (mut hub, url) = home.serve(&settings).await;
        let broker = Recorder::start(&bench::catalog());
        let basic = json!({"basic": {"username": recorder::USERNAME, "password": recorder::PASSWORD}});
        let new = json!({"name": "recorder", "url": broker.url(), "credentials": basic});
        assert_eq!(admin(&url, Method::POST, "brokers", Some(new)).await.status, 201);
        let p = tenant_and_platform(&url).await;
        let plan = plan_ids(&url, &p, "recorded", "small").await;

        // In flight: an order at whose broker the call hangs, and a request half of which has come.
        let held = broker.hold("provision");
        let body = json!({"service_id": plan.0, "plan_id": plan.1, "organization_guid": "o", "space_guid": "s"});
        let path = format!("{url}/v2/service_instances/i");
        let order =
            tokio::spawn(
                async move { try_request(Method::PUT, &path, Some((&p.username, &p.password)), Some(body)).await },
            );
        wait_until("the broker is called", BOUND, async || broker.count("provision") == 1).await;
        let body = json!({ "display_name": "late" }).to_string();
        let mut late = begin(&url, body.len());
        let mut idle = connect(&url);

        hub.signal(Signal::Term);
        nobody_is_let_in(&url).await;
        assert_eq!(idle.read(&mut [0]).expect("its end"), 0, "who asks nothing is let go");
        assert!(!order.is_finished(), "the order is still under way");
        hub.assert_running();

        late.write_all(body.as_bytes()).expect("the body");
        let mut answer = String::new();
        late.read_to_string(&mut answer).expect("an answer, then the end of the connection");
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        drop(held);
        let reply = order.await.expect("it panicked").expect("an answer");
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(hub.exit_status().await.success());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_bounded_and_a_second_signal_ends_it_at_once() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let (mut hub, url) = home.serve(&[("BOURSE__ADMIN__PASSWORD", "pw"), ("BOURSE__SERVER__DRAIN", "PT1S")]).await;
        let stuck = begin(&url, 10);
        assert!(hub.terminate().await.success(), "after a second at most, whoever waits");
        drop(stuck);

        let (mut hub, url) = home.serve(&[("BOURSE__SERVER__DRAIN", "PT1H")]).await;
        let stuck = begin(&url, 10);
        hub.signal(Signal::Term);
        nobody_is_let_in(&url).await;
        hub.assert_running();
        assert!(!hub.terminate().await.success());
        drop(stuck);
    })
    .await;
}

/// Serves HTTPS as `localhost` with a certificate made for it, and gives the URL and a client that trusts nothing else.
async fn serve_https(home: &Home) -> (Process, String, reqwest::Client) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (home.folder().join("cert.pem"), home.folder().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let tls = [("BOURSE__SERVER__TLS__CERT", cert.as_str()), ("BOURSE__SERVER__TLS__KEY", key.as_str())];
    let (hub, url) = home.serve(&[&tls[..], &[("BOURSE__ADMIN__PASSWORD", "pw")]].concat()).await;
    let address = url.strip_prefix("https://").expect("HTTPS").parse::<SocketAddr>().expect("an address");
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a root");
    let client = reqwest::Client::builder().no_proxy().timeout(BOUND).tls_certs_only([root]);
    let client = client.resolve("localhost", address).build().expect("a client");
    (hub, format!("https://localhost:{}", address.port()), client)
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_with_a_certificate_of_ones_own() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let (mut hub, url, client) = serve_https(&home).await;
        assert_eq!(send(client.get(format!("{url}/healthz"))).await.status, 200);
        assert!(hub.terminate().await.success());
    })
    .await;
}

// HTTP/2, since an HTTP/1 connection is closed with the answer that is under way when the process is told to stop.
#[tokio::test(flavor = "multi_thread")]
async fn while_it_stops_it_says_over_connections_that_are_open_that_it_is_not_ready() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let (mut hub, url, client) = serve_https(&home).await;
        assert_eq!(send(client.get(format!("{url}/readyz"))).await.status, 200);
        // A body piece by piece: the second piece is taken when the head and the first are on their way.
        let (rest, pieces) = mpsc::channel::<Result<&str, std::io::Error>>(1);
        let body = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
        let late = client.put(format!("{url}/api/v1/tenants/late")).basic_auth("admin", Some("pw"));
        let late = tokio::spawn(send(late.body(reqwest::Body::wrap_stream(body))));
        for piece in ["{", r#""display_name":"#, " "] {
            rest.send(Ok(piece)).await.expect("it is asked for");
        }
        assert_eq!(send(client.get(format!("{url}/readyz"))).await.status, 200, "what was sent before has been read");

        hub.signal(Signal::Term);
        nobody_is_let_in(&url.replace("https://localhost", "127.0.0.1")).await;
        let ready = send(client.get(format!("{url}/readyz"))).await;
        assert_eq!(ready.is(503)["reasons"], json!(["the process is stopping"]));
        assert_eq!(ready.header("retry-after"), "1");
        rest.send(Ok(r#""late"}"#)).await.expect("it is asked for");
        drop(rest);
        late.await.expect("it panicked").is(201);
        assert!(hub.exit_status().await.success());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_only_works_serves_health_and_nothing_else() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let (mut hub, url) = home.serve_as(&["serve", "--role", "worker"], &[]).await;
        assert_eq!(send(client().get(format!("{url}/readyz"))).await.status, 200);
        send(client().get(format!("{url}/api/v1/tenants"))).await.refuses(404, "no_such_path");
        assert!(hub.terminate().await.success());
    })
    .await;
}

/// Runs the binary to its end with those settings.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Done {
    let mut command = Command::new(hub_binary());
    command.args(arguments).envs(environment.iter().copied());
    finish(command).await
}

/// Runs what can't start, and gives what it says.
async fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let done = run(arguments, environment).await;
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    done.err
}

#[tokio::test]
async fn what_can_not_start_says_why_in_one_line() {
    const NOBODY: (&str, &str) = ("BOURSE__DATABASE__URL", "postgres://user:hunter2@127.0.0.1:1/none");
    let said = refused(&["serve"], &[NOBODY]).await;
    assert!(said.contains("security.encryption_key") && !said.contains("hunter2"), "{said}");
    let said = refused(&["migrate"], &[NOBODY]).await;
    assert!(said.contains("is its server running") && !said.contains("hunter2"), "{said}");
    let said = refused(&["serve"], &[("BOURSE__SERVER__LISTN", "x")]).await;
    assert!(said.contains("listn"), "{said}");
    let said = refused(&["serve", "--config", "/nonexistent.toml"], &[]).await;
    assert!(said.contains("nonexistent.toml"), "{said}");
    let said = refused(&["migrate"], &[("BOURSE__DATABASE__URL", "mysql://x")]).await;
    assert!(said.contains("sqlite:FILE"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_behind_is_not_ready_until_it_is_migrated() {
    on_each(async |on| {
        let home = Home::new(on).await;
        let by_hand = ("BOURSE__DATABASE__MIGRATE", "false");
        let said = refused(&["serve"], &home.settings(&[by_hand])).await;
        assert!(said.contains("bourse migrate"), "{said}");
        for _ in 0..2 {
            let migrated = run(&["migrate"], &home.settings(&[by_hand])).await;
            assert_eq!(migrated.code, 0, "once and again: {migrated:?}");
        }
        let (mut hub, url) = home.serve(&[by_hand]).await;
        send(client().get(format!("{url}/readyz"))).await.is(200);
        assert!(hub.terminate().await.success());
    })
    .await;
}

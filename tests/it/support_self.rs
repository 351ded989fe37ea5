//! The support code does what the other tests rely on: above all, it leaves nothing behind.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::support::ports::free_port;
use crate::support::process::{Process, Signal, brokers_binary, hub_binary, is_alive, scratch, send, wait_until_gone};
use crate::support::python;
use crate::support::services::{Nats, Postgres, nats, postgres};
use crate::support::wait::{wait_for, wait_until};

const BOUND: Duration = Duration::from_secs(20);

/// Set in the process that `what_a_killed_test_process_started_is_gone` starts and kills.
const VICTIM: &str = "BOURSE_IT_VICTIM";

/// A program that says where it listens and goes on until it is told to end.
const SERVER: &str = r#"trap 'echo ended; exit 0' TERM
echo 'starting'; echo "listening on http://127.0.0.1:$1"; echo 'a complaint' >&2
while :; do sleep 0.05; done"#;

async fn server() -> (Process, String) {
    Process::serve("self", "/bin/sh".as_ref(), ["-c", SERVER, "server", "4711"], &[("MODE", "test")]).await
}

/// The text with which `future` fails the test.
async fn failure<T>(future: impl Future<Output = T>) -> String {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(_) => panic!("it did not fail"),
        Err(panic) => *panic.downcast::<String>().expect("a panic with a text"),
    }
}

#[test]
fn free_ports_differ() {
    let ports: BTreeSet<u16> = (0..50).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 50);
}

#[tokio::test]
async fn waiting_ends_with_the_level_and_not_later() {
    let mut asked = 0;
    let found = wait_for("three", BOUND, async || {
        asked += 1;
        (asked == 3).then_some("three")
    });
    assert_eq!(found.await, "three");
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn waiting_in_vain_fails_and_names_what_was_awaited() {
    let text = failure(wait_until("pigs fly", Duration::from_millis(40), async || false)).await;
    assert!(text.contains("until pigs fly"), "{text}");
}

#[tokio::test]
async fn a_process_says_where_it_listens_and_ends_when_asked() {
    let (mut process, url) = server().await;
    assert_eq!(url, "http://127.0.0.1:4711");
    assert_eq!(process.stderr(), "a complaint\n");
    assert_eq!(process.terminate().await.code(), Some(0));
    assert!(process.stdout().ends_with("ended\n"));
}

#[tokio::test]
async fn a_stopped_process_stands_still_and_is_killed_all_the_same() {
    let (mut process, _) = server().await;
    process.signal(Signal::Stop);
    let stat = format!("/proc/{}/stat", process.pid());
    let state = async || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
    wait_until("it stands still", BOUND, state).await;
    process.signal(Signal::Continue);
    wait_until("it goes on", BOUND, async || !state().await).await;
    process.signal(Signal::Stop);
    process.kill().await;
    assert!(!is_alive(process.pid()));
}

#[tokio::test]
async fn a_dropped_process_is_gone_with_its_directory_and_its_guard() {
    let (process, _) = server().await;
    let (pid, guard, directory) = (process.pid(), process.guard_pid(), process.directory().to_owned());
    assert!(is_alive(pid) && is_alive(guard) && directory.is_dir());
    drop(process);
    assert!(!is_alive(pid) && !is_alive(guard) && !directory.exists());
}

#[tokio::test]
async fn a_process_that_ends_early_is_reported_with_its_output() {
    let text =
        failure(Process::serve("early", "/bin/sh".as_ref(), ["-c", "echo no such setting >&2; exit 3"], &[])).await;
    assert!(text.contains("exit status: 3") && text.contains("no such setting"), "{text}");
}

#[test]
fn the_binaries_of_this_build_are_found() {
    assert!(hub_binary().is_file());
    assert!(brokers_binary().is_file());
}

#[test]
fn the_python_environment_holds_what_the_tests_borrow() {
    let output = Command::new(python::python()).args(["-c", "import openbrokerapi, jwt, cryptography"]).output();
    let output = output.expect("could not start python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(python::program("no-such-program").is_err_and(|reason| reason.contains("tests/run.sh")));
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_from_a_template_migrated_once() {
    let migrate = async |url: String| {
        let mut connection = PgConnection::connect(&url).await.expect("no connection to the template");
        // Fails when it runs a second time.
        connection.execute("create table kept (word text primary key)").await.expect("no table");
        connection.close().await.expect("not closed");
    };
    let postgres = postgres().await;
    let one = postgres.database_from("one", "support_self", migrate).await;
    let two = postgres.database_from("two", "support_self", migrate).await;
    let mut connection = PgConnection::connect(one.url()).await.expect("no connection");
    connection.execute("insert into kept values ('one')").await.expect("not inserted");
    let mut other = PgConnection::connect(two.url()).await.expect("no connection");
    let count = other.fetch_one("select cast(count(*) as bigint) from kept").await.expect("no table in the copy");
    assert_eq!(count.get::<i64, _>(0), 0);
    // Durability is not traded for speed.
    for setting in ["show fsync", "show synchronous_commit"] {
        assert_eq!(connection.fetch_one(setting).await.expect("no setting").get::<String, _>(0), "on");
    }

    let name = one.url().rsplit('/').next().expect("a name").to_owned();
    let looked_up = format!("select 1 from pg_database where datname = '{name}'");
    let there = other.fetch_optional(sqlx::AssertSqlSafe(looked_up.clone())).await.expect("no catalog");
    assert!(there.is_some());
    drop(one); // although `connection` is still open
    let there = other.fetch_optional(sqlx::AssertSqlSafe(looked_up)).await.expect("no catalog");
    assert!(there.is_none(), "{name} was not dropped");
}

#[tokio::test]
async fn an_empty_database_is_empty() {
    let database = postgres().await.database("empty").await;
    let mut connection = PgConnection::connect(database.url()).await.expect("no connection");
    let count = connection.fetch_one("select count(*) from information_schema.tables where table_schema = 'public'");
    assert_eq!(count.await.expect("no answer").get::<i64, _>(0), 0);
}

#[tokio::test]
async fn nats_keeps_streams_and_drops_repeated_messages() {
    let client = async_nats::connect(nats().await.url()).await.expect("no connection");
    let jetstream = async_nats::jetstream::new(client);
    let subjects = vec!["support_self.>".to_owned()];
    let stream =
        async_nats::jetstream::stream::Config { name: "support_self".to_owned(), subjects, ..Default::default() };
    jetstream.create_stream(stream).await.expect("no stream");
    for expected in [false, true] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", "the same");
        let sent = jetstream.publish_with_headers("support_self.one", headers, "x".into()).await.expect("not sent");
        assert_eq!(sent.await.expect("no acknowledgement").duplicate, expected);
    }
}

#[tokio::test]
async fn a_test_can_stop_services_of_its_own() {
    let mut nats = Nats::start().await.expect("no NATS");
    nats.process().kill().await;
    assert!(async_nats::connect(nats.url()).await.is_err());
    let mut postgres = Postgres::start().await.expect("no PostgreSQL");
    let database = postgres.database("doomed").await;
    postgres.crash().await;
    assert!(PgConnection::connect(database.url()).await.is_err());
}

/// The test starts this very test in another process, which starts the services and then waits to be killed.
#[tokio::test]
async fn what_a_killed_test_process_started_is_gone() {
    if std::env::var_os(VICTIM).is_some() {
        let mut services = (Nats::start().await.expect("no NATS"), Postgres::start().await.expect("no PostgreSQL"));
        for process in [services.0.process(), services.1.process()] {
            println!("\nSTARTED {} {} {}", process.pid(), process.guard_pid(), process.directory().display());
        }
        println!("\nlistening on nothing");
        return tokio::time::timeout(BOUND * 3, std::future::pending()).await.expect("nobody killed the victim");
    }
    let name = "support_self::what_a_killed_test_process_started_is_gone";
    let program = std::env::current_exe().expect("no path of the test binary");
    let (mut victim, _) = Process::serve("victim", &program, [name, "--exact", "--nocapture"], &[(VICTIM, "1")]).await;
    let output = victim.stdout();
    let started: Vec<Vec<&str>> =
        output.lines().filter_map(|line| line.strip_prefix("STARTED ")).map(|line| line.split(' ').collect()).collect();
    assert_eq!(started.len(), 2, "{output}");
    victim.kill().await;
    for service in started {
        for pid in &service[..2] {
            wait_until_gone(pid.parse().expect("a pid")).await;
        }
        assert!(!std::path::Path::new(service[2]).exists(), "{} was left behind", service[2]);
    }
}

#[test]
fn a_signal_to_nobody_fails_the_test() {
    let mut child = Command::new("/bin/sh").args(["-c", "exit 0"]).spawn().expect("no shell");
    let pid = child.id();
    child.wait().expect("not ended");
    assert!(std::panic::catch_unwind(|| send(Signal::Term, pid)).is_err());
}

#[test]
fn a_scratch_directory_is_closed_to_other_users_but_can_be_passed_through() {
    use std::os::unix::fs::PermissionsExt;
    let directory = scratch("self");
    let mode = std::fs::metadata(&directory).expect("no directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o711);
    std::fs::remove_dir(directory).expect("not removed");
}

//! The host for trying out, behind the gateway and by itself.

use std::net::TcpListener;
use std::sync::Arc;

use bourse_brokers::bastion::access::Event;
use bourse_brokers::bastion::gateway::local::{LocalConfig, LocalError, LocalHost, LocalRunning};
use osb::kit::Clock;
use tokio::io::AsyncWriteExt as _;

use super::authority::key;
use super::setup::{PATIENCE, Plan, Site, host_certificate, output, text};

fn local(authority: u8) -> LocalRunning {
    let config = LocalConfig {
        host_key: key(20),
        host_certificate: Some(host_certificate(&key(20), "web1")),
        authorities: Arc::new(vec![key(authority).public_key().clone()]),
        principals: vec!["demo".into()],
        clock: Clock::System,
    };
    LocalHost::start(TcpListener::bind("127.0.0.1:0").unwrap(), config).unwrap()
}

/// A site whose target is a local host, and a user who is `demo` there.
async fn site(local: &LocalRunning) -> Site {
    let port = local.address().port();
    let mut site = Site::of(Plan::granting(move |grant| {
        grant.principals = vec!["demo".into()];
        grant.targets[0].port = port;
        grant.targets[0].principals = vec!["demo".into()];
    }))
    .await;
    site.principal = "demo".into();
    site.issue(|_| {});
    site
}

#[tokio::test]
async fn a_command_runs_with_its_input_outputs_and_exit_status() {
    let local = local(10);
    let site = site(&local).await;
    let done = site.ssh(&["web1", "echo out; echo err >&2; echo $BOURSE_BROKERS_PASSWORD.; exit 5"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("out\n.\n", Some(5)), "{}", text(&done.stderr));
    assert_eq!(text(&done.stderr), "err\n");
    let bytes = vec![b'x'; 6 << 20];
    std::fs::write(site.path("big"), &bytes).unwrap();
    let mut command = site.program("ssh");
    command.args(["web1", "cat"]).stdin(std::fs::File::open(site.path("big")).unwrap());
    assert!(output(command).await.stdout == bytes);
    local.stop().await;
}

#[tokio::test]
async fn a_shell_runs_with_and_without_a_terminal() {
    let local = local(10);
    let site = site(&local).await;
    for (option, expected) in [("-T", "no terminal"), ("-tt", "terminal 24 80")] {
        let mut command = site.program("ssh");
        command.args([option, "web1"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut ssh = command.spawn().unwrap();
        let mut input = ssh.stdin.take().unwrap();
        let line =
            "stty rows 24 cols 80 2>/dev/null; tty -s && echo terminal $(stty size) || echo no terminal; exit 4\n";
        input.write_all(line.as_bytes()).await.unwrap();
        let done = tokio::time::timeout(PATIENCE, ssh.wait_with_output()).await.unwrap().unwrap();
        let seen = text(&done.stdout);
        assert!(seen.lines().any(|line| line.trim_end().ends_with(expected)), "{option}: {seen}");
        assert_eq!(done.status.code(), Some(4));
    }
    local.stop().await;
}

#[tokio::test]
async fn a_command_ends_with_its_session() {
    let local = local(10);
    let site = site(&local).await;
    let alive = site.path("alive");
    let mut command = site.program("ssh");
    command.args(["web1", &format!("echo $$ > {}; exec cat", alive.display())]).stdin(std::process::Stdio::piped());
    let ssh = command.spawn().unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    let wait = async |done: &dyn Fn() -> bool| {
        while !done() {
            assert!(std::time::Instant::now() < until);
            tokio::task::yield_now().await;
        }
    };
    wait(&|| std::fs::read_to_string(&alive).is_ok_and(|pid| pid.ends_with('\n'))).await;
    let pid = std::fs::read_to_string(&alive).unwrap();
    site.authority.revoke("binding-1");
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    // Gone, or waiting to be buried.
    let status = format!("/proc/{}/stat", pid.trim());
    wait(&|| std::fs::read_to_string(&status).map_or(true, |status| status.contains(") Z "))).await;
    drop(ssh);
    local.stop().await;
}

#[tokio::test]
async fn it_trusts_one_authority_and_knows_no_files() {
    let stranger = local(33);
    let site_of_stranger = site(&stranger).await;
    let done = site_of_stranger.ssh(&["web1", "echo in"]).await;
    assert!(text(&done.stderr).contains("the target refused the login"), "{}", text(&done.stderr));
    assert_eq!(site_of_stranger.authority.denials(), ["the target did not accept the session's certificate"]);
    let local = local(10);
    let site = site(&local).await;
    let mut sftp = site.program("sftp");
    sftp.arg("web1");
    let done = output(sftp).await;
    assert!(text(&done.stderr).contains("bastion: the target refused to run it"), "{}", text(&done.stderr));
    assert!(!done.status.success());
}

#[tokio::test]
async fn it_can_not_be_reached_from_elsewhere() {
    let config = LocalConfig {
        host_key: key(20),
        host_certificate: None,
        authorities: Arc::new(Vec::new()),
        principals: Vec::new(),
        clock: Clock::System,
    };
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    assert!(matches!(LocalHost::start(everywhere, config), Err(LocalError::Reachable)));
}

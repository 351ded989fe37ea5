//! What ends a session that the user would rather go on with.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use bourse_brokers::bastion::access::{Event, Recording};
use bourse_brokers::bastion::gateway::{End, Limits, verify};
use osb::kit::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::setup::{PATIENCE, Plan, Site, shown, text};

/// A session that would go on for ever, as far as `ready`.
async fn endless(site: &Site) -> Child {
    let mut command = site.program("ssh");
    command.args(["web1", "echo ready; exec cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut ssh = command.spawn().unwrap();
    let mut output = BufReader::new(ssh.stdout.as_mut().unwrap());
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, output.read_line(&mut line)).await.unwrap().unwrap();
    assert_eq!(line, "ready\n");
    ssh
}

async fn ended(mut ssh: Child) -> Output {
    // Its input stays open: it is not the user who ends it.
    let input = ssh.stdin.take();
    let output = tokio::time::timeout(PATIENCE, ssh.wait_with_output()).await.expect("it is cut").unwrap();
    drop(input);
    output
}

/// Why the session ended, as the audit says.
async fn reason(site: &Site) -> String {
    let audit = site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let Event::Ended { reason, .. } = &audit.last().unwrap().event else { panic!("{audit:?}") };
    reason.clone()
}

#[tokio::test]
async fn revocation_cuts_a_live_session_within_five_seconds() {
    let site = Site::new().await;
    let ssh = endless(&site).await;
    let revoked = Instant::now();
    site.authority.revoke("binding-1");
    let done = ended(ssh).await;
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    assert_eq!(done.status.code(), Some(255));
    assert!(text(&done.stderr).contains("bastion: revoked"), "{}", text(&done.stderr));
    assert_eq!(reason(&site).await, "revoked");
    let (lines, verified) = site.recording();
    assert_eq!((shown(&lines, "o").concat().as_str(), verified.end), ("ready\n", End::Sealed));
    assert_eq!(site.gateway.as_ref().unwrap().sessions(), []);
}

#[tokio::test]
async fn a_user_who_does_not_read_is_cut_as_quickly() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["web1", "yes"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let ssh = command.spawn().unwrap();
    // Until everything between here and there is full, and nothing is recorded any more.
    let size = || site.recordings().first().map_or(0, |file| std::fs::metadata(file).unwrap().len());
    let until = Instant::now() + PATIENCE;
    let (mut last, mut since) = (0, Instant::now());
    while last == 0 || since.elapsed() < Duration::from_millis(500) {
        assert!(Instant::now() < until, "{last}");
        let now = size();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        tokio::task::yield_now().await;
    }
    let revoked = Instant::now();
    site.authority.revoke("binding-1");
    assert_eq!(reason(&site).await, "revoked");
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    assert_eq!(site.recording().1.end, End::Sealed);
    drop(ssh);
}

#[tokio::test]
async fn a_grant_that_runs_out_cuts_its_session() {
    let site = Site::of(Plan::granting(|grant| grant.expires_at = Clock::System.seconds() + 6)).await;
    let done = ended(endless(&site).await).await;
    assert!(text(&done.stderr).contains("bastion: expired"), "{}", text(&done.stderr));
    assert_eq!(reason(&site).await, "expired");
}

#[tokio::test]
async fn a_session_in_which_nothing_happens_ends() {
    let limits = Limits { idle: Duration::from_secs(4), ..Limits::default() };
    let site = Site::of(Plan { limits, ..Plan::default() }).await;
    ended(endless(&site).await).await;
    assert_eq!(reason(&site).await, "idle for too long");
}

#[tokio::test]
async fn a_session_ends_when_its_recording_is_full_and_what_was_not_recorded_was_not_shown() {
    let limits = Limits { recorded_bytes: 100_000, ..Limits::default() };
    let site = Site::of(Plan { limits, ..Plan::default() }).await;
    let done = site.ssh(&["web1", "yes"]).await;
    assert!(text(&done.stderr).contains("the recording is as large as one may be"), "{}", text(&done.stderr));
    assert_eq!(reason(&site).await, "the recording is as large as one may be");
    let (lines, verified) = site.recording();
    assert_eq!(verified.end, End::Sealed);
    assert!(verified.bytes <= 100_000);
    let (recorded, seen) = (shown(&lines, "o").concat(), text(&done.stdout));
    assert!(recorded.starts_with(&seen), "{} bytes seen, {} recorded", seen.len(), recorded.len());
}

#[tokio::test]
async fn without_a_place_for_the_recording_there_is_no_session() {
    let site = Site::new().await;
    std::fs::write(site.path("data"), "in the way").unwrap();
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("", Some(255)));
    assert!(text(&done.stderr).contains("the session can't be recorded"), "{}", text(&done.stderr));
    assert_eq!(site.authority.denials(), ["the session can't be recorded"]);
    assert!(!std::fs::read_to_string(site.path("sshd.log")).unwrap().contains("Accepted"));
}

#[tokio::test]
async fn without_an_audit_there_is_no_session() {
    let site = Site::new().await;
    site.authority.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("", Some(255)));
}

#[tokio::test]
async fn there_are_no_more_sessions_than_allowed() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let site = Site::of(Plan { limits, ..Plan::default() }).await;
    let ssh = endless(&site).await;
    assert_eq!(site.ssh(&["web1", "echo in"]).await.status.code(), Some(255));
    assert_eq!(site.authority.denials(), ["there are too many sessions"]);
    drop(ended_by_its_user(ssh).await);
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    // The place is free a moment after the audit says so.
    let until = Instant::now() + PATIENCE;
    while !site.gateway.as_ref().unwrap().sessions().is_empty() {
        assert!(Instant::now() < until);
        tokio::task::yield_now().await;
    }
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!(text(&done.stdout), "in\n", "{}", text(&done.stderr));
}

async fn ended_by_its_user(mut ssh: Child) -> Output {
    drop(ssh.stdin.take());
    tokio::time::timeout(PATIENCE, ssh.wait_with_output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_operator_sees_a_session_and_cuts_it() {
    let site = Site::new().await;
    let ssh = endless(&site).await;
    let gateway = site.gateway.as_ref().unwrap();
    let live = gateway.sessions();
    assert_eq!((live[0].bastion.as_str(), live[0].principal.as_str()), ("bastion-1", site.principal.as_str()));
    assert!(gateway.cut(&live[0].id) && !gateway.cut("another"));
    ended(ssh).await;
    assert_eq!(reason(&site).await, "cut by an operator");
}

#[tokio::test]
async fn a_gateway_that_stops_cuts_its_sessions_and_seals_their_recordings() {
    let mut site = Site::new().await;
    let ssh = endless(&site).await;
    let gateway = site.gateway.take().unwrap();
    let (address, key) = (gateway.address(), gateway.seal_public_key().to_vec());
    tokio::time::timeout(PATIENCE, gateway.stop()).await.unwrap();
    let done = ended(ssh).await;
    assert!(text(&done.stderr).contains("the gateway stops"), "{}", text(&done.stderr));
    assert_eq!(reason(&site).await, "the gateway stops");
    assert_eq!(verify(&site.recordings()[0], &key).unwrap().end, End::Sealed);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn who_does_not_log_in_is_sent_away() {
    use std::io::Read as _;
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let site = Site::of(Plan { limits, ..Plan::default() }).await;
    let address = site.address();
    let told = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).map(|_| told)
    });
    assert!(text(&told.await.unwrap().unwrap()).starts_with("SSH-2.0-Bourse\r\n"));
}

#[tokio::test]
async fn metadata_alone_leaves_no_recording() {
    let site = Site::of(Plan::granting(|grant| grant.recording = Recording::Metadata)).await;
    assert_eq!(text(&site.ssh(&["web1", "echo in"]).await.stdout), "in\n");
    let audit = site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    assert!(matches!(&audit.last().unwrap().event, Event::Ended { recorded_bytes: 0, .. }), "{audit:?}");
    assert!(!site.path("data").exists());
}

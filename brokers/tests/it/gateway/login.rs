//! The straight way: in with a certificate, run something, out again.

use std::process::Stdio;
use std::time::Duration;

use bourse_brokers::bastion::access::{Event, Recording};
use bourse_brokers::bastion::gateway::End;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;

use super::setup::{PATIENCE, Plan, Site, output, shown, text};

const CHUNK: usize = 32 << 10;

#[tokio::test]
async fn a_user_with_a_certificate_runs_a_command_at_the_target() {
    let site = Site::new().await;
    let done = site.ssh(&["web1", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("out\n", Some(7)), "{}", text(&done.stderr));
    assert_eq!(text(&done.stderr), "err\n");

    let audit = site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, verified) = site.recording();
    assert_eq!(verified.end, End::Sealed);
    let [started, ended] = &audit[..] else { panic!("{audit:?}") };
    let principal = site.principal.clone();
    assert_eq!(started.event, Event::Started { target: "web1".into(), principal });
    let Event::Ended { target, seconds, recorded_bytes, reason } = &ended.event else { panic!("{ended:?}") };
    assert_eq!((target.as_str(), reason.as_str(), *recorded_bytes), ("web1", "closed by the user", verified.bytes));
    assert!((1..20).contains(seconds));
    for entry in &audit {
        assert_eq!(entry.bastion.as_deref(), Some("bastion-1"));
        assert_eq!((entry.grant.as_deref(), entry.user.as_deref()), (Some("binding-1"), Some("ada")));
        assert_eq!(entry.source.to_string(), "127.0.0.1");
        assert_eq!(entry.session.as_ref().map(|id| format!("{id}.cast")), Some(verified.name.clone()));
    }
    assert_eq!(lines[0]["command"], "echo out; echo err >&2; exit 7");
    let mut seen = shown(&lines, "o");
    seen.sort();
    assert_eq!(seen, ["err\n", "out\n"]);
    // At the target it was the session that logged in, as the user.
    let log = std::fs::read_to_string(site.path("sshd.log")).unwrap();
    assert!(log.contains(&format!("ID ada:{}", started.session.as_ref().unwrap())), "{log}");
}

#[tokio::test]
async fn input_reaches_the_target_with_its_end_and_is_not_recorded() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["web1", "wc -c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ssh = command.spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    input.write_all("hunter2 ".repeat(100_000).as_bytes()).await.unwrap();
    drop(input);
    let done = timeout(PATIENCE, ssh.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(text(&done.stdout).trim(), "800000");
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, _) = site.recording();
    assert_eq!(shown(&lines, "o").concat().trim(), "800000");
    assert!(!std::fs::read_to_string(&site.recordings()[0]).unwrap().contains("hunter2"));
}

#[tokio::test]
async fn much_in_both_directions_at_once_neither_stalls_nor_loses_a_byte() {
    let site = Site::of(Plan::granting(|grant| grant.recording = Recording::Off)).await;
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(site.path("big"), &bytes).unwrap();
    // And once more with keys that are exchanged anew all the time.
    for option in ["RekeyLimit=default", "RekeyLimit=1M"] {
        let mut command = site.program("ssh");
        command.args(["-o", option, "web1", "cat"]).stdin(std::fs::File::open(site.path("big")).unwrap());
        let done = output(command).await;
        assert!(done.status.success(), "{}", text(&done.stderr));
        let first = done.stdout.iter().zip(&bytes).position(|(a, b)| a != b);
        assert_eq!((done.stdout.len(), first), (bytes.len(), None), "{option}");
    }
    assert_eq!(site.recordings(), Vec::<std::path::PathBuf>::new());
}

/// Sends until nothing more is taken, for nothing is read; then reads. How much came back.
async fn sent_before_anything_is_read(site: &Site, command: &str, bytes: usize) -> usize {
    let mut ssh = site.program("ssh");
    ssh.args(["web1", command]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let (mut input, mut output) = (ssh.stdin.take().unwrap(), ssh.stdout.take().unwrap());
    let (taken, mut progress) = watch::channel(0);
    let sending = tokio::spawn(async move {
        for _ in 0..bytes / CHUNK {
            input.write_all(&[b'x'; CHUNK]).await.unwrap();
            taken.send_modify(|taken| *taken += CHUNK);
        }
    });
    // Either everything is on its way, or everything between here and there is full.
    while timeout(Duration::from_millis(500), progress.changed()).await.is_ok_and(|changed| changed.is_ok()) {}
    let (mut back, mut buffer) = (0, vec![0; CHUNK]);
    let reading = async {
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            back += read;
        }
    };
    timeout(PATIENCE, reading).await.expect("it does not stall");
    sending.await.unwrap();
    back
}

#[tokio::test]
async fn a_reader_that_rests_stalls_nothing_once_it_reads() {
    let site = Site::of(Plan::granting(|grant| grant.recording = Recording::Off)).await;
    let bytes = 12 << 20;
    assert_eq!(sent_before_anything_is_read(&site, "cat", bytes).await, bytes);
    // Twice as much comes back as is sent.
    assert_eq!(sent_before_anything_is_read(&site, "tee /dev/stderr 2>&1", bytes / 2).await, bytes);
}

#[tokio::test]
async fn only_the_language_reaches_the_target_from_the_environment() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["web1", "echo $LC_TEST-$X_TEST"]).env("LC_TEST", "yes").env("X_TEST", "no");
    assert_eq!(text(&output(command).await.stdout), "yes-\n");
}

#[tokio::test]
async fn a_terminal_has_its_size_and_its_recording_says_so() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["-tt", "web1", "stty size; test -t 1 && echo terminal; sleep 0.1; exit 3"]);
    // The client asks its own terminal for the size; without one it says 80 to 24 or nothing.
    let done = output(command).await;
    assert_eq!(done.status.code(), Some(3), "{}", text(&done.stderr));
    let seen = text(&done.stdout);
    assert!(seen.contains("terminal\r\n"), "{seen}");
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, verified) = site.recording();
    assert_eq!(verified.end, End::Sealed);
    assert_eq!(shown(&lines, "o").concat(), seen);
    assert_eq!(
        format!("{} {}\r\n", lines[0]["height"], lines[0]["width"]),
        seen.lines().next().unwrap().to_owned() + "\r\n"
    );
    assert_eq!(
        (&lines[0]["version"], lines[0]["title"].as_str().unwrap().ends_with("@web1 for ada")),
        (&2.into(), true)
    );
}

#[tokio::test]
async fn a_command_that_the_certificate_forces_is_the_only_one() {
    let site = Site::new().await;
    site.issue(|order| order.critical.push(("force-command", "echo forced")));
    // Options stand in a certificate in the order of their names.
    assert_eq!(text(&site.ssh(&["web1", "echo asked"]).await.stdout), "forced\n");
    let sftp = output({
        let mut command = site.program("sftp");
        command.arg("web1");
        command
    });
    assert!(!sftp.await.status.success());
}

#[tokio::test]
async fn several_channels_of_one_connection_have_a_recording_each() {
    let site = Site::new().await;
    let control = site.path("control").display().to_string();
    let mut master = site.program("ssh");
    master.args(["-M", "-N", "-S", &control, "web1"]);
    let mut master = master.spawn().unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while !site.path("control").exists() {
        assert!(std::time::Instant::now() < until, "no master");
        tokio::task::yield_now().await;
    }
    for word in ["one", "two"] {
        assert_eq!(
            text(&site.ssh(&["-S", &control, "web1", &format!("echo {word}")]).await.stdout),
            format!("{word}\n")
        );
    }
    let live = site.gateway.as_ref().unwrap().sessions();
    assert_eq!((live.len(), live[0].user.as_str(), live[0].target.as_str()), (1, "ada", "web1"));
    site.ssh(&["-S", &control, "-O", "exit", "web1"]).await;
    timeout(PATIENCE, master.wait()).await.unwrap().unwrap();
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    assert_eq!(site.recordings().len(), 2);
    assert_eq!(site.authority.audit().len(), 2, "one session, one connection to the target");
}

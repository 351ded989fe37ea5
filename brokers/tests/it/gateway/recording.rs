//! What a recording is worth: that it replays, and that it outlives the gateway.

use bourse_brokers::bastion::access::Event;
use bourse_brokers::bastion::gateway::{End, verify};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::setup::{PATIENCE, Site, lines, shown, text};

#[tokio::test]
async fn a_replay_shows_what_the_user_saw() {
    let site = Site::new().await;
    let script =
        "for i in $(seq 200); do printf '\\033[1;32mgr\\303\\274n %d\\033[0m \\360\\237\\230\\200\\n' $i; done";
    let done = site.ssh(&["-tt", "web1", script]).await;
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, verified) = site.recording();
    assert_eq!(verified.end, End::Sealed);
    assert_eq!(shown(&lines, "o").concat(), text(&done.stdout));
    let times: Vec<_> = lines[1..].iter().map(|line| line[0].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] >= 0.0);
}

#[tokio::test]
async fn a_password_that_is_not_echoed_is_not_recorded_and_one_that_is_is() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["-tt", "web1", "stty -echo; echo password?; read p; stty echo; echo name?; read n; echo done"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut ssh = command.spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    let mut output = BufReader::new(ssh.stdout.take().unwrap()).lines();
    let talk = async {
        while let Some(line) = output.next_line().await.unwrap() {
            match line.trim_end() {
                "password?" => input.write_all(b"hunter2\n").await.unwrap(),
                "name?" => input.write_all(b"lovelace\n").await.unwrap(),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap();
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let text = std::fs::read_to_string(&site.recordings()[0]).unwrap();
    assert!(text.contains("lovelace") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_recording_of_a_session_that_goes_on_is_readable_and_verifies_so_far() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["web1", "echo so far; exec cat"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut ssh = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(ssh.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
    // This is all that a gateway that dies now leaves: nothing is in memory alone of what was shown.
    let recording = &site.recordings()[0];
    let verified = verify(recording, site.gateway.as_ref().unwrap().seal_public_key()).unwrap();
    assert_eq!(verified.end, End::Unsealed(0));
    assert_eq!(shown(&lines(recording), "o"), ["so far\n"]);
    drop(ssh.stdin.take());
    ssh.wait().await.unwrap();
}

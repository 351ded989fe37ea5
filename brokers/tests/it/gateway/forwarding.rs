//! Ports that are forwarded through the gateway.

use bourse_brokers::bastion::access::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::setup::{Plan, Site, output, shown, text};

/// Answers each connection with what it said, once.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            stream.write_all(&said).await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn a_port_is_forwarded_where_it_is_allowed_and_the_recording_says_where_to() {
    let site = Site::new().await;
    let port = echo().await;
    std::fs::write(site.path("said"), "secret over the wire").unwrap();
    let mut command = site.program("ssh");
    command.args(["-W", &format!("127.0.0.1:{port}"), "web1"]);
    command.stdin(std::fs::File::open(site.path("said")).unwrap());
    let done = output(command).await;
    assert_eq!(text(&done.stdout), "secret over the wire", "{}", text(&done.stderr));
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, _) = site.recording();
    assert_eq!(shown(&lines, "m"), [format!("forward 127.0.0.1:{port}")]);
    assert_eq!(shown(&lines, "o"), Vec::<String>::new());
}

#[tokio::test]
async fn no_port_is_forwarded_where_it_is_not_allowed() {
    let site = Site::of(Plan::granting(|grant| grant.port_forwarding = false)).await;
    let done = site.ssh(&["-W", &format!("127.0.0.1:{}", echo().await), "web1"]).await;
    assert_eq!(done.status.code(), Some(255));
    assert!(text(&done.stderr).contains("administratively prohibited"), "{}", text(&done.stderr));
}

#[tokio::test]
async fn no_port_is_forwarded_back_to_the_user() {
    let site = Site::new().await;
    let port = echo().await;
    let done =
        site.ssh(&["-o", "ExitOnForwardFailure=yes", "-R", &format!("0:127.0.0.1:{port}"), "web1", "echo in"]).await;
    assert!(text(&done.stderr).contains("remote port forwarding failed"), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "");
}

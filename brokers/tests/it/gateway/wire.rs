//! What `ssh` does not send by itself, sent by a client that does.

use std::sync::Arc;

use bourse_brokers::bastion::access::{Event, login};
use russh::client::{self, Handle};
use russh::keys::{Certificate, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Disconnect, Sig};

use super::authority::key;
use super::setup::{PATIENCE, Site, shown};

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

async fn connected(site: &Site) -> Handle<Trusting> {
    let mut handle = client::connect(Arc::default(), site.address(), Trusting).await.unwrap();
    let certificate = Certificate::read_file(&site.path("id-cert.pub")).unwrap();
    let login = login(&site.principal, "web1");
    assert!(handle.authenticate_openssh_cert(login, Arc::new(key(1)), certificate).await.unwrap().success());
    handle
}

/// The next message for which that holds.
async fn until(channel: &mut Channel<client::Msg>, mut wanted: impl FnMut(&ChannelMsg) -> bool) -> ChannelMsg {
    let next = async {
        loop {
            let message = channel.wait().await.expect("it is open");
            if wanted(&message) {
                return message;
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("it comes")
}

async fn until_output(channel: &mut Channel<client::Msg>, text: &str) {
    let mut seen = String::new();
    until(channel, |message| {
        if let ChannelMsg::Data { data } = message {
            seen.push_str(&String::from_utf8_lossy(data));
        }
        seen.contains(text)
    })
    .await;
}

#[tokio::test]
async fn a_terminal_that_changes_its_size_does_so_at_the_target_and_in_the_recording() {
    let site = Site::new().await;
    let handle = connected(&site).await;
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.request_pty(true, "xterm", 90, 30, 0, 0, &[]).await.unwrap();
    // What it says first comes after the trap: a change before it would be heard by nobody.
    channel.exec(true, "trap 'stty size; exit 6' WINCH; stty size; while :; do sleep 0.05; done").await.unwrap();
    until_output(&mut channel, "30 90").await;
    channel.window_change(101, 41, 0, 0).await.unwrap();
    until_output(&mut channel, "41 101").await;
    until(&mut channel, |message| matches!(message, ChannelMsg::ExitStatus { exit_status: 6 })).await;
    handle.disconnect(Disconnect::ByApplication, "", "").await.unwrap();
    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, _) = site.recording();
    assert_eq!(
        (&lines[0]["width"], &lines[0]["height"], &lines[0]["env"]["TERM"]),
        (&90.into(), &30.into(), &"xterm".into())
    );
    assert_eq!(shown(&lines, "r"), ["101x41"]);
}

#[tokio::test]
async fn a_signal_reaches_the_command_and_its_death_reaches_the_user() {
    let site = Site::new().await;
    let handle = connected(&site).await;
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, "echo ready; kill -KILL $$").await.unwrap();
    until(&mut channel, |message| matches!(message, ChannelMsg::ExitSignal { signal_name: Sig::KILL, .. })).await;
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, "trap 'echo told; exit 8' TERM; echo ready; while :; do sleep 0.05; done").await.unwrap();
    until_output(&mut channel, "ready").await;
    channel.signal(Sig::TERM).await.unwrap();
    // An sshd that runs as root gives no signals to commands of root, and says so.
    let refused = async {
        while !std::fs::read_to_string(site.path("sshd.log")).unwrap().contains("session signalling requires") {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = until(&mut channel, |message| matches!(message, ChannelMsg::ExitStatus { exit_status: 8 })) => {}
        () = refused => assert_eq!(site.principal, "root"),
    }
}

#[tokio::test]
async fn a_channel_starts_one_thing_and_a_connection_has_so_many_channels() {
    let site = Site::new().await;
    let handle = connected(&site).await;
    let mut channels = Vec::new();
    for _ in 0..8 {
        channels.push(handle.channel_open_session().await.unwrap());
    }
    let ninth = handle.channel_open_session().await;
    assert!(matches!(ninth, Err(russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::ResourceShortage))));
    let channel = &mut channels[0];
    channel.exec(true, "echo one; exec cat").await.unwrap();
    until_output(channel, "one").await;
    channel.exec(true, "echo two").await.unwrap();
    until(channel, |message| matches!(message, ChannelMsg::Failure)).await;
    channel.request_x11(true, true, "MIT-MAGIC-COOKIE-1", "00", 0).await.unwrap();
    until(channel, |message| matches!(message, ChannelMsg::Failure)).await;
    channel.agent_forward(true).await.unwrap();
    until(channel, |message| matches!(message, ChannelMsg::Failure)).await;
    channels.pop().unwrap().close().await.unwrap();
    // The place is free once its channel has ended at the gateway.
    let until = std::time::Instant::now() + PATIENCE;
    while handle.channel_open_session().await.is_err() {
        assert!(std::time::Instant::now() < until);
    }
}

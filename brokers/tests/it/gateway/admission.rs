//! Who is not let in, however they try.

use std::time::Duration;

use bourse_brokers::bastion::access::{LOGIN_SEPARATOR, login, parse_login};
use bourse_brokers::bastion::gateway::Limits;
use osb::kit::Clock;
use proptest::prelude::*;
use russh::keys::ssh_key::certificate::CertType;

use super::authority::{Order, key};
use super::setup::{Plan, Site, host_authority, output, public, text};

/// Tries to log in with a certificate that differs so, and says what the audit says of it.
async fn refused(change: impl FnOnce(&mut Order<'_>)) -> String {
    let site = Site::new().await;
    site.issue(change);
    refused_at(&site).await
}

async fn refused_at(site: &Site) -> String {
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("", Some(255)), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("Permission denied (publickey)"), "{}", text(&done.stderr));
    assert_eq!(site.recordings(), Vec::<std::path::PathBuf>::new());
    let denials = site.authority.denials();
    let [reason] = &denials[..] else { panic!("{denials:?}") };
    reason.clone()
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_refused() {
    let site = Site::new().await;
    let now = Clock::System.seconds();
    site.issue(|order| (order.after, order.before) = (now - 600, now - 1));
    // russh refuses it before it asks: nothing reaches the audit.
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("", Some(255)));
    site.issue(|order| (order.after, order.before) = (now + 300, now + 600));
    assert_eq!(site.ssh(&["web1", "echo in"]).await.status.code(), Some(255));
}

#[tokio::test]
async fn another_principal_is_refused() {
    let reason = refused(|order| order.principals = vec!["somebody".into()]).await;
    assert_eq!(reason, "the certificate is not for this principal");
    let reason = refused(|order| order.principals.clear()).await;
    assert_eq!(reason, "the certificate is not for this principal", "and one for nobody is not for everybody");
}

#[tokio::test]
async fn another_source_address_is_refused() {
    let reason = refused(|order| order.critical = vec![("source-address", "192.0.2.0/24")]).await;
    assert_eq!(reason, "the certificate is not for this source address");
}

#[tokio::test]
async fn an_unknown_critical_option_is_refused() {
    let reason = refused(|order| order.critical = vec![("x-only-on-tuesdays", "yes")]).await;
    assert_eq!(reason, "the certificate has the critical option `x-only-on-tuesdays`, which is not known here");
}

#[tokio::test]
async fn another_authority_and_a_hosts_certificate_are_refused() {
    let site = Site::new().await;
    site.issue_by(&key(99), |_| {});
    assert_eq!(refused_at(&site).await, "the certificate is not signed by an authority that is trusted here");
    let site = Site::new().await;
    site.issue(|order| order.kind = CertType::Host);
    // The client itself would not show it.
    assert_eq!(site.ssh(&["web1", "echo in"]).await.status.code(), Some(255));
}

#[tokio::test]
async fn a_revoked_grant_and_an_unknown_one_are_refused() {
    let site = Site::new().await;
    site.authority.revoke("binding-1");
    assert_eq!(refused_at(&site).await, "the certificate is revoked");
    assert_eq!(refused(|order| order.key_id = "binding-2").await, "there is no such grant");
}

#[tokio::test]
async fn a_target_or_a_principal_that_the_grant_does_not_name_is_refused() {
    let site = Site::new().await;
    let mut command = site.program_as("ssh", &login(&site.principal, "web2"));
    command.args(["web1", "echo in"]);
    assert_eq!(output(command).await.status.code(), Some(255));
    assert_eq!(site.authority.denials(), ["the grant knows no target `web2`"]);
    let site = Site::of(Plan::granting(|grant| grant.targets[0].principals = vec!["postgres".into()])).await;
    assert_eq!(refused_at(&site).await, "the grant does not allow this principal at `web1`");
    let site = Site::of(Plan::granting(|grant| grant.principals = vec!["postgres".into()])).await;
    assert_eq!(refused_at(&site).await, "the grant does not allow this principal at `web1`");
}

#[tokio::test]
async fn there_is_no_way_in_without_a_certificate() {
    let site = Site::new().await;
    std::fs::remove_file(site.path("id-cert.pub")).unwrap();
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!(done.status.code(), Some(255));
    assert!(text(&done.stderr).contains("Permission denied (publickey)"), "{}", text(&done.stderr));
    let mut command = site.program("ssh");
    command.args(["-v", "-o", "PreferredAuthentications=none,password,keyboard-interactive", "web1", "echo in"]);
    let done = output(command).await;
    assert_eq!(done.status.code(), Some(255));
    assert!(text(&done.stderr).contains("Authentications that can continue: publickey\r\n"), "{}", text(&done.stderr));
    assert_eq!(site.authority.audit(), []);
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    let site = Site::new().await;
    super::setup::write_key(&site.path("id"), &key(77));
    assert_eq!(site.ssh(&["web1", "echo in"]).await.status.code(), Some(255));
    assert_eq!(site.authority.audit(), []);
}

#[tokio::test]
async fn neither_agent_nor_x11_nor_another_subsystem_is_forwarded() {
    let site = Site::new().await;
    let mut command = site.program("ssh");
    command.args(["-A", "web1", "echo agent=$SSH_AUTH_SOCK"]);
    assert_eq!(text(&output(command).await.stdout), "agent=\n");
    let done = site.ssh(&["-s", "web1", "netconf"]).await;
    assert!(text(&done.stderr).contains("subsystem request failed"), "{}", text(&done.stderr));
}

#[tokio::test]
async fn a_certificate_without_permit_pty_gets_no_terminal() {
    let site = Site::new().await;
    site.issue(|order| order.extensions = &["permit-port-forwarding"]);
    let done = site.ssh(&["-tt", "web1", "test -t 1 || echo none"]).await;
    assert!(text(&done.stderr).contains("PTY allocation request failed"), "{}", text(&done.stderr));
    assert!(!done.status.success(), "this client wants one");
    assert_eq!(text(&site.ssh(&["web1", "test -t 1 || echo none"]).await.stdout), "none\n");
}

async fn unreachable(change: impl Fn(&mut Option<String>) + 'static, reason: &str) {
    let site = Site::of(Plan::granting(move |grant| change(&mut grant.targets[0].host_key))).await;
    let done = site.ssh(&["web1", "echo in"]).await;
    assert_eq!((text(&done.stdout).as_str(), done.status.code()), ("", Some(255)));
    assert!(text(&done.stderr).contains("the target is not the host that it should be"), "{}", text(&done.stderr));
    assert_eq!(site.authority.denials(), [reason]);
    let log = std::fs::read_to_string(site.path("sshd.log")).unwrap();
    assert!(!log.contains("Accepted"), "{log}");
}

#[tokio::test]
async fn a_target_with_another_host_key_is_not_spoken_to() {
    let other = "the target's host key is not the one that was expected";
    unreachable(|expected| *expected = Some(public(&key(55))), other).await;
    unreachable(|expected| *expected = Some(format!("@cert-authority {}", public(&key(55)))), other).await;
    unreachable(|expected| *expected = None, "no host key is known for the target").await;
    unreachable(|expected| *expected = Some("rubbish".into()), "no host key is known for the target").await;
}

#[tokio::test]
async fn a_host_certificate_is_for_the_targets_name_and_a_plain_host_key_serves_too() {
    let site = Site::of(Plan::granting(|grant| grant.targets[0].host_key = Some(public(&key(12))))).await;
    assert_eq!(text(&site.ssh(&["web1", "echo in"]).await.stdout), "in\n");
    // A host CA whose key is being replaced has several lines.
    let lines = format!("@cert-authority {}\n{}\n", public(&key(55)), host_authority());
    let site = Site::of(Plan::granting(move |grant| grant.targets[0].host_key = Some(lines.clone()))).await;
    assert_eq!(text(&site.ssh(&["web1", "echo in"]).await.stdout), "in\n");
    let site = Site::of(Plan::granting(|grant| {
        grant.targets[0].name = "web2".into();
        grant.targets[0].host_key = Some(host_authority());
    }))
    .await;
    let mut command = site.program_as("ssh", &login(&site.principal, "web2"));
    command.args(["web1", "echo in"]);
    let done = output(command).await;
    assert!(text(&done.stderr).contains("the target is not the host that it should be"), "{}", text(&done.stderr));
}

#[tokio::test]
async fn a_target_that_is_not_there_or_says_nothing_is_said_to_be_out_of_reach() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [&silent, &gone].map(|listener| listener.local_addr().unwrap().port());
    drop(gone);
    let reasons = ["the target did not answer in time", "could not reach the target"];
    for (port, reason) in ports.into_iter().zip(reasons) {
        let limits = Limits { connect: Duration::from_secs(3), ..Limits::default() };
        let grant = Plan::granting(move |grant| grant.targets[0].port = port).grant;
        let site = Site::of(Plan { grant, limits }).await;
        let done = site.ssh(&["web1", "echo in"]).await;
        assert_eq!(done.status.code(), Some(255));
        assert!(text(&done.stderr).contains("the target can't be reached"), "{}", text(&done.stderr));
        assert_eq!(site.authority.denials(), [reason]);
    }
}

proptest! {
    #[test]
    fn a_login_is_read_back_as_it_was_written(principal in "[ -~]{1,40}", target in "[ -*,-~]{1,40}") {
        let name = login(&principal, &target);
        prop_assert_eq!(parse_login(&name), Some((principal.as_str(), target.as_str())));
    }

    #[test]
    fn any_login_is_two_names_or_refused(name: String) {
        match parse_login(&name) {
            Some((principal, target)) => {
                prop_assert_eq!(&login(principal, target), &name);
                prop_assert!(!principal.is_empty() && !target.is_empty() && !target.contains(LOGIN_SEPARATOR));
            }
            None => {
                let parts: Vec<_> = name.split(LOGIN_SEPARATOR).collect();
                prop_assert!(parts.len() < 2 || parts.last() == Some(&"") || parts.len() == 2 && parts[0].is_empty());
            }
        }
    }
}

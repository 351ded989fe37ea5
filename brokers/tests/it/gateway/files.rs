//! Files that are copied through the gateway.

use std::path::Path;

use bourse_brokers::bastion::access::Event;

use super::setup::{Plan, Site, output, shown, text};

fn batch(site: &Site, commands: &str) -> std::path::PathBuf {
    let file = site.path("batch");
    std::fs::write(&file, commands).unwrap();
    file
}

async fn sftp(site: &Site, commands: &str) -> std::process::Output {
    let mut command = site.program("sftp");
    command.arg("-b").arg(batch(site, commands)).arg("web1");
    output(command).await
}

fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test]
async fn sftp_puts_and_gets_files_and_the_recording_names_them() {
    let site = Site::new().await;
    let content = bytes(3_000_000);
    std::fs::write(site.path("local"), &content).unwrap();
    let at = |name: &str| site.path(name).display().to_string();
    let (local, remote, moved, back) = (at("local"), at("remote"), at("moved"), at("back"));
    let done =
        sftp(&site, &format!("put {local} {remote}\nrename {remote} {moved}\nget {moved} {back}\nrm {moved}\n")).await;
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(std::fs::read(site.path("back")).unwrap() == content);
    assert!(!site.path("moved").exists());

    site.authority.heard(|event| matches!(event, Event::Ended { .. })).await;
    let (lines, _) = site.recording();
    assert_eq!(lines[0]["command"], "sftp");
    let marks = shown(&lines, "m");
    for mark in [
        format!("sftp open {remote} to write"),
        format!("sftp rename {remote} to {moved}"),
        format!("sftp open {moved} to read"),
        format!("sftp remove {moved}"),
        "sftp ended: 3000000 bytes of files written, 3000000 read".to_owned(),
    ] {
        assert!(marks.contains(&mark), "{mark} is not in {marks:?}");
    }
    assert_eq!(shown(&lines, "o"), Vec::<String>::new(), "content is not output");
}

async fn scp(site: &Site, legacy: bool, from: &Path, to: &str) -> std::process::Output {
    let mut command = site.program("scp");
    if legacy {
        command.arg("-O");
    }
    command.arg(from).arg(format!("web1:{to}"));
    output(command).await
}

#[tokio::test]
async fn scp_copies_in_either_way_where_it_is_allowed() {
    let site = Site::new().await;
    std::fs::write(site.path("local"), "content").unwrap();
    for legacy in [false, true] {
        let to = site.path(if legacy { "legacy" } else { "new" });
        let done = scp(&site, legacy, &site.path("local"), to.to_str().unwrap()).await;
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert_eq!(std::fs::read_to_string(to).unwrap(), "content");
    }
}

#[tokio::test]
async fn copying_is_refused_where_it_is_not_allowed_and_commands_go_on_working() {
    let site = Site::of(Plan::granting(|grant| grant.sftp = false)).await;
    std::fs::write(site.path("local"), "content").unwrap();
    let at = |name: &str| site.path(name).display().to_string();
    assert!(!sftp(&site, &format!("put {} {}\n", at("local"), at("remote"))).await.status.success());
    for legacy in [false, true] {
        assert!(!scp(&site, legacy, &site.path("local"), &at("remote")).await.status.success());
    }
    assert!(!site.path("remote").exists());
    assert_eq!(text(&site.ssh(&["web1", "echo in"]).await.stdout), "in\n");
}

//! The program as `docs/brokers/bastion.md` shows it, and what it writes to its log.

use std::process::Stdio;
use std::time::Duration;

use bourse_brokers::bastion::plan;
use bourse_brokers::cli::Cli;
use clap::Parser as _;
use osb::client::Client;
use osb::kit::{Db, Sealer};
use osb::{Call, Maybe, Provisioned, ServiceBroker as _};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::site::Site;
use super::sshd::{key, run_well};
use crate::support::{object, parameters};

const PAGE: &str = include_str!("../../../../docs/brokers/bastion.md");
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_page_shows_commands_that_the_program_takes_and_each_parameter() {
    let commands: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("target/release/")).collect();
    assert!(!commands.is_empty());
    for line in commands {
        let words =
            line.split_whitespace().map(|word| word.trim_matches('"').replace("$BOURSE", "http://127.0.0.1:8080"));
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
    }
    let catalog: osb::Catalog = serde_json::from_str(plan::CATALOG).unwrap();
    let offering = catalog.offerings().next().unwrap().unwrap();
    for schema in offering.plans.iter().flat_map(|plan| [plan.create_schema(), plan.bind_schema()]) {
        for name in schema.unwrap()["properties"].as_object().unwrap().keys() {
            assert!(PAGE.contains(&format!("`{name}`")), "{name}");
        }
    }
}

/// What must stand nowhere: the lines of a private key that hold key material, and the secret itself.
fn canaries(private: &str) -> Vec<Vec<u8>> {
    let lines: Vec<&str> = private.lines().filter(|line| !line.contains("PRIVATE KEY")).collect();
    let lines = lines[1..].iter().filter(|line| line.len() > 20).map(|line| line.as_bytes().to_vec());
    let key = russh::keys::PrivateKey::from_openssh(private).unwrap();
    let seed = key.key_data().ed25519().unwrap().private.to_bytes().to_vec();
    lines.chain([seed]).collect()
}

#[tokio::test]
async fn no_private_key_comes_into_the_log_or_lies_in_clear_whatever_the_program_is_asked_to_log() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourse-brokers"));
    command.args(["bastion", "--listen", "127.0.0.1:0", "--data"]).arg(&data).env("RUST_LOG", "trace");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        errors.read_to_string(&mut log).await.unwrap();
        log
    });
    let client = Client::builder(line.strip_prefix("listening on ").unwrap()).build().unwrap();
    let call = Call::default();
    let order = osb::ProvisionRequest {
        instance_id: "b".into(),
        service_id: plan::SERVICE_ID.into(),
        plan_id: plan::PLANS[0].id.into(),
        organization_guid: "org".into(),
        space_guid: "space".into(),
        parameters: parameters(json!({})),
        ..osb::ProvisionRequest::default()
    };
    assert!(matches!(client.provision(&call, order).await, Ok(Provisioned::Created(_))));
    let (private, public) = key(directory.path(), "id", "ed25519").await;
    let pasted = std::fs::read_to_string(private).unwrap();
    client.bind(&call, Site::bind_request("b", "good", 0, json!({"public_key": public}))).await.unwrap();
    let refused =
        client.bind(&call, Site::bind_request("b", "bad", 0, json!({"public_key": pasted}))).await.unwrap_err();
    assert_eq!(refused.status, 400, "{refused}");
    let mut update =
        osb::UpdateRequest { instance_id: "b".into(), service_id: plan::SERVICE_ID.into(), ..Default::default() };
    update.parameters = Maybe::Present(object(json!({"ca_generation": 2})));
    client.update(&call, update).await.unwrap();

    let sealer = Sealer::from_file(&data.join("bastion.key")).unwrap();
    let db = Db::open(&data.join("bastion.db"), "").await.unwrap();
    let rows: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("select bastion, kind, private_key from ca where private_key is not null")
            .fetch_all(db.reader())
            .await
            .unwrap();
    assert_eq!(rows.len(), 2);
    let mut secrets = canaries(&pasted);
    for (bastion, kind, sealed) in rows {
        let clear = sealer.open(&format!("ca/{bastion}/{kind}/2"), &sealed).unwrap();
        let text = String::from_utf8(clear).unwrap();
        assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"), "it is what it is taken for");
        secrets.extend(canaries(&text));
    }
    db.close().await;
    assert!(secrets.len() >= 9);
    run_well("kill", &["-TERM", &child.id().unwrap().to_string()], directory.path()).await;
    assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(0));
    let log = timeout(PATIENCE, log).await.unwrap().unwrap();
    assert!(log.contains("a service binding was made"), "{log}");
    let mut places = vec![("the log".to_owned(), log.into_bytes())];
    for entry in std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        places.push((entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()));
    }
    assert!(places.len() >= 3, "log, database, key");
    for (name, bytes) in &places {
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_slice()), "{name}");
        }
    }
}

#[tokio::test]
async fn with_a_gateway_its_plans_can_be_ordered_and_its_host_key_stays_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for binding in ["one", "two"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bourse-brokers"));
        command.args(["bastion", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--data"]);
        command.arg(data.path()).args(["--gateway-public", "ssh.example.com:2222"]).kill_on_drop(true);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let client = Client::builder(line.strip_prefix("listening on ").unwrap()).build().unwrap();
        let order = osb::ProvisionRequest {
            instance_id: "b".into(),
            service_id: plan::SERVICE_ID.into(),
            plan_id: plan::PLANS[1].id.into(),
            organization_guid: "org".into(),
            space_guid: "space".into(),
            ..osb::ProvisionRequest::default()
        };
        client.provision(&Call::default(), order).await.unwrap();
        let bind = Site::bind_request("b", binding, 1, json!({}));
        let osb::Bound::Created(bound) = client.bind(&Call::default(), bind).await.unwrap() else { panic!("201") };
        let known = bound.credentials.into_option().unwrap()["known_hosts"].as_str().unwrap().to_owned();
        assert!(known.starts_with("[ssh.example.com]:2222 ssh-ed25519 "), "{known}");
        seen.push(known);
        run_well("kill", &["-TERM", &child.id().unwrap().to_string()], data.path()).await;
        assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(0));
    }
    assert_eq!(seen[0], seen[1]);
}

//! The broker as a process with its gateway and its host to try it with: from an order to a recorded login, by the lines that
//! the quickstart's user pastes.

use std::path::Path;

use osb::client::Client;
use osb::conformance::{Options, Outcome, Target, Verdict, run, silent};
use osb::{Bound, Call, DeprovisionRequest, Object, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::site::{Site, write_files};
use super::sshd::key;
use crate::process::{program, start, stop};
use crate::support::parameters;
use bourse_brokers::bastion::plan;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
const GATEWAY: [&str; 5] = ["bastion", "--gateway-listen", "127.0.0.1:0", "--try-host", "127.0.0.1:0"];

/// Orders a recorded bastion without a parameter.
async fn order(client: &Client, id: &str) {
    let request = ProvisionRequest {
        instance_id: id.into(),
        service_id: plan::SERVICE_ID.into(),
        plan_id: plan::PLANS[2].id.into(),
        organization_guid: "o".into(),
        space_guid: "s".into(),
        parameters: parameters(Value::Null),
        ..ProvisionRequest::default()
    };
    assert!(matches!(client.provision(&Call::default(), request).await.unwrap(), Provisioned::Created(_)));
}

async fn bind(client: &Client, id: &str, with: Value) -> Object {
    match client.bind(&Call::default(), Site::bind_request(id, "me", 2, with)).await.unwrap() {
        Bound::Created(response) => response.credentials.into_option().unwrap(),
        other => panic!("not bound now: {other:?}"),
    }
}

/// Whether `ssh` succeeded, and what it said on standard output.
async fn ssh(directory: &Path, command: &str) -> (bool, String) {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "ssh_config", "-o", "BatchMode=yes", "try", command]).current_dir(directory).kill_on_drop(true);
    let output = timeout(PATIENCE, ssh.output()).await.unwrap().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

fn recordings(data: &Path) -> Vec<String> {
    let bastions = std::fs::read_dir(data.join("bastions")).unwrap().flatten();
    let folders = bastions.filter_map(|bastion| std::fs::read_dir(bastion.path().join("recordings")).ok());
    let files = folders.flat_map(|folder| folder.flatten()).map(|file| file.path());
    let casts = files.filter(|file| file.extension().is_some_and(|extension| extension == "cast"));
    casts.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[tokio::test]
async fn a_login_through_the_gateway_is_recorded_survives_a_restart_and_ends_with_its_binding() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let folder = directory.path().join("door");
    std::fs::create_dir(&folder).unwrap();
    let (child, url) = start(&GATEWAY, &data).await;
    let client = Client::builder(&url).build().unwrap();
    order(&client, "door").await;
    let (_, public) = key(&folder, "id", "ed25519").await;
    let credentials = bind(&client, "door", json!({"public_key": public, "identity_file": "id"})).await;
    write_files(&folder, &credentials);
    assert_eq!(ssh(&folder, "echo hello from $((40 + 2))").await, (true, "hello from 42\n".to_owned()));
    let recorded = recordings(&data);
    assert_eq!(recorded.len(), 1);
    assert!(recorded[0].contains("hello from 42"), "{}", recorded[0]);
    let port = credentials["gateway_port"].to_string();
    assert_eq!(stop(child).await, Some(0));

    // The same host key at the same port: nobody is asked to believe another one.
    let again = ["bastion", "--gateway-listen", &format!("127.0.0.1:{port}"), "--try-host", "127.0.0.1:0"];
    let (child, url) = start(&again, &data).await;
    let client = Client::builder(&url).build().unwrap();
    assert_eq!(ssh(&folder, "echo again").await, (true, "again\n".to_owned()));
    let (instance_id, binding_id) = ("door".to_owned(), "me".to_owned());
    let (service_id, plan_id) = (plan::SERVICE_ID.to_owned(), plan::PLANS[2].id.to_owned());
    let unbind = UnbindRequest { instance_id, binding_id, service_id, plan_id, accepts_incomplete: false };
    client.unbind(&Call::default(), unbind).await.unwrap();
    assert_eq!(ssh(&folder, "echo never").await, (false, String::new()), "access was taken away");
    let (service_id, plan_id) = (plan::SERVICE_ID.to_owned(), plan::PLANS[2].id.to_owned());
    let delete = DeprovisionRequest { instance_id: "door".into(), service_id, plan_id, accepts_incomplete: false };
    client.deprovision(&Call::default(), delete).await.unwrap();
    assert_eq!(recordings(&data).len(), 2, "recordings are kept after the deletion");
    assert_eq!(stop(child).await, Some(0));
}

#[tokio::test]
async fn the_plans_with_a_gateway_conform_strictly() {
    let directory = tempfile::tempdir().unwrap();
    let (child, url) = start(&GATEWAY, directory.path()).await;
    for plan in ["gateway", "gateway-recorded"] {
        let options = Options { plan: Some(plan.to_owned()), ..Options::default() };
        let report = run(&Target::new(&url), options, silent(), std::future::pending()).await.unwrap();
        let broken: Vec<_> =
            [Verdict::Failed, Verdict::Warned].iter().flat_map(|verdict| report.with(*verdict)).collect();
        assert_eq!((report.outcome(true), broken), (Outcome::Conforms, vec![]), "{plan}");
        assert!(report.with(Verdict::Passed).len() > 90, "{plan}");
    }
    assert_eq!(stop(child).await, Some(0));
}

#[tokio::test]
async fn a_gateway_that_can_not_run_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let refused = async |more: &[&str], code: i32, sentence: &str| {
        let mut command = program(&[&["bastion"], more].concat());
        let output = timeout(PATIENCE, command.arg("--data").arg(directory.path()).output()).await.unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains(sentence)), (Some(code), true), "{said}");
    };
    refused(&["--try-host", "127.0.0.1:0"], 2, "--gateway-listen").await;
    refused(&["--gateway-listen", "127.0.0.1:0", "--gateway-public", "nonsense"], 2, "a host and a port").await;
    refused(&["--gateway-listen", "127.0.0.1:0", "--try-host", "0.0.0.0:0"], 1, "must listen on a loopback").await;
    std::fs::write(directory.path().join("bastion.hosts"), b"something else").unwrap();
    refused(&["--gateway-listen", "127.0.0.1:0"], 1, "bastion.hosts can't be opened with bastion.key").await;
}

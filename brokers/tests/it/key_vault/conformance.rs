//! OSB 2.17, strictly, with every driver and every plan.

use std::time::Duration;

use bourse_brokers::key_vault::Isolation;
use bourse_brokers::key_vault::plan::Plan;
use osb::conformance::{Options, Outcome, Parameters, Target, Verdict, run, silent};
use serde_json::json;

use super::room::Room;
use super::server::Bao;

async fn check(room: &Room, plan: Plan, parameters: Parameters) {
    let target = Target::new(room.running.url()).with_credentials("u", "p");
    let options = Options {
        plan: Some(plan.name().to_owned()),
        parameters,
        polling: Duration::from_secs(10),
        ..Options::default()
    };
    let report = run(&target, options, silent(), std::future::pending()).await.unwrap();
    let unmet: Vec<_> = [Verdict::Failed, Verdict::Warned].iter().flat_map(|verdict| report.with(*verdict)).collect();
    assert_eq!(report.outcome(true), Outcome::Conforms, "{unmet:#?}");
}

async fn check_all(room: &Room) {
    check(room, Plan::Kv, Parameters::default()).await;
    let create = json!({"keys": [{"name": "k", "type": "ed25519"}], "bound_cidrs": ["127.0.0.0/8"]});
    let document = json!({"create": create, "update": {"rotate": ["k"]}, "bind": {"auth": "token", "ttl": "PT5M"}});
    check(room, Plan::KvTransit, Parameters::from_value(document).unwrap()).await;
}

#[tokio::test]
async fn vaults_of_the_brokers_own_conform_to_osb() {
    check_all(&Room::embedded().await).await;
}

#[tokio::test]
async fn vaults_in_namespaces_of_a_real_server_conform_to_osb() {
    let bao = Bao::start().await;
    check_all(&Room::openbao(&bao, Isolation::Namespaces, Vec::new()).await).await;
}

#[tokio::test]
async fn vaults_in_mounts_of_a_real_server_conform_to_osb() {
    let bao = Bao::start().await;
    check_all(&Room::openbao(&bao, Isolation::Mounts, Vec::new()).await).await;
}

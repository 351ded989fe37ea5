//! The conformance suite over HTTP, strict.

use osb::conformance::{Options, Outcome, Parameters, Target, Verdict, run, silent};
use serde_json::{Value, json};

use super::site::Site;
use super::sshd::key;

async fn check(parameters: Value) {
    let site = Site::new().await;
    let parameters = Parameters::from_value(parameters).unwrap();
    let options = Options { plan: Some("ca-only".into()), parameters, ..Options::default() };
    let report = run(&Target::new(site.running.url()), options, silent(), std::future::pending()).await.unwrap();
    for verdict in [Verdict::Failed, Verdict::Warned] {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.verdict == verdict).collect();
        assert!(rows.is_empty(), "{rows:#?}");
    }
    assert_eq!(report.outcome(true), Outcome::Conforms);
    assert!(report.with(Verdict::Passed).len() > 50, "{}", report.with(Verdict::Passed).len());
}

#[tokio::test]
async fn plan_ca_only_conforms_strictly_without_parameters() {
    check(json!({"create": {}, "bind": {}})).await;
}

#[tokio::test]
async fn plan_ca_only_conforms_strictly_with_targets_and_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let (_, public) = key(directory.path(), "id", "ed25519").await;
    let targets = json!([{"name": "web-1", "host": "10.0.0.5", "principals": ["deploy"]}]);
    check(json!({
        "create": {"targets": targets},
        "update": {"max_ttl": "PT1H"},
        "bind": {"public_key": public, "ttl": "PT30M"},
    }))
    .await;
}

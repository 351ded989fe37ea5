//! How everything goes out: settings that can't be used end the start, and a proxy that is set is really gone through.

use std::process::Command;

use bourse::app::Error;
use bourse::domain::caller::Caller;
use serde_json::{Value, json};

use crate::support::bare::{Bare, On, on_each};
use crate::support::bench::catalog;
use crate::support::process::{hub_binary, scratch};
use crate::support::recorder::{self, Recorder};

#[test]
fn roots_or_a_proxy_that_cannot_be_used_end_the_start() {
    let home = scratch("egress");
    let (missing, empty) = (home.join("missing.pem"), home.join("empty.pem"));
    std::fs::write(&empty, "no certificate").expect("a file");
    let database = home.join("bourse.db");
    for (name, value, key, says) in [
        ("BOURSE__EGRESS__CA_FILE", missing.to_str(), "egress.ca_file", "missing.pem cannot be read"),
        ("BOURSE__EGRESS__CA_FILE", empty.to_str(), "egress.ca_file", "must hold certificates"),
        ("BOURSE__EGRESS__PROXY", Some("no proxy"), "egress.proxy", "must be a URL"),
    ] {
        let mut command = Command::new(hub_binary());
        command.arg("serve").env(name, value.expect("text")).env("BOURSE__SERVER__LISTEN", "127.0.0.1:0");
        let output = command.env("BOURSE__DATABASE__URL", format!("sqlite:{}", database.display())).output();
        let output = output.expect("a process");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(&format!("setting {key}: ")) && said.contains(says), "{said}");
        assert!(!database.exists(), "nothing was begun");
    }
    std::fs::remove_dir_all(home).expect("could not clean up");
}

async fn register(hub: &Bare, name: &str, url: &str) -> Result<(), Error> {
    let credentials = json!({"basic": {"username": recorder::USERNAME, "password": recorder::PASSWORD}});
    let new: Value = json!({"name": name, "url": url, "credentials": credentials, "timeout_ms": 5000});
    let new = serde_json::from_value(new).expect("a registration");
    hub.app.register_broker(&Caller::Admin("root".into()), new).await.map(drop)
}

#[tokio::test]
async fn calls_to_brokers_go_through_the_proxy_that_is_set_and_no_address_is_spared_the_policy() {
    drop(rustls::crypto::ring::default_provider().install_default());
    // What a proxy gets is a request with the whole URL: here it answers by itself, as the broker would.
    let proxy = Recorder::start(&catalog());
    let address = proxy.url().trim_end_matches("/base").to_owned();
    // One database will do: it has no part in how requests go out.
    let hub = Bare::on(On::Sqlite, |config| config.egress.proxy = Some(address)).await;
    register(&hub, "far", "http://broker.example/base").await.expect("registered");
    assert!(hub.app.catalog().plan_by_name("recorded", "small").is_some());
    let seen = proxy.last("catalog");
    // The name is one that nobody could look up but the proxy.
    assert_eq!(seen.header("host"), Some("broker.example"));
    assert!(seen.target.ends_with("/base/v2/catalog"), "{}", seen.target);

    let asked = proxy.seen().len();
    let refused = register(&hub, "metadata", "http://169.254.169.254/").await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(proxy.seen().len(), asked, "the proxy is not asked for what the policy refuses");

    drop(proxy);
    let gone = register(&hub, "gone", "http://other.example/base").await;
    assert!(matches!(gone, Err(Error::Invalid(_))), "without the proxy nobody is reached: {gone:?}");
}

#[tokio::test]
async fn a_broker_by_a_name_that_leads_to_a_forbidden_address_is_not_registered_and_hears_nothing() {
    on_each(async |on| {
        let recorder = Recorder::start(&catalog());
        let url = recorder.url().replace("127.0.0.1", "localhost");
        let hub = Bare::on(on, |config| config.egress.allow.clear()).await;
        let refused = register(&hub, "inside", &url).await;
        let Err(Error::Invalid(issues)) = &refused else { panic!("{refused:?}") };
        assert!(issues.iter().all(|issue| !issue.message.contains("127.0.0.1")), "{issues:?}");
        let credentials = json!({"oauth2": {"token_url": url, "client_id": "a", "client_secret": "b"}});
        let new = json!({"name": "token", "url": "http://192.0.2.1/", "credentials": credentials, "timeout_ms": 1000});
        let new = serde_json::from_value(new).expect("a registration");
        let refused = hub.app.register_broker(&Caller::Admin("root".into()), new).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        assert_eq!(recorder.seen().len(), 0, "nothing was sent, no credential either");
        assert!(hub.app.catalog().plan_by_name("recorded", "small").is_none());

        // The same name where the settings allow the address.
        let hub = Bare::on(on, |config| config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")]).await;
        register(&hub, "inside", &url).await.expect("registered");
        assert!(recorder.count("catalog") > 0);
    })
    .await;
}

//! A broker's plan that is judged: directly, and through hubs that have it for their only broker, so that what else a hub
//! offers is not judged with it.

use osb::conformance::{Judged, Options, Parameters, Report, Target, run, silent};
use reqwest::Method;
use serde_json::{Value, json};

use super::listed::{Listed, find};
use crate::support::bare::On;
use crate::support::hub::{BOUND, Hub, Platform, World};
use crate::support::pair::link;
use crate::support::wait::wait_until;

/// The plan, and who orders it at the broker itself.
pub(super) struct Subject {
    /// As [`Listed::plans`] has it.
    pub(super) name: &'static str,
    pub(super) offering: &'static str,
    pub(super) plan: &'static str,
    /// All where it is empty.
    pub(super) rows: &'static [&'static str],
    pub(super) parameters: Value,
    /// What registers the broker at a hub.
    pub(super) registration: Value,
}

impl Subject {
    fn options(&self) -> Options {
        Options {
            offering: Some(self.offering.to_owned()),
            plan: Some(self.plan.to_owned()),
            rows: self.rows.iter().map(|row| (*row).to_owned()).collect(),
            parameters: Parameters::from_value(self.parameters.clone()).expect("parameters"),
            ..Options::default()
        }
    }

    /// The verdicts on the broker itself.
    pub(super) async fn direct(&self) -> Report {
        let text = |pointer: &str| self.registration.pointer(pointer).and_then(Value::as_str).expect("text").to_owned();
        let pair = "/credentials/basic";
        let target = Target::new(text("/url"))
            .with_credentials(text(&format!("{pair}/username")), text(&format!("{pair}/password")));
        judged(&target, self.options()).await
    }

    /// The verdicts on a hub with that broker behind it, as one of its platforms.
    pub(super) async fn through_the_hub(&self, on: On) -> Report {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        self.register(&hub).await;
        let tenant = json!({"display_name": "Retail"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
        let platform = hub.platform("p", "other").await;
        let report = judged(&at(&hub, &platform), self.options()).await;
        nothing_is_left(&hub).await;
        hub.stop().await;
        report
    }

    /// The verdicts on a hub whose broker is a hub with that broker behind it, as a platform of the first.
    pub(super) async fn through_two_hubs(&self, on: On) -> Report {
        let outer_world = World::new(on, |config| config.server.hub = "outer".into()).await;
        let inner_world = World::new(on, |config| config.server.hub = "inner".into()).await;
        let (outer, inner) = (outer_world.hub().await, inner_world.hub().await);
        self.register(&inner).await;
        let (_, shop) = link(&outer, &inner).await;
        let options = Options { offering: Some(format!("inner-{}", self.offering)), ..self.options() };
        let report = judged(&at(&outer, &shop), options).await;
        nothing_is_left(&outer).await;
        nothing_is_left(&inner).await;
        outer.stop().await;
        inner.stop().await;
        report
    }

    async fn register(&self, hub: &Hub) {
        let reply = hub.admin(Method::POST, "/api/v1/brokers", Some(self.registration.clone())).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
}

fn at(hub: &Hub, platform: &Platform) -> Target {
    Target::new(&hub.url).with_credentials(&platform.username, &platform.password)
}

async fn judged(target: &Target, options: Options) -> Report {
    let report = run(target, options, silent(), std::future::pending()).await.expect("no report");
    assert!(
        report.incomplete.is_none() && report.left_behind.is_empty(),
        "{:?}",
        (report.incomplete, report.left_behind)
    );
    report
}

async fn nothing_is_left(hub: &Hub) {
    wait_until("no instance to stand", BOUND, async || {
        let reply = hub.admin(Method::GET, "/api/v1/instances", None).await;
        reply.body["items"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
}

/// What is not as the table says: a row that is not listed has the same verdict both ways, and is neither failed nor warned; one
/// that is listed has the two verdicts that stand there.
pub(super) fn complaints(name: &str, table: &'static [Listed], direct: &Report, through: &Report) -> Vec<String> {
    let mut found = Vec::new();
    for row in direct.of_brokers() {
        let other = through.row(&row.id).expect("the same rows");
        let seen = (row.verdict, other.verdict);
        let listed = find(table, name, &row.id);
        let as_expected = match listed {
            Some(listed) => seen == (listed.direct, listed.through),
            None => row.verdict == other.verdict && !is_blamed(row),
        };
        if !as_expected {
            let expected = listed.map_or("not listed".to_owned(), |listed| {
                format!("listed as {} and {}", listed.direct, listed.through)
            });
            found.push(format!(
                "{name}: {} ({}) is {} directly and {} through the hub, and {expected}: {}\n    directly: {}\n    through the hub: {}",
                row.id,
                row.level,
                row.verdict,
                other.verdict,
                row.requirement,
                why(row),
                why(other)
            ));
        }
    }
    found
}

fn is_blamed(row: &Judged) -> bool {
    use osb::conformance::Verdict::{Failed, Warned};
    matches!(row.verdict, Failed | Warned)
}

fn why(row: &Judged) -> String {
    let finding = row
        .findings
        .first()
        .map(|finding| format!("in {}: expected {}, came {}", finding.case, finding.expected, finding.came));
    finding.or_else(|| row.reason.clone()).unwrap_or_else(|| "it was kept".to_owned())
}

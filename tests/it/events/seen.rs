//! Who sees which events: a tenant's people its own, a broker's people what it made, others by their role. The numbers are the feed's.

use bourse::config::Grants;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::hub::{BOUND, CLIENT, Hub, World, polling};
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::wait::wait_until;

struct Reader<'a>(&'a Hub, String);

impl Reader<'_> {
    async fn get(&self, query: &str) -> (u16, Value) {
        let url = format!("{}/api/v1/events{query}", self.0.url);
        let answer = CLIENT.get(url).bearer_auth(&self.1).send().await.expect("no answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.expect("no text")).unwrap_or_default())
    }

    /// All ids with that filter, read in pages of so many, and the cursor behind them.
    async fn ids(&self, limit: usize, filter: &str) -> (Vec<String>, String) {
        let (mut ids, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let (status, page) = self.get(&format!("?limit={limit}&after={after}{filter}")).await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().expect("items").clone();
            after = page["next"].as_str().expect("a cursor").to_owned();
            if items.is_empty() {
                return (ids, after);
            }
            ids.extend(items.iter().map(|event| event["id"].as_str().expect("an id").to_owned()));
        }
    }
}

fn those(all: &[Value], wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    all.iter().filter(|event| wanted(event)).map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

async fn market(world: &World, hub: &Hub) {
    let p = world.furnish(hub).await;
    world.register(hub, json!({"name": "others", "name_prefix": "x-"})).await;
    assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/smith", Some(json!({"display_name": "S"}))).await.status, 201);
    for (tenant, offering) in [("retail", "faults"), ("retail", "x-faults"), ("smith", "faults"), ("smith", "x-faults")]
    {
        let path = format!("/api/v1/tenants/{tenant}/instances/{offering}");
        let made = hub.admin(Method::PUT, &path, Some(json!({"offering": offering, "plan": "ok"}))).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    // Somebody has to agree to one, which is no business of the broker's people.
    let rule = json!({"tenant": "retail", "on": ["provision"]});
    assert_eq!(hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(rule)).await.status, 201);
    assert_eq!(hub.provision(&p, "waits", "async", polling()).await.status, 202);
}

#[tokio::test]
async fn each_sees_the_events_that_are_theirs_in_the_order_and_under_the_numbers_of_the_feed() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            let roles = |user: &str, roles: &[&str]| Grants {
                user: Some(user.to_owned()),
                group: None,
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            };
            config.auth.grants = vec![
                roles("fina", &["finance"]),
                roles("mia", &["tenant-member:retail"]),
                roles("pia", &["provider:others"]),
                roles("both", &["provider:others", "tenant-owner:retail"]),
            ];
        })
        .await;
        let hub = world.hub().await;
        market(&world, &hub).await;
        let reader = |name: &str| Reader(&hub, forger.token(hub.app.clock().now().seconds(), json!({"sub": name})));
        let (fina, mia, pia, both) = (reader("fina"), reader("mia"), reader("pia"), reader("both"));
        wait_until("all events to be numbered", BOUND, async || {
            let page = fina.get("?limit=1000").await.1.to_string();
            page.contains("approval.requested")
        })
        .await;
        let page = fina.get("?limit=1000").await.1;
        let all = page["items"].as_array().expect("items").clone();
        let tenant = |event: &Value| event["data"]["tenant"]["name"] == "retail";
        let others = hub.admin(Method::GET, "/api/v1/brokers/others", None).await.body["id"].clone();
        let approval = |event: &Value| event["type"].as_str().is_some_and(|kind| kind.contains(".approval."));
        let broker = |event: &Value| event["brokerid"] == others && !approval(event);
        assert!(all.iter().any(approval) && all.iter().any(broker) && !all.iter().all(tenant));

        for limit in [1, 3, 1000] {
            assert_eq!(
                mia.ids(limit, "").await,
                (those(&all, tenant), page["next"].as_str().expect("next").to_owned())
            );
            assert_eq!(pia.ids(limit, "").await.0, those(&all, broker));
            assert_eq!(both.ids(limit, "").await.0, those(&all, |event| tenant(event) || broker(event)));
        }
        let kind = "io.bourse.instance.provisioned";
        let made = |event: &Value| event["type"] == kind && tenant(event);
        for limit in [1, 1000] {
            assert_eq!(mia.ids(limit, &format!("&type={kind}")).await.0, those(&all, made));
            let filter = format!("&type={kind}&tenant=retail");
            assert_eq!(fina.ids(limit, &filter).await.0, those(&all, made), "one tenant's, for who sees all");
            let theirs = |event: &Value| event["type"] == kind && (tenant(event) || broker(event));
            assert_eq!(both.ids(limit, &format!("&type={kind}")).await.0, those(&all, theirs));
        }
        assert!(mia.ids(10, "&type=io.bourse.broker.available").await.0.is_empty());
        assert_eq!(mia.ids(1000, "&tenant=retail").await.0, those(&all, tenant));
        for (who, wanted) in [(&mia, "smith"), (&pia, "retail"), (&mia, "nobody")] {
            let (status, told) = who.get(&format!("?tenant={wanted}")).await;
            assert_eq!((status, told["detail"].as_str()), (404, Some(&*format!("tenant `{wanted}` does not exist"))));
        }
        assert_eq!(reader("nobody").get("").await.0, 403);
        assert_eq!(mia.get("/dead-letters").await.0, 403);
        hub.stop().await;
    })
    .await;
}

//! A hub with people who have different roles: Ada and Ben order for `retail`, Ann approves, Olga operates, Aud audits, Fin has the
//! money, Pat answers for the broker `faults`.

use bourse::config::{Config, Grants};
use bourse::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{Hub, Platform, Reply, World};
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::portal::{Browser, PORTAL};
use crate::support::scripted::{PASSWORD, Script, Scripted, USERNAME, catalog};

pub(super) struct House {
    pub(super) world: World,
    pub(super) hub: Hub,
    pub(super) platform: Platform,
}

impl House {
    /// Somebody's browser, who is signed in.
    pub(super) async fn browser(&self, name: &str) -> Browser {
        Browser::person(&self.hub.url, name, self.world.clock.now().seconds(), &json!({})).await
    }

    /// A request of the administrator to the management API, which has to succeed.
    pub(super) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let reply = self.hub.admin(method, &format!("/api/v1{path}"), body).await;
        assert!(matches!(reply.status, 200..=204), "{path}: {reply:?}");
        reply
    }

    /// The service broker `acme`, for which nobody of these answers.
    pub(super) async fn acme(&self) -> Scripted {
        let acme = Scripted::start(Script::Catalog(catalog(&[("object-storage", &["one"][..])])));
        let basic = json!({"basic": {"username": USERNAME, "password": PASSWORD}});
        self.api(Method::POST, "/brokers", Some(json!({"name": "acme", "url": acme.url(), "credentials": basic})))
            .await;
        acme
    }
}

/// Runs a test in such a house, over each kind of database.
pub(super) async fn house(test: impl AsyncFn(&House)) {
    house_on(&[On::Sqlite, On::Postgres], |_| {}, test).await;
}

/// The same over these kinds of database, with settings changed.
pub(super) async fn house_on(kinds: &[On], change: impl Fn(&mut Config), test: impl AsyncFn(&House)) {
    for on in kinds.iter().copied() {
        let forger = Forger::start().await;
        let world = World::new(on, |config| {
            config.oidc.issuer = forger.url.clone();
            config.oidc.audience = AUDIENCE.to_owned();
            config.oidc.portal_client_id = PORTAL.to_owned();
            config.oidc.portal_client_secret = Some(Secret::new("portal secret".to_owned()));
            let roles = [
                ("ann", "approver"),
                ("olga", "operator"),
                ("aud", "auditor"),
                ("fin", "finance"),
                ("pat", "provider:faults"),
            ];
            let grant = |(user, role): (&str, &str)| Grants {
                group: None,
                user: Some(user.to_owned()),
                roles: vec![role.to_owned()],
            };
            config.auth.grants = roles.into_iter().map(grant).collect();
            change(config);
        })
        .await;
        let hub = world.hub().await;
        let platform = world.furnish(&hub).await;
        let house = House { world, hub, platform };
        let member = |name: &str| json!({"user": name, "role": "member"});
        let tenant =
            json!({"display_name": "Retail", "cost_center": "4711", "members": [member("ada"), member("ben")]});
        house.api(Method::PUT, "/tenants/retail", Some(tenant)).await;
        test(&house).await;
        house.hub.stop().await;
    }
}

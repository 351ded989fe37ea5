//! What changes between an order's decision and its first transaction: an order is held there, something else is done, and the order
//! must neither undo that nor be carried out by what was before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bourse::app::Points;
use bourse::domain::operation::OperationKind;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::bare::On;
use crate::support::hub::{BOUND, Hub, Platform, Reply, World, polling, sync};

/// Holds the next order of one kind between its decision and its first transaction.
#[derive(Default)]
struct Hold {
    next: Mutex<Option<OperationKind>>,
    held: Notify,
    go: Notify,
}

impl Hold {
    fn points(self: &Arc<Self>) -> Points {
        let hold = Arc::clone(self);
        Points::pausing(Arc::new(move |kind| {
            let hold = Arc::clone(&hold);
            Box::pin(async move { hold.pass(kind).await })
        }))
    }

    async fn pass(&self, kind: OperationKind) {
        let held = self.next.lock().expect("a lock").take_if(|next| *next == kind).is_some();
        if held {
            self.held.notify_one();
            self.go.notified().await;
        }
    }
}

struct Shop {
    world: World,
    hub: Hub,
    p: Platform,
    hold: Arc<Hold>,
}

async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
        let hold = Arc::new(Hold::default());
        let hub = world.hub_with(hold.points()).await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p, hold };
        case(&shop).await;
        shop.hub.stop().await;
    }
}

impl Shop {
    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.hub.admin(method, &format!("/api/v1/{path}"), body).await
    }

    /// Changes the instance `i`.
    async fn change(&self, more: Value) -> Reply {
        let mut body = json!({"service_id": self.hub.ids("ok").0});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.hub.osb(&self.p, Method::PATCH, "/v2/service_instances/i?accepts_incomplete=true", Some(body)).await
    }

    /// An order that is held after its decision, while something else is done.
    async fn held<T>(
        &self,
        kind: OperationKind,
        order: impl Future<Output = T>,
        meanwhile: impl Future<Output = ()>,
    ) -> T {
        *self.hold.next.lock().expect("a lock") = Some(kind);
        let between = async {
            tokio::time::timeout(BOUND, self.hold.held.notified()).await.expect("it was not held");
            meanwhile.await;
            self.hold.go.notify_one();
        };
        tokio::join!(order, between).0
    }

    async fn used(&self) -> Value {
        self.admin(Method::GET, "quotas/size", None).await.body["used"].clone()
    }

    /// The body of the latest call of the broker.
    fn sent(&self, method: &str) -> Value {
        let calls = self.world.faults.calls();
        calls.iter().rfind(|call| call.method == method).map(|call| call.body.clone()).unwrap_or_default()
    }

    async fn put_tenant(&self, cost_center: &str) {
        let tenant = json!({"display_name": "Retail", "cost_center": cost_center});
        assert_eq!(self.admin(Method::PUT, "tenants/retail", Some(tenant)).await.status, 200);
    }
}

fn refused_for_now(reply: &Reply) -> bool {
    reply.status == 422 && reply.body["error"] == "ConcurrencyError"
}

#[tokio::test]
async fn a_change_that_was_decided_on_what_another_just_replaced_is_refused_and_no_quota_forgets() {
    on_both(async |shop| {
        let quota = json!({"tenant": "retail", "limit": "10", "measure": {"parameter": "/size"}});
        assert_eq!(shop.admin(Method::PUT, "quotas/size", Some(quota)).await.status, 201);
        let order = sync().with(json!({"size": 5}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", order).await.status, 201);
        let late = shop
            .held(OperationKind::Update, shop.change(json!({"parameters": {"other": 1}})), async {
                let grown = shop.change(json!({"parameters": {"size": 9}})).await;
                assert_eq!(grown.status, 200, "{grown:?}");
            })
            .await;
        assert!(refused_for_now(&late), "{late:?}");
        assert_eq!(shop.used().await, "9", "what stands counts");
        assert_eq!(shop.sent("PATCH")["parameters"], json!({"size": 9}), "the broker never heard of the other one");
        assert_eq!(shop.change(json!({"parameters": {"other": 1}})).await.status, 200);
        assert_eq!(shop.used().await, "9");
        let again = sync().with(json!({"size": 9, "other": 1}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", again).await.status, 200, "both stand");
    })
    .await;
}

#[tokio::test]
async fn a_change_that_was_decided_on_the_plan_before_does_not_bring_it_back_to_bills() {
    on_both(async |shop| {
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", sync()).await.status, 201);
        let late = shop
            .held(OperationKind::Update, shop.change(json!({"parameters": {"other": 1}})), async {
                let moved = shop.change(json!({"plan_id": shop.hub.ids("unavailable").1})).await;
                assert_eq!(moved.status, 200, "{moved:?}");
            })
            .await;
        assert!(refused_for_now(&late), "{late:?}");
        let listed = shop.admin(Method::GET, "instances?platform_instance_id=i", None).await.body;
        assert_eq!(listed["items"][0]["plan"], "unavailable", "{listed}");
        let sql =
            "select count(*) as number from spans where ended_at is null and plan_id = (select plan_id from instances)";
        assert_eq!(crate::support::dump::count(&shop.hub.db, sql).await, 1, "the plan that stands is billed");
    })
    .await;
}

#[tokio::test]
async fn a_context_that_is_only_remembered_does_not_bring_back_parameters() {
    on_both(async |shop| {
        let order = sync().with(json!({"size": 5}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", order).await.status, 201);
        let late = shop
            .held(OperationKind::Update, shop.change(json!({"context": {"platform": "other", "x": "y"}})), async {
                assert_eq!(shop.change(json!({"parameters": {"size": 9}})).await.status, 200);
            })
            .await;
        assert!(refused_for_now(&late), "{late:?}");
        let again = sync().with(json!({"size": 9}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", again).await.status, 200, "what was changed to stands");
    })
    .await;
}

#[tokio::test]
async fn a_broker_is_told_the_tenant_as_it_is_when_the_order_is_written() {
    on_both(async |shop| {
        let told = |method: &str| shop.sent(method)["context"]["bourse"]["tenant"]["cost_center"].clone();
        let made = shop
            .held(OperationKind::Provision, shop.hub.provision(&shop.p, "i", "ok", sync()), shop.put_tenant("1"))
            .await;
        assert_eq!((made.status, told("PUT")), (201, json!("1")), "{made:?}");
        let order = Some(json!({"offering": "faults", "plan": "ok"}));
        let by_name = shop.admin(Method::PUT, "tenants/retail/instances/named", order);
        let made = shop.held(OperationKind::Provision, by_name, shop.put_tenant("2")).await;
        assert_eq!((made.status, told("PUT")), (201, json!("2")), "{made:?}");
        let bound = shop
            .held(OperationKind::Bind, shop.hub.bind(&shop.p, ("i", "b"), "ok", sync()), shop.put_tenant("3"))
            .await;
        assert_eq!((bound.status, told("PUT")), (201, json!("3")), "{bound:?}");
        let change = json!({"parameters": {"x": 1}});
        let late = shop.held(OperationKind::Update, shop.change(change.clone()), shop.put_tenant("4")).await;
        assert!(refused_for_now(&late), "{late:?}");
        assert_eq!(shop.sent("PATCH"), Value::Null, "nothing was sent");
        assert_eq!((shop.change(change).await.status, told("PATCH")), (200, json!("4")));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_ordered_or_bound_for_a_tenant_that_is_suspended_at_the_same_moment() {
    on_both(async |shop| {
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", sync()).await.status, 201);
        let calls = shop.world.faults.calls().len();
        let suspend = async || {
            let reason = json!({"reason": "unpaid"});
            assert_eq!(shop.admin(Method::POST, "tenants/retail/suspend", Some(reason)).await.status, 200);
        };
        let bound = shop.held(OperationKind::Bind, shop.hub.bind(&shop.p, ("i", "b"), "ok", sync()), suspend()).await;
        assert_eq!(shop.admin(Method::POST, "tenants/retail/resume", None).await.status, 200);
        let made =
            shop.held(OperationKind::Provision, shop.hub.provision(&shop.p, "j", "ok", polling()), suspend()).await;
        assert_eq!(shop.admin(Method::POST, "tenants/retail/resume", None).await.status, 200);
        let changed = shop.held(OperationKind::Update, shop.change(json!({"parameters": {"x": 1}})), suspend()).await;
        for refused in [bound, made, changed] {
            let said = refused.body["description"].as_str().unwrap_or_default();
            assert!(refused.status == 400 && said.contains("`retail` is suspended: unpaid"), "{refused:?}");
        }
        assert_eq!(shop.world.faults.calls().len(), calls, "no broker heard of it");
    })
    .await;
}

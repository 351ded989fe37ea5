//! Random lives of instances, with brokers that refuse, hang up, lie and fail, and people who change their minds: at the end what is used
//! is the sum over what stands, counted by other means.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Shop, balanced, on_both};
use crate::support::dump::{instances, is_quiet, items};
use crate::support::hub::{BOUND, polling};
use crate::support::wait::wait_until;

const STEPS: usize = 120;
const IDS: usize = 12;
const PLANS: [&str; 8] =
    ["ok", "async", "async-then-failed", "rejects", "unavailable", "drops-connection", "garbage", "fails-500"];

async fn step(shop: &Shop, random: &mut fastrand::Rng, plans: &mut [&'static str; IDS]) {
    let number = random.usize(..IDS);
    let id = format!("i-{number}");
    let size = json!(random.u32(1..10));
    match random.u32(..10) {
        0..=3 => {
            let plan = PLANS[random.usize(..PLANS.len())];
            let order = polling().with(json!({"size_gb": size, "polls": random.u32(..2), "times": 1}));
            if matches!(shop.hub.provision(&shop.p, &id, plan, order).await.status, 201 | 202) {
                plans[number] = plan;
            }
        }
        4 | 5 => {
            let fault = PLANS[random.usize(..PLANS.len())];
            let parameters = json!({"size_gb": size, "polls": 1, "fail_on": ["update"], "times": 1});
            let change = json!({"plan_id": shop.hub.ids(fault).1, "parameters": parameters});
            if matches!(shop.change(&id, change).await.status, 200 | 202) {
                plans[number] = fault;
            }
        }
        6 | 7 => drop(shop.hub.delete(&shop.p, &id, plans[number], true).await),
        8 => {
            let found = items(&shop.hub.url, &format!("instances?platform_instance_id={id}")).await;
            if let Some(one) = found.first() {
                let path = format!("/api/v1/instances/{}/purge", one["id"].as_str().expect("an id"));
                shop.hub.admin(Method::POST, &path, Some(json!({"reason": "tired of it"}))).await;
            }
        }
        _ => {
            let (limit, plan) = (random.u32(1..60).to_string(), PLANS[random.usize(..2)]);
            match random.bool() {
                true => shop.quota("all", json!({"limit": "9"})).await,
                false => {
                    let measure = json!({"parameter": "/size_gb"});
                    shop.quota("size", json!({"limit": limit, "plan": plan, "measure": measure})).await;
                }
            }
        }
    }
    // The books are right at any moment.
    balanced(&shop.hub.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_lives_what_is_used_is_the_sum_over_what_stands() {
    on_both(async |shop| {
        shop.hub.loses_patience().await;
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        shop.quota("all", json!({"limit": "9"})).await;
        shop.quota("size", json!({"limit": "40", "plan": "ok", "measure": {"parameter": "/size_gb"}})).await;
        let mut plans = ["ok"; IDS];
        for _ in 0..STEPS {
            step(shop, &mut random, &mut plans).await;
        }
        // Time passes until all that failed is undone.
        wait_until("all to be over", BOUND * 3, async || {
            shop.world.clock.advance(Duration::from_secs(20));
            is_quiet(&shop.hub.url).await
        })
        .await;
        let standing: Vec<Value> =
            instances(&shop.hub.url).await.into_iter().filter(|one| one["state"] == "ready").collect();
        let used = balanced(&shop.hub.db).await;
        assert_eq!(used["all"], 1_000_000 * i64::try_from(standing.len()).expect("few"), "seed {seed}: {standing:?}");
        // Counted from the rows: the same, or less, where nobody knows what an update did and the larger went on counting.
        let before = used["size"];
        let quota = shop.hub.admin(Method::GET, "/api/v1/quotas/size", None).await.body;
        let said = json!({"limit": quota["limit"], "plan": quota["plan"], "measure": quota["measure"]});
        shop.quota("size", said).await;
        assert_eq!(balanced(&shop.hub.db).await["size"], before, "seed {seed}");
    })
    .await;
}

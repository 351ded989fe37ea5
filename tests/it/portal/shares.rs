//! Owners say who else may see a service, until when, and take it back.

use reqwest::Method;
use serde_json::{Value, json};

use super::staff::{House, house};
use crate::support::portal::Browser;

const ADDRESS: &str = "/services/retail/db/grants";

/// Oda owns the tenant, which has a service.
async fn owned(house: &House) -> (Browser, String) {
    let member = |name: &str, role: &str| json!({"user": name, "role": role});
    let tenant = json!({"display_name": "Retail", "cost_center": "4711", "members": [member("ada", "member"), member("oda", "owner")]});
    house.api(Method::PUT, "/tenants/retail", Some(tenant)).await;
    let made =
        house.api(Method::PUT, "/tenants/retail/instances/db", Some(json!({"offering": "faults", "plan": "ok"}))).await;
    (house.browser("oda").await, made.body["id"].as_str().expect("an id").to_owned())
}

async fn grants(house: &House, id: &str) -> Value {
    house.api(Method::GET, &format!("/instances/{id}/grants"), None).await.body["items"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_grants_a_service_to_a_colleague_until_a_time_and_takes_it_back() {
    house(async |house| {
        let (mut oda, id) = owned(house).await;
        oda.get("/services/retail/db").await;
        assert!(oda.page.text.contains(&format!("href=\"{ADDRESS}\"")), "{}", oda.page.text);
        oda.get(ADDRESS).await;
        assert!(oda.words().contains("It is shared with nobody"), "{}", oda.words());
        let give = |user: &'static str, role: &'static str, until: &'static str| {
            [("do", "give"), ("user", user), ("role", role), ("until", until)]
        };
        for (fields, field) in [
            (give("", "reader", "2099-01-01T00:00"), "user"),
            (give("cleo", "owner", "2099-01-01T00:00"), "role"),
            (give("cleo", "reader", "tomorrow"), "until"),
            (give("cleo", "reader", "2001-01-01T00:00"), "until"),
        ] {
            oda.submit(ADDRESS, &fields).await;
            let leads = oda.page.text.contains(&format!("href=\"#{field}\""));
            assert!(oda.page.status == 422 && leads, "{field}: {}", oda.words());
        }
        oda.submit(ADDRESS, &give("cleo", "reader", "2099-01-01T00:00")).await;
        assert!(oda.page.status == 200 && oda.words().contains("cleo sees it"), "{}", oda.words());
        let all = grants(house, &id).await;
        assert_eq!(
            (&all[0]["user"], &all[0]["role"], &all[0]["granted_by"]),
            (&json!("cleo"), &json!("reader"), &json!("users/oda"))
        );
        oda.submit(ADDRESS, &give("cleo", "user", "2099-01-01T00:00")).await;
        assert_eq!(grants(house, &id).await[0]["role"], "user");
        oda.get("/services/retail/db").await;
        assert!(oda.words().contains("cleo (user) until 1 Jan 2099"), "{}", oda.words());
        oda.get(ADDRESS).await;
        oda.submit(ADDRESS, &[("do", "take"), ("user", "cleo")]).await;
        assert!(oda.words().contains("It is shared with nobody"), "{}", oda.words());
        assert_eq!(grants(house, &id).await, json!([]));
        oda.submit(ADDRESS, &[("do", "take"), ("user", "cleo")]).await;
        assert_eq!(oda.page.status, 404, "{}", oda.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_nothing_and_operators_do_for_any_tenant() {
    house(async |house| {
        let (_, id) = owned(house).await;
        let mut ada = house.browser("ada").await;
        ada.get("/services/retail/db").await;
        assert!(!ada.page.text.contains(ADDRESS), "{}", ada.page.text);
        assert_eq!(ada.get(ADDRESS).await.status, 403);
        ada.get("/services/retail/db").await;
        let fields = [("do", "give"), ("user", "eve"), ("role", "reader"), ("until", "2099-01-01T00:00")];
        ada.submit(ADDRESS, &fields).await;
        assert_eq!(ada.page.status, 403);
        assert_eq!(grants(house, &id).await, json!([]));
        let mut olga = house.browser("olga").await;
        olga.get(ADDRESS).await;
        olga.submit(ADDRESS, &fields).await;
        assert_eq!(grants(house, &id).await[0]["granted_by"], "users/olga", "{}", olga.words());
        let mut ben = house.browser("ben").await;
        assert_eq!(ben.get(ADDRESS).await.status, 403, "he is in no tenant any more");
        assert_eq!(olga.get("/services/retail/none/grants").await.status, 404);
    })
    .await;
}

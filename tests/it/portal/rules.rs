//! Policies, quotas and rules of approval are written, tried, changed and deleted in the console of operators.

use reqwest::Method;
use serde_json::{Value, json};

use super::staff::{House, house};
use crate::support::hub::Reply;
use crate::support::portal::Browser;

const FORBIDS: &str = "@remedy(\"take another\")\nforbid(principal, action == Bourse::Action::\"order\", resource);";

async fn got(house: &House, path: &str) -> Value {
    house.api(Method::GET, path, None).await.body
}

/// Ada orders by the API.
async fn ordered(house: &House, name: &str) -> Reply {
    let order = json!({"offering": "faults", "plan": "ok"});
    house.hub.admin(Method::PUT, &format!("/api/v1/tenants/retail/instances/{name}"), Some(order)).await
}

/// The mark of what the page shows.
fn mark(browser: &Browser) -> String {
    let found = browser.page.text.split("name=\"shown\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    found.expect("a mark").to_owned()
}

#[track_caller]
fn wrong_at(browser: &Browser, id: &str) {
    let leads = browser.page.text.contains(&format!("href=\"#{id}\""));
    assert!(browser.page.status == 422 && leads, "{id}: {} {}", browser.page.status, browser.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_written_with_cedars_errors_at_its_text_tried_and_then_let_refuse() {
    house(async |house| {
        assert_eq!(ordered(house, "one").await.status, 201);
        let mut olga = house.browser("olga").await;
        olga.get("/operator/policies").await;
        assert!(
            olga.words().contains("There is no policy") && olga.words().contains("Write a policy"),
            "{}",
            olga.words()
        );
        let add = "/operator/add-policy";
        olga.get(add).await;
        let save =
            |name: &'static str, text: &'static str| [("do", "save"), ("name", name), ("mode", "warn"), ("text", text)];
        olga.submit(add, &save("none", "forbid(principal, action resource);")).await;
        wrong_at(&olga, "text");
        assert!(
            olga.words().contains("line 1, column") && olga.words().contains("forbid(principal, action resource);")
        );
        olga.submit(add, &save("none", "forbid(principal, action, resource);")).await;
        wrong_at(&olga, "text");
        assert!(olga.words().contains("@remedy"), "{}", olga.words());
        olga.submit(add, &save("Not A Name", FORBIDS)).await;
        wrong_at(&olga, "name");
        // It is tried before there is one.
        olga.submit(add, &[("do", "try"), ("text", FORBIDS)]).await;
        assert!(olga.page.status == 200 && olga.words().contains("What this text would refuse"), "{}", olga.words());
        assert!(olga.words().contains("take another") && olga.words().contains("1 instance was looked at"));
        olga.submit(add, &[("do", "try"), ("text", FORBIDS), ("tenant", "nobody")]).await;
        assert!(olga.words().contains("It would refuse none of them"), "{}", olga.words());
        assert_eq!(
            house.hub.admin(Method::GET, "/api/v1/policies/none", None).await.status,
            404,
            "nothing was written"
        );

        olga.submit(add, &save("none", FORBIDS)).await;
        assert_eq!(olga.address, "/operator/policies/none", "{}", olga.words());
        assert!(olga.words().contains("warns only"), "{}", olga.words());
        assert_eq!(ordered(house, "two").await.status, 201, "it only warns");
        olga.get(add).await;
        olga.submit(add, &save("none", FORBIDS)).await;
        wrong_at(&olga, "name");
        let address = "/operator/policies/none";
        olga.get(address).await;
        olga.submit(address, &[("do", "enforce")]).await;
        assert!(olga.words().contains("refuses orders"), "{}", olga.words());
        let refused = ordered(house, "three").await;
        assert!(refused.status == 422 && refused.body.to_string().contains("take another"), "{refused:?}");
        olga.submit(address, &[("do", "warn")]).await;
        assert_eq!(got(house, "/policies/none").await["mode"], "warn");
        let rows = house.hub.admin(Method::GET, "/api/v1/policies/none", None).await.body;
        assert_eq!(rows["text"], FORBIDS, "a switch leaves the text");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_changed_unless_somebody_else_did_and_deleted_after_a_question() {
    house(async |house| {
        house.api(Method::PUT, "/policies/none", Some(json!({"mode": "warn", "text": FORBIDS}))).await;
        let mut olga = house.browser("olga").await;
        let address = "/operator/policies/none";
        olga.get(address).await;
        let seen = mark(&olga);
        let other = FORBIDS.replace("take another", "ask an operator");
        let fields = [("do", "save"), ("mode", "enforce"), ("text", other.as_str()), ("shown", seen.as_str())];
        olga.submit(address, &fields).await;
        let now = got(house, "/policies/none").await;
        assert_eq!((&now["mode"], &now["text"]), (&json!("enforce"), &json!(other)), "{}", olga.words());
        let third = FORBIDS.replace("take another", "think again");
        olga.submit(address, &[("do", "save"), ("mode", "warn"), ("text", &third), ("shown", &seen)]).await;
        assert!(olga.page.status == 409 && olga.words().contains("somebody else changed it"), "{}", olga.words());
        assert!(olga.words().contains("think again"), "what was typed is kept: {}", olga.words());
        assert_eq!(got(house, "/policies/none").await["text"], json!(other));
        olga.submit(address, &[("do", "try"), ("mode", "warn"), ("text", "forbid")]).await;
        wrong_at(&olga, "text");

        let mut aud = house.browser("aud").await;
        aud.get(address).await;
        assert!(aud.page.status == 200 && !aud.words().contains("Delete it"), "{}", aud.words());
        assert_eq!(aud.get(&format!("{address}/delete")).await.status, 403);
        olga.get(&format!("{address}/delete")).await;
        assert!(olga.words().contains("What it forbids is allowed from then on"), "{}", olga.words());
        olga.submit(&format!("{address}/delete"), &[]).await;
        assert_eq!(olga.address, "/operator/policies", "{}", olga.words());
        assert_eq!(olga.get(address).await.status, 404);
        let told = house.hub.admin(Method::GET, "/api/v1/policies", None).await.body;
        assert_eq!(told["items"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_set_with_what_is_used_of_it_changed_and_deleted_after_a_question() {
    house(async |house| {
        assert_eq!(ordered(house, "one").await.status, 201);
        let mut olga = house.browser("olga").await;
        olga.get("/operator/tenants/retail").await;
        let add = "/operator/add-quota?tenant=retail";
        assert!(olga.page.text.contains(add), "{}", olga.page.text);
        olga.get(add).await;
        assert!(olga.page.text.contains("value=\"retail\""), "{}", olga.page.text);
        let quota = |name: &'static str, limit: &'static str, measure: &'static str, parameter: &'static str| {
            [("name", name), ("tenant", "retail"), ("limit", limit), ("measure", measure), ("parameter", parameter)]
        };
        let add = "/operator/add-quota";
        for (fields, id) in [
            (quota("few", "many", "count", ""), "limit"),
            (quota("few", "1.1234567", "count", ""), "limit"),
            (quota("Few!", "2", "count", ""), "name"),
            (quota("few", "2", "parameter", "size"), "parameter"),
            (quota("few", "2", "count", "/size"), "parameter"),
            (quota("few", "2", "weight", ""), "measure"),
        ] {
            olga.submit(add, &fields).await;
            wrong_at(&olga, id);
        }
        for (name, id) in [("offering", "offering"), ("tenant", "tenant")] {
            olga.submit(
                add,
                &[("name", "few"), ("limit", "2"), ("measure", "count"), ("tenant", "retail"), (name, "nothing")]
                    .into_iter()
                    .filter(|(field, value)| *field != name || *value == "nothing")
                    .collect::<Vec<_>>(),
            )
            .await;
            wrong_at(&olga, id);
        }
        olga.submit(add, &quota("few", "2", "count", "")).await;
        assert_eq!(olga.address, "/operator/quotas/few", "{}", olga.words());
        assert!(olga.words().contains("1 of 2"), "what stands is counted: {}", olga.words());
        olga.get(add).await;
        olga.submit(add, &quota("few", "9", "count", "")).await;
        wrong_at(&olga, "name");
        let address = "/operator/quotas/few";
        olga.get(address).await;
        let seen = mark(&olga);
        olga.submit(address, &[("limit", "1"), ("measure", "count"), ("offering", "faults"), ("shown", &seen)]).await;
        let now = got(house, "/quotas/few").await;
        assert_eq!(
            (&now["limit"], &now["offering"], &now["tenant"]),
            (&json!("1"), &json!("faults"), &json!("retail"))
        );
        assert!(olga.words().contains("1 of 1") && olga.words().contains("full"), "{}", olga.words());
        assert_eq!(ordered(house, "two").await.status, 422);
        olga.submit(address, &[("limit", "5"), ("measure", "count"), ("shown", &seen)]).await;
        assert_eq!(olga.page.status, 409, "{}", olga.words());

        olga.get("/operator/quotas?tenant=retail").await;
        assert!(olga.words().contains("few") && olga.words().contains("1 of 1"), "{}", olga.words());
        olga.get("/operator/quotas?tenant=nobody").await;
        assert!(olga.words().contains("This tenant has no quota"), "{}", olga.words());
        let mut ada = house.browser("ada").await;
        ada.get(address).await;
        assert!(ada.page.status == 200 && !ada.words().contains("Change it"), "members see their own: {}", ada.words());
        assert_eq!(ada.get(&format!("{address}/delete")).await.status, 403);
        olga.get(&format!("{address}/delete")).await;
        olga.submit(&format!("{address}/delete"), &[]).await;
        assert_eq!(olga.address, "/operator/quotas", "{}", olga.words());
        assert_eq!(ordered(house, "two").await.status, 201);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_approval_is_written_changed_and_deleted_and_holds_from_then_on() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        olga.get("/operator/approval-rules").await;
        assert!(olga.words().contains("No order waits for a yes"), "{}", olga.words());
        let add = "/operator/add-approval-rule";
        olga.get(add).await;
        assert!(olga.page.text.contains("value=\"P3D\""), "{}", olga.page.text);
        for (fields, id) in [
            (vec![("name", "Large!"), ("provision", "yes")], "name"),
            (vec![("name", "large")], "provision"),
            (vec![("name", "large"), ("provision", "yes"), ("offering", "nothing")], "offering"),
            (vec![("name", "large"), ("provision", "yes"), ("tenant", "nobody")], "tenant"),
            (vec![("name", "large"), ("provision", "yes"), ("expires_after", "P9D")], "expires_after"),
        ] {
            olga.submit(add, &fields).await;
            wrong_at(&olga, id);
        }
        let fields =
            [("name", "large"), ("provision", "yes"), ("offering", "faults"), ("approvers", "ann\r\n\r\nfin\r\n")];
        olga.submit(add, &fields).await;
        assert_eq!(olga.address, "/operator/approval-rules/large", "{}", olga.words());
        let rule = got(house, "/approval-rules/large").await;
        assert_eq!((&rule["on"], &rule["approvers"]), (&json!(["provision"]), &json!(["ann", "fin"])), "{rule}");
        assert_eq!(rule["expires_after"], "P3D");
        assert_eq!(ordered(house, "one").await.status, 202, "it waits");
        let address = "/operator/approval-rules/large";
        olga.get(address).await;
        let seen = mark(&olga);
        let change = [("update", "yes"), ("tenant", "retail"), ("expires_after", "PT12H"), ("shown", seen.as_str())];
        olga.submit(address, &change).await;
        let rule = got(house, "/approval-rules/large").await;
        assert_eq!(
            (&rule["on"], &rule["offering"], &rule["tenant"]),
            (&json!(["update"]), &Value::Null, &json!("retail"))
        );
        olga.submit(address, &change).await;
        assert_eq!(olga.page.status, 409, "{}", olga.words());
        olga.get("/operator/approval-rules").await;
        assert!(olga.words().contains("changes of everything for retail"), "{}", olga.words());
        let mut ann = house.browser("ann").await;
        ann.get(address).await;
        assert!(ann.page.status == 200 && !ann.words().contains("Change it"), "approvers look: {}", ann.words());
        olga.get(&format!("{address}/delete")).await;
        assert!(olga.words().contains("goes on waiting"), "{}", olga.words());
        olga.submit(&format!("{address}/delete"), &[]).await;
        assert_eq!(olga.address, "/operator/approval-rules", "{}", olga.words());
        assert_eq!(olga.get(address).await.status, 404);
    })
    .await;
}

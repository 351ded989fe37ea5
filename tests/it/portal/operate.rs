//! The consoles of operators and providers.

use bourse::domain::permission::Permission;
use reqwest::Method;
use serde_json::json;

use super::staff::house;
use crate::support::hub::{BOUND, polling};
use crate::support::portal::Browser;
use crate::support::wait::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_whose_an_unmapped_identity_is_and_the_order_can_be_repeated() {
    house(async |house| {
        let made = house.api(Method::POST, "/platforms", Some(json!({"name": "cf", "kind": "cloudfoundry"}))).await;
        let text = |field: &str| made.body["credentials"][field].as_str().expect("credentials").to_owned();
        let cf = crate::support::hub::Platform { username: text("username"), password: text("password") };
        let order = |org: &'static str| {
            let (service_id, plan_id) = house.hub.ids("ok");
            json!({"service_id": service_id, "plan_id": plan_id, "organization_guid": org, "space_guid": "s",
                "context": {"platform": "cloudfoundry", "organization_guid": org, "space_guid": "s"}})
        };
        for (id, org) in [("i1", "org-1"), ("i2", "org-2")] {
            let refused =
                house.hub.osb(&cf, Method::PUT, &format!("/v2/service_instances/{id}"), Some(order(org))).await;
            assert!(refused.status >= 400, "{refused:?}");
        }
        let mut olga = house.browser("olga").await;
        olga.get("/operator").await;
        assert!(olga.words().contains("2 unmapped identities"), "{}", olga.words());
        olga.get("/operator/identities").await;
        assert!(olga.words().contains("org-1") && olga.words().contains("cf"), "{}", olga.words());
        let link = |browser: &Browser, org: &str| {
            let mut links = browser.page.text.split("href=\"").filter_map(|rest| rest.split('"').next());
            let found = links.find(|link| link.starts_with("/operator/identities/map?") && link.contains(org));
            found.expect("a link").replace("&amp;", "&")
        };
        let (first, second) = (link(&olga, "org-1"), link(&olga, "org-2"));
        olga.get(&first).await;
        assert!(olga.words().contains("Whose is this identity?"), "{}", olga.words());
        olga.submit(&first, &[("do", "give"), ("tenant", "nobody")]).await;
        assert!(olga.page.status == 422 && olga.page.text.contains("href=\"#tenant\""), "{}", olga.words());
        olga.submit(&first, &[("do", "give"), ("tenant", "retail")]).await;
        assert_eq!(olga.address, "/operator/tenants/retail?done=mapped", "{}", olga.words());
        assert!(olga.words().contains("org-1") && olga.words().contains("can be repeated"), "{}", olga.words());
        let again = house.hub.osb(&cf, Method::PUT, "/v2/service_instances/i1", Some(order("org-1"))).await;
        assert_eq!(again.status, 201, "{again:?}");

        olga.get(&second).await;
        for (name, display, id) in
            [("Not A Name", "Lab", "name"), ("lab", " ", "display_name"), ("retail", "Lab", "name")]
        {
            olga.submit(&second, &[("do", "make"), ("name", name), ("display_name", display)]).await;
            assert!(olga.page.status >= 400 && olga.page.text.contains(&format!("href=\"#{id}\"")), "{}", olga.words());
        }
        olga.submit(&second, &[("do", "make"), ("name", "lab"), ("display_name", "Lab"), ("cost_center", "9")]).await;
        assert!(olga.words().contains("Lab") && olga.words().contains("org-2"), "{}", olga.words());
        let again = house.hub.osb(&cf, Method::PUT, "/v2/service_instances/i2", Some(order("org-2"))).await;
        assert_eq!(again.status, 201, "{again:?}");
        olga.get("/operator/identities").await;
        assert!(olga.words().contains("Every identity has a tenant"), "{}", olga.words());
        let retail = house.api(Method::GET, "/tenants/retail", None).await.body;
        assert_eq!(retail["members"].as_array().map(Vec::len), Some(2), "the rest of it stays: {retail}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_sees_the_own_broker_and_no_other_exists() {
    house(async |house| {
        let acme = house.acme().await;
        let mut pat = house.browser("pat").await;
        pat.get("/provider").await;
        assert!(pat.words().contains("faults") && !pat.words().contains("acme"), "{}", pat.words());
        assert!(pat.page.text.contains("href=\"/provider\" aria-current"), "{}", pat.page.text);
        pat.get("/provider/brokers/faults").await;
        assert!(pat.page.status == 200 && pat.words().contains("What it offers"), "{}", pat.words());
        pat.submit("/provider/brokers/faults", &[]).await;
        assert!(pat.words().contains("Its catalog was fetched again"), "{}", pat.words());
        for path in ["/provider/brokers/acme", "/operator/brokers/acme"] {
            assert_eq!(pat.get(path).await.status, 404, "{path}");
            assert!(pat.words().contains("There is nothing here"), "{}", pat.words());
        }
        pat.get("/provider").await;
        pat.get("/provider/brokers/faults").await;
        pat.submit("/provider/brokers/acme", &[]).await;
        assert_eq!(pat.page.status, 404);
        for path in ["/operator", "/operator/brokers/faults/delete", "/operator/audit", "/operator/tenants"] {
            assert_eq!(pat.get(path).await.status, 403, "{path}");
        }
        assert!(!pat.page.text.contains("href=\"/operator\""), "{}", pat.page.text);
        acme.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_read_from_the_latest_on_and_narrowed_by_who_what_and_when() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        olga.get("/operator/tenants/retail").await;
        olga.submit("/operator/tenants/retail", &[("do", "suspend"), ("reason", "")]).await;
        assert!(olga.page.status == 422 && olga.page.text.contains("href=\"#reason\""), "{}", olga.words());
        olga.submit("/operator/tenants/retail", &[("do", "suspend"), ("reason", "unpaid")]).await;
        assert!(
            olga.words().contains("This tenant is suspended") && olga.words().contains("unpaid"),
            "{}",
            olga.words()
        );
        olga.submit("/operator/tenants/retail", &[("do", "resume")]).await;
        assert!(olga.words().contains("may order"), "{}", olga.words());
        assert_eq!(olga.get("/operator/audit").await.status, 403, "operators do not audit themselves");

        let mut aud = house.browser("aud").await;
        wait_until("the rows to be chained", BOUND, async || {
            aud.get("/operator/audit?subject=tenants%2Fretail").await;
            aud.words().contains("tenant.resume")
        })
        .await;
        let words = aud.words();
        let at = |word: &str| words.find(word).unwrap_or_else(|| panic!("{word}: {words}"));
        assert!(at("tenant.resume") < at("tenant.suspend") && at("tenant.suspend") < at("tenant.put"), "{words}");
        assert!(words.contains("Before") && words.contains("unpaid"), "{words}");
        assert!(!words.contains("broker.register"), "{words}");
        aud.get("/operator/audit?actor=users%2Folga").await;
        assert!(aud.words().contains("tenant.suspend") && !aud.words().contains("tenant.put"), "{}", aud.words());
        aud.get("/operator/audit?until=2001-01-01").await;
        assert!(aud.words().contains("Nothing was changed"), "{}", aud.words());
        aud.get("/operator/audit?until=2999-01-01").await;
        assert!(aud.words().contains("tenant.suspend"), "{}", aud.words());
        assert_eq!(aud.get("/operator/audit?until=soon").await.status, 422);
        assert_eq!(aud.get("/operator/audit?cursor=x").await.status, 400);
        house.hub.app.keep_audit_head().await.expect("a head");
        aud.get("/operator/audit").await;
        assert!(aud.words().contains("The chain is what was signed"), "{}", aud.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_calls_an_operation_off_and_forgets_an_instance_only_after_a_question() {
    house(async |house| {
        house.api(Method::PUT, "/approval-rules/all", Some(json!({"offering": "faults"}))).await;
        let waits = house.hub.provision(&house.platform, "i1", "ok", polling()).await;
        assert_eq!(waits.status, 202, "{waits:?}");
        let mut olga = house.browser("olga").await;
        olga.get("/operator/operations").await;
        assert!(olga.words().contains("No operation is stuck"), "{}", olga.words());
        olga.get("/operator/operations?show=all").await;
        assert!(olga.words().contains("waits for approval"), "{}", olga.words());
        let operation = crate::support::dump::items(&house.hub.url, "operations?state=in_progress").await;
        let id = operation[0]["id"].as_str().expect("an id").to_owned();
        let instance = operation[0]["instance_id"].as_str().expect("an id").to_owned();
        let address = format!("/operator/operations/{id}");
        olga.get(&address).await;
        assert!(olga.words().contains("What to do:") && olga.words().contains("Call it off"), "{}", olga.words());
        olga.get(&format!("{address}/cancel")).await;
        assert!(olga.words().contains("Call this operation off?"), "{}", olga.words());
        olga.submit(&format!("{address}/cancel"), &[]).await;
        assert!(olga.address == address && olga.words().contains("called off"), "{}", olga.words());
        olga.get(&format!("{address}/cancel")).await;
        olga.submit(&format!("{address}/cancel"), &[]).await;
        assert!(olga.page.status == 409 && olga.words().contains("over already"), "{}", olga.words());

        let purge = format!("/operator/instances/{instance}/purge");
        olga.get(&purge).await;
        assert!(olga.words().contains("This can't be taken back"), "{}", olga.words());
        olga.submit(&purge, &[("reason", " ")]).await;
        assert!(olga.page.status == 422 && olga.page.text.contains("href=\"#reason\""), "{}", olga.words());
        olga.submit(&purge, &[("reason", "its broker is gone")]).await;
        assert_eq!((olga.page.status, olga.address.as_str()), (200, "/operator/operations"), "{}", olga.words());
        let mut aud = house.browser("aud").await;
        assert_eq!(aud.get(&purge).await.status, 403, "auditors look");
        assert_eq!(aud.get("/operator/operations").await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_a_platform_is_in_the_answer_to_the_form_and_nowhere_else() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        olga.get("/operator/platforms/p").await;
        assert!(!olga.words().contains("Password"), "{}", olga.words());
        olga.submit("/operator/platforms/p", &[("do", "add")]).await;
        assert!(olga.page.status == 200 && olga.words().contains("This is shown once"), "{}", olga.words());
        assert!(olga.page.header("cache-control").contains("no-store"));
        let pair = house.api(Method::GET, "/platforms/p", None).await.body["usernames"].clone();
        assert_eq!(pair.as_array().map(Vec::len), Some(2), "{pair}");
        olga.get("/operator/platforms/p").await;
        assert!(!olga.words().contains("Password"), "{}", olga.words());
        let first = pair[0].as_str().expect("a user name").to_owned();
        olga.submit("/operator/platforms/p/remove", &[("username", &first)]).await;
        assert!(!olga.page.text.contains(&first) && olga.words().contains("its only pair"), "{}", olga.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_parts_of_the_console_show_what_the_api_has() {
    house(async |house| {
        let policy = json!({"mode": "warn", "text": "@remedy(\"take another\") forbid(principal, action, resource);"});
        house.api(Method::PUT, "/policies/none", Some(policy)).await;
        let quota = json!({"tenant": "retail", "limit": "5"});
        house.api(Method::PUT, "/quotas/few", Some(quota)).await;
        let order = json!({"offering": "faults", "plan": "ok"});
        house.api(Method::PUT, "/tenants/retail/instances/one", Some(order)).await;
        let mut olga = house.browser("olga").await;
        for (path, words) in [
            ("/operator", "What needs somebody now"),
            ("/operator/brokers", "available"),
            ("/operator/brokers/faults", "one"),
            ("/operator/platforms", "other"),
            ("/operator/tenants", "4711"),
            ("/operator/tenants/retail", "1 of 5"),
            ("/operator/tenants/retail/offboard", "Nothing is done yet"),
            ("/operator/outbox", "No sink is set up"),
            ("/operator/policies", "warns only"),
            ("/operator/policies/none", "forbid(principal"),
            ("/operator/policies/none/simulate", "take another"),
        ] {
            olga.get(path).await;
            assert_eq!(olga.page.status, 200, "{path}: {}", olga.words());
            assert!(olga.words().contains(words), "{path}: {}", olga.words());
        }
        olga.get("/operator/tenants/retail/offboard").await;
        olga.submit("/operator/tenants/retail/offboard", &[("do", "start"), ("typed", "retial")]).await;
        assert!(olga.page.status == 422 && olga.page.text.contains("href=\"#typed\""), "{}", olga.words());
        olga.get("/operator/brokers/faults/delete").await;
        olga.submit("/operator/brokers/faults/delete", &[]).await;
        assert_eq!(olga.page.status, 409, "it has instances: {}", olga.words());
        let mut aud = house.browser("aud").await;
        assert_eq!(aud.get("/operator/brokers/faults").await.status, 200);
        assert!(!aud.words().contains("Fetch its catalog again"), "{}", aud.words());
        let mut ada = house.browser("ada").await;
        for page in bourse::http::portal::pages::PAGES {
            let operators = [Permission::SeePlatforms, Permission::ManageTenants, Permission::ManageInstances];
            if operators.contains(&page.permission) {
                let path = page.path.replace("{name}", "retail").replace("{id}", "x");
                if page.method.as_str() == "GET" {
                    assert_eq!(ada.get(&path).await.status, 403, "{path}");
                }
            }
        }
    })
    .await;
}

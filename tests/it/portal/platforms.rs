//! Platforms are registered, changed and deleted, and their passwords changed, in the console of operators.

use reqwest::Method;
use serde_json::{Value, json};

use super::staff::{House, house};
use crate::support::hub::{Platform, sync};
use crate::support::portal::Browser;

/// The texts that a page has to be copied.
fn copied(browser: &Browser) -> Vec<String> {
    let mark = "<pre tabindex=\"0\"><code>";
    browser.page.text.split(mark).skip(1).filter_map(|rest| rest.split("</code>").next()).map(str::to_owned).collect()
}

async fn platform(house: &House, name: &str) -> Value {
    house.api(Method::GET, &format!("/platforms/{name}"), None).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_registers_a_platform_and_sees_its_password_once() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        olga.get("/operator/platforms").await;
        assert!(olga.page.text.contains("href=\"/operator/add-platform\""), "{}", olga.page.text);
        let address = "/operator/add-platform";
        olga.get(address).await;
        for (fields, id) in [
            ([("name", "Not A Name"), ("kind", "other"), ("default_tenant", "")], "name"),
            ([("name", "k8s"), ("kind", "sort"), ("default_tenant", "")], "kind"),
            ([("name", "k8s"), ("kind", "bourse"), ("default_tenant", "")], "issuer"),
            ([("name", "k8s"), ("kind", "kubernetes"), ("default_tenant", "nobody")], "default_tenant"),
        ] {
            olga.submit(address, &fields).await;
            assert!(olga.page.status == 422 && olga.page.text.contains(&format!("href=\"#{id}\"")), "{}", olga.words());
            assert!(olga.page.text.contains(&format!("value=\"{}\"", fields[0].1)), "what was typed is kept");
        }
        olga.submit(address, &[("name", "k8s"), ("kind", "kubernetes"), ("default_tenant", "retail")]).await;
        assert!(olga.page.status == 200 && olga.words().contains("This is shown once"), "{}", olga.words());
        assert!(olga.page.header("cache-control").contains("no-store"));
        let pair = copied(&olga);
        let calls = Platform { username: pair[0].clone(), password: pair[1].clone() };
        let order = house.hub.osb(&calls, Method::GET, "/v2/catalog", None).await;
        assert_eq!(order.status, 200, "{order:?}");
        let made = platform(house, "k8s").await;
        assert_eq!((&made["kind"], &made["default_tenant"]), (&json!("kubernetes"), &json!("retail")), "{made}");
        olga.get("/operator/platforms/k8s").await;
        assert!(!olga.page.text.contains(&pair[1]), "no page that is read has it");
        olga.get(address).await;
        olga.submit(address, &[("name", "k8s"), ("kind", "other")]).await;
        assert!(olga.page.status == 409 && olga.words().contains("exists already"), "{}", olga.words());
        let mut aud = house.browser("aud").await;
        aud.get("/operator/platforms/k8s").await;
        assert!(aud.page.status == 200 && !aud.words().contains("Change it"), "{}", aud.words());
        assert_eq!(aud.get(address).await.status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_changed_and_nobody_overwrites_what_somebody_else_changed_meanwhile() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        let address = "/operator/platforms/p";
        olga.get(address).await;
        let mark = olga.page.text.split("name=\"shown\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let mark = mark.expect("a mark").to_owned();
        let change = |tenant: &'static str| [("do", "change"), ("default_tenant", tenant)];
        olga.submit(address, &change("nobody")).await;
        assert!(olga.page.status == 422 && olga.page.text.contains("href=\"#default_tenant\""), "{}", olga.words());
        assert_eq!(platform(house, "p").await["default_tenant"], "retail", "{}", olga.words());
        olga.submit(address, &change("")).await;
        assert_eq!(platform(house, "p").await["default_tenant"], Value::Null, "{}", olga.words());
        let late = [&change("retail")[..], &[("shown", mark.as_str())]].concat();
        olga.submit(address, &late).await;
        assert!(olga.page.status == 409 && olga.words().contains("somebody else changed it"), "{}", olga.words());
        assert!(olga.page.text.contains("value=\"retail\""), "what was typed is kept: {}", olga.page.text);
        assert_eq!(platform(house, "p").await["default_tenant"], Value::Null);
        olga.submit(address, &change("retail")).await;
        assert_eq!(platform(house, "p").await["default_tenant"], "retail", "{}", olga.words());

        let hub = json!({"name": "front", "kind": "bourse",
            "trust": {"issuer": "https://front.example", "jwks_url": "https://front.example/jwks"}});
        house.api(Method::POST, "/platforms", Some(hub)).await;
        let address = "/operator/platforms/front";
        olga.get(address).await;
        assert!(olga.words().contains("https://front.example/jwks"), "{}", olga.words());
        let trust =
            |url| [("do", "change"), ("issuer", "https://other.example"), ("jwks_url", url), ("audience", "back")];
        olga.submit(address, &trust("nowhere")).await;
        assert!(olga.page.status == 422 && olga.page.text.contains("href=\"#jwks_url\""), "{}", olga.words());
        olga.submit(address, &trust("https://other.example/jwks")).await;
        let said = platform(house, "front").await["trust"].clone();
        assert_eq!((&said["issuer"], &said["audience"]), (&json!("https://other.example"), &json!("back")), "{said}");
        olga.submit(address, &[("do", "change")]).await;
        assert!(olga.page.status == 422 && olga.words().contains("needs it"), "{}", olga.words());
        assert_eq!(platform(house, "front").await["trust"]["audience"], "back");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_deleted_only_after_a_question_and_not_while_something_of_it_stands() {
    house(async |house| {
        assert_eq!(house.hub.provision(&house.platform, "i1", "ok", sync()).await.status, 201);
        let mut olga = house.browser("olga").await;
        let address = "/operator/platforms/p/delete";
        olga.get(address).await;
        assert!(olga.words().contains("What stands in the way") && olga.words().contains("i1"), "{}", olga.words());
        olga.submit(address, &[]).await;
        assert!(olga.page.status == 409 && olga.words().contains("1 live instances"), "{}", olga.words());
        let gone = house.hub.delete(&house.platform, "i1", "ok", false).await;
        assert_eq!(gone.status, 200, "{gone:?}");
        olga.get(address).await;
        assert!(olga.words().contains("Nothing that was ordered from it stands"), "{}", olga.words());
        olga.submit(address, &[]).await;
        assert_eq!((olga.page.status, olga.address.as_str()), (200, "/operator/platforms"), "{}", olga.words());
        assert_eq!(olga.get("/operator/platforms/p").await.status, 404);
        olga.get("/operator/platforms/bourse").await;
        assert!(!olga.page.text.contains("/bourse/delete"), "people order through it: {}", olga.page.text);
        olga.get("/operator/platforms/bourse/delete").await;
        olga.submit("/operator/platforms/bourse/delete", &[]).await;
        assert_eq!(olga.page.status, 409, "{}", olga.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_without_an_interruption_and_the_old_one_is_asked_about() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        let address = "/operator/platforms/p";
        olga.get(address).await;
        assert!(olga.words().contains("its only pair"), "{}", olga.words());
        olga.submit(address, &[("do", "add")]).await;
        let pair = copied(&olga);
        let fresh = Platform { username: pair[0].clone(), password: pair[1].clone() };
        for each in [&house.platform, &fresh] {
            assert_eq!(house.hub.osb(each, Method::GET, "/v2/catalog", None).await.status, 200);
        }
        let question = format!("{address}/remove?username={}", house.platform.username);
        olga.get(address).await;
        assert!(olga.page.text.contains(&question), "{}", olga.page.text);
        olga.get(&question).await;
        assert!(olga.words().contains("is refused at once"), "{}", olga.words());
        olga.submit(&format!("{address}/remove"), &[("username", &house.platform.username)]).await;
        assert_eq!((olga.page.status, olga.address.as_str()), (200, address), "{}", olga.words());
        assert_eq!(house.hub.osb(&house.platform, Method::GET, "/v2/catalog", None).await.status, 401);
        assert_eq!(house.hub.osb(&fresh, Method::GET, "/v2/catalog", None).await.status, 200);
        assert_eq!(olga.get(&question).await.status, 404, "it is gone");
        assert_eq!(olga.get(&format!("{address}/remove?username={}", fresh.username)).await.status, 200);
        assert!(olga.words().contains("It is its only pair"), "{}", olga.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_changed_and_deleted_in_forms_that_lose_nothing() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        let add = "/operator/add-tenant";
        olga.get("/operator/tenants").await;
        assert!(olga.page.text.contains(&format!("href=\"{add}\"")), "{}", olga.page.text);
        olga.get(add).await;
        let two = |name: &'static str, display: &'static str, field: &'static str, value: &'static str| {
            [("name", name), ("display_name", display), (field, value)]
        };
        for (fields, id) in [
            (two("Not A Name", "Lab", "owner", ""), "name"),
            (two("lab", " ", "owner", ""), "display_name"),
            (two("retail", "Lab", "owner", ""), "name"),
            (two("lab", "Lab", "labels", "stage"), "labels"),
            (two("lab", "Lab", "time_zone", "Berlin"), "time_zone"),
            (two("lab", "Lab", "identities", "[{\"platform\": \"p\"}]"), "identities"),
            (two("lab", "Lab", "identities", "[{"), "identities"),
        ] {
            olga.submit(add, &fields).await;
            assert!(
                olga.page.status == 422 && olga.page.text.contains(&format!("href=\"#{id}\"")),
                "{id}: {}",
                olga.words()
            );
        }
        let fields = [
            ("name", "lab"),
            ("display_name", "Lab"),
            ("labels", "stage=test\r\n"),
            ("owners", "oda\r\n"),
            ("member_groups", "team\r\n"),
            ("identities", "[{\"platform\": \"p\", \"organization_guid\": \"org-lab\"}]"),
        ];
        olga.submit(add, &fields).await;
        assert_eq!(olga.address, "/operator/tenants/lab", "{}", olga.words());
        let made = house.api(Method::GET, "/tenants/lab", None).await.body;
        let members = json!([{"user": "oda", "role": "owner"}, {"group": "team", "role": "member"}]);
        assert_eq!((&made["members"], &made["labels"]), (&members, &json!({"stage": "test"})), "{made}");
        assert_eq!(made["identities"][0]["organization_guid"], "org-lab");

        let address = "/operator/tenants/lab/change";
        olga.get(address).await;
        let tag = olga.page.text.split("name=\"tag\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let tag = tag.expect("a tag").to_owned();
        let change = [("display_name", "The lab"), ("cost_center", "9"), ("members", "ada"), ("tag", tag.as_str())];
        olga.submit(address, &change).await;
        let now = house.api(Method::GET, "/tenants/lab", None).await.body;
        assert_eq!((&now["display_name"], &now["identities"]), (&json!("The lab"), &json!([])), "{now}");
        assert_eq!(now["members"], json!([{"user": "ada", "role": "member"}]));
        olga.submit(address, &change).await;
        assert!(olga.page.status == 409 && olga.words().contains("somebody else changed it"), "{}", olga.words());

        olga.get("/operator/tenants/retail/delete").await;
        assert!(olga.words().contains("What it has cost stays on record"), "{}", olga.words());
        olga.submit("/operator/tenants/retail/delete", &[]).await;
        assert_eq!(olga.page.status, 409, "it is a platform's default: {}", olga.words());
        olga.get("/operator/tenants/lab/delete").await;
        olga.submit("/operator/tenants/lab/delete", &[]).await;
        assert_eq!(olga.address, "/operator/tenants", "{}", olga.words());
        assert_eq!(olga.get(address).await.status, 404);
        let mut ada = house.browser("ada").await;
        assert_eq!(ada.get("/operator/tenants/retail/change").await.status, 403);
    })
    .await;
}

//! For whom an order is: `context` decides, and what nobody knows is refused and counted.

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;

/// A `context`, the guids beside it, the answer's status, and the tenant or what the refusal says.
type Case = (&'static str, Value, (&'static str, &'static str), u16, &'static str);

#[tokio::test]
async fn the_context_decides_for_whom_an_order_is() {
    on_both(async |b| {
        let platform = json!({"name": "strict", "kind": "cloudfoundry"});
        let reply = b.hub.admin(Method::POST, "/api/v1/platforms", Some(platform)).await;
        let text = |field: &str| reply.body["credentials"][field].as_str().expect("credentials").to_owned();
        let strict = crate::support::hub::Platform { username: text("username"), password: text("password") };
        for (tenant, identities) in [
            ("org", json!([{"platform": "strict", "organization_guid": "org-1"}])),
            ("space", json!([{"platform": "strict", "organization_guid": "org-1", "space_guid": "space-1"}])),
            ("kube", json!([{"platform": "strict", "namespace": "ns", "clusterid": "c"}])),
            ("named", json!([{"platform": "strict", "context": {"team": "blue"}}])),
        ] {
            let body = json!({"display_name": tenant, "identities": identities});
            let reply = b.hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}"), Some(body)).await;
            assert_eq!(reply.status, 201, "{reply:?}");
        }
        let cf =
            |org: &str, space: &str| json!({"platform": "cloudfoundry", "organization_guid": org, "space_guid": space});
        let cases: [Case; 15] = [
            ("a mapped space", cf("org-1", "space-1"), ("org-1", "space-1"), 201, "space"),
            ("another space of a mapped organization", cf("org-1", "space-2"), ("org-1", "space-2"), 201, "org"),
            ("guids beside a context that lacks them", json!({"platform": "x"}), ("org-1", "space-1"), 201, "space"),
            ("guids beside an empty context", json!({}), ("org-1", "s"), 201, "org"),
            ("guids without a context", Value::Null, ("org-1", "s"), 201, "org"),
            ("a namespace", json!({"namespace": "ns", "clusterid": "c"}), ("uid", "uid"), 201, "kube"),
            ("a namespace of another cluster", json!({"namespace": "ns", "clusterid": "d"}), ("u", "u"), 400, "ns"),
            ("a namespace without its cluster", json!({"namespace": "ns"}), ("uid", "uid"), 400, "namespace"),
            ("a key of one's own", json!({"team": "blue"}), ("o", "s"), 201, "named"),
            (
                "two that are equally specific",
                json!({"team": "blue", "organization_guid": "org-1"}),
                ("org-1", "s"),
                400,
                "`named` or `org`",
            ),
            ("other organization beside", cf("org-1", "space-1"), ("org-2", "space-1"), 400, "organization_guid"),
            ("other space beside", cf("org-1", "space-1"), ("org-1", "space-2"), 400, "space_guid"),
            ("nobody's", cf("org-9", "space-9"), ("org-9", "space-9"), 400, "org-9"),
            ("nobody's, again", cf("org-9", "space-9"), ("org-9", "space-9"), 400, "org-9"),
            ("spoofed", json!({"bourse": {"tenant": {"name": "org"}}}), ("o", "s"), 400, "no tenant is mapped"),
        ];
        for (number, (what, context, (organization, space), status, says)) in cases.into_iter().enumerate() {
            let before = b.recorder.count("provision");
            let mut order = b.order("small", json!({"organization_guid": organization, "space_guid": space}));
            if !context.is_null() {
                order["context"] = context;
            }
            let said = if status == 201 { "" } else { says };
            b.check_as(&strict, what, &format!("PUT i-{number}"), Some(order), (status, said)).await;
            if status == 201 {
                let told = b.recorder.last("provision").json()["context"]["bourse"]["tenant"]["name"].clone();
                assert_eq!(told, says, "{what}");
            } else {
                assert_eq!(b.recorder.count("provision"), before, "{what}: the broker never heard of it");
                let line = format!("GET i-{number}/last_operation");
                b.check_as(&strict, "nothing is left of a refusal", &line, None, (404, "")).await;
            }
        }
        let unmapped = b.hub.admin(Method::GET, "/api/v1/identities/unmapped", None).await.body;
        let nobody = |item: &&Value| item.to_string().contains("space-9");
        let item = unmapped["items"].as_array().expect("items").iter().find(nobody).expect("it was counted").clone();
        assert!(item.to_string().contains(":2"), "twice: {item}");

        b.check("a default tenant", "PUT d", Some(b.order("small", json!({}))), (201, "")).await;
        assert_eq!(b.recorder.last("provision").json()["context"]["bourse"]["tenant"]["name"], "retail");
    })
    .await;
}

#[tokio::test]
async fn the_tenant_is_fixed_at_provision() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        let identities = json!([{"platform": "p", "organization_guid": "o"}]);
        let other = json!({"display_name": "Other", "identities": identities});
        assert_eq!(b.hub.admin(Method::PUT, "/api/v1/tenants/other", Some(other)).await.status, 201);
        let claim = json!({"context": {"platform": "other", "organization_guid": "o"}});
        let verifier = b.verifier("recorder");
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("small", claim.clone())), (201, "")).await;
        b.check("an update", "PATCH i", Some(b.bind_body("large", claim.clone())), (200, "")).await;
        for verb in ["bind", "update"] {
            let seen = b.recorder.last(verb);
            assert_eq!(seen.json()["context"]["bourse"]["tenant"]["name"], "retail", "{verb}");
            assert_eq!(b.stamp(&verifier, &seen).await.tenant.name, "retail", "{verb}");
        }
        b.check("a new order", "PUT j", Some(b.order("small", claim)), (201, "")).await;
        assert_eq!(b.recorder.last("provision").json()["context"]["bourse"]["tenant"]["name"], "other");
    })
    .await;
}

//! Names that are refused, before any broker hears of the order.

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;

#[tokio::test]
async fn what_cannot_be_referred_to_is_refused_with_its_place_and_the_broker_hears_nothing() {
    on_both(async |r| {
        let b = &r.bench;
        r.ordered("net", "network/one", json!({})).await;
        r.ordered("keys", "vault/one", json!({})).await;
        r.ordered("gone", "network/one", json!({})).await;
        assert_eq!(r.delete("gone").await.status, 204);
        // Of another tenant: by its name and by Bourse's id.
        let body = json!({"offering": "network", "plan": "one"});
        let foreign = b.hub.admin(Method::PUT, "/api/v1/tenants/trade/instances/theirs", Some(body)).await;
        assert_eq!(foreign.status, 201, "{foreign:?}");
        let foreign = foreign.body["id"].as_str().expect("an id").to_owned();
        // Being made.
        r.recorder.say("provision", 202, &json!({}));
        r.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        assert_eq!(r.order("slow", "network/one", json!({})).await.status, 202);
        r.recorder.usual("provision");

        let many: Vec<Value> = vec![json!("net"); 33];
        let before = r.recorder.count("provision");
        for (parameters, pointer, says) in [
            (json!({"network": "nothing"}), "/parameters/network", "there is no instance `nothing` of this tenant"),
            (json!({"network": "gone"}), "/parameters/network", "there is no instance `gone` of this tenant"),
            (json!({"network": ""}), "/parameters/network", "there is no instance `` of this tenant"),
            (json!({"network": "a\u{0}b"}), "/parameters/network", "there is no instance"),
            (json!({"network": "x".repeat(5000)}), "/parameters/network", "there is no instance"),
            (json!({"network": "theirs"}), "/parameters/network", "there is no instance `theirs` of this tenant"),
            (json!({"network": foreign}), "/parameters/network", "there is no instance"),
            (json!({"network": "retail/net/x"}), "/parameters/network", "there is no instance"),
            (
                json!({"network": "keys"}),
                "/parameters/network",
                "is of the offering `vault`; it must be an instance of the offering `network`",
            ),
            (json!({"keys": {"vault": "net"}}), "/parameters/keys/vault", "with the tag `secrets`"),
            (json!({"network": "slow"}), "/parameters/network", "is not ready but `provisioning`"),
            (json!({"peers": ["net", 7]}), "/parameters/peers/1", "must be the name of an instance"),
            (json!({"peers": ["net", "keys"]}), "/parameters/peers/1", "of the offering `network` with the tag `net`"),
            (json!({"peers": many}), "/parameters", "more than 32 instances"),
            // The schema is held against what was ordered.
            (json!({"network": 7}), "/parameters/network", "type"),
        ] {
            let refused = r.order("cluster", "cluster/one", parameters.clone()).await;
            let error = &refused.body["errors"][0];
            assert_eq!((refused.status, &refused.body["code"]), (422, &json!("invalid")), "{parameters}: {refused:?}");
            assert_eq!(error["pointer"], pointer, "{refused:?}");
            assert!(error["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{says}: {refused:?}");
            let body = b.order("cluster/one", json!({"parameters": parameters}));
            b.check(says, "PUT cluster", Some(body), (400, pointer.trim_start_matches("/parameters"))).await;
        }
        assert_eq!(r.recorder.count("provision"), before, "no broker heard of any");
        b.check("nothing is left", "GET cluster", None, (404, "")).await;
        assert_eq!(r.delete("net").await.status, 204, "a refused order holds nothing");
    })
    .await;
}

#[tokio::test]
async fn a_name_of_one_and_the_platforms_id_of_another_is_refused_and_bourses_id_tells_them_apart() {
    on_both(async |r| {
        let b = &r.bench;
        let named = r.ordered("net", "network/one", json!({})).await;
        b.check("a network", "PUT net", Some(b.order("network/one", json!({}))), (201, "")).await;
        let own = r.recorder.last("provision").instance_id();
        let refers = |name: &str| Some(b.order("cluster/one", json!({"parameters": {"network": name}})));
        let refused = b.check("ambiguous", "PUT a", refers("net"), (400, "the platform's id of another")).await;
        assert!(refused.text.contains(&named) && refused.text.contains(&own), "{}", refused.text);
        for (id, network) in [("a", &named), ("b", &own)] {
            b.check("by Bourse's id", &format!("PUT {id}"), refers(network), (201, "")).await;
            assert_eq!(r.sent("provision")["network"], **network);
        }
        // People have only one of that name.
        r.ordered("cluster", "cluster/one", json!({"network": "net"})).await;
        assert_eq!(r.sent("provision")["network"], named);
    })
    .await;
}

#[tokio::test]
async fn nothing_depends_on_itself_over_however_many_others() {
    on_both(async |r| {
        r.ordered("a", "cluster/one", json!({})).await;
        r.ordered("b", "cluster/one", json!({"any": "a"})).await;
        r.ordered("c", "cluster/one", json!({"any": "b"})).await;
        for (name, target, says) in [
            ("a", "a", "itself"),
            ("a", "b", "depends on this one"),
            ("a", "c", "depends on this one"),
            ("b", "c", "depends on this one"),
        ] {
            let refused = r.order(name, "cluster/one", json!({"any": target})).await;
            assert_eq!(refused.status, 422, "{refused:?}");
            assert_eq!(refused.body["errors"][0]["pointer"], "/parameters/any");
            assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{refused:?}");
        }
        assert_eq!(r.recorder.count("update"), 0);
        for name in ["c", "b", "a"] {
            assert_eq!(r.delete(name).await.status, 204, "{name}");
        }
    })
    .await;
}

//! Tokens that no honest provider makes, each refused for its own reason; and how often a provider is asked.

use std::time::Duration;

use bourse::config::Grants;
use serde_json::{Value, json};

use super::{believing, me};
use crate::support::bare::{On, on_each};
use crate::support::hub::World;
use crate::support::oidc::{AUDIENCE, Forger};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_token_that_is_not_right_is_refused_with_its_reason() {
    let forger = Forger::start().await;
    let world = believing(On::Sqlite, &forger.url).await;
    let hub = world.hub().await;
    let now = world.clock.now().seconds();
    assert_eq!(me(&hub, &forger.token(now, json!({}))).await.status, 200);
    let claims: [(Value, &str); 9] = [
        (json!({"iss": "https://id.example"}), "another issuer"),
        (json!({"iss": null}), "another issuer"),
        (json!({"aud": "urn:others"}), "another audience"),
        (json!({"aud": null}), "another audience"),
        (json!({"exp": now - 61}), "expired"),
        (json!({"exp": null}), "until when"),
        (json!({"nbf": now + 120}), "not good yet"),
        (json!({"iat": now + 120}), "not good yet"),
        (json!({"sub": null}), "no claim `sub`"),
    ];
    for (changes, reason) in claims {
        me(&hub, &forger.token(now, changes)).await.refuses(reason);
    }
    let heads = [
        (json!({"alg": "none"}), "algorithm"),
        (json!({"alg": "HS256", "kid": "forged"}), "algorithm"),
        (json!({"alg": "EdDSA", "kid": "forged", "typ": "bourse-stamp+jwt"}), "another kind"),
        (json!({"alg": "EdDSA", "kid": "forged", "crit": ["b64"], "b64": false}), "another kind"),
    ];
    for (head, reason) in heads {
        me(&hub, &forger.signed(&head, now, json!({}))).await.refuses(reason);
    }
    let good = forger.token(now, json!({}));
    let other = forger.token(now, json!({"sub": "root"}));
    let (signed, _) = good.rsplit_once('.').expect("a token");
    let (_, signature) = other.rsplit_once('.').expect("a token");
    me(&hub, &format!("{signed}.{signature}")).await.refuses("signature");
    me(&hub, &format!("{signed}.")).await.refuses("signature");
    me(&hub, "x").await.refuses("no signed JWT");
    me(&hub, &"x".repeat(17_000)).await.refuses("longer than");
    // Clocks may be apart a little.
    assert_eq!(me(&hub, &forger.token(now, json!({"exp": now - 30, "iat": now + 30}))).await.status, 200);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_somebody_is_and_in_which_groups_comes_from_the_claims_that_the_settings_name() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            config.oidc.user_claim = "email".to_owned();
            config.oidc.groups_claim = "/realm_access/roles".to_owned();
            let roles = vec!["auditor".to_owned()];
            config.auth.grants = vec![Grants { user: None, group: Some("four-eyes".to_owned()), roles }];
        })
        .await;
        let hub = world.hub().await;
        let now = world.clock.now().seconds();
        let claims = |groups: Value| json!({"email": "eve@corp.example", "sub": "0815", "groups": ["root"], "realm_access": {"roles": groups}});
        let eve = me(&hub, &forger.token(now, claims(json!(["four-eyes"])))).await;
        assert_eq!((eve.status, &eve.body["name"]), (200, &json!("eve@corp.example")), "{eve:?}");
        assert!(eve.body["roles"].to_string().contains("auditor"), "{eve:?}");
        let out = me(&hub, &forger.token(now, claims(json!([])))).await;
        assert!(out.status == 200 && !out.body["roles"].to_string().contains("auditor"), "as the next token says: {out:?}");
        me(&hub, &forger.token(now, json!({}))).await.refuses("no claim `email`");
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_is_asked_once_in_ten_seconds_whatever_arrives() {
    let forger = Forger::start().await;
    let world = believing(On::Sqlite, &forger.url).await;
    let hub = world.hub().await;
    let now = world.clock.now().seconds();
    assert_eq!(me(&hub, &forger.token(now, json!({}))).await.status, 200);
    assert_eq!(forger.asked(), 1);
    let unknown = |number: i32| forger.signed(&json!({"alg": "EdDSA", "kid": format!("k{number}")}), now, json!({}));
    for number in 0..20 {
        assert_eq!(me(&hub, &unknown(number)).await.status, 503, "it may be new");
    }
    assert_eq!(forger.asked(), 1);
    world.clock.advance(Duration::from_secs(10));
    me(&hub, &unknown(0)).await.refuses("does not publish");
    for _ in 0..20 {
        me(&hub, &unknown(0)).await.refuses("does not publish");
    }
    assert_eq!(forger.asked(), 2);
    assert_eq!(me(&hub, &forger.token(now, json!({}))).await.status, 200);
    assert_eq!(forger.asked(), 2);
    hub.stop().await;
}

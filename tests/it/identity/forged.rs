//! Tokens that no honest provider makes, each refused for its own reason; and how often a provider is asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::{believing, me};
use crate::support::bare::On;
use crate::support::oidc::Forger;

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

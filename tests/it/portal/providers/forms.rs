//! The form of a broker, new and changed, and the form that has it judged: what is wrong is told at its field, and no secret comes back.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACME, Fair, REGISTER, says};
use crate::providers::plan_of_faults;
use crate::support::controls::send;
use crate::support::hub::CLIENT;
use crate::support::portal::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_new_broker_is_told_at_its_field_and_what_was_typed_is_kept_but_for_secrets() {
    Fair::on_both(async |fair| {
        let mut ann = fair.browser("ann").await;
        ann.get(REGISTER).await;
        assert!(!ann.words().contains("Platforms see the broker's own ids"), "that is for operators: {}", ann.words());
        let hub = [("username", "the-hub"), ("password", "s3cret")];
        let wrong = [
            (vec![("url", "nonsense")], "url"),
            (vec![("url", "ftp://127.0.0.1")], "url"),
            (vec![("url", fair.own.url()), ("password", "")], "password"),
            (vec![("url", fair.own.url()), ("username", "")], "username"),
            (vec![("url", fair.own.url()), ("timeout_ms", "soon")], "timeout_ms"),
            (vec![("url", fair.own.url()), ("timeout_ms", "299000")], "timeout_ms"),
            (vec![("url", fair.own.url()), ("usage_every", "now")], "usage_every"),
            (vec![("url", fair.own.url()), ("name", "bolt")], "name"),
        ];
        for (typed, at) in wrong {
            ann.get(REGISTER).await;
            let all: Vec<_> =
                hub.into_iter().filter(|(name, _)| typed.iter().all(|(other, _)| other != name)).collect();
            send(&mut ann, REGISTER, &[all.as_slice(), typed.as_slice()].concat(), &[]).await;
            assert_eq!(ann.page.status, 422, "{typed:?}: {}", ann.words());
            assert!(ann.page.text.contains(&format!("href=\"#{at}\"")), "{typed:?}: {}", ann.words());
            assert!(ann.page.text.contains("value=\"the-hub\"") || at == "username", "{typed:?}");
            says(&ann, &["This can't be sent yet"]);
        }
        // Only what a provider may have it told.
        ann.get(REGISTER).await;
        let all = [("url", fair.own.url()), ("username", "hub"), ("password", "s3cret")];
        send(&mut ann, REGISTER, &all, &[("told", "tenant.cost_center")]).await;
        assert!(ann.page.status == 422 && ann.page.text.contains("href=\"#told\""), "{}", ann.words());
        // Wrong credentials, and a catalog that is not in order: told with the place in it.
        ann.get(REGISTER).await;
        send(&mut ann, REGISTER, &[("url", fair.own.url()), ("username", "hub"), ("password", "other")], &[]).await;
        assert_eq!(ann.page.status, 422, "{}", ann.words());
        says(&ann, &["401"]);
        fair.own.offers(|catalog| catalog["services"][0]["plans"] = json!([]));
        ann.get(REGISTER).await;
        send(&mut ann, REGISTER, &all, &[]).await;
        assert_eq!(ann.page.status, 422, "{}", ann.words());
        says(&ann, &["In its catalog, at /services/0"]);
        let listed = fair.hub.admin(Method::GET, "/api/v1/brokers", None).await.body;
        assert_eq!(listed["items"], json!([]), "nothing is registered by halves");

        // Somebody without a name is told what it takes; others' brokers do not exist.
        let mut ben = fair.browser("ben").await;
        ben.get(REGISTER).await;
        says(&ben, &["bolt"]);
        ben.submit(REGISTER, &[("name", "acme"), ("url", fair.own.url()), ("kind", "none")]).await;
        assert!(ben.page.status == 422 && ben.words().contains("no name that was given to you"), "{}", ben.words());
        assert_eq!(fair.browser("mem").await.get(REGISTER).await.status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_sends_only_what_is_different_and_an_empty_secret_keeps_the_one_that_is_stored() {
    Fair::on_both(async |fair| {
        let mut ann = fair.browser("ann").await;
        fair.register(&mut ann).await;
        let page = format!("{ACME}/change");
        ann.get(&page).await;
        says(&ann, &["As before: what is stored stays"]);
        send(&mut ann, &page, &[], &[]).await;
        assert!(ann.page.status == 422 && ann.words().contains("Nothing here is another"), "{}", ann.words());
        send(&mut ann, &page, &[("timeout_ms", "20000"), ("concurrency", "2")], &[]).await;
        assert_eq!(ann.address, format!("{ACME}?done=changed"), "{}", ann.words());
        says(&ann, &["It was changed"]);
        let broker = async || fair.hub.admin(Method::GET, "/api/v1/brokers/acme", None).await.body;
        let seen = broker().await;
        assert_eq!(
            (&seen["timeout_ms"], &seen["concurrency"], &seen["status"]),
            (&json!(20000), &json!(2), &json!("available"))
        );
        // The stored credentials are good still.
        ann.get(ACME).await;
        ann.submit(ACME, &[]).await;
        says(&ann, &["Its catalog was fetched again"]);

        // Another address gets no credentials that were given for this one.
        ann.get(&page).await;
        let moved = fair.own.url().replace("127.0.0.1", "127.0.0.2");
        send(&mut ann, &page, &[("url", &moved)], &[]).await;
        assert!(ann.page.status == 422 && ann.page.text.contains("href=\"#kind\""), "{}", ann.words());
        says(&ann, &["another address gets no credentials"]);
        ann.get(&page).await;
        let version = version(&ann);
        let fields = [
            ("version", version.as_str()),
            ("url", &moved),
            ("kind", "basic"),
            ("username", "hub"),
            ("password", "s3cret"),
            ("header", "on"),
            ("told", "via"),
        ];
        ann.submit(&page, &fields).await;
        assert_eq!(ann.address, format!("{ACME}?done=changed"), "{}", ann.words());
        let seen = broker().await;
        assert_eq!(seen["url"].as_str(), Some(moved.as_str()), "{seen}");
        assert_eq!(seen["stamp"], json!({"header": true, "context": false, "fields": ["via"]}), "{seen}");
        assert_eq!((&seen["timeout_ms"], &seen["concurrency"]), (&Value::Null, &Value::Null), "{seen}");

        // Back home, with a wrong password first: the broker's page says what came, and the next one puts it right.
        for (password, status) in [("wrong", "unavailable"), ("s3cret", "available")] {
            ann.get(&page).await;
            let typed = [("url", fair.own.url()), ("username", "hub"), ("password", password)];
            send(&mut ann, &page, &typed, &[("kind", "basic")]).await;
            assert_eq!(ann.address, format!("{ACME}?done=changed"), "{}", ann.words());
            assert_eq!(broker().await["status"], status, "{}", ann.words());
            assert_eq!(ann.words().contains("does not answer"), status == "unavailable", "{}", ann.words());
        }

        // Who changes what somebody else changed meanwhile is told so.
        ann.get(&page).await;
        fair.api(Method::PATCH, "/brokers/acme", json!({"concurrency": 3})).await;
        send(&mut ann, &page, &[("timeout_ms", "9000")], &[]).await;
        assert!(ann.page.status >= 400 && ann.words().contains("changed meanwhile"), "{}", ann.words());
        send(&mut ann, &page, &[("concurrency", "4")], &[]).await;
        assert_eq!(broker().await["concurrency"], 4, "{}", ann.words());
        assert_eq!(fair.browser("ben").await.get(&page).await.status, 404);
        assert_eq!(fair.browser("fin").await.get(&page).await.status, 403);
    })
    .await;
}

/// The version in the form of the page.
fn version(browser: &Browser) -> String {
    let (_, rest) = browser.page.text.split_once("name=\"version\" value=\"").expect("a version");
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_given_credentials_to_report_usage_that_are_shown_once_and_deleted_after_a_question() {
    Fair::on_both(async |fair| {
        let mut ann = fair.browser("ann").await;
        fair.register(&mut ann).await;
        let page = format!("{ACME}/credentials");
        ann.get(&page).await;
        says(&ann, &["It has none"]);
        ann.submit(&page, &[]).await;
        says(&ann, &["This is shown once"]);
        let shown = |browser: &Browser| -> Vec<String> {
            let texts = browser.page.text.split("<code>").skip(1);
            texts.filter_map(|rest| rest.split('<').next()).take(2).map(str::to_owned).collect()
        };
        let pair = shown(&ann);
        let report = async || {
            let request = CLIENT.post(format!("{}/api/v1/usage", fair.hub.url)).basic_auth(&pair[0], Some(&pair[1]));
            request.body("[]").send().await.expect("no answer").status().as_u16()
        };
        assert_ne!(report().await, 401, "the pair is good");
        ann.get(&page).await;
        assert!(ann.words().contains(&pair[0]) && !ann.page.text.contains(&pair[1]), "{}", ann.words());
        let delete = format!("{page}/{}/delete", pair[0]);
        assert_eq!(fair.browser("ben").await.get(&delete).await.status, 404);
        ann.get(&format!("{page}/none/delete")).await;
        assert_eq!(ann.page.status, 404);
        ann.get(&delete).await;
        says(&ann, &["can't report usage with this pair any more"]);
        send(&mut ann, &delete, &[], &[]).await;
        assert_eq!(ann.address, page, "{}", ann.words());
        says(&ann, &["It has none"]);
        assert_eq!(report().await, 401);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_registers_a_broker_by_any_name_and_says_what_only_operators_say() {
    Fair::on_both(async |fair| {
        let mut oz = fair.browser("oz").await;
        oz.get("/operator/brokers").await;
        says(&oz, &["Register a broker"]);
        let page = "/operator/register-broker";
        oz.get(page).await;
        says(&oz, &["Everything, also what comes to be known later", "Platforms see the broker's own ids"]);
        let typed = [("name", "Not A Name"), ("url", fair.own.url()), ("username", "hub"), ("password", "s3cret")];
        send(&mut oz, page, &typed, &[]).await;
        assert!(oz.page.status == 422 && oz.page.text.contains("href=\"#name\""), "{}", oz.words());
        send(&mut oz, page, &[("name", "depot"), ("password", "s3cret")], &[("passthrough", "on")]).await;
        assert_eq!(oz.address, "/operator/brokers/depot?done=registered", "{}", oz.words());
        let seen = fair.hub.admin(Method::GET, "/api/v1/brokers/depot", None).await.body;
        assert_eq!((&seen["ids"], &seen["provider"]), (&json!("passthrough"), &Value::Null));
        assert_eq!(seen["stamp"], json!({"header": true, "context": true}), "it is told everything");
        oz.get("/operator/brokers/depot/change").await;
        send(&mut oz, "/operator/brokers/depot/change", &[("url", fair.own.url())], &[("takeover", "on")]).await;
        assert_eq!(oz.address, "/operator/brokers/depot?done=changed", "{}", oz.words());
        oz.get(page).await;
        send(
            &mut oz,
            page,
            &[("name", "depot"), ("url", fair.own.url()), ("username", "hub"), ("password", "s3cret")],
            &[],
        )
        .await;
        assert!(oz.page.status == 409 && oz.words().contains("broker `depot` exists already"), "{}", oz.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_breaks_the_rules_is_told_which_and_what_to_do_and_nobody_judges_by_a_slip() {
    Fair::on_both(async |fair| {
        fair.own.offers(|catalog| catalog["services"][0]["plans"] = json!([plan_of_faults("garbage")]));
        let mut ann = fair.browser("ann").await;
        fair.register(&mut ann).await;
        let page = format!("{ACME}/conformance");
        for (typed, more, at) in [
            (vec![], vec![], "yes"),
            (vec![("parameters", "{")], vec![("yes", "on")], "parameters"),
            (vec![("parameters", "[1]")], vec![("yes", "on")], "parameters"),
            (vec![("context", "text")], vec![("yes", "on")], "context"),
        ] {
            ann.get(&page).await;
            send(&mut ann, &page, &typed, &more).await;
            assert!(
                ann.page.status == 422 && ann.page.text.contains(&format!("href=\"#{at}\"")),
                "{typed:?} {}",
                ann.words()
            );
        }
        ann.get(&page).await;
        send(&mut ann, &page, &[("parameters", "{\"note\": \"hunter2-of-the-run\"}")], &[("yes", "on")]).await;
        assert_eq!(ann.page.status, 200, "{}", ann.words());
        fair.over(&mut ann).await;
        says(
            &ann,
            &["fails", "PRV-07 MUST", "expected", "Broken: these bind every broker", "Put the broker right", "Kept ("],
        );
        assert!(!ann.words().contains("hunter2"), "{}", ann.words());
        assert!(ann.page.text.contains("rel=\"noreferrer\""), "each leads to the specification");
        // What changed since is not judged.
        fair.own.offers(|catalog| catalog["services"][0]["description"] = json!("something else"));
        ann.get(ACME).await;
        ann.submit(ACME, &[]).await;
        ann.get(&page).await;
        says(&ann, &["this verdict counts for nothing any more"]);
        let mut fin = fair.browser("fin").await;
        fin.get("/operator/brokers/acme/conformance").await;
        says(&fin, &["PRV-07"]);
        assert!(
            !fin.words().contains("Have it judged again now") && !fin.page.text.contains("name=\"yes\""),
            "{}",
            fin.words()
        );
        assert_eq!(fair.browser("ben").await.get(&page).await.status, 404);
    })
    .await;
}

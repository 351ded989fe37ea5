//! What policies see, what they say, and what is no policy.

use serde_json::json;

use super::*;
use crate::domain::catalog::import::{Source, import};
use crate::domain::catalog::{Ids, Part, PlanEntry};
use crate::domain::tenant::Tenant;

const CATALOG: &str = r#"{"services":[{"id":"o","name":"db","description":"d","bindable":true,"tags":["sql"],"plans":[
    {"id":"p","name":"small","description":"d","metadata":{"controls":["encrypted"],"zone":{"name":"a"}}}]}]}"#;

fn plan() -> std::sync::Arc<PlanEntry> {
    let catalog = serde_json::from_str(CATALOG).unwrap();
    let source = Source { broker: "b", name_prefix: "", ids: Ids::Mapped, hub: "bourse", terms: Default::default() };
    let offerings = import(source, &catalog, &[]).unwrap();
    let part = Part::new("1".into(), "b".into(), 1, false, offerings);
    let merged = crate::domain::catalog::Merged::new(vec![std::sync::Arc::new(part)], "bourse".into());
    merged.plan_by_name("db", "small").unwrap().clone()
}

fn tenant() -> Tenant {
    let document = json!({"display_name": "T", "environment": "prod", "groups": ["g"], "labels": {"team": "blue"}});
    Tenant {
        id: "1".into(),
        name: "retail".into(),
        suspended: None,
        document: serde_json::from_value(document).unwrap(),
    }
}

fn forbid(condition: &str) -> PolicyDocument {
    let text = format!("@remedy(\"do else\")\nforbid(principal, action, resource) when {{ {condition} }};");
    PolicyDocument { text, mode: Mode::Enforce }
}

fn judge(document: &PolicyDocument, action: Action, parameters: &str) -> Vec<Judged> {
    let parameters: osb::Object = serde_json::from_str(parameters).unwrap();
    let price = crate::domain::decimal::read("12.34567").unwrap();
    let book = Book::new([("p", document)]);
    book.judge(&Case {
        action,
        principal: &Principal::User("ada".into()),
        tenant: &tenant(),
        plan: &plan(),
        previous_plan: None,
        parameters: &parameters,
        price: Some((&price, "EUR")),
    })
}

#[track_caller]
fn check(condition: &str, parameters: &str, forbids: bool) {
    let document = forbid(condition);
    Policy::read(&document.text).unwrap_or_else(|problems| panic!("{condition}: {problems:?}"));
    let judged = judge(&document, Action::Order, parameters);
    assert!(judged.iter().all(|judged| !judged.failed), "{condition}: {judged:?}");
    assert_eq!(!judged.is_empty(), forbids, "{condition} of {parameters}");
}

#[test]
fn policies_see_who_orders_what_for_whom_with_what() {
    for condition in [
        r#"principal == Bourse::User::"ada""#,
        r#"principal is Bourse::User && principal.name == "ada""#,
        r#"resource == Bourse::Plan::"db/small" && resource in Bourse::Offering::"db""#,
        r#"resource.tags.contains("sql") && resource.controls.contains("encrypted") && resource.broker == "b""#,
        r#"resource.metadata has zone && resource.metadata.zone.name == "a""#,
        r#"context.tenant == Bourse::Tenant::"retail" && context.tenant.environment == "prod""#,
        r#"context.tenant.groups.contains("g") && context.tenant.labels has team && context.tenant.labels.team == "blue""#,
        r#"context has price_per_month && context.price_per_month.greaterThan(decimal("12.3456"))"#,
        r#"context.parameters has size && context.parameters.size > 4 && context.parameters.list.contains("x")"#,
        r#"context.parameters.deep.er == true && !(context.parameters has nothing)"#,
        r#"context.parameters.half.lessThan(decimal("0.6")) && context.parameters.whole == 7"#,
    ] {
        let parameters =
            r#"{"size": 5, "list": ["x", 1, null], "deep": {"er": true}, "nothing": null, "half": 0.5, "whole": 7.0}"#;
        check(condition, parameters, true);
    }
    check(r#"context.parameters has size && context.parameters.size > 5"#, r#"{"size": 5}"#, false);
    check(r#"context.parameters has size"#, "{}", false);
}

#[test]
fn an_action_is_one_of_four() {
    let only = |action: &str| PolicyDocument {
        text: format!("@remedy(\"r\") forbid(principal, action == Bourse::Action::\"{action}\", resource);"),
        mode: Mode::Enforce,
    };
    for action in Action::ALL {
        let document = only(action.as_str());
        assert!(Policy::read(&document.text).is_ok(), "{action:?}");
        for other in Action::ALL {
            assert_eq!(judge(&document, other, "{}").len(), usize::from(action == other));
        }
    }
    let problems = Policy::read(&only("ordr").text).unwrap_err();
    assert!(problems[0].message.contains("there is no action"), "{problems:?}");
}

#[test]
fn what_can_not_be_evaluated_refuses_and_says_so() {
    for (condition, parameters) in [
        ("context.parameters.size > 4", "{}"),
        ("context.parameters.size > 4", r#"{"size": 4.5}"#),
        ("context.parameters.size > 4", r#"{"size": 123456789012345678901234567890}"#),
        ("context.parameters.size > 4", r#"{"size": 0.00001}"#),
    ] {
        let judged = judge(&forbid(condition), Action::Order, parameters);
        assert!(judged.len() == 1 && judged[0].failed, "{judged:?}");
        let said = judged[0].to_string();
        assert!(
            said.starts_with("policy `p` could not be evaluated, and what nobody understood is not allowed: "),
            "{said}"
        );
        assert!(said.ends_with("; do else"), "{said}");
    }
    let broken = PolicyDocument { text: "forbid(".into(), mode: Mode::Enforce };
    assert!(judge(&broken, Action::Order, "{}")[0].failed, "one that can't be read any more, too");
}

#[test]
fn a_refusal_names_policy_reason_and_remedy() {
    let text = "@reason(\"because\") @remedy(\"do else\") forbid(principal, action, resource);\n\
        @remedy(\"another\") forbid(principal, action, resource);";
    let judged = judge(&PolicyDocument { text: text.into(), mode: Mode::Warn }, Action::Order, "{}");
    let said: Vec<_> = judged.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["policy `p` forbids it; another", "policy `p` forbids it: because; do else"]);
    assert!(judged.iter().all(|judged| judged.mode == Mode::Warn));
}

#[test]
fn what_is_wrong_with_a_text_is_told_with_its_place() {
    let text = |condition: &str| forbid(condition).text;
    for (text, place, words) in [
        (text("context."), Some((2, 53)), "unexpected token"),
        (text("resource.nme == \"x\""), Some((2, 44)), "attribute `nme`"),
        (text("resource.name > 3"), Some((2, 44)), "expected Long but saw String"),
        (text("context.price_per_month.greaterThan(decimal(\"1.0\"))"), Some((2, 44)), "optional attribute"),
        ("permit(principal, action, resource);".to_owned(), None, "policies are `forbid`"),
        ("forbid(principal, action, resource);".to_owned(), None, "without @remedy"),
        ("@remedy(\"r\") forbid(principal == ?principal, action, resource);".to_owned(), None, "template"),
        (" ".to_owned(), None, "no policy"),
    ] {
        let problems = Policy::read(&text).unwrap_err();
        assert!(problems[0].message.contains(words), "{text}: {problems:?}");
        assert_eq!(problems[0].place, place, "{text}: {problems:?}");
    }
}

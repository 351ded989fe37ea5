//! What the broker's token must be allowed, asked of the server at the start.
//!
//! Invariant: a broker that starts can do all that an order, a bind and a deletion need.

use serde_json::{Value, json};

use super::Isolation;
use super::call::{CallError, Server};
use super::place::Place;

const MAKE: &[&str] = &["create", "update"];
const MAKE_AND_END: &[&str] = &["create", "update", "delete"];
const END: &[&str] = &["update", "sudo"];

/// Paths of an imagined vault with what is needed there; with `+` where a name stands.
fn needed(isolation: Isolation, server: &Server) -> Vec<(String, &'static [&'static str])> {
    let place = Place::of(isolation, None, "bourse-self-test");
    let within = place.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let grantee = place.of_grantee("g");
    let mut needed: Vec<(String, &[&str])> = Vec::new();
    if isolation == Isolation::Namespaces {
        needed.push(("sys/namespaces/bourse-self-test".to_owned(), &["create", "update", "read", "delete"]));
    }
    needed.extend([
        (format!("{within}sys/mounts"), &["read"][..]),
        (format!("{within}sys/mounts/{}", place.kv), MAKE),
        (format!("{within}sys/auth"), &["read"]),
        (format!("{within}sys/auth/{grantee}"), &["create", "update", "delete", "sudo"]),
        (format!("{within}sys/policies/acl"), &["list"]),
        (format!("{within}sys/policies/acl/{grantee}"), MAKE_AND_END),
        (format!("{within}sys/leases/revoke-prefix/auth/token/create/{grantee}"), END),
        (format!("{within}auth/{grantee}/role/{grantee}"), MAKE_AND_END),
        (format!("{within}auth/{grantee}/role/{grantee}/role-id"), &["read"]),
        (format!("{within}auth/{grantee}/role/{grantee}/secret-id"), MAKE),
        (format!("{within}auth/{grantee}/config"), MAKE),
        (format!("{within}auth/token/roles"), &["list"]),
        (format!("{within}auth/token/roles/{grantee}"), MAKE_AND_END),
        (format!("{within}auth/token/create/{grantee}"), MAKE),
        (format!("{within}{}/config", place.kv), MAKE),
        (format!("{within}{}/metadata/", place.kv), &["list"]),
        (format!("{within}{}/keys", place.transit), &["list"]),
        (format!("{within}{}/keys/k", place.transit), &["create", "update", "read"]),
    ]);
    if isolation == Isolation::Mounts {
        needed.push((format!("{within}sys/mounts/{}", place.transit), &["create", "update", "delete"]));
    }
    if server.parent().is_none() {
        needed.push(("sys/quotas/rate-limit/bourse-self-test".to_owned(), MAKE_AND_END));
    }
    needed
}

/// What is missing, as lines of a policy.
pub(super) async fn missing(server: &Server, isolation: Isolation) -> Result<Vec<String>, CallError> {
    let needed = needed(isolation, server);
    let paths: Vec<&str> = needed.iter().map(|(path, _)| path.as_str()).collect();
    let answer = server.post(server.parent(), "sys/capabilities-self", &json!({"paths": paths})).await?;
    let mut missing = Vec::new();
    for (path, capabilities) in needed {
        let granted = answer["data"].get(&path).or_else(|| answer.get(&path)).and_then(Value::as_array);
        let has = |wanted: &str| granted.into_iter().flatten().any(|one| one == wanted || one == "root");
        if !capabilities.iter().all(|wanted| has(wanted)) {
            let path = path.replace("bourse-self-test", "+").replace("access-g", "+").replace("bourse-+-g", "+");
            let quoted: Vec<_> = capabilities.iter().map(|one| format!("\"{one}\"")).collect();
            missing.push(format!("path \"{path}\" {{ capabilities = [{}] }}", quoted.join(", ")));
        }
    }
    Ok(missing)
}

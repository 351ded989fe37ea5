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

/// What the names of an imagined vault, grantee and key have in them.
const IMAGINED: &str = "self-test";

/// Paths of an imagined vault with what is needed there.
fn needed(isolation: Isolation, server: &Server) -> Vec<(String, &'static [&'static str])> {
    let vault = format!("bourse-{IMAGINED}");
    let place = Place::of(isolation, None, &vault);
    let within = place.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let grantee = place.of_grantee(IMAGINED);
    let (kv, transit) = (&place.kv, &place.transit);
    let mut needed: Vec<(String, &[&str])> = Vec::new();
    let mut mounts = MAKE;
    match isolation {
        Isolation::Namespaces => {
            needed.push((format!("sys/namespaces/{vault}"), &["create", "update", "read", "delete"]));
        }
        Isolation::Mounts => mounts = MAKE_AND_END,
    }
    needed.extend([
        (format!("{within}sys/mounts"), &["read"][..]),
        (format!("{within}sys/mounts/{kv}"), mounts),
        (format!("{within}sys/mounts/{transit}"), mounts),
        (format!("{within}sys/auth"), &["read"]),
        (format!("{within}sys/auth/{grantee}"), &["create", "update", "delete", "sudo"]),
        (format!("{within}sys/policies/acl/"), &["list"]),
        (format!("{within}sys/policies/acl/{grantee}"), MAKE_AND_END),
        (format!("{within}sys/leases/revoke-prefix/auth/token/create/{grantee}"), END),
        (format!("{within}auth/{grantee}/role/{IMAGINED}"), MAKE_AND_END),
        (format!("{within}auth/{grantee}/role/{IMAGINED}/role-id"), &["read"]),
        (format!("{within}auth/{grantee}/role/{IMAGINED}/secret-id"), MAKE),
        (format!("{within}auth/{grantee}/config"), MAKE),
        (format!("{within}auth/token/roles/"), &["list"]),
        (format!("{within}auth/token/roles/{grantee}"), MAKE_AND_END),
        (format!("{within}auth/token/create/{grantee}"), &["create", "update", "sudo"]),
        (format!("{within}{kv}/config"), MAKE),
        (format!("{within}{kv}/metadata/"), &["list"]),
        (format!("{within}{transit}/keys/"), &["list"]),
        (format!("{within}{transit}/keys/{IMAGINED}"), &["create", "update", "read"]),
        (format!("{within}{transit}/keys/{IMAGINED}/config"), MAKE),
        (format!("{within}{transit}/keys/{IMAGINED}/rotate"), MAKE),
    ]);
    if isolation == Isolation::Namespaces {
        needed.push((format!("{within}sys/leases/revoke-prefix/auth"), END));
    }
    if server.parent().is_none() {
        needed.push((format!("sys/quotas/rate-limit/{vault}"), MAKE_AND_END));
    }
    needed
}

/// The path of a policy that allows it for all vaults: `+` where an imagined name stands.
fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.contains(IMAGINED) { "+" } else { segment });
    let pattern = segments.collect::<Vec<_>>().join("/");
    // Folders of secrets are listed, too.
    if pattern.ends_with("/metadata/") { format!("{pattern}*") } else { pattern }
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
            let path = pattern(&path);
            let quoted: Vec<_> = capabilities.iter().map(|one| format!("\"{one}\"")).collect();
            missing.push(format!("path \"{path}\" {{ capabilities = [{}] }}", quoted.join(", ")));
        }
    }
    Ok(missing)
}

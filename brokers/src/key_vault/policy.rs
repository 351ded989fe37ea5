//! What each role may do, once for both drivers: as rules that the embedded driver checks and an OpenBao server is given.
//!
//! Pure. Invariant: what no rule allows is refused; a grant that names paths reaches no secret beside them.

use super::parameters::{Grant, Role};

/// What may be done with paths. `*` at the end stands for anything, `+` for one segment.
#[derive(Debug, PartialEq)]
pub(super) struct Rule {
    path: String,
    capabilities: &'static [&'static str],
}

const LOOK: &[&str] = &["read"];
const LIST: &[&str] = &["list"];
const LOOK_AND_LIST: &[&str] = &["read", "list"];
const USE: &[&str] = &["update"];
const CHANGE: &[&str] = &["create", "read", "update", "patch", "delete"];
const DESCRIBE: &[&str] = &["create", "read", "update", "patch", "list"];
const CHANGE_AND_LIST: &[&str] = &["create", "read", "update", "patch", "delete", "list"];

/// The rules of a grant, for mounts of those names.
pub(super) fn rules(grant: &Grant, kv: &str, transit: Option<&str>) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut rule = |path: String, capabilities| rules.push(Rule { path, capabilities });
    let all = ["*".to_owned()];
    let paths = if grant.paths.is_empty() { &all[..] } else { &grant.paths[..] };
    if grant.role != Role::Encrypt {
        rule(format!("{kv}/config"), if grant.role == Role::Admin { CHANGE } else { LOOK });
        for path in paths {
            let (data, metadata) = match grant.role {
                Role::Read | Role::Encrypt => (LOOK, LOOK_AND_LIST),
                Role::Write => (CHANGE, DESCRIBE),
                Role::Admin => (CHANGE, CHANGE_AND_LIST),
            };
            rule(format!("{kv}/data/{path}"), data);
            rule(format!("{kv}/metadata/{path}"), metadata);
            rule(format!("{kv}/subkeys/{path}"), LOOK);
            if grant.role != Role::Read {
                rule(format!("{kv}/delete/{path}"), USE);
                rule(format!("{kv}/undelete/{path}"), USE);
            }
            if grant.role == Role::Admin {
                rule(format!("{kv}/destroy/{path}"), USE);
            }
        }
        // A list of everything is asked for without a slash at its end.
        if paths.iter().any(|path| path == "*") {
            rule(format!("{kv}/metadata"), LIST);
        }
    }
    if let Some(transit) = transit {
        rule(format!("{transit}/keys"), LIST);
        rule(format!("{transit}/keys/"), LIST);
        rule(format!("{transit}/random"), USE);
        rule(format!("{transit}/random/*"), USE);
        let (back, forth) = (["decrypt", "verify"], ["encrypt", "rewrap", "sign", "hmac", "datakey"]);
        for verb in back.iter().chain(forth.iter().filter(|_| grant.role != Role::Read)) {
            rule(format!("{transit}/{verb}/*"), USE);
        }
        if grant.role == Role::Admin {
            rule(format!("{transit}/keys/*"), CHANGE_AND_LIST);
            rule(format!("{transit}/encrypt/*"), &["create", "update"]);
        } else {
            rule(format!("{transit}/keys/+"), LOOK);
        }
    }
    rules
}

/// The same, as a server takes them.
pub(super) fn text(rules: &[Rule]) -> String {
    let line = |Rule { path, capabilities }: &Rule| {
        let capabilities: Vec<_> = capabilities.iter().map(|capability| format!("\"{capability}\"")).collect();
        format!("path \"{path}\" {{ capabilities = [{}] }}\n", capabilities.join(", "))
    };
    rules.iter().map(line).collect()
}

/// Whether a rule allows that.
pub(super) fn allows(rules: &[Rule], path: &str, capability: &str) -> bool {
    rules.iter().any(|rule| rule.capabilities.contains(&capability) && matches(&rule.path, path))
}

fn matches(pattern: &str, path: &str) -> bool {
    if let Some(prefix) = pattern.strip_suffix('*') {
        return path.starts_with(prefix);
    }
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(role: Role, paths: &[&str], path: &str, capability: &str, allowed: bool) {
        let grant = Grant { role, paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let rules = rules(&grant, "kv", Some("transit"));
        assert_eq!(allows(&rules, path, capability), allowed, "{role:?} {paths:?} {path} {capability}");
    }

    #[test]
    fn each_role_may_do_what_its_description_says_and_nothing_else() {
        use Role::{Admin, Encrypt, Read, Write};
        for (role, read, write, destroy) in [
            (Read, true, false, false),
            (Write, true, true, false),
            (Encrypt, false, false, false),
            (Admin, true, true, true),
        ] {
            check(role, &[], "kv/data/a/b", "read", read);
            check(role, &[], "kv/metadata/a/", "list", read);
            check(role, &[], "kv/metadata", "list", read);
            check(role, &[], "kv/data/a/b", "update", write);
            check(role, &[], "kv/undelete/a", "update", write);
            check(role, &[], "kv/destroy/a", "update", destroy);
            check(role, &[], "kv/metadata/a", "delete", destroy);
            check(role, &[], "kv/config", "update", destroy);
            check(role, &[], "transit/keys/k", "read", true);
            check(role, &[], "transit/decrypt/k", "update", true);
            check(role, &[], "transit/encrypt/k", "update", role != Read);
            check(role, &[], "transit/sign/k/sha2-256", "update", role != Read);
            check(role, &[], "transit/keys/k/rotate", "update", destroy);
            check(role, &[], "transit/encrypt/new", "create", destroy);
            check(role, &[], "sys/mounts/x", "read", false);
        }
    }

    #[test]
    fn a_grant_that_names_paths_reaches_no_secret_beside_them() {
        let paths = ["app/*", "shared/db"];
        check(Role::Write, &paths, "kv/data/app/a/b", "update", true);
        check(Role::Write, &paths, "kv/metadata/app/", "list", true);
        check(Role::Write, &paths, "kv/data/shared/db", "read", true);
        check(Role::Write, &paths, "kv/data/shared/db2", "read", false);
        check(Role::Write, &paths, "kv/data/application", "read", false);
        check(Role::Write, &paths, "kv/metadata/", "list", false);
        check(Role::Write, &paths, "kv/metadata", "list", false);
    }
}

//! The layers of the hub (`ARCHITECTURE.md`): who may use whom. Arrows point down, never up or sideways.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{Source, has_word};

/// Modules of `src/` from the ground up. A module may use those with a smaller number. One that isn't listed is a small
/// helper of the ground floor (L1), which everybody may use and which uses nothing above that floor.
const LEVELS: &[(&str, u8)] = &[
    // L1: in this order, so that settings may hold secrets and telemetry may read settings.
    ("clock", 11),
    ("secret", 11),
    ("config", 12),
    ("telemetry", 13),
    // L2
    ("domain", 20),
    // L3
    ("backend", 30),
    ("delivery", 30),
    ("store", 30),
    // L4
    ("app", 40),
    // L5
    ("http", 50),
    ("worker", 50),
    // L6
    ("cli", 60),
];
const HELPER: u8 = 10;
/// Everything below is L1.
const GROUND: u8 = 20;
/// `lib.rs` and `main.rs`, which name everything.
const ROOT: u8 = 100;

/// Arrows that point down and are forbidden all the same: what comes in goes through a use case.
const FORBIDDEN: &[(&str, &str)] = &[("http", "store"), ("worker", "store")];

/// What the domain must not say: it does no input or output, can't tell the time and draws no lots.
const IMPURE: &[&str] = &[
    "tokio",
    "actix_web",
    "actix_rt",
    "sqlx",
    "reqwest",
    "async_nats",
    "async",
    "await",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "SystemRandom",
];

fn level(module: &str) -> u8 {
    if matches!(module, "lib" | "main") {
        return ROOT;
    }
    LEVELS.iter().find(|(name, _)| *name == module).map_or(HELPER, |(_, level)| *level)
}

/// The top-level module that a file of `src/` belongs to; `path` is relative to `src/`.
pub(crate) fn module(path: &Path) -> &str {
    let first = path.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Everything that one file of `src/` uses and mustn't. `path` is relative to `src/`.
pub(crate) fn violations(path: &Path, text: &str) -> Vec<String> {
    let user = module(path);
    let source = Source::parse(text);
    let mut found = Vec::new();
    for used in used_modules(path, &source.code) {
        let helps = level(user) == HELPER && level(&used) < GROUND;
        let down = level(&used) < level(user) || helps;
        if used != user && (!down || FORBIDDEN.contains(&(user, &used))) {
            found.push(format!("`{user}` must not use `{used}`"));
        }
    }
    if user == "domain" {
        let impure = IMPURE.iter().filter(|word| has_word(&source.code, word));
        found.extend(impure.map(|word| format!("the domain is pure: `{word}` has no place in it")));
    }
    found
}

/// The top-level modules that a file names, in `use` lines and in paths.
fn used_modules(path: &Path, code: &str) -> BTreeSet<String> {
    let tokens = tokens(code);
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut found = BTreeSet::new();
    // One entry for each open brace: whether it is a module's.
    let mut open = Vec::new();
    for at in 0..tokens.len() {
        match token(at) {
            "{" => open.push(at >= 2 && token(at - 2) == "mod"),
            "}" => drop(open.pop()),
            _ if at > 0 && token(at - 1) == "::" => {}
            "crate" => after_root(&tokens, at + 1, &mut found),
            "bourse" if module(path) == "main" => after_root(&tokens, at + 1, &mut found),
            "super" => {
                let climbs = (at..).step_by(2).take_while(|&at| token(at) == "super" && token(at + 1) == "::").count();
                if climbs == depth(path) + open.iter().filter(|module| **module).count() {
                    after_root(&tokens, at + 2 * climbs - 1, &mut found);
                }
            }
            _ => {}
        }
    }
    found
}

/// How many modules a file lies below the crate's root.
fn depth(path: &Path) -> usize {
    let own_folder = path.ends_with("mod.rs") || matches!(module(path), "lib" | "main");
    path.iter().count() - usize::from(own_folder)
}

/// Takes what follows the crate's root: `::` at `at`, and then a name or a group.
fn after_root(tokens: &[String], at: usize, found: &mut BTreeSet<String>) {
    match tokens.get(at..) {
        Some([colons, brace, rest @ ..]) if colons == "::" && brace == "{" => group(rest, found),
        Some([colons, name, ..]) if colons == "::" => insert(name, found),
        _ => {}
    }
}

/// The first names in a `{a, b::c, d::{e, f}}` whose opening brace has been read.
fn group(tokens: &[String], found: &mut BTreeSet<String>) {
    let mut depth = 1_usize;
    let mut expected = true;
    for token in tokens {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => expected = true,
            name if expected => {
                insert(name, found);
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
}

/// Modules are written small; `crate::Error` and a macro's `crate::name!` are items of the crate's root.
fn insert(name: &str, found: &mut BTreeSet<String>) {
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "self" {
        found.insert(name.to_owned());
    }
}

/// Names, `::` and single other characters.
fn tokens(code: &str) -> Vec<String> {
    let chars: Vec<char> = code.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let name = chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        let length = match &chars[at..] {
            _ if name > 0 => name,
            [':', ':', ..] => 2,
            _ => 1,
        };
        if !chars[at].is_whitespace() {
            tokens.push(chars[at..at + length].iter().collect());
        }
        at += length;
    }
    tokens
}

mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(violations(Path::new(path), text), expected, "{path}: {text}");
    }

    #[test]
    fn arrows_point_down() {
        check("app/provision.rs", "use crate::{clock::Clock, domain::{plan, quota}, store, backend as b};", &[]);
        check("cli/serve.rs", "crate::http::run(crate::worker::Driver::new())", &[]);
        check("main.rs", "fn main() { bourse::cli::run() }", &[]);
        check("telemetry.rs", "use crate::config::Telemetry;", &[]);
        check("egress.rs", "use crate::{config::Egress, clock};", &[]);
        check("config.rs", "use crate::egress::Rule;", &[]);
    }

    #[test]
    fn an_arrow_upwards_is_found_in_whatever_form() {
        let expected = &["`store` must not use `app`"];
        check("store/instance.rs", "use crate::app::Caller;", expected);
        check("store/instance.rs", "use crate::{\n    domain::{app, http},\n    app::Caller,\n};", expected);
        check("store/instance.rs", "fn f(caller: &crate :: app::Caller) {}", expected);
        check("store/mod.rs", "use super::app::Caller;", expected);
        check("store.rs", "use super::app::Caller;", expected);
        check("secret.rs", "use crate::config::Config;", &["`secret` must not use `config`"]);
        check("ids.rs", "use crate::domain::Id;", &["`ids` must not use `domain`"]);
    }

    #[test]
    fn an_arrow_sideways_is_found() {
        check("http/osb.rs", "use crate::worker::Driver;", &["`http` must not use `worker`"]);
        check("store/outbox.rs", "use crate::delivery::Sink;", &["`store` must not use `delivery`"]);
    }

    #[test]
    fn what_comes_in_never_touches_the_store() {
        check("http/osb.rs", "use crate::store::instance;", &["`http` must not use `store`"]);
        check("worker/relay.rs", "crate::store::outbox::next(tx)", &["`worker` must not use `store`"]);
    }

    #[test]
    fn comments_strings_and_items_of_the_root_are_no_arrows() {
        check("store/db.rs", "// crate::app::Caller\n/// [`crate::http`]\nconst A: &str = \"crate::app\";", &[]);
        check("store/db.rs", "use crate::Error; use my::app::X; use othercrate::app;", &[]);
    }

    #[test]
    fn a_path_that_climbs_is_followed() {
        let expected = &["`http` must not use `store`"];
        check("http/admin/brokers.rs", "use super::super::super::store;", expected);
        check(
            "http/admin/brokers.rs",
            "mod tests { fn f() {} use super::super::super::super::{store, http}; }",
            expected,
        );
        check("http/admin/mod.rs", "mod a { fn f() { g() } } use super::super::store::X;", expected);
        check("http/admin/brokers.rs", "use super::super::store; mod tests { use super::super::super::store; }", &[]);
        check("http/mod.rs", "mod tests { use super::store; }", &[]);
    }

    #[test]
    fn the_domain_is_pure() {
        for (code, word) in [
            ("async fn f() {}", "async"),
            ("use tokio::sync::Mutex;", "tokio"),
            ("let now = jiff::Timestamp::now();", "Timestamp::now"),
            ("let id = Uuid::now_v7();", "Uuid::now_v7"),
            ("let now = std::time::SystemTime::now();", "SystemTime"),
            ("fn f(e: sqlx::Error) {}", "sqlx"),
        ] {
            check("domain/instance.rs", code, &[&format!("the domain is pure: `{word}` has no place in it")]);
        }
        check("domain/instance.rs", "/// Not async, no tokio.\nfn f(now: jiff::Timestamp) {}", &[]);
    }
}

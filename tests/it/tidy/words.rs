//! Words that belong to one place, or to none.

use std::path::Path;

use super::source::{Source, has_word};

/// Where SQL may stand: the hub's store, a reference broker's file or folder called `store`, and tests that look into a
/// table behind the code's back.
fn may_hold_sql(path: &Path) -> bool {
    path.starts_with("src/store")
        || path == Path::new("src/store.rs")
        || (path.starts_with("brokers") && path.iter().any(|part| part == "store" || part == "store.rs"))
        || path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Where HTTP's status codes may stand. `http` decides what we answer; the others read what somebody answered them.
const STATUS_CODES: &[(&str, &[&str])] = &[
    ("StatusCode::", &["src/http", "src/http.rs", "src/backend", "src/delivery", "src/cli"]),
    ("HttpResponse::", &["src/http", "src/http.rs"]),
];

/// Whether a string literal is a statement rather than a sentence. Only its beginning and one further word are looked at.
fn is_sql(literal: &str) -> bool {
    let text = literal.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let both = |start, word| text.starts_with(start) && text.contains(word);
    both("select ", " from ")
        || both("update ", " set ")
        || both("with ", " as (")
        || ["insert into ", "delete from ", "create table ", "create index ", "create unique index ", "alter table "]
            .iter()
            .any(|start| text.starts_with(start))
        || ["drop table ", "drop index ", "begin immediate", "savepoint ", "pragma "]
            .iter()
            .any(|start| text.starts_with(start))
}

/// Everything that one file says in the wrong place. `path` is relative to the repository.
pub(crate) fn violations(path: &Path, text: &str) -> Vec<String> {
    let source = Source::parse(text);
    let mut found = Vec::new();
    let product = ["src", "osb", "brokers"].iter().any(|top| path.starts_with(top));
    if product && !path.starts_with("osb") && !may_hold_sql(path) {
        let statements = source.strings.iter().filter(|literal| is_sql(literal));
        found.extend(statements.map(|literal| format!("SQL belongs in `store`: {:?}", shortened(literal))));
    }
    for (word, places) in STATUS_CODES {
        let in_place = !path.starts_with("src") || places.iter().any(|place| path.starts_with(place));
        if !in_place && has_word(&source.code, word) {
            found.push(format!("status codes belong in `http`: `{word}`"));
        }
    }
    if path.starts_with("brokers") && has_word(&source.code, "bourse::") {
        found.push("a broker never sees the hub: `bourse::`".to_owned());
    }
    let of_a_test = path.components().any(|part| part.as_os_str() == "tests");
    if of_a_test && (has_word(&source.code, "sleep(") || has_word(&source.code, "sleep_until(")) {
        found.push("a test waits for a level (`support::wait`), it doesn't sleep".to_owned());
    }
    for word in ["todo!", "unimplemented!"] {
        if has_word(&source.code, word) {
            found.push(format!("`{word}`: unfinished work has no place here"));
        }
    }
    let code: String = source.code.split_whitespace().collect();
    for (start, instead) in [("ignore", "fix or delete the test"), ("allow(", "use `expect` with a reason")] {
        if code.contains(&format!("#[{start}")) || code.contains(&format!("#![{start}")) {
            found.push(format!("attribute `{}`: {instead}", start.trim_end_matches('(')));
        }
    }
    for word in ["FIXME", "XXX", "TODO"] {
        if has_word(&source.comments, word) {
            found.push(format!("`{word}` in a comment: do it, or open an issue"));
        }
    }
    found
}

fn shortened(literal: &str) -> String {
    literal.trim().chars().take(50).collect()
}

mod tests {
    use super::*;

    #[track_caller]
    fn refused(path: &str, text: &str, part: &str) {
        let found = violations(Path::new(path), text);
        assert!(found.len() == 1 && found[0].contains(part), "{path}: {text}: {found:?}");
    }

    #[track_caller]
    fn fine(path: &str, text: &str) {
        assert_eq!(violations(Path::new(path), text), [""; 0], "{path}: {text}");
    }

    #[test]
    fn sql_stands_in_stores_only() {
        for sql in [
            "select id\\n from instance",
            "INSERT INTO t values ($1)",
            "update t\\n set a = 1",
            "pragma foreign_keys = on",
        ] {
            let text = format!("const A: &str = \"{sql}\";");
            refused("src/app/provision.rs", &text, "SQL belongs in `store`");
            refused("brokers/src/vnet_ipam/broker.rs", &text, "SQL belongs in `store`");
            fine("src/store/instance.rs", &text);
            fine("brokers/src/vnet_ipam/store.rs", &text);
            fine("brokers/tests/it/vnet_ipam.rs", &text);
        }
        refused("src/app/provision.rs", "const A: &str = r#\"delete from t\"#;", "SQL");
        fine("src/cli/order.rs", "/// select a plan from the list\nconst A: &str = \"select a plan; update it\";");
    }

    #[test]
    fn status_codes_stand_in_http_only() {
        refused("src/app/provision.rs", "let a = StatusCode::CONFLICT;", "status codes");
        refused("src/worker/poll.rs", "HttpResponse::Ok()", "status codes");
        refused("src/delivery/webhook.rs", "HttpResponse::Ok()", "status codes");
        fine("src/delivery/webhook.rs", "status == StatusCode::TOO_MANY_REQUESTS");
        fine("src/http/error.rs", "HttpResponse::build(StatusCode::CONFLICT)");
        fine("osb/src/server/mod.rs", "HttpResponse::build(StatusCode::CONFLICT)");
    }

    #[test]
    fn a_broker_never_sees_the_hub() {
        refused("brokers/src/main.rs", "use bourse::store;", "never sees the hub");
        fine("brokers/src/main.rs", "bourse_brokers::run(); // not bourse::run");
    }

    #[test]
    fn tests_do_not_sleep() {
        refused("tests/it/a.rs", "tokio::time::sleep(BOUND).await", "doesn't sleep");
        refused("tests/it/a.rs", "std::thread::sleep(BOUND)", "doesn't sleep");
        refused("osb/tests/it/a.rs", "tokio::time::sleep(BOUND).await", "doesn't sleep");
        refused("brokers/tests/it/a.rs", "tokio::time::sleep_until(then).await", "doesn't sleep");
        fine("brokers/src/faults/mod.rs", "tokio::time::sleep(script.delay).await");
        fine("tests/it/a.rs", "// never sleep(1)\nfn fell_asleep() {}");
    }

    #[test]
    fn nothing_unfinished_and_nothing_switched_off() {
        refused("src/app/a.rs", "fn a() { todo!() }", "unfinished");
        refused("osb/src/a.rs", "fn a() { unimplemented!(\"later\") }", "unfinished");
        refused("tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", "attribute `ignore`");
        refused("src/app/a.rs", "#![allow(dead_code)]", "attribute `allow`");
        refused("src/app/a.rs", "#[allow(\n    dead_code)]", "attribute `allow`");
        refused("src/app/a.rs", "// FIXME: later", "FIXME");
        refused("src/app/a.rs", "/* XXX */", "XXX");
        fine("src/app/a.rs", "#[expect(dead_code, reason = \"XXX todo!\")]\nfn ignored() {}");
    }
}

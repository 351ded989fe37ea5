//! A binding's credentials in the forms that programs take: variables for a shell, and a Secret for Kubernetes. It only writes
//! them differently; where two of them would get the same name, it refuses instead of losing one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::Error;

/// Characters of a Kubernetes name, as far as it becomes a label elsewhere.
const KUBERNETES_NAME_MAX: usize = 253;

/// `KEY=value` lines that a POSIX shell reads: nested names are joined with `_` and upper-cased, values quoted where they
/// need it.
pub(super) fn env(credentials: &Value, prefix: &str) -> Result<String, Error> {
    let mut lines = Vec::new();
    for (name, value) in flat(credentials, |name| variable(&format!("{prefix}{name}")))? {
        if value.contains('\0') {
            return Err(Error::Outcome(format!("{name} holds a NUL, which no variable can; use -o json")));
        }
        lines.push(format!("{name}={}", quoted(&value)));
    }
    Ok(lines.join("\n"))
}

/// A v1 Secret, in JSON (which YAML is, too).
pub(super) fn kubernetes_secret(credentials: &Value, instance: &str, binding: &str) -> Result<Value, Error> {
    let name = if binding == "default" { instance.to_owned() } else { format!("{instance}-{binding}") };
    let name: String = name.chars().take(KUBERNETES_NAME_MAX).collect();
    let name = match name.trim_matches('-') {
        "" => "binding",
        name => name,
    };
    let data = flat(credentials, key)?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": data,
    }))
}

/// All values by their names, which `rename` makes fit.
fn flat(credentials: &Value, rename: impl Fn(&str) -> String) -> Result<BTreeMap<String, String>, Error> {
    let mut found = Vec::new();
    collect(credentials, "", &mut found);
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in found {
        let name = rename(&name);
        if named.contains_key(&name) {
            return Err(Error::Outcome(format!("two of the credentials would be called {name}; use -o json")));
        }
        named.insert(name, value);
    }
    Ok(named)
}

fn collect(value: &Value, name: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() || name.is_empty() => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}_{key}") };
                collect(value, &name, found);
            }
        }
        Value::Null => {}
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        // A list stays together: programs that take one read JSON.
        other => found.push((name.to_owned(), other.to_string())),
    }
}

fn variable(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("_{plain}") } else { plain }
}

fn key(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn nested_credentials_become_variables() {
        let credentials = json!({
            "cidr": "10.0.0.0/28", "port": 5432, "tls": true, "none": null, "my-db": {"user name": "a b", "2": "x"},
            "hosts": ["a", "b"], "empty": "",
        });
        let text = env(&credentials, "").unwrap();
        let expected = [
            "CIDR=10.0.0.0/28",
            "EMPTY=''",
            r#"HOSTS='["a","b"]'"#,
            "MY_DB_2=x",
            "MY_DB_USER_NAME='a b'",
            "PORT=5432",
            "TLS=true",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(env(&json!({"2": "x"}), "").unwrap(), "_2=x");
        assert_eq!(env(&json!({"path": "x"}), "NET_").unwrap(), "NET_PATH=x");
        assert_eq!(env(&json!({}), "").unwrap(), "");
    }

    #[test]
    fn a_shell_reads_back_every_value() {
        for value in ["it's", "$(touch x)`y`", "two\nlines", "\"q\" \\ *", "#x", "~", "a;b|c&d>e", "ü€", "-n"] {
            let script = format!("{}\nprintf %s \"$PASSWORD\"", env(&json!({"password": value}), "").unwrap());
            let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }

    #[test]
    fn a_credential_is_refused_rather_than_lost() {
        for credentials in [json!({"a": {"b": 1}, "a_b": 2}), json!({"a": 1, "A": 2}), json!({"a": "\0"})] {
            let error = env(&credentials, "").unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().contains("use -o json"), "{error}");
        }
        assert!(kubernetes_secret(&json!({"a b": 1, "a_b": 2}), "net", "default").is_err());
    }

    #[test]
    fn a_secret_holds_strings_under_names_that_kubernetes_takes() {
        let secret = kubernetes_secret(&json!({"port": 1, "a": {"b.c d": "x"}}), "net", "default").unwrap();
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "net"}, "type": "Opaque",
            "stringData": {"a_b.c_d": "x", "port": "1"},
        });
        assert_eq!(secret, expected);
        for (instance, binding, name) in
            [("net", "app", "net-app"), ("-net", "x-", "net-x"), ("-", "default", "binding")]
        {
            let secret = kubernetes_secret(&json!({}), instance, binding).unwrap();
            assert_eq!(secret["metadata"]["name"], name);
        }
    }
}

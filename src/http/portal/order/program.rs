//! The same order by curl and by command, from what is filled in. Secrets are replaced by words for them.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::super::{kit, shell};

/// What is ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    /// The tenant's name; empty where none is chosen.
    pub tenant: &'a str,
    /// The instance's name; empty where it has none.
    pub name: &'a str,
    /// The offering's name.
    pub offering: &'a str,
    /// The plan's name.
    pub plan: &'a str,
    /// Without secrets.
    pub parameters: &'a Map<String, Value>,
}

/// Both, in a part of the page that its script replaces.
pub fn show(ordered: &Ordered<'_>) -> Markup {
    html! { div data-program { (kit::same_by_program(&curl(ordered), Some(&command(ordered)))) } }
}

fn curl(ordered: &Ordered<'_>) -> String {
    let mut body = json!({ "offering": ordered.offering, "plan": ordered.plan });
    if !ordered.parameters.is_empty() {
        body["parameters"] = Value::Object(ordered.parameters.clone());
    }
    let body = serde_json::to_string_pretty(&body).unwrap_or_default();
    let (tenant, name) = (or(ordered.tenant, "TENANT"), or(ordered.name, "NAME"));
    format!(
        "curl -X PUT \"$HUB/api/v1/tenants/{}/instances/{}\" \\\n  -H \"Authorization: Bearer $TOKEN\" -H \"Content-Type: application/json\" \\\n  -d {}",
        kit::part(tenant),
        kit::part(name),
        shell::quoted(&body)
    )
}

fn command(ordered: &Ordered<'_>) -> String {
    let (tenant, name) = (or(ordered.tenant, "TENANT"), or(ordered.name, "NAME"));
    let mut line = format!(
        "bourse order {} {} --tenant {} --name {}",
        shell::word(ordered.offering),
        shell::word(ordered.plan),
        shell::word(tenant),
        shell::word(name)
    );
    for (key, value) in ordered.parameters {
        let text = match value {
            // What would be read as something else is written as JSON.
            Value::String(text) if serde_json::from_str::<Value>(text).is_err() => text.clone(),
            other => other.to_string(),
        };
        line.push_str(&format!(" \\\n  --param {}", shell::word(&format!("{key}={text}"))));
    }
    line
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_just_what_the_form_says() {
        let parameters = json!({"size": 5, "note": "it's", "four": "4", "list": ["a b"], "key": "<key>"});
        let ordered = Ordered {
            tenant: "shop",
            name: "",
            offering: "net",
            plan: "small",
            parameters: parameters.as_object().unwrap(),
        };
        let line = "bourse order net small --tenant shop --name NAME \\\n  --param size=5 \\\n  --param 'note=it'\\''s' \\\n  --param 'four=\"4\"' \\\n  \
            --param 'list=[\"a b\"]' \\\n  --param 'key=<key>'";
        assert_eq!(command(&ordered), line);
        let curl = curl(&ordered);
        assert!(
            curl.starts_with("curl -X PUT \"$HUB/api/v1/tenants/shop/instances/NAME\"")
                && curl.contains("\"note\": \"it'\\''s\""),
            "{curl}"
        );
    }
}

//! What operators say about a plan's parameters: which have another default, which are forced, which nobody may send. Applied to an order
//! before the plan's schema is, and shown in the schema that platforms see.
//!
//! Objects are merged key by key, everything else is one value. Invariant: what was forced is what the broker gets, and whoever sends
//! something else is told, never silently overruled.

use osb::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::quota::find;

/// Bytes of one document.
const BYTES_MAX: usize = 64 * 1024;
/// Pointers that are forbidden.
const FORBID_MAX: usize = 100;
/// How deep objects are merged.
const DEPTH_MAX: usize = 32;

/// What is said about a plan's parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterRules {
    /// What an order has where it says nothing.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub default: Object,
    /// What each order has. Another value is refused.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub force: Object,
    /// JSON pointers to what no order may say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbid: Vec<String>,
}

/// A place in the parameters, and what is wrong there. Holds no value that was sent.
pub type Problem = (String, String);

impl ParameterRules {
    /// Everything that is wrong with them, as (JSON pointer, message); empty where they are fine.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |pointer: String, message: String| found.push((pointer, message));
        if serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len()) > BYTES_MAX {
            say(String::new(), format!("must have at most {BYTES_MAX} bytes"));
        }
        if self.forbid.len() > FORBID_MAX {
            say("/forbid".to_owned(), format!("must be at most {FORBID_MAX}"));
        }
        for (index, pointer) in self.forbid.iter().enumerate() {
            let place = format!("/forbid/{index}");
            if !pointer.starts_with('/') || pointer.len() < 2 {
                say(place, "must be a JSON pointer into the parameters, such as /region".to_owned());
            } else if find(&self.default, pointer).is_some() || find(&self.force, pointer).is_some() {
                say(place, format!("{pointer} has a value under `default` or `force`: it can't be forbidden as well"));
            }
        }
        found
    }

    /// These rules with a tenant's own, which come first.
    #[must_use]
    pub fn with(&self, own: &Self) -> Self {
        let mut all = self.clone();
        merge(&mut all.default, &own.default, true, 0);
        merge(&mut all.force, &own.force, true, 0);
        all.forbid.retain(|pointer| find(&own.default, pointer).is_none() && find(&own.force, pointer).is_none());
        all.forbid.extend(own.forbid.iter().cloned());
        all
    }

    /// The parameters of a new instance.
    ///
    /// # Errors
    /// Each place where the order says what it may not.
    pub fn create(&self, sent: &Object) -> Result<Object, Vec<Problem>> {
        self.check(sent)?;
        let mut all = sent.clone();
        merge(&mut all, &self.default, false, 0);
        merge(&mut all, &self.force, true, 0);
        Ok(all)
    }

    /// The parameters of an update of what stands: what was sent, and what is forced and does not stand so.
    ///
    /// # Errors
    /// Each place where the update says what it may not.
    pub fn update(&self, sent: &Object, standing: &Object) -> Result<Object, Vec<Problem>> {
        self.check(sent)?;
        let mut all = sent.clone();
        for (key, forced) in &self.force {
            let before = sent.get(key).or_else(|| standing.get(key));
            let mut one = Object::new();
            one.extend(before.map(|value| (key.clone(), value.clone())));
            let forced: Object = [(key.clone(), forced.clone())].into_iter().collect();
            merge(&mut one, &forced, true, 0);
            if one.get(key) != before {
                all.extend(one);
            }
        }
        Ok(all)
    }

    /// Whether an instance that stands with these parameters may have a plan of which this is said: nothing that it says can take away
    /// what stands.
    ///
    /// # Errors
    /// Each place that is forbidden.
    pub fn takes(&self, standing: &Object) -> Result<(), Vec<Problem>> {
        let found =
            self.forbidden(standing, "stands, and no instance of this service plan may have it: order another one");
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// Whether an order that was taken down earlier could be sent as it is: `said` are its parameters, `all` those that stand then.
    ///
    /// # Errors
    /// Each place where it is otherwise by now.
    pub fn still(&self, said: &Object, all: &Object) -> Result<(), Vec<Problem>> {
        let mut found = self.forbidden(said, "may not be given for this service plan any more");
        lacking(all, &self.force, "", 0, &mut found);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn check(&self, sent: &Object) -> Result<(), Vec<Problem>> {
        let mut found = self.forbidden(sent, "may not be given for this service plan: leave it out");
        contradictions(sent, &self.force, "", 0, &mut found);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn forbidden(&self, parameters: &Object, message: &str) -> Vec<Problem> {
        let found = self.forbid.iter().filter(|pointer| find(parameters, pointer).is_some());
        found.map(|pointer| (pointer.clone(), message.to_owned())).collect()
    }

    /// Shows the rules in a schema of parameters.
    pub fn show(&self, schema: &mut Value) {
        for pointer in &self.forbid {
            forget(schema, pointer);
        }
        offer(schema, &self.default, false, 0);
        offer(schema, &self.force, true, 0);
    }
}

fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Puts `more` into `all`; where both have a value, `more` wins or not.
fn merge(all: &mut Object, more: &Object, wins: bool, depth: usize) {
    for (key, value) in more {
        match (all.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(more)) if depth < DEPTH_MAX => {
                merge(inner, more, wins, depth + 1)
            }
            (Some(standing), value) if wins => *standing = value.clone(),
            (Some(_), _) => {}
            (None, value) => drop(all.insert(key.clone(), value.clone())),
        }
    }
}

fn contradictions(sent: &Object, forced: &Object, at: &str, depth: usize, found: &mut Vec<Problem>) {
    for (key, value) in forced {
        let pointer = format!("{at}/{}", step(key));
        match (sent.get(key), value) {
            (Some(Value::Object(sent)), Value::Object(forced)) if depth < DEPTH_MAX => {
                contradictions(sent, forced, &pointer, depth + 1, found);
            }
            (Some(sent), value) if sent != value => {
                found.push((pointer, format!("is always {value} for this service plan: leave it out")));
            }
            _ => {}
        }
    }
}

/// Places where what is forced does not stand.
fn lacking(all: &Object, forced: &Object, at: &str, depth: usize, found: &mut Vec<Problem>) {
    for (key, value) in forced {
        let pointer = format!("{at}/{}", step(key));
        match (all.get(key), value) {
            (Some(Value::Object(all)), Value::Object(forced)) if depth < DEPTH_MAX => {
                lacking(all, forced, &pointer, depth + 1, found);
            }
            (Some(standing), value) if standing == value => {}
            (_, value) => found.push((pointer, format!("is always {value} for this service plan by now"))),
        }
    }
}

/// The schema of an object that is meant by all but the last step of a pointer, and the last step.
fn parent<'a>(schema: &'a mut Value, pointer: &str) -> Option<(&'a mut Value, String)> {
    let mut steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = steps.pop()?;
    let parent = steps.iter().try_fold(schema, |at, step| at.get_mut("properties")?.get_mut(step))?;
    Some((parent, last))
}

fn forget(schema: &mut Value, pointer: &str) {
    let Some((parent, last)) = parent(schema, pointer) else { return };
    if let Some(properties) = parent.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove(&last);
    }
    need_not(parent, &last);
}

fn need_not(schema: &mut Value, key: &str) {
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str() != Some(key));
        // Older drafts want at least one.
        if required.is_empty()
            && let Some(schema) = schema.as_object_mut()
        {
            schema.shift_remove("required");
        }
    }
}

fn offer(schema: &mut Value, values: &Object, forced: bool, depth: usize) {
    for (key, value) in values {
        if let Some(property) = schema.get_mut("properties").and_then(|properties| properties.get_mut(key)) {
            match value {
                Value::Object(inner) if property.get("properties").is_some() && depth < DEPTH_MAX => {
                    offer(property, inner, forced, depth + 1);
                }
                value => {
                    if let Some(property) = property.as_object_mut() {
                        property.insert("default".to_owned(), value.clone());
                        if forced {
                            property.insert("enum".to_owned(), Value::Array(vec![value.clone()]));
                        }
                    }
                }
            }
        }
        need_not(schema, key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(rules: Value) -> ParameterRules {
        serde_json::from_value(rules).unwrap()
    }

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    fn sample() -> ParameterRules {
        rules(json!({
            "default": {"size": 5, "net": {"mtu": 1500}}, "force": {"region": "eu", "net": {"public": false}},
            "forbid": ["/admin", "/net/peer"],
        }))
    }

    #[test]
    fn an_order_gets_defaults_and_what_is_forced() {
        let all = sample().create(&object(json!({"size": 7, "net": {"name": "n"}}))).unwrap();
        assert_eq!(
            Value::Object(all),
            json!({"size": 7, "net": {"name": "n", "mtu": 1500, "public": false}, "region": "eu"})
        );
        let same = sample().create(&object(json!({"region": "eu"})));
        assert!(same.is_ok(), "what is forced may be said");
    }

    #[test]
    fn what_contradicts_or_is_forbidden_is_told_with_its_place_and_without_what_was_sent() {
        let sent = json!({"region": "secret", "admin": null, "net": {"public": true, "peer": {}}});
        let found = sample().create(&object(sent.clone())).unwrap_err();
        let places: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(places, ["/admin", "/net/peer", "/region", "/net/public"]);
        assert!(found.iter().all(|(_, message)| !message.contains("secret")), "{found:?}");
        assert_eq!(sample().update(&object(sent), &Object::new()).unwrap_err(), found);
    }

    #[test]
    fn an_update_adds_only_what_is_forced_and_does_not_stand() {
        let standing = object(json!({"size": 5, "region": "eu", "net": {"mtu": 9000, "public": false}}));
        let sent = object(json!({"size": 6}));
        assert_eq!(sample().update(&sent, &standing).unwrap(), sent);
        let standing = object(json!({"region": "us", "net": {"mtu": 9000}}));
        let all = sample().update(&Object::new(), &standing).unwrap();
        assert_eq!(Value::Object(all), json!({"region": "eu", "net": {"mtu": 9000, "public": false}}));
    }

    #[test]
    fn what_stands_and_what_waited_is_held_against_the_rules_of_today() {
        let places = |found: Result<(), Vec<Problem>>| -> Vec<String> {
            found.err().unwrap_or_default().into_iter().map(|(pointer, _)| pointer).collect()
        };
        let standing = object(json!({"admin": 1, "region": "us", "net": {"peer": 1}}));
        assert_eq!(places(sample().takes(&standing)), ["/admin", "/net/peer"], "what is forced comes with the change");
        assert_eq!(sample().takes(&object(json!({"region": "us"}))), Ok(()));
        let good = object(json!({"size": 1, "region": "eu", "net": {"public": false}}));
        assert_eq!(sample().still(&good, &good), Ok(()));
        let said = object(json!({"admin": 1}));
        let all = object(json!({"region": "us", "net": {"mtu": 1}}));
        assert_eq!(places(sample().still(&said, &all)), ["/admin", "/region", "/net/public"]);
    }

    #[test]
    fn a_tenants_own_rules_come_first() {
        let own = rules(json!({"force": {"region": "us", "admin": "root"}, "default": {"size": 9}, "forbid": ["/x"]}));
        let all = sample().with(&own);
        assert_eq!(
            Value::Object(all.force.clone()),
            json!({"region": "us", "net": {"public": false}, "admin": "root"})
        );
        assert_eq!((&all.default["size"], all.forbid), (&json!(9), vec!["/net/peer".to_owned(), "/x".to_owned()]));
    }

    #[test]
    fn the_schema_that_platforms_see_shows_them() {
        let mut schema = json!({
            "required": ["region", "size", "admin", "name"],
            "properties": {
                "size": {"type": "integer"}, "region": {"type": "string"}, "admin": {}, "name": {},
                "net": {"required": ["public"], "properties": {"public": {}, "peer": {}, "mtu": {}}},
            },
        });
        sample().show(&mut schema);
        assert_eq!(
            schema,
            json!({
                "required": ["name"],
                "properties": {
                    "size": {"type": "integer", "default": 5},
                    "region": {"type": "string", "default": "eu", "enum": ["eu"]}, "name": {},
                    "net": {"properties": {"public": {"default": false, "enum": [false]}, "mtu": {"default": 1500}}},
                },
            })
        );
    }

    #[test]
    fn what_is_wrong_with_rules_is_told() {
        let wrong = rules(json!({"force": {"a": 1}, "forbid": ["a", "/a", "/b"]}));
        let places: Vec<_> = wrong.problems().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(places, ["/forbid/0", "/forbid/1"]);
        assert!(sample().problems().is_empty());
    }
}

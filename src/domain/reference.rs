//! References between instances: which parameters of a plan name another instance (`x-bourse-ref` in their schema), where they are in
//! an order's parameters, and putting ids in the names' place. It looks nothing up: whose an instance is and whether it is
//! ready is decided by whoever knows the database.
//!
//! Invariant: only what stands where a schema declares a reference is ever replaced.

use std::collections::{BTreeMap, BTreeSet};

use osb::Object;
use serde_json::Value;

use super::catalog::PlanEntry;

/// The keyword of a property's schema.
pub const KEYWORD: &str = "x-bourse-ref";
/// References that one order may hold.
pub const SITES_MAX: usize = 32;
/// How deep below the parameters a reference may be declared.
const DEPTH_MAX: usize = 16;

/// What may be referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    offering: Option<String>,
    tag: Option<String>,
}

impl Wanted {
    /// Reads the keyword's value; `None` where it does not say what may be referred to.
    pub fn read(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let text = |name| match fields.get(name) {
            None => Some(None),
            Some(Value::String(text)) if !text.is_empty() => Some(Some(text.clone())),
            Some(_) => None,
        };
        let wanted = Self { offering: text("offering")?, tag: text("tag")? };
        (wanted.offering.is_some() || wanted.tag.is_some()).then_some(wanted)
    }

    /// Whether an instance of that plan is one of those: the offering is called so by its broker or in the merged catalog, and has
    /// the tag.
    pub fn fits(&self, plan: &PlanEntry) -> bool {
        let called = |name: &String| plan.offering_name == *name || plan.offering.name == *name;
        let tagged = |tag: &String| plan.offering.tags.as_option().is_some_and(|tags| tags.contains(tag));
        self.offering.as_ref().is_none_or(called) && self.tag.as_ref().is_none_or(tagged)
    }

    /// For whoever named another one: `an instance of offering …`.
    pub fn words(&self) -> String {
        match (&self.offering, &self.tag) {
            (Some(offering), None) => format!("an instance of the offering `{offering}`"),
            (None, Some(tag)) => format!("an instance of an offering with the tag `{tag}`"),
            (Some(offering), Some(tag)) => format!("an instance of the offering `{offering}` with the tag `{tag}`"),
            (None, None) => "an instance".to_owned(),
        }
    }
}

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The field of that name.
    Field(String),
    /// Each entry of a list.
    Each,
}

/// The places of a parameter schema that take the name of an instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct References {
    declared: BTreeMap<Vec<Step>, Wanted>,
}

/// A reference in an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Site<'a> {
    /// Where it is in the parameters (RFC 6901).
    pub pointer: String,
    /// What stands there: a name, if it is as it should be.
    pub value: &'a Value,
    /// What may be named there.
    pub wanted: &'a Wanted,
}

impl References {
    /// What a parameter schema declares: in `properties`, their `properties`, and `items`. Schemas that are put together in other ways
    /// (`$ref`, `allOf`, …) are not looked into; [`ignored`] tells of what stands there.
    pub fn read(schema: &Value) -> Self {
        let read = declared(schema).into_iter().filter_map(|found| Some((found.path, Wanted::read(found.value)?)));
        Self { declared: read.collect() }
    }

    /// What may be named, at any place.
    pub fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.declared.values()
    }

    /// Both; where both declare the same place, what this one says.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        for (path, wanted) in &other.declared {
            self.declared.entry(path.clone()).or_insert_with(|| wanted.clone());
        }
        self
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// The references in those parameters; `null` is none. At most one more than [`SITES_MAX`].
    pub fn sites<'a>(&'a self, parameters: &'a Object) -> Vec<Site<'a>> {
        let mut sites = Vec::new();
        for (path, wanted) in &self.declared {
            let Some((Step::Field(first), rest)) = path.split_first() else { continue };
            if let Some(value) = parameters.get(first) {
                find(value, rest, format!("/{}", escaped(first)), wanted, &mut sites);
            }
        }
        sites
    }

    /// The parameters as a backend gets them: in each of those places the id that stands there in `ids`, where there is one.
    pub fn with_ids(parameters: &Object, ids: &BTreeMap<String, String>) -> Object {
        let mut whole = Value::Object(parameters.clone());
        for (pointer, id) in ids {
            if let Some(place) = whole.pointer_mut(pointer) {
                *place = Value::String(id.clone());
            }
        }
        match whole {
            Value::Object(parameters) => parameters,
            _ => Object::new(),
        }
    }

    /// Parameters as a backend tells them, with what was ordered in the place of ids that were sent for it.
    pub fn with_names(&self, told: &Object, ordered: &Object, ids: &BTreeMap<String, String>) -> Object {
        let whole = Value::Object(ordered.clone());
        let names: BTreeMap<&str, &str> =
            ids.iter().filter_map(|(pointer, id)| Some((id.as_str(), whole.pointer(pointer)?.as_str()?))).collect();
        let back = self.sites(told).into_iter().filter_map(|site| {
            let name = names.get(site.value.as_str()?)?;
            Some((site.pointer, (*name).to_owned()))
        });
        let back: BTreeMap<String, String> = back.collect();
        Self::with_ids(told, &back)
    }
}

/// The name of the top-level parameter that a pointer leads into.
pub fn parameter_of(pointer: &str) -> String {
    let first = pointer.split('/').nth(1).unwrap_or_default();
    first.replace("~1", "/").replace("~0", "~")
}

/// Where in a parameter schema the keyword stands without being read: its value is none, or its place is one that is not looked
/// into.
pub fn ignored(schema: &Value) -> Vec<String> {
    let read = declared(schema).into_iter().filter(|found| Wanted::read(found.value).is_some());
    let read: BTreeSet<String> = read.map(|found| found.at).collect();
    let mut all = mentioned(schema);
    all.retain(|at| !read.contains(at));
    all
}

/// Where in a schema the keyword stands at all.
pub fn mentioned(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    everywhere(schema, &mut String::new(), &mut all);
    all
}

fn everywhere(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let length = at.len();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                at.push('/');
                at.push_str(&escaped(name));
                if name == KEYWORD {
                    found.push(at.clone());
                } else {
                    everywhere(value, at, found);
                }
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                everywhere(value, at, found);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// A place where the keyword stands and is looked at.
struct Declared<'a> {
    /// In the parameters.
    path: Vec<Step>,
    /// Of the keyword in the schema.
    at: String,
    value: &'a Value,
}

fn walk<'a>(schema: &'a Value, path: &mut Vec<Step>, at: &mut String, found: &mut Vec<Declared<'a>>) {
    if path.len() >= DEPTH_MAX {
        return;
    }
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = properties
        .map(|(name, property)| (Step::Field(name.clone()), format!("/properties/{}", escaped(name)), property));
    // The parameters themselves are no list.
    let items = schema.get("items").filter(|items| items.is_object() && !path.is_empty());
    let each = items.map(|items| (Step::Each, "/items".to_owned(), items));
    for (step, pointer, schema) in fields.chain(each) {
        let length = at.len();
        at.push_str(&pointer);
        path.push(step);
        if let Some(value) = schema.get(KEYWORD) {
            found.push(Declared { path: path.clone(), at: format!("{at}/{KEYWORD}"), value });
        }
        walk(schema, path, at, found);
        path.pop();
        at.truncate(length);
    }
}

fn declared(schema: &Value) -> Vec<Declared<'_>> {
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), &mut String::new(), &mut found);
    found
}

fn find<'a>(value: &'a Value, path: &[Step], pointer: String, wanted: &'a Wanted, sites: &mut Vec<Site<'a>>) {
    if sites.len() > SITES_MAX {
        return;
    }
    match path.split_first() {
        None if value.is_null() => {}
        None => sites.push(Site { pointer, value, wanted }),
        Some((Step::Field(name), rest)) => {
            if let Some(value) = value.get(name) {
                find(value, rest, format!("{pointer}/{}", escaped(name)), wanted, sites);
            }
        }
        Some((Step::Each, rest)) => {
            for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                find(value, rest, format!("{pointer}/{index}"), wanted, sites);
            }
        }
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"properties": {
            "network": {"type": "string", "x-bourse-ref": {"offering": "virtual-network"}},
            "a/b": {"properties": {"vault": {"x-bourse-ref": {"tag": "secrets"}}}},
            "peers": {"items": {"x-bourse-ref": {"offering": "virtual-network"}}},
            "rules": {"items": {"properties": {"from": {"x-bourse-ref": {"tag": "net"}}}}},
            "size": {"type": "integer"},
        }})
    }

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    fn places(parameters: Value) -> Vec<(String, Value)> {
        let (references, parameters) = (References::read(&schema()), object(parameters));
        let mut found: Vec<_> =
            references.sites(&parameters).into_iter().map(|site| (site.pointer, site.value.clone())).collect();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        found
    }

    #[test]
    fn references_are_found_in_properties_in_objects_and_in_lists() {
        let parameters = json!({
            "network": "net", "a/b": {"vault": "keys"}, "peers": ["p", null, "q"],
            "rules": [{"from": "r"}, {"to": "s"}, 7], "size": 3, "other": {"network": "x"},
        });
        let expected = [
            ("/a~1b/vault", "keys"),
            ("/network", "net"),
            ("/peers/0", "p"),
            ("/peers/2", "q"),
            ("/rules/0/from", "r"),
        ];
        let expected: Vec<_> = expected.map(|(at, name)| (at.to_owned(), json!(name))).into();
        assert_eq!(places(parameters), expected);
        assert_eq!(places(json!({"network": null, "peers": "p", "rules": {"from": "r"}})), []);
        assert_eq!(
            places(json!({"network": 7})),
            [("/network".to_owned(), json!(7))],
            "whether it is a name comes later"
        );
    }

    #[test]
    fn what_one_order_may_refer_to_is_bounded() {
        let many: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(places(json!({"peers": many})).len(), SITES_MAX + 1);
        let mut deep = json!({"x-bourse-ref": {"tag": "t"}});
        for _ in 0..DEPTH_MAX + 1 {
            deep = json!({"properties": {"a": deep}});
        }
        assert!(References::read(&deep).is_empty());
    }

    #[test]
    fn the_keyword_says_an_offering_or_a_tag() {
        for value in
            [json!({}), json!(true), json!("net"), json!({"offering": 7}), json!({"tag": ""}), json!({"plan": "p"})]
        {
            assert_eq!(Wanted::read(&value), None, "{value}");
        }
        let both = Wanted::read(&json!({"offering": "o", "tag": "t", "note": "later"})).unwrap();
        assert_eq!(both.words(), "an instance of the offering `o` with the tag `t`");
    }

    #[test]
    fn a_keyword_that_is_not_read_is_told_with_its_place() {
        let schema = json!({
            "x-bourse-ref": {"tag": "t"},
            "allOf": [{"properties": {"a": {"x-bourse-ref": {"tag": "t"}}}}],
            "properties": {"b": {"x-bourse-ref": {"tag": "t"}}, "c": {"x-bourse-ref": {}}},
        });
        let mut found = ignored(&schema);
        found.sort();
        assert_eq!(found, ["/allOf/0/properties/a/x-bourse-ref", "/properties/c/x-bourse-ref", "/x-bourse-ref"]);
        assert!(ignored(&self::schema()).is_empty());
    }

    #[test]
    fn an_update_knows_the_places_of_the_order_too() {
        let create = References::read(&schema());
        let update = References::read(&json!({"properties": {"network": {"x-bourse-ref": {"tag": "new"}}}}));
        let both = update.or(&create);
        let parameters = object(json!({"network": "n", "peers": ["p"]}));
        let said: Vec<_> = both.sites(&parameters).into_iter().map(|site| site.wanted.words()).collect();
        assert_eq!(said.len(), 2);
        assert!(said.contains(&"an instance of an offering with the tag `new`".to_owned()), "{said:?}");
    }

    #[test]
    fn the_parameter_of_a_pointer_is_its_first_part() {
        for (pointer, parameter) in
            [("/network", "network"), ("/a~1b/vault", "a/b"), ("/peers/0", "peers"), ("/~01/x", "~1")]
        {
            assert_eq!(parameter_of(pointer), parameter);
        }
    }

    fn names() -> impl Strategy<Value = Value> {
        prop_oneof!["[a-z]{1,3}".prop_map(Value::from), Just(Value::Null), any::<i8>().prop_map(Value::from)]
    }

    fn parameters() -> impl Strategy<Value = Object> {
        let rule = prop_oneof![
            names().prop_map(|name| json!({ "from": name })),
            names().prop_map(|name| json!({ "to": name })),
            names(),
        ];
        (names(), names(), prop::collection::vec(names(), 0..5), prop::collection::vec(rule, 0..4), names()).prop_map(
            |(network, vault, peers, rules, other)| {
                object(json!({"network": network, "a/b": {"vault": vault}, "peers": peers, "rules": rules, "other": other}))
            },
        )
    }

    proptest! {
        #[test]
        fn ids_take_the_place_of_names_and_of_nothing_else_and_go_back(parameters in parameters()) {
            let references = References::read(&schema());
            let ids: BTreeMap<String, String> = references
                .sites(&parameters)
                .into_iter()
                .filter_map(|site| Some((site.pointer, format!("id of {}", site.value.as_str()?))))
                .collect();
            let sent = References::with_ids(&parameters, &ids);
            let whole = Value::Object(sent.clone());
            for (pointer, id) in &ids {
                prop_assert_eq!(whole.pointer(pointer).and_then(Value::as_str), Some(id.as_str()));
            }
            prop_assert_eq!(sent.to_string_without_ids(), parameters.to_string_without_ids());
            prop_assert_eq!(references.with_names(&sent, &parameters, &ids), parameters);
        }
    }

    trait WithoutIds {
        fn to_string_without_ids(&self) -> String;
    }

    impl WithoutIds for Object {
        fn to_string_without_ids(&self) -> String {
            Value::Object(self.clone()).to_string().replace("id of ", "")
        }
    }
}

//! Hubs behind hubs: a catalog for a hub says of each offering through which hubs it comes, so that none takes in what it
//! offers itself: two hubs that are each other's broker would otherwise multiply their offerings with each refresh.

use osb::Object;
use serde_json::{Value, json};

/// Through so many hubs an offering, and a call, may come.
pub const HUBS_MAX: usize = 4;

const PLACE: &str = "/metadata/bourse/via";

/// The hubs that an offering comes through, the farthest first.
fn via(offering: &Value) -> impl Iterator<Item = &str> {
    offering.pointer(PLACE).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Says of a rendered offering that it comes through this hub, too.
pub fn mark(offering: &mut Value, hub: &str) {
    let hubs: Vec<String> = via(offering).chain([hub]).map(str::to_owned).collect();
    let mut metadata = taken(offering.get_mut("metadata"));
    let mut told = taken(metadata.get_mut("bourse"));
    told.insert("via".to_owned(), json!(hubs));
    metadata.insert("bourse".to_owned(), told.into());
    if let Some(fields) = offering.as_object_mut() {
        fields.insert("metadata".to_owned(), metadata.into());
    }
}

/// An object out of its place; an empty one where there is none, or something else.
pub(super) fn taken(place: Option<&mut Value>) -> Object {
    match place.map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

/// Why this hub does not take an offering in, if it came round to it or from too far.
pub fn refused(offering: &Value, own: &str) -> Option<String> {
    if via(offering).any(|hub| hub == own) {
        return Some(format!("comes back from hub {own} itself: hubs must not form a ring"));
    }
    (via(offering).count() > HUBS_MAX).then(|| format!("comes through more than {HUBS_MAX} hubs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offering_says_through_which_hubs_it_came_and_never_comes_back() {
        let mut offering = json!({"id": "o", "metadata": {"displayName": "O"}});
        assert_eq!(refused(&offering, "inner"), None);
        mark(&mut offering, "inner");
        assert_eq!(offering, json!({"id": "o", "metadata": {"displayName": "O", "bourse": {"via": ["inner"]}}}));
        assert_eq!(refused(&offering, "outer"), None);
        mark(&mut offering, "outer");
        assert!(refused(&offering, "inner").is_some_and(|why| why.contains("ring")));
        for hub in ["a", "b"] {
            mark(&mut offering, hub);
        }
        assert_eq!(refused(&offering, "far"), None);
        mark(&mut offering, "c");
        assert!(refused(&offering, "far").is_some_and(|why| why.contains("more than 4")));
    }

    #[test]
    fn metadata_of_other_forms_are_replaced_rather_than_trusted() {
        for strange in [json!(null), json!("text"), json!({"bourse": 7}), json!({"bourse": {"via": "all"}})] {
            let mut offering = json!({"metadata": strange});
            mark(&mut offering, "inner");
            assert_eq!(offering.pointer(PLACE), Some(&json!(["inner"])));
        }
    }
}

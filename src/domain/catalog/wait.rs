//! Plans whose orders may wait for people: what platforms are told of how long they are to poll covers the wait.

use serde_json::{Map, Value};

const FIELD: &str = "maximum_polling_duration";
/// How long platforms poll where nobody says how long, and Cloud Foundry at most: seven days.
const USUAL: u64 = 7 * 86_400;

/// Orders that may wait, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Of this offering only, by its name.
    pub offering: Option<String>,
    /// Of plans of this name only.
    pub plan: Option<String>,
    /// At most that long.
    pub seconds: u64,
}

/// Lets a plan's `maximum_polling_duration` cover what its orders may wait. One that it doesn't give becomes seven days.
pub(super) fn lengthen(plan: &mut Map<String, Value>, waits: &[Wait], offering: &str, name: &str) {
    let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let matching = waits.iter().filter(|wait| is(&wait.offering, offering) && is(&wait.plan, name));
    let Some(longest) = matching.map(|wait| wait.seconds).max() else { return };
    let own = plan.get(FIELD).and_then(Value::as_u64);
    plan.insert(FIELD.to_owned(), own.map_or(USUAL, |own| own.saturating_add(longest)).into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lengthened(plan: Value, waits: &[Wait]) -> Value {
        let mut plan = plan.as_object().unwrap().clone();
        lengthen(&mut plan, waits, "db", "large");
        plan.get(FIELD).cloned().unwrap_or_default()
    }

    #[test]
    fn the_longest_wait_that_may_come_is_added_to_what_the_plan_takes() {
        let wait = |offering: Option<&str>, plan: Option<&str>, seconds| Wait {
            offering: offering.map(str::to_owned),
            plan: plan.map(str::to_owned),
            seconds,
        };
        let waits = [wait(None, None, 10), wait(Some("db"), Some("large"), 20), wait(Some("other"), None, 99)];
        assert_eq!(lengthened(json!({FIELD: 5}), &waits), 25);
        assert_eq!(lengthened(json!({}), &waits), USUAL);
        assert_eq!(lengthened(json!({FIELD: 5}), &waits[2..]), 5, "no order of it waits");
        assert_eq!(lengthened(json!({}), &[]), Value::Null);
    }
}

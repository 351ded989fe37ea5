//! What an update asks of a network: to grow, to get subnets, to be confirmed.
//!
//! A network never shrinks and never moves, so most parameters can only be repeated. What stood in the parameters may always be
//! sent again, so that whoever sends all of them each time changes only what is different.

use osb::Object;
use serde_json::Value;

use super::{
    PROVISION, Refusal, SubnetOrder, check_description, check_length, flag, integer, invalid, only, strategy, subnets,
};
use crate::vnet_ipam::free_space::Strategy;
use crate::vnet_ipam::plan::Plan;
use crate::vnet_ipam::prefix::{Prefix, Version};

/// An act, not a wish: it is not kept with the parameters.
pub(crate) const CONFIRM: &str = "confirm";

/// A network as it stands, as far as an update may repeat it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) version: Version,
    /// Its size, as a prefix length.
    pub(crate) length: u8,
    /// Its first prefix.
    pub(crate) cidr: Option<Prefix>,
    pub(crate) pool: &'a str,
    pub(crate) routing_domain: &'a str,
}

/// What an update asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The size that it shall have, as a prefix length; never longer than the one that stands.
    pub(crate) length: u8,
    /// Which free block is taken where it can't grow in place.
    pub(crate) strategy: Strategy,
    /// Subnets that shall be there.
    pub(crate) subnets: Vec<SubnetOrder>,
    /// Whether a reservation becomes a network to stay.
    pub(crate) confirm: bool,
}

/// The parameters after an update: what was asked replaces what stood, but subnets are added to those that are there.
pub(crate) fn merged(current: &Object, asked: &Object) -> Object {
    let mut merged = current.clone();
    for (name, value) in asked {
        match (merged.get_mut(name), value) {
            _ if name == CONFIRM => {}
            (Some(Value::Array(present)), Value::Array(added)) if name == "subnets" => {
                let missing: Vec<_> =
                    added.iter().filter(|new| !present.iter().any(|old| old["name"] == new["name"])).cloned().collect();
                present.extend(missing);
            }
            // `null` asks for nothing.
            (_, Value::Null) if name == "subnets" || name == "prefix_length" => {}
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    merged
}

/// What can be said about the parameters after an update without knowing the network.
pub(crate) fn check(merged: &Object) -> Result<(), Refusal> {
    only(merged, &PROVISION)?;
    check_description(merged)
}

/// Reads what an update asks for. `before` are the parameters that stood, `plan` is the one that it shall have.
pub(crate) fn change(asked: &Object, before: &Object, standing: Standing<'_>, plan: &Plan) -> Result<Change, Refusal> {
    for (name, value) in asked {
        if !value.is_null() && before.get(name) != Some(value) && !is_repeated(name, value, standing)? {
            return Err(Refusal::Unchangeable(format!(
                "parameter `{name}` of a network can't be changed, because addresses in use would move: order another network"
            )));
        }
    }
    let merged = merged(before, asked);
    let length = length(asked, before, standing, plan)?;
    let confirm = flag(asked, CONFIRM)?;
    if !confirm && asked.get(CONFIRM).is_some_and(|value| !value.is_null()) {
        return Err(invalid("parameter `confirm` must be true: a reservation that is not confirmed expires by itself"));
    }
    Ok(Change {
        length,
        strategy: strategy(&merged)?,
        subnets: added(asked, before, standing.version, length)?,
        confirm,
    })
}

/// Whether a parameter says what is so anyway, or is one that may change.
fn is_repeated(name: &str, value: &Value, standing: Standing<'_>) -> Result<bool, Refusal> {
    let text = |expected: &str| value.as_str() == Some(expected);
    Ok(match name {
        "ip_version" => value.as_u64() == Some(u64::from(standing.version.number())),
        "cidr" => standing.cidr.is_some_and(|cidr| text(&cidr.to_string())),
        "pool" => text(standing.pool),
        "routing_domain" => text(standing.routing_domain),
        "reserve" | "reserve_ttl" => false,
        // These may change: how the next block is chosen moves no address. What is not known here was refused before.
        _ => true,
    })
}

/// The size that the network shall have: what is asked for, else at least what it has and the plan wants.
fn length(asked: &Object, before: &Object, standing: Standing<'_>, plan: &Plan) -> Result<u8, Refusal> {
    let lengths = plan.lengths(standing.version);
    if standing.length < *lengths.allowed.start() {
        return Err(shrinking(standing.length, *lengths.allowed.start()));
    }
    let name = "prefix_length";
    let new = integer(asked, name, 0..=128)?.filter(|_| asked.get(name) != before.get(name));
    let length = match (new, integer(before, name, 0..=128)?) {
        (Some(length), _) if length > standing.length => return Err(shrinking(standing.length, length)),
        (Some(length), _) => {
            check_length(name, plan, standing.version, length)?;
            length
        }
        (None, Some(length)) => length,
        (None, None) if before.get("cidr").is_some_and(|cidr| !cidr.is_null()) => standing.length,
        (None, None) => lengths.default,
    };
    // Another plan may want more than there is.
    Ok(length.min(standing.length).min(*lengths.allowed.end()))
}

fn shrinking(from: u8, to: u8) -> Refusal {
    Refusal::Unchangeable(format!(
        "a network of /{from} can't become a /{to}, because addresses in use would be lost: it only grows; order another network"
    ))
}

/// The subnets that an update names, but for those that it only repeats word for word: their bits counted from the size that
/// the network had then.
fn added(asked: &Object, before: &Object, version: Version, length: u8) -> Result<Vec<SubnetOrder>, Refusal> {
    let present = before.get("subnets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let orders = subnets(asked, version, length)?;
    let items = asked.get("subnets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let new = orders.into_iter().zip(items).filter(|(_, item)| !present.contains(item));
    Ok(new.map(|(order, _)| order).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vnet_ipam::plan::PLANS;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    fn read(asked: Value, before: Value, length: u8, plan: usize) -> Result<Change, Refusal> {
        let cidr = Some(Prefix::containing(Version::V4, 10 << 24, length));
        let standing = Standing { version: Version::V4, length, cidr, pool: "dmz", routing_domain: "default" };
        change(&object(asked), &object(before), standing, &PLANS[plan])
    }

    #[track_caller]
    fn check_length(asked: Value, before: Value, length: u8, plan: usize, expected: u8) {
        assert_eq!(read(asked, before, length, plan).unwrap().length, expected);
    }

    #[track_caller]
    fn check_unchangeable(asked: Value, length: u8, plan: usize, sentence: &str) {
        let refusal = read(asked, json!({}), length, plan).unwrap_err();
        assert!(matches!(&refusal, Refusal::Unchangeable(said) if said.contains(sentence)), "{refusal:?}");
    }

    #[test]
    fn upd_14_a_network_grows_by_its_prefix_length_or_with_its_plan_and_never_shrinks() {
        check_length(json!({"prefix_length": 23}), json!({}), 24, 1, 23);
        check_length(json!({}), json!({"prefix_length": 26}), 26, 1, 26);
        check_length(json!({}), json!({"prefix_length": 29}), 29, 1, 28);
        check_length(json!({}), json!({}), 28, 1, 24);
        check_length(json!({"prefix_length": 26}), json!({"prefix_length": 26}), 24, 1, 24);
        check_length(json!({"prefix_length": null}), json!({"prefix_length": 23}), 23, 1, 23);
        check_length(json!({}), json!({"cidr": "10.0.0.0/28"}), 28, 1, 28);
        check_length(json!({}), json!({"cidr": "10.0.0.0/28"}), 28, 2, 24);
        check_length(json!({}), json!({}), 22, 1, 22);
        check_unchangeable(json!({"prefix_length": 25}), 24, 1, "a network of /24 can't become a /25");
        check_unchangeable(json!({}), 20, 1, "a network of /20 can't become a /22");
        let refusal = read(json!({"prefix_length": 20}), json!({}), 24, 1).unwrap_err();
        assert!(refusal.to_string().contains("plan medium allows prefix lengths from 22 to 28"), "{refusal}");
    }

    #[test]
    fn upd_14_what_would_move_addresses_can_only_be_repeated() {
        let same =
            json!({"prefix_length": 24, "cidr": "10.0.0.0/24", "pool": "dmz", "description": null, "ip_version": 4});
        let change = read(same, json!({}), 24, 1).unwrap();
        assert_eq!((change.length, change.subnets.len(), change.confirm), (24, 0, false));
        let stood = json!({"cidr": "10.0.0.0/25", "reserve": true, "reserve_ttl": 60});
        assert!(read(stood.clone(), stood, 24, 1).is_ok(), "what stood may be sent again");
        for (name, value) in [
            ("pool", json!("x")),
            ("routing_domain", json!("x")),
            ("cidr", json!("10.0.1.0/24")),
            ("ip_version", json!(6)),
            ("reserve", json!(true)),
        ] {
            check_unchangeable(
                json!({name: value}),
                24,
                1,
                &format!("parameter `{name}` of a network can't be changed"),
            );
        }
    }

    #[test]
    fn only_subnets_that_are_new_are_read_and_counted_from_the_new_size() {
        let before = json!({"subnets": [{"name": "web", "new_bits": 2}]});
        let asked =
            json!({"prefix_length": 23, "subnets": [{"name": "web", "new_bits": 2}, {"name": "db", "new_bits": 1}]});
        let change = read(asked, before, 24, 1).unwrap();
        assert_eq!(change.subnets, [SubnetOrder { name: "db".into(), length: 24 }]);
    }

    #[test]
    fn a_confirmation_is_an_act_and_not_kept() {
        assert!(read(json!({"confirm": true}), json!({"reserve": true}), 24, 1).unwrap().confirm);
        assert!(read(json!({"confirm": false}), json!({}), 24, 1).is_err());
        let merged = merged(&object(json!({"reserve": true})), &object(json!({"confirm": true, "prefix_length": 23})));
        assert_eq!(merged, object(json!({"reserve": true, "prefix_length": 23})));
        assert!(check(&merged).is_ok());
        assert!(check(&object(json!({"prefix_lenght": 23}))).is_err());
    }
}

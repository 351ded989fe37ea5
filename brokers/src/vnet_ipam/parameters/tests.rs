//! What is read, and what is refused with which sentence.

use serde_json::json;

use super::super::plan::PLANS;
use super::*;

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

#[track_caller]
fn check_refused(parameters: Value, sentence: &str) {
    let refusal = network(&object(parameters), &PLANS[1]).unwrap_err();
    assert!(refusal.to_string().contains(sentence), "{refusal}");
}

#[track_caller]
fn check_wanted(parameters: Value, version: Version, wanted: Wanted) {
    let order = network(&object(parameters), &PLANS[1]).unwrap();
    assert_eq!((order.version, order.wanted), (version, wanted));
}

#[test]
fn sizes_follow_the_plan_the_version_and_the_request() {
    check_wanted(json!({}), Version::V4, Wanted::Length(24));
    check_wanted(json!({"prefix_length": 26}), Version::V4, Wanted::Length(26));
    check_wanted(json!({"prefix_length": null, "ip_version": 6}), Version::V6, Wanted::Length(60));
    let cidr = "10.3.0.0/24".parse().unwrap();
    check_wanted(json!({"cidr": "10.3.0.0/24", "prefix_length": 24}), Version::V4, Wanted::Exactly(cidr));
    let cidr = "fd00:0:0:1::/64".parse().unwrap();
    check_wanted(json!({"cidr": "fd00:0:0:1::/64"}), Version::V6, Wanted::Exactly(cidr));
}

#[test]
fn refusals_name_the_parameter_and_say_what_to_do() {
    check_refused(json!({"prefix_lenght": 24}), "parameter `prefix_lenght` is not known here: use prefix_length,");
    check_refused(json!({"prefix_length": "24"}), "`prefix_length` must be a whole number");
    check_refused(json!({"prefix_length": 24.5}), "`prefix_length` must be a whole number");
    check_refused(json!({"prefix_length": 8}), "plan medium allows prefix lengths from 22 to 28 for IPv4, not 8");
    check_refused(json!({"cidr": "10.0.0.7/24"}), "its prefix is 10.0.0.0/24");
    check_refused(json!({"cidr": "10.0.0.0/8"}), "parameter `cidr`: plan medium allows");
    check_refused(json!({"cidr": "10.0.0.0/24", "prefix_length": 25}), "contradict each other");
    check_refused(json!({"cidr": "10.0.0.0/24", "ip_version": 6}), "contradict each other");
    check_refused(json!({"ip_version": 5}), "must be 4 or 6");
    check_refused(json!({"strategy": "worst_fit"}), "best_fit, first_fit, last_fit or sparse");
    check_refused(json!({"pool": "No Such"}), "parameter `pool` must be 1 to 63");
    check_refused(json!({"reserve": "yes"}), "parameter `reserve` must be true or false");
    check_refused(json!({"reserve_ttl": 3600}), "send `reserve` true with it");
    check_refused(json!({"reserve": true, "reserve_ttl": 59}), "whole number of seconds from 60 to 2592000");
    check_refused(json!({"description": 7}), "parameter `description` must be a string");
}

#[test]
fn subnets_are_given_by_new_bits_or_prefix_length_and_fit_in_their_network() {
    let parameters = json!({"subnets": [{"name": "web", "new_bits": 2}, {"name": "db", "prefix_length": 27}]});
    let order = network(&object(parameters), &PLANS[1]).unwrap();
    let lengths: Vec<_> = order.subnets.iter().map(|subnet| (subnet.name.as_str(), subnet.length)).collect();
    assert_eq!(lengths, [("web", 26), ("db", 27)]);
    check_refused(json!({"subnets": {}}), "must be an array");
    check_refused(json!({"subnets": [{"new_bits": 1}]}), "item 0: parameter `name` is missing");
    check_refused(json!({"subnets": [{"name": "a", "new_bits": 1, "prefix_length": 25}]}), "send either");
    check_refused(json!({"subnets": [{"name": "a", "prefix_length": 24}]}), "from 25 to 29, not 24");
    check_refused(json!({"subnets": [{"name": "a", "new_bits": 6}]}), "from 25 to 29, not 30");
    let twice = json!({"subnets": [{"name": "a", "new_bits": 1}, {"name": "a", "new_bits": 1}]});
    check_refused(twice, "`a` is named twice");
}

#[test]
fn hostnames_are_checked() {
    let order = address(&object(json!({"hostname": "web-1.example", "subnet": "web"}))).unwrap();
    assert_eq!(order.hostname.as_deref(), Some("web-1.example"));
    for bad in ["", "-a", "a_b", "a..b", "ä"] {
        assert!(address(&object(json!({"hostname": bad}))).is_err(), "{bad}");
    }
}

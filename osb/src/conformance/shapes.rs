//! The forms of answers: fields, their types, and what they may hold. Pure: a body in, what is wrong with it out.
//!
//! Only what the specification names is looked at; unknown fields are anybody's own.

use serde_json::Value;

use crate::Object;
use crate::operation::OPERATION_CHARS;

/// A requirement and, where it is broken, how. What is not there is not in the list.
pub(super) type Seen = Vec<(&'static str, Result<(), String>)>;

fn see(seen: &mut Seen, row: &'static str, holds: bool, wrong: impl Into<String>) {
    seen.push((row, if holds { Ok(()) } else { Err(wrong.into()) }));
}

/// `operation`, of an answer to that kind of request.
pub(super) fn operation(body: &Object, row: &'static str, null_is_fine: bool) -> Seen {
    let mut seen = Vec::new();
    match body.get("operation") {
        None => {}
        Some(Value::Null) => see(&mut seen, row, null_is_fine, "operation is null"),
        Some(Value::String(text)) => {
            let chars = text.chars().count();
            see(&mut seen, row, chars <= OPERATION_CHARS, format!("operation has {chars} characters"));
            let empty_is_fine = row != "UPD-12";
            see(&mut seen, row, empty_is_fine || chars > 0, "operation is empty");
        }
        Some(_) => see(&mut seen, row, false, "operation is no string"),
    }
    seen
}

/// `dashboard_url` and `metadata` of an instance.
pub(super) fn instance(body: &Object) -> Seen {
    let mut seen = Vec::new();
    if let Some(url) = body.get("dashboard_url") {
        see(&mut seen, "PRV-13", url.is_string() || url.is_null(), "dashboard_url is neither a string nor null");
    }
    if let Some(metadata) = body.get("metadata").filter(|metadata| !metadata.is_null()) {
        let parts = |name: &str| metadata.get(name).is_none_or(|part| part.is_object() || part.is_null());
        let holds = metadata.is_object() && parts("labels") && parts("attributes");
        see(&mut seen, "PRV-15", holds, "metadata, its labels or its attributes are no objects");
    }
    seen
}

/// A fetched instance, which is of that offering and plan.
pub(super) fn fetched_instance(body: &Object, service_id: &str, plan_id: &str) -> Seen {
    let mut seen = instance(body);
    for (name, own) in [("service_id", service_id), ("plan_id", plan_id)] {
        let given = body.get(name).filter(|given| !given.is_null());
        let holds = given.is_none_or(|given| given.as_str() == Some(own));
        see(&mut seen, "GSI-03", holds, format!("{name} is not the instance's"));
    }
    for name in ["parameters", "maintenance_info"] {
        let holds = body.get(name).is_none_or(|field| field.is_object() || field.is_null());
        see(&mut seen, "GSI-03", holds, format!("{name} is no object"));
    }
    seen
}

/// A binding, whose offering requires that of the platform.
pub(super) fn binding(body: &Object, requires: &[String]) -> Seen {
    let mut seen = Vec::new();
    let requires = |what: &str| requires.iter().any(|word| word == what);
    if let Some(credentials) = present(body, "credentials") {
        see(&mut seen, "BND-16", credentials.is_object(), "credentials is no object");
    }
    let urls = [("BND-18", "syslog_drain_url", "syslog_drain"), ("BND-19", "route_service_url", "route_forwarding")];
    for (row, name, needs) in urls {
        if let Some(url) = present(body, name) {
            see(&mut seen, row, url.is_string(), format!("{name} is no string"));
            see(&mut seen, row, requires(needs), format!("{name} is there, but the offering doesn't require {needs}"));
        }
    }
    if let Some(mounts) = present(body, "volume_mounts") {
        let wrong = mounts.as_array().map_or(Some("it is no array".to_owned()), |all| all.iter().find_map(mount));
        see(&mut seen, "BND-20", wrong.is_none(), format!("volume_mounts: {}", wrong.unwrap_or_default()));
        let declared = requires("volume_mount") || mounts.as_array().is_some_and(Vec::is_empty);
        see(&mut seen, "BND-20", declared, "volume_mounts is there, but the offering doesn't require volume_mount");
    }
    if let Some(endpoints) = present(body, "endpoints") {
        let wrong = endpoints.as_array().map_or(Some("it is no array".to_owned()), |all| all.iter().find_map(endpoint));
        see(&mut seen, "BND-21", wrong.is_none(), format!("endpoints: {}", wrong.unwrap_or_default()));
    }
    if let Some(metadata) = present(body, "metadata") {
        binding_metadata(&mut seen, metadata);
    }
    seen
}

fn present<'a>(body: &'a Object, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

fn mount(mount: &Value) -> Option<String> {
    let text = |name: &str| mount.get(name).and_then(Value::as_str);
    if let Some(name) = ["driver", "container_dir"].iter().find(|name| text(name).is_none()) {
        return Some(format!("{name} is no string"));
    }
    let device = mount.get("device");
    let config = device.and_then(|device| device.get("mount_config"));
    let wrong = [
        (!matches!(text("mode"), Some("r" | "rw")), "mode is neither r nor rw"),
        (text("device_type") != Some("shared"), "device_type is not shared"),
        (device.and_then(|device| device.get("volume_id")).is_none_or(|id| !id.is_string()), "device has no volume_id"),
        (config.is_some_and(|config| !config.is_object() && !config.is_null()), "mount_config is no object"),
    ];
    wrong.into_iter().find(|(is, _)| *is).map(|(_, what)| what.to_owned())
}

fn endpoint(endpoint: &Value) -> Option<String> {
    let host = endpoint.get("host").and_then(Value::as_str);
    let ports = endpoint.get("ports").and_then(Value::as_array);
    let good = |port: &Value| port.as_str().is_some_and(is_port);
    let protocol = endpoint.get("protocol").filter(|protocol| !protocol.is_null());
    let known = |protocol: &Value| matches!(protocol.as_str(), Some("tcp" | "udp" | "all"));
    let wrong = [
        (host.is_none_or(str::is_empty), "an endpoint has no host"),
        (ports.is_none_or(Vec::is_empty), "an endpoint has no ports"),
        (ports.is_some_and(|ports| !ports.iter().all(good)), "a port is no string such as \"443\" or \"9000-9010\""),
        (protocol.is_some_and(|protocol| !known(protocol)), "a protocol is none of tcp, udp, all"),
    ];
    wrong.into_iter().find(|(is, _)| *is).map(|(_, what)| what.to_owned())
}

fn is_port(text: &str) -> bool {
    let port = |text: &str| text.parse::<u16>().ok();
    match text.split_once('-') {
        None => port(text).is_some(),
        Some((from, to)) => port(from).zip(port(to)).is_some_and(|(from, to)| from <= to),
    }
}

fn binding_metadata(seen: &mut Seen, metadata: &Value) {
    see(seen, "BND-22", metadata.is_object(), "metadata is no object");
    let time = |name: &str| metadata.get(name).filter(|time| !time.is_null());
    for name in ["expires_at", "renew_before"] {
        if let Some(given) = time(name) {
            let holds = given.as_str().and_then(instant).is_some();
            see(seen, "BND-22", holds, format!("{name} is no time such as 2019-12-31T23:59:59.0Z"));
        }
    }
    let moment = |name: &str| time(name).and_then(Value::as_str).and_then(instant);
    if let Some((expires, renew)) = moment("expires_at").zip(moment("renew_before")) {
        see(seen, "BND-22", renew <= expires, "renew_before is after expires_at");
    }
    let names = metadata.as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase());
    let telling = ["password", "username", "uri", "credentials", "host", "port"];
    let found: Vec<String> = names.filter(|name| telling.contains(&name.as_str())).collect();
    see(seen, "BND-23", found.is_empty(), format!("metadata holds {}", found.join(", ")));
}

/// A time of the form `yyyy-mm-ddThh:mm:ss.sZ`, as what can be compared: the fraction of a second is padded.
fn instant(text: &str) -> Option<String> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let form = "dddd-dd-ddTdd:dd:dd";
    let fits = whole.len() == form.len()
        && whole.bytes().zip(form.bytes()).all(|(c, f)| if f == b'd' { c.is_ascii_digit() } else { c == f });
    let part = |from: usize| whole.get(from..from + 2).and_then(|text| text.parse::<u8>().ok());
    let possible = fits
        && part(5).is_some_and(|month| (1..=12).contains(&month))
        && part(8).is_some_and(|day| (1..=31).contains(&day))
        && part(11).is_some_and(|hour| hour < 24)
        && part(14).is_some_and(|minute| minute < 60)
        && part(17).is_some_and(|second| second <= 60);
    (possible && digits(fraction) && fraction.len() <= 9).then(|| format!("{whole}.{fraction:0<9}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(seen: Seen, broken: &[&str]) {
        let found: Vec<&str> = seen.iter().filter(|(_, result)| result.is_err()).map(|(row, _)| *row).collect();
        assert_eq!(found, broken, "{seen:?}");
    }

    fn bound(body: Value, requires: &[&str]) -> Seen {
        let requires: Vec<String> = requires.iter().map(|word| (*word).to_owned()).collect();
        binding(body.as_object().unwrap(), &requires)
    }

    #[test]
    fn bnd_22_times_have_a_fraction_and_a_z() {
        for good in ["2019-12-31T23:59:59.0Z", "2019-12-31T23:59:59.123456Z"] {
            assert!(instant(good).is_some(), "{good}");
        }
        for bad in
            ["2019-12-31T23:59:59Z", "2019-12-31T23:59:59.0+01:00", "2019-13-31T23:59:59.0Z", "2019-12-31", "", "é"]
        {
            assert!(instant(bad).is_none(), "{bad}");
        }
        let order = |renew: &str| json!({"metadata": {"expires_at": "2030-01-01T00:00:00.5Z", "renew_before": renew}});
        check(bound(order("2030-01-01T00:00:00.50Z"), &[]), &[]);
        check(bound(order("2030-01-01T00:00:00.51Z"), &[]), &["BND-22"]);
    }

    #[test]
    fn bnd_18_to_21_fields_have_their_form_and_are_declared() {
        let mount = json!({"driver": "d", "container_dir": "/d", "mode": "r", "device_type": "shared",
            "device": {"volume_id": "v"}});
        check(
            bound(json!({"volume_mounts": [mount], "syslog_drain_url": "u"}), &["volume_mount", "syslog_drain"]),
            &[],
        );
        check(bound(json!({"volume_mounts": [{"driver": "d"}]}), &["volume_mount"]), &["BND-20"]);
        check(bound(json!({"syslog_drain_url": "u", "route_service_url": 1}), &[]), &["BND-18", "BND-19", "BND-19"]);
        let ports = |ports: Value| json!({"endpoints": [{"host": "h", "ports": ports}]});
        check(bound(ports(json!(["443", "9000-9010"])), &[]), &[]);
        for wrong in [json!([443]), json!([]), json!(["9010-9000"]), json!(["http"])] {
            check(bound(ports(wrong), &[]), &["BND-21"]);
        }
        check(bound(json!({"credentials": "secret", "metadata": {"password": "p"}}), &[]), &["BND-16", "BND-23"]);
    }

    #[test]
    fn prv_14_and_upd_12_operation_is_short_and_a_string() {
        let with = |value: Value| json!({"operation": value}).as_object().cloned().unwrap();
        check(operation(&with(json!("x".repeat(10_000))), "PRV-14", true), &[]);
        check(operation(&with(json!("x".repeat(10_001))), "PRV-14", true), &["PRV-14"]);
        check(operation(&with(json!(null)), "PRV-14", true), &[]);
        check(operation(&with(json!(null)), "UPD-12", false), &["UPD-12"]);
        check(operation(&with(json!("")), "UPD-12", false), &["UPD-12"]);
        check(operation(&with(json!(7)), "DEP-09", false), &["DEP-09"]);
    }

    #[test]
    fn gsi_03_a_fetched_instance_is_its_own() {
        let body = json!({"service_id": "s", "plan_id": "q", "parameters": [], "metadata": {"labels": 1}});
        check(fetched_instance(body.as_object().unwrap(), "s", "p"), &["PRV-15", "GSI-03", "GSI-03"]);
    }
}

//! What users ask for, read from parameters: each refusal names the parameter and says what to do.
//!
//! Pure. It deliberately does not know who does it. Invariant: what is read here keeps to the plan, and its names are fit for
//! paths, refs and URLs as they stand.

use std::ops::RangeInclusive;

use osb::Object;
use osb::kit::{Refusal, Tenant};
use serde_json::{Value, json};

use super::plan::Plan;
use super::template::Template;

/// How many members a toolchain may name.
const MEMBERS_MAX: usize = 64;
/// The longest life of a deploy token, in seconds.
pub(super) const TTL_MAX: i64 = 24 * 3600;
const TTL_DEFAULT: i64 = 3600;
const MINUTES: RangeInclusive<u64> = 1..=100_000;

const PROVISION: [&str; 7] = ["name", "template", "default_branch", "branch_rules", "members", "ci", "secrets"];
const BIND: [&str; 4] = ["kind", "role", "ttl", "url"];

/// What somebody may do, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Clone and fetch.
    Read,
    /// Push, too.
    Write,
    /// Push also to what only maintainers may move.
    Maintain,
}

impl Role {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Maintain => "maintain",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Maintain].into_iter().find(|role| role.word() == word)
    }
}

/// A group of people and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) group: String,
    pub(super) role: Role,
}

/// What holds on the default branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) protected: bool,
    pub(super) allow_force_push: bool,
    pub(super) linear_history: bool,
    pub(super) required_status: bool,
    /// The least role that may push.
    pub(super) push: Role,
}

impl Rules {
    pub(super) fn to_json(self) -> Value {
        json!({
            "protected": self.protected,
            "allow_force_push": self.allow_force_push,
            "linear_history": self.linear_history,
            "required_status": self.required_status,
            "push": self.push.word(),
        })
    }
}

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Builds {
    pub(super) enabled: bool,
    pub(super) minutes_month: Option<u64>,
}

/// A toolchain that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ProjectOrder {
    pub(super) name: String,
    pub(super) template: Template,
    pub(super) default_branch: String,
    pub(super) rules: Rules,
    pub(super) members: Vec<Member>,
    pub(super) builds: Builds,
    pub(super) secrets: Option<String>,
}

/// Access that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AccessOrder {
    DeployToken { role: Role, ttl_seconds: i64 },
    Webhook { url: String },
    Runner,
}

fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal::Invalid(sentence.into())
}

/// Reads the parameters of a toolchain.
pub(super) fn project(parameters: &Object, plan: &Plan, tenant: Option<&Tenant>) -> Result<ProjectOrder, Refusal> {
    only("", parameters, &PROVISION)?;
    let name = text(parameters, "name")?.unwrap_or("project");
    if !is_project_name(name) {
        return Err(invalid(
            "parameter `name` must be 1 to 39 of a-z, 0-9 and -, and begin with a letter, as in payments-api",
        ));
    }
    let template = text(parameters, "template")?.unwrap_or("empty");
    let template = Template::from_name(template)
        .ok_or_else(|| invalid(format!("parameter `template` must be one of {}", Template::names().join(", "))))?;
    let branch = text(parameters, "default_branch")?.unwrap_or("main");
    if !is_branch_name(branch) {
        return Err(invalid("parameter `default_branch` must be a branch name of at most 100 characters, as in main"));
    }
    Ok(ProjectOrder {
        name: name.to_owned(),
        template,
        default_branch: branch.to_owned(),
        rules: rules(parameters, plan)?,
        members: members(parameters, tenant)?,
        builds: builds(parameters)?,
        secrets: text(parameters, "secrets")?.map(str::to_owned),
    })
}

/// Refuses an update that changes what is settled at the beginning.
pub(super) fn check_unchanged(before: &ProjectOrder, after: &ProjectOrder) -> Result<(), Refusal> {
    let changed = [
        ("name", before.name != after.name, "everybody's clones point to it"),
        ("template", before.template != after.template, "it is what the repository began with"),
        ("default_branch", before.default_branch != after.default_branch, "its rules and clones hang on it"),
    ];
    match changed.iter().find(|(_, changed, _)| *changed) {
        Some((name, _, why)) => Err(Refusal::Unchangeable(format!(
            "parameter `{name}` of a toolchain can't be changed, because {why}: order another toolchain"
        ))),
        None => Ok(()),
    }
}

/// The parameters after an update: rules and builds are merged key by key, everything else is replaced.
pub(super) fn merge(current: &Object, asked: &Object) -> Object {
    let mut merged = current.clone();
    for (name, value) in asked {
        match (merged.get_mut(name), value) {
            (Some(Value::Object(there)), Value::Object(asked)) if matches!(name.as_str(), "branch_rules" | "ci") => {
                there.extend(asked.clone());
            }
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    merged
}

/// Reads the parameters of a bind.
pub(super) fn access(parameters: &Object) -> Result<AccessOrder, Refusal> {
    only("", parameters, &BIND)?;
    let kind = text(parameters, "kind")?.unwrap_or("deploy-token");
    let fits = |name: &str, wanted: &str| match parameters.get(name).filter(|value| !value.is_null()) {
        Some(_) if kind != wanted => Err(invalid(format!("parameter `{name}` belongs to kind {wanted}: leave it out"))),
        _ => Ok(()),
    };
    fits("role", "deploy-token")?;
    fits("ttl", "deploy-token")?;
    fits("url", "webhook")?;
    match kind {
        "deploy-token" => {
            Ok(AccessOrder::DeployToken { role: role(parameters, Role::Write)?, ttl_seconds: ttl(parameters)? })
        }
        "webhook" => {
            let url = text(parameters, "url")?
                .ok_or_else(|| invalid("parameter `url` is missing: say where the web hook's events are sent"))?;
            Ok(AccessOrder::Webhook { url: hook_url(url)? })
        }
        "runner" => Ok(AccessOrder::Runner),
        _ => Err(invalid("parameter `kind` must be deploy-token, webhook or runner")),
    }
}

fn rules(parameters: &Object, plan: &Plan) -> Result<Rules, Refusal> {
    let empty = Object::new();
    let given = object(parameters, "branch_rules")?.unwrap_or(&empty);
    only("branch_rules.", given, &["protected", "allow_force_push", "linear_history", "required_status", "push"])?;
    let push = match text(given, "push")? {
        None if plan.regulated => Role::Maintain,
        None | Some("write") => Role::Write,
        Some("maintain") => Role::Maintain,
        Some(_) => return Err(invalid("parameter `branch_rules.push` must be write or maintain")),
    };
    let rules = Rules {
        protected: boolean(given, "branch_rules.", "protected", true)?,
        allow_force_push: boolean(given, "branch_rules.", "allow_force_push", false)?,
        linear_history: boolean(given, "branch_rules.", "linear_history", plan.regulated)?,
        required_status: boolean(given, "branch_rules.", "required_status", false)?,
        push,
    };
    let settled = [
        ("protected", !rules.protected, "true"),
        ("allow_force_push", rules.allow_force_push, "false"),
        ("linear_history", !rules.linear_history, "true"),
        ("push", rules.push != Role::Maintain, "maintain"),
    ];
    match settled.iter().find(|(_, broken, _)| plan.regulated && *broken) {
        Some((name, _, must)) => Err(invalid(format!(
            "parameter `branch_rules.{name}` is {must} in plan {}: leave it out, or take plan basic",
            plan.name
        ))),
        None => Ok(rules),
    }
}

fn members(parameters: &Object, tenant: Option<&Tenant>) -> Result<Vec<Member>, Refusal> {
    let items = match parameters.get("members") {
        None | Some(Value::Null) => {
            let groups = tenant.map(|tenant| tenant.groups.as_slice()).unwrap_or_default();
            return Ok(groups.iter().map(|group| Member { group: group.clone(), role: Role::Write }).collect());
        }
        Some(Value::Array(items)) if items.len() <= MEMBERS_MAX => items,
        Some(_) => {
            return Err(invalid(format!(
                "parameter `members` must be an array of at most {MEMBERS_MAX} objects such as {{\"group\": \"developers\", \"role\": \"write\"}}"
            )));
        }
    };
    let mut members: Vec<Member> = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(item) = item else { return Err(invalid("each of `members` must be an object")) };
        only("members.", item, &["group", "role"])?;
        let group = text(item, "group")?.filter(|group| is_group(group)).ok_or_else(|| {
            invalid("parameter `members.group` must be the name of a group, 1 to 63 characters long and without control characters")
        })?;
        if members.iter().any(|member| member.group == group) {
            return Err(invalid(format!("parameter `members`: `{group}` is named twice")));
        }
        members.push(Member { group: group.to_owned(), role: role(item, Role::Write)? });
    }
    Ok(members)
}

fn builds(parameters: &Object) -> Result<Builds, Refusal> {
    let empty = Object::new();
    let given = object(parameters, "ci")?.unwrap_or(&empty);
    only("ci.", given, &["enabled", "minutes_month"])?;
    let minutes_month = match given.get("minutes_month") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_u64()
                .filter(|minutes| MINUTES.contains(minutes))
                .ok_or_else(|| invalid("parameter `ci.minutes_month` must be a whole number from 1 to 100000"))?,
        ),
    };
    Ok(Builds { enabled: boolean(given, "ci.", "enabled", true)?, minutes_month })
}

fn role(parameters: &Object, default: Role) -> Result<Role, Refusal> {
    match text(parameters, "role")? {
        None => Ok(default),
        Some(word) => Role::from_word(word).ok_or_else(|| invalid("parameter `role` must be read, write or maintain")),
    }
}

/// A duration of hours, minutes and seconds.
fn ttl(parameters: &Object) -> Result<i64, Refusal> {
    let Some(text) = text(parameters, "ttl")? else { return Ok(TTL_DEFAULT) };
    let seconds = text.parse::<jiff::SignedDuration>().map(|duration| duration.as_secs());
    seconds
        .ok()
        .filter(|seconds| text.starts_with("PT") && (1..=TTL_MAX).contains(seconds))
        .ok_or_else(|| invalid("parameter `ttl` must be a duration from PT1S to PT24H, as in PT1H or PT30M"))
}

fn hook_url(text: &str) -> Result<String, Refusal> {
    let url = reqwest::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && text.len() <= 2000
    });
    url.map(String::from).ok_or_else(|| {
        invalid("parameter `url` must be an http or https URL without credentials, at most 2000 characters long")
    })
}

fn only(within: &str, parameters: &Object, known: &[&str]) -> Result<(), Refusal> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => {
            let known = known.iter().map(|name| format!("{within}{name}")).collect::<Vec<_>>().join(", ");
            Err(invalid(format!("parameter `{within}{unknown}` is not known here: use {known}")))
        }
        None => Ok(()),
    }
}

/// Absent and `null` are the same for a parameter.
fn text<'a>(parameters: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(format!("parameter `{name}` must be a string"))),
    }
}

fn object<'a>(parameters: &'a Object, name: &str) -> Result<Option<&'a Object>, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(invalid(format!("parameter `{name}` must be an object"))),
    }
}

fn boolean(parameters: &Object, within: &str, name: &str, default: bool) -> Result<bool, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(invalid(format!("parameter `{within}{name}` must be true or false"))),
    }
}

/// Fit for a URL, a directory, and an organisation's repository as it stands.
pub(super) fn is_project_name(name: &str) -> bool {
    (1..=39).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Stricter than Git, so that it needs no escaping anywhere.
fn is_branch_name(name: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.ends_with(".lock");
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
        && !name.contains("..")
        && name != "HEAD"
        && name.split('/').all(part)
}

fn is_group(name: &str) -> bool {
    (1..=63).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::super::plan::PLANS;
    use super::*;

    const BASIC: &Plan = &PLANS[0];
    const REGULATED: &Plan = &PLANS[1];

    fn parse(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    #[track_caller]
    fn check_refused(plan: &Plan, parameters: Value, sentence: &str) {
        let refusal = project(&parse(parameters), plan, None).unwrap_err();
        assert!(refusal.to_string().contains(sentence), "{refusal}");
    }

    #[test]
    fn nothing_asked_for_is_an_empty_protected_repository_for_the_tenants_groups() {
        let tenant = Tenant { id: "1".into(), name: "retail".into(), groups: vec!["developers".into()] };
        let order = project(&Object::new(), BASIC, Some(&tenant)).unwrap();
        assert_eq!((order.name.as_str(), order.default_branch.as_str()), ("project", "main"));
        assert!(order.rules.protected && !order.rules.allow_force_push && order.rules.push == Role::Write);
        assert_eq!(order.members, [Member { group: "developers".into(), role: Role::Write }]);
        let regulated = project(&Object::new(), REGULATED, None).unwrap().rules;
        assert!(regulated.linear_history && regulated.push == Role::Maintain);
    }

    #[test]
    fn refusals_name_the_parameter_and_say_what_to_do() {
        check_refused(BASIC, json!({"nmae": "a"}), "parameter `nmae` is not known here: use name,");
        check_refused(BASIC, json!({"name": "../etc"}), "parameter `name` must be 1 to 39");
        check_refused(BASIC, json!({"template": "cobol"}), "one of empty, rust-service, static-site");
        check_refused(BASIC, json!({"branch_rules": {"protect": true}}), "`branch_rules.protect` is not known");
        check_refused(BASIC, json!({"branch_rules": {"push": "read"}}), "must be write or maintain");
        check_refused(BASIC, json!({"members": [{"group": "a"}, {"group": "a"}]}), "`a` is named twice");
        check_refused(BASIC, json!({"members": [{"group": "a\n"}]}), "name of a group");
        check_refused(BASIC, json!({"ci": {"minutes_month": 0}}), "from 1 to 100000");
        check_refused(REGULATED, json!({"branch_rules": {"allow_force_push": true}}), "is false in plan regulated");
        check_refused(REGULATED, json!({"branch_rules": {"push": "write"}}), "is maintain in plan regulated");
        for branch in ["", "-x", "a..b", "a/", "/a", "a//b", "a.lock", ".a", "a/.b", "a b", "HEAD", "a~1", "a:b"] {
            check_refused(BASIC, json!({"default_branch": branch}), "parameter `default_branch`");
        }
    }

    #[test]
    fn access_is_a_token_of_an_hour_unless_asked_otherwise() {
        let read = |value| access(&parse(value));
        assert_eq!(read(json!({})), Ok(AccessOrder::DeployToken { role: Role::Write, ttl_seconds: 3600 }));
        let asked = read(json!({"role": "read", "ttl": "PT1H30M"}));
        assert_eq!(asked, Ok(AccessOrder::DeployToken { role: Role::Read, ttl_seconds: 5400 }));
        for ttl in ["PT25H", "PT0S", "P1D", "-PT1H", "1h", "soon"] {
            assert!(read(json!({"ttl": ttl})).unwrap_err().to_string().contains("PT24H"), "{ttl}");
        }
        assert!(read(json!({"kind": "webhook"})).unwrap_err().to_string().contains("`url` is missing"));
        for url in ["ftp://a/", "http://u:p@a/", "http://a/#x", "nonsense"] {
            assert!(read(json!({"kind": "webhook", "url": url})).is_err(), "{url}");
        }
        assert!(read(json!({"kind": "webhook", "url": "http://a/", "ttl": "PT1H"})).is_err());
        assert_eq!(read(json!({"kind": "runner"})), Ok(AccessOrder::Runner));
    }

    #[test]
    fn the_catalog_describes_what_is_read_here() {
        let catalog: Value = serde_json::from_str(super::super::plan::CATALOG).unwrap();
        for (at, plan) in PLANS.iter().enumerate() {
            let schemas = &catalog["services"][0]["plans"][at]["schemas"];
            let create = &schemas["service_instance"]["create"]["parameters"]["properties"];
            let names = |schema: &Value| schema.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(create), PROVISION);
            assert_eq!(names(&schemas["service_binding"]["create"]["parameters"]["properties"]), BIND);
            assert_eq!(create["template"]["enum"], json!(Template::names()));
            // What the schema calls defaults are those of the code.
            let order = project(&Object::new(), plan, None).unwrap();
            assert_eq!(create["name"]["default"], order.name);
            let rules = order.rules.to_json();
            for (name, schema) in create["branch_rules"]["properties"].as_object().unwrap() {
                assert_eq!(schema["default"], rules[name], "{name} of {}", plan.name);
            }
        }
    }

    #[test]
    fn an_update_merges_rules_key_by_key_and_keeps_what_is_settled() {
        let current = parse(json!({"branch_rules": {"linear_history": true}, "members": [{"group": "a"}]}));
        let merged = merge(&current, &parse(json!({"branch_rules": {"allow_force_push": true}, "members": []})));
        let expected = json!({"branch_rules": {"linear_history": true, "allow_force_push": true}, "members": []});
        assert_eq!(Value::Object(merged), expected);
        let before = project(&Object::new(), BASIC, None).unwrap();
        let after = project(&parse(json!({"name": "other"})), BASIC, None).unwrap();
        let refusal = check_unchanged(&before, &after).unwrap_err();
        assert!(refusal.to_string().contains("parameter `name` of a toolchain can't be changed"), "{refusal}");
    }
}

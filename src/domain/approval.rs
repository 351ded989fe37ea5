//! Approvals: which orders wait for somebody's yes ([`ApprovalRule`]), what asks for it ([`Cause`]), and who may give it
//! ([`Request::refuses`]).
//!
//! It does not store anything and decides nothing about the order itself. Invariant: nobody decides their own order, and an order of
//! somebody whom Bourse does not know is not decided by members of the tenant that it is for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::operation::OperationKind;
use super::role::Role;
use super::tenant::TenantDocument;
use crate::config::parse_duration;

/// How long an order waits where nobody says how long.
pub const EXPIRES_AFTER: &str = "P3D";
/// The same as a duration.
pub const EXPIRES_AFTER_DEFAULT: Duration = Duration::from_secs(3 * 86_400);
/// How long an order may wait at most: Cloud Foundry gives up after seven days.
const EXPIRES_AFTER_MAX: Duration = Duration::from_secs(6 * 86_400);
const EXPIRES_AFTER_MIN: Duration = Duration::from_secs(1);
/// Approvers of one rule.
const APPROVERS_MAX: usize = 100;
/// Characters of a name in a rule.
const NAME_MAX: usize = 255;
/// Characters of a reason.
pub const REASON_MAX: usize = 500;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A new instance.
    Provision,
    /// A change of plan or parameters.
    Update,
}

impl On {
    /// Which of them an operation is, if any.
    pub fn of(kind: OperationKind) -> Option<Self> {
        match kind {
            OperationKind::Provision => Some(Self::Provision),
            OperationKind::Update => Some(Self::Update),
            _ => None,
        }
    }
}

/// Who has to agree to which orders. What is absent matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// Of this service offering only, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offering: Option<String>,
    /// Of the service plans of this name only. An update counts as an order of the plan that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// For this tenant only, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What is waited for: `provision`, `update`; both where absent.
    #[serde(default = "both")]
    pub on: Vec<On>,
    /// Users who may agree; any administrator or approver where there are none.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// How long an order waits, as an ISO 8601 duration of at most P6D.
    #[serde(default = "expires_after")]
    pub expires_after: String,
}

fn both() -> Vec<On> {
    vec![On::Provision, On::Update]
}

fn expires_after() -> String {
    EXPIRES_AFTER.to_owned()
}

/// An order, as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    /// What is ordered.
    pub on: On,
    /// The service offering's name.
    pub offering: &'a str,
    /// The name of the service plan from then on.
    pub plan: &'a str,
    /// The tenant's name.
    pub tenant: &'a str,
}

impl ApprovalRule {
    /// Everything that is wrong with it, as (JSON pointer, message); empty where it is fine.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut say = |pointer: String, message: String| found.push((pointer, message));
        for (pointer, name) in [("/offering", &self.offering), ("/plan", &self.plan), ("/tenant", &self.tenant)] {
            if name.as_ref().is_some_and(|name| !is_plain(name)) {
                say(pointer.to_owned(), format!("must have 1 to {NAME_MAX} characters"));
            }
        }
        if self.on.is_empty() || self.on.len() > 2 {
            say("/on".to_owned(), "must be one or both of `provision` and `update`".to_owned());
        }
        if self.approvers.len() > APPROVERS_MAX {
            say("/approvers".to_owned(), format!("must be at most {APPROVERS_MAX}"));
        }
        for (index, name) in self.approvers.iter().enumerate().filter(|(_, name)| !is_plain(name)) {
            say(format!("/approvers/{index}"), format!("`{name}` is no user: it must have 1 to {NAME_MAX} characters"));
        }
        match parse_duration(&self.expires_after) {
            Ok(time) if (EXPIRES_AFTER_MIN..=EXPIRES_AFTER_MAX).contains(&time) => {}
            Ok(_) => say("/expires_after".to_owned(), "must be from PT1S to P6D".to_owned()),
            Err(message) => say("/expires_after".to_owned(), message),
        }
        found
    }

    /// How long an order waits.
    pub fn waits(&self) -> Duration {
        parse_duration(&self.expires_after).unwrap_or(EXPIRES_AFTER_DEFAULT)
    }

    /// Whether it is about that order.
    pub fn matches(&self, ordered: &Ordered<'_>) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        self.on.contains(&ordered.on)
            && is(&self.offering, ordered.offering)
            && is(&self.plan, ordered.plan)
            && is(&self.tenant, ordered.tenant)
    }
}

fn is_plain(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= NAME_MAX && !name.contains('\0')
}

/// What asks for an approval.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The rule of that name.
    Rule(String),
    /// The budget of that name.
    Budget(String),
}

impl Why {
    /// The name of the rule or budget.
    pub fn name(&self) -> &str {
        match self {
            Self::Rule(name) | Self::Budget(name) => name,
        }
    }

    /// For people.
    fn words(&self) -> String {
        match self {
            Self::Rule(name) => format!("rule `{name}`"),
            Self::Budget(name) => format!("budget `{name}`"),
        }
    }
}

/// Something that asks for an approval of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What.
    pub why: Why,
    /// Who may agree; any administrator or approver where there are none.
    pub approvers: Vec<String>,
    /// How long the order waits for it.
    pub expires_after: Duration,
}

impl Cause {
    /// A rule.
    pub fn rule(name: &str, rule: &ApprovalRule) -> Self {
        Self { why: Why::Rule(name.to_owned()), approvers: rule.approvers.clone(), expires_after: rule.waits() }
    }

    /// A budget, whose excess any administrator or approver may agree to.
    pub fn budget(name: &str) -> Self {
        Self { why: Why::Budget(name.to_owned()), approvers: Vec::new(), expires_after: EXPIRES_AFTER_DEFAULT }
    }
}

/// Causes that the same people may agree to: one yes is enough for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who may agree; any administrator or approver where there are none.
    pub approvers: Vec<String>,
    /// What asks for it.
    pub causes: Vec<Why>,
}

/// The causes by who may agree to them, and how long the order waits for all of them.
pub fn groups(causes: Vec<Cause>) -> (Vec<Group>, Duration) {
    let waits = causes.iter().map(|cause| cause.expires_after).min().unwrap_or(EXPIRES_AFTER_DEFAULT);
    let mut groups: BTreeMap<Vec<String>, Vec<Why>> = BTreeMap::new();
    for Cause { why, mut approvers, .. } in causes {
        approvers.sort();
        approvers.dedup();
        groups.entry(approvers).or_default().push(why);
    }
    let group = |(approvers, mut causes): (Vec<String>, Vec<Why>)| {
        causes.sort();
        Group { approvers, causes }
    };
    (groups.into_iter().map(group).collect(), waits)
}

/// What a platform is told while an order waits.
pub fn waiting_for<'a>(causes: impl Iterator<Item = &'a Why>) -> String {
    let causes: Vec<_> = causes.map(Why::words).collect();
    format!("waiting for approval, which is asked for by {}", causes.join(", "))
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has decided.
    Pending,
    /// Agreed.
    Approved,
    /// Refused.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// The order was called off, or ended otherwise, before anybody decided.
    Cancelled,
}

impl ApprovalState {
    /// Its word in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// Who wants an approval, and of whom.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The name of who ordered, where that is known.
    pub user: Option<&'a str>,
    /// As which actor, where that is a person: `None` where a platform's user was found to be the one of that name.
    pub actor: Option<&'a str>,
    /// Who may agree; any administrator or approver where there are none.
    pub approvers: &'a [String],
    /// The tenant that it is for.
    pub tenant: &'a TenantDocument,
    /// Its id.
    pub tenant_id: &'a str,
}

impl Request<'_> {
    /// Why that caller may not decide it; `None` where they may.
    pub fn refuses(&self, caller: &Caller) -> Option<&'static str> {
        let Some(name) = caller.user() else { return Some("only people decide about approvals") };
        // A platform's user is known by name alone: whoever has it, of whichever kind, keeps out.
        if self.actor.map_or(self.user == Some(name), |actor| actor == caller.actor()) {
            return Some("nobody decides about their own order");
        }
        if !self.approvers.is_empty() && !self.approvers.iter().any(|approver| approver == name) {
            return Some("the approval is asked of others: its `approvers` says of whom");
        }
        let decides = caller.is_administrator()
            || !self.approvers.is_empty()
            || caller.person().is_some_and(|person| person.roles.contains(&Role::Approver));
        if !decides {
            return Some("the approval is asked of administrators and approvers");
        }
        let in_group = |group: &String| caller.person().is_some_and(|person| person.groups.contains(group));
        let member = self
            .tenant
            .members
            .iter()
            .any(|member| member.user.as_deref() == Some(name) || member.group.as_ref().is_some_and(in_group));
        // Also by the settings.
        let by_role = caller.person().is_some_and(|person| {
            person.owns.contains_key(self.tenant_id) || person.member_of.contains_key(self.tenant_id)
        });
        let member = member || by_role;
        if self.user.is_none() && member {
            return Some("who ordered is not known here, and you are a member of the tenant that it is for");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::caller::Person;

    fn rule(document: serde_json::Value) -> ApprovalRule {
        serde_json::from_value(document).unwrap()
    }

    const ORDERED: Ordered<'static> = Ordered { on: On::Provision, offering: "db", plan: "large", tenant: "retail" };

    #[test]
    fn what_a_rule_does_not_say_matches_everything() {
        assert!(rule(json!({})).matches(&ORDERED));
        assert!(rule(json!({"offering": "db", "plan": "large", "tenant": "retail"})).matches(&ORDERED));
        for other in
            [json!({"offering": "d"}), json!({"plan": "small"}), json!({"tenant": "x"}), json!({"on": ["update"]})]
        {
            assert!(!rule(other.clone()).matches(&ORDERED), "{other}");
        }
        assert_eq!(rule(json!({})).waits(), EXPIRES_AFTER_DEFAULT);
    }

    #[test]
    fn a_rule_within_its_limits_has_no_problems() {
        assert_eq!(rule(json!({"expires_after": "P6D", "approvers": ["ada"]})).problems(), []);
        for (bad, pointer) in [
            (json!({"expires_after": "P7D"}), "/expires_after"),
            (json!({"expires_after": "PT0S"}), "/expires_after"),
            (json!({"expires_after": "soon"}), "/expires_after"),
            (json!({"on": []}), "/on"),
            (json!({"offering": " "}), "/offering"),
            (json!({"approvers": [""]}), "/approvers/0"),
        ] {
            let problems = rule(bad.clone()).problems();
            assert_eq!(problems.first().map(|(at, _)| at.as_str()), Some(pointer), "{bad}");
        }
    }

    #[test]
    fn causes_are_grouped_by_who_may_agree_and_the_shortest_wait_counts() {
        let cause = |name: &str, approvers: &[&str], seconds| Cause {
            why: Why::Rule(name.into()),
            approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
            expires_after: Duration::from_secs(seconds),
        };
        let causes =
            vec![cause("b", &["y", "x"], 7), cause("a", &["x", "y", "x"], 5), cause("c", &[], 9), Cause::budget("d")];
        let (groups, waits) = groups(causes);
        assert_eq!(waits, Duration::from_secs(5));
        let told: Vec<_> = groups.iter().map(|group| (group.approvers.join(","), group.causes.len())).collect();
        assert_eq!(told, [(String::new(), 2), ("x,y".to_owned(), 2)]);
        assert_eq!(serde_json::to_value(&groups[0].causes).unwrap(), json!([{"rule": "c"}, {"budget": "d"}]));
        assert!(waiting_for(groups[0].causes.iter()).starts_with("waiting for approval"));
    }

    #[test]
    fn nobody_decides_their_own_order_and_no_member_that_of_somebody_unknown() {
        let members = json!({"display_name": "R", "members": [{"user": "mem", "role": "member"}]});
        let tenant: TenantDocument = serde_json::from_value(members).unwrap();
        let admin = |name: &str| Caller::Admin(name.to_owned());
        let approvers = ["ann".to_owned(), "mem".to_owned()];
        let asked = |user, approvers| Request { user, actor: None, approvers, tenant: &tenant, tenant_id: "t" };
        assert!(asked(Some("ann"), &approvers).refuses(&admin("ann")).is_some(), "an own order");
        assert!(asked(Some("bob"), &approvers).refuses(&admin("ann")).is_none());
        assert!(asked(Some("bob"), &approvers).refuses(&admin("mem")).is_none(), "a member, of somebody known");
        assert!(asked(None, &approvers).refuses(&admin("mem")).is_some(), "a member, of somebody unknown");
        assert!(asked(None, &approvers).refuses(&admin("ann")).is_none());
        assert!(asked(None, &approvers).refuses(&admin("zoe")).is_some(), "not asked");
        assert!(asked(None, &[]).refuses(&admin("zoe")).is_none(), "any administrator");
        assert!(asked(None, &[]).refuses(&Caller::Platform("p".into())).is_some());
        let named = |id: &str| BTreeMap::from([(id.to_owned(), "retail".to_owned())]);
        let ann = |owns| Caller::User(Box::new(Person { name: "ann".to_owned(), owns, ..Person::default() }));
        assert!(asked(None, &approvers).refuses(&ann(named("t"))).is_some(), "a member by the settings");
        assert!(asked(None, &approvers).refuses(&ann(named("u"))).is_none(), "of another tenant");
        let by = |actor| Request { actor: Some(actor), ..asked(Some("ann"), &approvers) };
        for (actor, own, other) in
            [("users/ann", ann(named("u")), admin("ann")), ("administrators/ann", admin("ann"), ann(named("u")))]
        {
            assert!(by(actor).refuses(&own).is_some(), "{actor}");
            assert!(by(actor).refuses(&other).is_none(), "{actor}: somebody else of that name");
        }
        assert!(asked(Some("ann"), &approvers).refuses(&ann(named("u"))).is_some(), "known by name only");
    }

    #[test]
    fn every_word_is_read_back() {
        for word in ["pending", "approved", "denied", "expired", "cancelled"] {
            assert_eq!(ApprovalState::parse(word).map(ApprovalState::as_str), Some(word));
        }
        assert_eq!(ApprovalState::parse("done"), None);
    }
}

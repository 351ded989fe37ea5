//! A tenant: who an instance is for, and who owns it. What may be said about one ([`TenantDocument`]) and within which
//! limits. How a platform's claims lead to a tenant is in [`super::identity`].
//!
//! The limits are those of the stamp: what is accepted here always fits into one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::identity::Identity;
use super::period::Zone;

/// Labels of one tenant.
pub const LABELS_MAX: usize = 32;
/// Characters of a label's key.
pub const LABEL_KEY_MAX: usize = 63;
/// Characters of a label's value, and of every other single value.
pub const VALUE_MAX: usize = 255;
/// Bytes that the tenant takes in a stamp.
pub const STAMP_PART_MAX: usize = 4096;
/// Groups of one tenant.
pub const GROUPS_MAX: usize = 64;
/// Members, and identities, of one tenant.
pub const LIST_MAX: usize = 1000;

/// A tenant as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// For ever the same.
    pub id: String,
    /// Immutable.
    pub name: String,
    /// Why it may order nothing for the time being; it may where absent.
    pub suspended: Option<String>,
    /// What is said about it. `identities` is filled where a tenant is read for people; an order does without.
    pub document: TenantDocument,
}

/// What is said about a tenant; all but `display_name` may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantDocument {
    /// For people.
    pub display_name: String,
    /// Where its costs go.
    #[serde(default)]
    pub cost_center: String,
    /// Whom it belongs to.
    #[serde(default)]
    pub business_unit: String,
    /// Such as `production`.
    #[serde(default)]
    pub environment: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Groups that belong to it.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Free words, at most 32.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whose months and days it is charged by, such as `Europe/Berlin`; the hub's (`billing.time_zone`) where absent. Another one
    /// counts from the next month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Who may order for it, or see it.
    #[serde(default)]
    pub members: Vec<Member>,
    /// What platforms call it. An identity belongs to one tenant only.
    #[serde(default)]
    pub identities: Vec<Identity>,
}

/// A person or a group in a tenant: exactly one of `user` and `group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// A user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A group's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it may do.
    pub role: Role,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl MemberKind {
    /// Its word in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Group => "groups",
        }
    }

    /// Reads what [`MemberKind::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Group].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Member {
    /// A user or a group in a role.
    pub fn new(kind: MemberKind, name: &str, role: Role) -> Self {
        let (user, group) = match kind {
            MemberKind::User => (Some(name.to_owned()), None),
            MemberKind::Group => (None, Some(name.to_owned())),
        };
        Self { user, group, role }
    }

    /// Whether it is that user or group.
    pub fn is(&self, kind: MemberKind, name: &str) -> bool {
        let named = match kind {
            MemberKind::User => &self.user,
            MemberKind::Group => &self.group,
        };
        named.as_deref() == Some(name)
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders, changes, deletes, and says who else is a member.
    Owner,
    /// Orders, changes and deletes.
    Member,
}

impl Tenant {
    /// Why it may order, change and bind nothing, if it is suspended. Deletions and questions are never held back.
    pub fn refuses(&self) -> Option<String> {
        self.suspended.as_ref().map(|reason| format!("tenant `{}` is suspended: {reason}", self.name))
    }
}

impl TenantDocument {
    /// What a user or a group may do; the most, where it is in the list more than once.
    pub fn role_of(&self, kind: MemberKind, name: &str) -> Option<Role> {
        let roles = self.members.iter().filter(|member| member.is(kind, name)).map(|member| member.role);
        roles.reduce(|most, role| if most == Role::Owner { most } else { role })
    }

    /// Whether a user or a group in it is an owner.
    pub fn has_owner(&self) -> bool {
        self.members.iter().any(|member| member.role == Role::Owner)
    }

    /// Everything that is wrong with it, as (JSON pointer, message); empty where it is fine. `name` counts too, because
    /// it travels in the stamp.
    pub fn problems(&self, name: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.display_name.trim().is_empty() {
            found.push(("/display_name".to_owned(), "must not be empty".to_owned()));
        }
        for (pointer, value) in [
            ("/display_name", &self.display_name),
            ("/cost_center", &self.cost_center),
            ("/business_unit", &self.business_unit),
            ("/environment", &self.environment),
            ("/owner", &self.owner),
        ] {
            check_value(pointer.to_owned(), value, &mut found);
        }
        check_length("/groups", self.groups.len(), GROUPS_MAX, &mut found);
        for (index, group) in self.groups.iter().enumerate() {
            check_value(format!("/groups/{index}"), group, &mut found);
        }
        if let Some(Err(error)) = self.time_zone.as_ref().map(|zone| zone.parse::<Zone>()) {
            found.push(("/time_zone".to_owned(), error.to_string()));
        }
        self.check_labels(&mut found);
        self.check_members(&mut found);
        self.check_identities(&mut found);
        if found.is_empty() && self.stamp_part_len(name) > STAMP_PART_MAX {
            let message = format!(
                "the tenant takes more than {STAMP_PART_MAX} bytes in a stamp: use fewer or shorter labels and groups"
            );
            found.push((String::new(), message));
        }
        found
    }

    fn check_labels(&self, found: &mut Vec<(String, String)>) {
        check_length("/labels", self.labels.len(), LABELS_MAX, found);
        for (key, value) in &self.labels {
            let pointer = format!("/labels/{}", escaped(key));
            if key.is_empty() || key.chars().count() > LABEL_KEY_MAX {
                found.push((pointer.clone(), format!("a label's key has 1 to {LABEL_KEY_MAX} characters")));
            }
            check_value(pointer, value, found);
        }
    }

    fn check_members(&self, found: &mut Vec<(String, String)>) {
        check_length("/members", self.members.len(), LIST_MAX, found);
        for (index, member) in self.members.iter().enumerate() {
            let pointer = format!("/members/{index}");
            match (&member.user, &member.group) {
                (Some(name), None) | (None, Some(name)) if !name.is_empty() => check_value(pointer, name, found),
                _ => found.push((pointer, "give exactly one of `user` and `group`".to_owned())),
            }
        }
    }

    fn check_identities(&self, found: &mut Vec<(String, String)>) {
        check_length("/identities", self.identities.len(), LIST_MAX, found);
        for (index, identity) in self.identities.iter().enumerate() {
            if let Err((below, message)) = identity.match_key() {
                found.push((format!("/identities/{index}{below}"), message));
            }
        }
    }

    /// How many bytes the tenant takes in a stamp, its id included.
    fn stamp_part_len(&self, name: &str) -> usize {
        let part = serde_json::json!({
            "id": "00000000-0000-0000-0000-000000000000",
            "name": name,
            "display_name": self.display_name,
            "cost_center": self.cost_center,
            "business_unit": self.business_unit,
            "environment": self.environment,
            "owner": self.owner,
            "groups": self.groups,
            "labels": self.labels,
        });
        part.to_string().len()
    }
}

fn check_value(pointer: String, value: &str, found: &mut Vec<(String, String)>) {
    if value.chars().count() > VALUE_MAX {
        found.push((pointer, format!("is longer than {VALUE_MAX} characters")));
    } else if value.chars().any(char::is_control) {
        found.push((pointer, "holds a control character".to_owned()));
    }
}

fn check_length(pointer: &str, length: usize, max: usize, found: &mut Vec<(String, String)>) {
    if length > max {
        found.push((pointer.to_owned(), format!("has {length} entries, at most {max} are allowed")));
    }
}

/// A key as one step of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> TenantDocument {
        TenantDocument { display_name: "Retail".to_owned(), ..TenantDocument::default() }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut TenantDocument), pointers: &[&str]) {
        let mut document = document();
        change(&mut document);
        let found: Vec<_> = document.problems("retail").into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(found, pointers);
    }

    #[test]
    fn a_document_is_checked_at_its_limits() {
        let labels = |count: usize| (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        check(|_| {}, &[]);
        check(|d| d.display_name = " ".to_owned(), &["/display_name"]);
        check(|d| d.owner = "ä".repeat(255), &[]);
        check(|d| d.owner = "ä".repeat(256), &["/owner"]);
        check(|d| d.cost_center = "a\nb".to_owned(), &["/cost_center"]);
        check(|d| d.labels = labels(32), &[]);
        check(|d| d.labels = labels(33), &["/labels"]);
        check(|d| d.labels = BTreeMap::from([("k".repeat(63), "v".repeat(255))]), &[]);
        check(
            |d| d.labels = BTreeMap::from([("a/b~".repeat(16), String::new())]),
            &[&format!("/labels/{}", "a~1b~0".repeat(16))],
        );
        check(|d| d.groups = vec!["g".repeat(256)], &["/groups/0"]);
        check(|d| d.time_zone = Some("Asia/Kolkata".to_owned()), &[]);
        check(|d| d.time_zone = Some("Berlin".to_owned()), &["/time_zone"]);
    }

    #[test]
    fn a_tenant_that_does_not_fit_a_stamp_is_refused_as_a_whole() {
        let groups = |count: usize| (0..count).map(|_| "g".repeat(250)).collect::<Vec<_>>();
        check(|d| d.groups = groups(14), &[]);
        check(|d| d.groups = groups(16), &[""]);
    }

    #[test]
    fn a_member_is_a_user_or_a_group() {
        let member = |user: Option<&str>, group: Option<&str>| Member {
            user: user.map(str::to_owned),
            group: group.map(str::to_owned),
            role: Role::Owner,
        };
        check(|d| d.members = vec![member(Some("a"), None), member(None, Some("g"))], &[]);
        check(|d| d.members = vec![member(None, None), member(Some("a"), Some("b"))], &["/members/0", "/members/1"]);
    }

    #[test]
    fn a_member_is_found_by_kind_and_name_with_the_most_that_they_may() {
        let add = |document: &mut TenantDocument, kind, role| document.members.push(Member::new(kind, "a", role));
        let mut document = document();
        assert!(!document.has_owner());
        add(&mut document, MemberKind::User, Role::Owner);
        add(&mut document, MemberKind::User, Role::Member);
        add(&mut document, MemberKind::Group, Role::Member);
        assert_eq!(document.role_of(MemberKind::User, "a"), Some(Role::Owner));
        assert_eq!(document.role_of(MemberKind::Group, "a"), Some(Role::Member));
        assert_eq!(document.role_of(MemberKind::Group, "b"), None);
        assert!(document.has_owner());
    }

    #[test]
    fn an_identity_without_a_form_is_pointed_at() {
        let identity = serde_json::json!({ "platform": "cf", "space_guid": "s" });
        check(|d| d.identities = vec![serde_json::from_value(identity.clone()).unwrap()], &["/identities/0"]);
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        let text = r#"{"display_name": "R", "cost_centre": "1"}"#;
        let error = serde_json::from_str::<TenantDocument>(text).unwrap_err();
        assert!(error.to_string().contains("cost_centre"), "{error}");
    }
}

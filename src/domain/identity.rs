//! How a platform's claims lead to a tenant, without a database: what a request claims ([`Facts`]), how an identity is
//! written ([`Identity`]) and compared ([`MatchKey`]), and which of those that match counts ([`most_specific`]).
//!
//! Every identity is a set of keys and values that must all be claimed; the one with more keys wins. A key set is a *shape*:
//! a platform uses few of them, so that the keys to look for follow from the claims and stay few however many identities
//! there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Keys of one identity.
pub const KEYS_MAX: usize = 8;
/// Characters of a key and of a value: what is longer matches nothing.
pub const TEXT_MAX: usize = 255;
/// Different key sets that the identities of one platform may have.
pub const SHAPES_MAX: usize = 32;

/// What a platform calls a tenant, in one of four forms: `organization_guid` (and `space_guid`), `namespace` (and `clusterid`),
/// any keys of `context`, or the `tenant` of another hub's stamp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The platform's name.
    pub platform: String,
    /// Cloud Foundry's organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_guid: Option<String>,
    /// A space of that organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_guid: Option<String>,
    /// A Kubernetes namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The cluster of that namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusterid: Option<String>,
    /// Any keys of `context` with their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<BTreeMap<String, String>>,
    /// The tenant's name in the stamp of a hub in front of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Identity {
    /// What it is compared by.
    ///
    /// # Errors
    /// Where it is in none of the forms, or too long: a JSON pointer below the identity and a message.
    pub fn match_key(&self) -> Result<MatchKey, (String, String)> {
        let wrong = |message: &str| Err((String::new(), message.to_owned()));
        let Self { platform: _, organization_guid, space_guid, namespace, clusterid, context, tenant } = self;
        let forms = [
            organization_guid.is_some() || space_guid.is_some(),
            namespace.is_some() || clusterid.is_some(),
            context.is_some(),
            tenant.is_some(),
        ];
        if forms.into_iter().filter(|form| *form).count() != 1 {
            return wrong(
                "give one of: organization_guid (and space_guid), namespace (and clusterid), context, tenant",
            );
        }
        let mut keys = BTreeMap::new();
        let mut pair = |first: (&str, &Option<String>), second: (&str, &Option<String>)| {
            for (key, value) in [first, second] {
                keys.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
            }
            keys.contains_key(first.0)
        };
        if let Some(tenant) = tenant {
            return if is_text(tenant) { Ok(MatchKey::Stamped(tenant.clone())) } else { Err(too_long("/tenant")) };
        }
        if forms[0] && !pair(("organization_guid", organization_guid), ("space_guid", space_guid)) {
            return wrong("space_guid needs its organization_guid");
        }
        if forms[1] && !pair(("namespace", namespace), ("clusterid", clusterid)) {
            return wrong("clusterid needs its namespace");
        }
        keys.extend(context.iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(("/context".to_owned(), format!("must have 1 to {KEYS_MAX} keys")));
        }
        if !keys.iter().all(|(key, value)| is_text(key) && is_text(value)) {
            return Err(too_long(""));
        }
        Ok(MatchKey::Claimed(keys))
    }

    /// The identity of a platform that a key stands for, in the plainest form.
    pub fn from_key(platform: String, key: MatchKey) -> Self {
        let mut keys = match key {
            MatchKey::Stamped(tenant) => return Self { platform, tenant: Some(tenant), ..Self::default() },
            MatchKey::Claimed(keys) => keys,
        };
        let names: Vec<&str> = keys.keys().map(String::as_str).collect();
        match names.as_slice() {
            ["organization_guid"] | ["organization_guid", "space_guid"] => Self {
                platform,
                organization_guid: keys.remove("organization_guid"),
                space_guid: keys.remove("space_guid"),
                ..Self::default()
            },
            ["namespace"] | ["clusterid", "namespace"] => Self {
                platform,
                namespace: keys.remove("namespace"),
                clusterid: keys.remove("clusterid"),
                ..Self::default()
            },
            _ => Self { platform, context: Some(keys), ..Self::default() },
        }
    }
}

fn is_text(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.chars().count())
}

fn too_long(pointer: &str) -> (String, String) {
    (pointer.to_owned(), format!("each key and value must have 1 to {TEXT_MAX} characters"))
}

/// What an identity is compared by. Two spellings of one identity have the same key, so it can't be taken twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchKey {
    /// All of these are claimed. Claims come from the platform's request.
    Claimed(BTreeMap<String, String>),
    /// A verified stamp names this tenant. Nothing that a request merely claims is ever equal to it.
    Stamped(String),
}

impl MatchKey {
    /// As it is stored: an object with sorted keys, or a list for what a stamp says.
    pub fn canonical(&self) -> String {
        match self {
            Self::Claimed(keys) => serde_json::json!(keys).to_string(),
            Self::Stamped(tenant) => serde_json::json!(["tenant", tenant]).to_string(),
        }
    }

    /// Reads what [`MatchKey::canonical`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(keys) = serde_json::from_str::<BTreeMap<String, String>>(text) {
            return Some(Self::Claimed(keys));
        }
        match serde_json::from_str::<Vec<String>>(text).ok()?.as_slice() {
            [word, tenant] if word == "tenant" => Some(Self::Stamped(tenant.clone())),
            _ => None,
        }
    }

    /// The names of its keys, as stored: a sorted list.
    pub fn shape(&self) -> String {
        match self {
            Self::Claimed(keys) => serde_json::json!(keys.keys().collect::<Vec<_>>()).to_string(),
            Self::Stamped(_) => "[]".to_owned(),
        }
    }

    /// How many keys it has: the more, the more specific.
    pub fn weight(&self) -> usize {
        match self {
            Self::Claimed(keys) => keys.len(),
            Self::Stamped(_) => 1,
        }
    }

    /// Whether whatever has `other`'s keys has these too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Claimed(mine), Self::Claimed(others)) => {
                mine.iter().all(|(key, value)| others.get(key) == Some(value))
            }
            _ => self == other,
        }
    }
}

/// What a request claims about whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    claimed: BTreeMap<String, String>,
}

impl Facts {
    /// Collects the claims: `context` decides, the guids beside it count only where it lacks them.
    ///
    /// # Errors
    /// Where the two contradict each other, or a guid in `context` is no text.
    pub fn collect(context: Option<&osb::Object>, organization_guid: &str, space_guid: &str) -> Result<Self, String> {
        let mut claimed = BTreeMap::new();
        for (key, value) in context.into_iter().flatten() {
            match value {
                Value::String(text) if is_text(text) => drop(claimed.insert(key.clone(), text.clone())),
                Value::String(text) if text.is_empty() => {}
                _ if ["organization_guid", "space_guid", "namespace", "clusterid"].contains(&key.as_str()) => {
                    return Err(format!("context.{key} must be a string of at most {TEXT_MAX} characters"));
                }
                _ => {}
            }
        }
        for (key, beside) in [("organization_guid", organization_guid), ("space_guid", space_guid)] {
            match claimed.get(key) {
                Some(inside) if !beside.is_empty() && inside != beside => {
                    return Err(format!("{key} and context.{key} differ"));
                }
                None if beside.chars().count() > TEXT_MAX => {
                    return Err(format!("{key} must be a string of at most {TEXT_MAX} characters"));
                }
                None if !beside.is_empty() => drop(claimed.insert(key.to_owned(), beside.to_owned())),
                Some(_) | None => {}
            }
        }
        Ok(Self { claimed })
    }

    /// The keys to look for, most specific first, given the shapes (stored as [`MatchKey::shape`]) that the platform uses.
    pub fn candidates(&self, shapes: &[String]) -> Vec<MatchKey> {
        let mut found = BTreeSet::new();
        for shape in shapes {
            let names: Vec<String> = serde_json::from_str(shape).unwrap_or_default();
            let keys: Option<BTreeMap<_, _>> =
                names.iter().map(|name| self.claimed.get(name).map(|value| (name.clone(), value.clone()))).collect();
            found.extend(keys.filter(|keys| !keys.is_empty()).map(MatchKey::Claimed));
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|key| std::cmp::Reverse(key.weight()));
        found
    }

    /// The identity to name and count where nothing matches: namespace and cluster, else organization and space.
    pub fn primary(&self) -> MatchKey {
        let names = if self.claimed.contains_key("namespace") {
            ["namespace", "clusterid"]
        } else {
            ["organization_guid", "space_guid"]
        };
        let keys = names.iter().filter_map(|name| self.claimed.get_key_value(*name));
        MatchKey::Claimed(keys.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// Which tenant the identities that match lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// None does.
    Nobody,
    /// This one, by id.
    Tenant(String),
    /// Two of the same weight, by id.
    Tie(String, String),
}

/// Decides among (number of keys, tenant's id): more keys win, and equal ones must agree.
pub fn most_specific(matches: &[(usize, String)]) -> Matched {
    let Some(most) = matches.iter().map(|(keys, _)| *keys).max() else { return Matched::Nobody };
    let tenants: BTreeSet<&String> = matches.iter().filter(|(keys, _)| *keys == most).map(|(_, id)| id).collect();
    let mut tenants = tenants.into_iter();
    match (tenants.next(), tenants.next()) {
        (Some(first), Some(second)) => Matched::Tie(first.clone(), second.clone()),
        (Some(only), None) => Matched::Tenant(only.clone()),
        (None, _) => Matched::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(document: Value) -> Identity {
        let mut document = document;
        document["platform"] = json!("p");
        serde_json::from_value(document).unwrap()
    }

    /// Looks the claims up among (identity, tenant) as the database would.
    fn resolve(identities: &[(Value, &str)], context: Value, org: &str, space: &str) -> Result<Matched, String> {
        let facts = Facts::collect(context.as_object(), org, space)?;
        let keys: Vec<_> = identities
            .iter()
            .map(|(document, tenant)| (identity(document.clone()).match_key().unwrap(), *tenant))
            .collect();
        let shapes: Vec<_> = keys.iter().map(|(key, _)| key.shape()).collect();
        let candidates = facts.candidates(&shapes);
        let matches: Vec<_> = keys
            .iter()
            .filter(|(key, _)| candidates.contains(key))
            .map(|(key, tenant)| (key.weight(), (*tenant).to_owned()))
            .collect();
        Ok(most_specific(&matches))
    }

    #[track_caller]
    fn check(identities: &[(Value, &str)], context: Value, org: &str, space: &str, expected: Matched) {
        assert_eq!(resolve(identities, context, org, space), Ok(expected));
    }

    fn tenant(id: &str) -> Matched {
        Matched::Tenant(id.to_owned())
    }

    #[test]
    fn the_identity_with_more_keys_wins() {
        let known = [
            (json!({"organization_guid": "o"}), "org"),
            (json!({"organization_guid": "o", "space_guid": "s"}), "space"),
            (json!({"namespace": "n"}), "ns"),
            (json!({"namespace": "n", "clusterid": "c"}), "cluster"),
            (json!({"context": {"organization_guid": "o", "space_guid": "s", "stage": "prod"}}), "prod"),
        ];
        check(&known, json!({"organization_guid": "o", "space_guid": "s"}), "", "", tenant("space"));
        check(&known, json!({"organization_guid": "o", "space_guid": "x"}), "", "", tenant("org"));
        check(&known, json!({"organization_guid": "x", "space_guid": "s"}), "", "", Matched::Nobody);
        check(&known, json!({"namespace": "n", "clusterid": "c"}), "a", "b", tenant("cluster"));
        check(&known, json!({"namespace": "n"}), "a", "b", tenant("ns"));
        check(&known, json!({"organization_guid": "o", "space_guid": "s", "stage": "prod"}), "", "", tenant("prod"));
        check(&known, json!({}), "", "", Matched::Nobody);
    }

    #[test]
    fn context_decides_and_the_guids_beside_it_fill_its_gaps() {
        let known = [(json!({"organization_guid": "o", "space_guid": "s"}), "t")];
        check(&known, Value::Null, "o", "s", tenant("t"));
        check(&known, json!({"organization_guid": "o"}), "o", "s", tenant("t"));
        check(&known, json!({"organization_guid": "o", "space_guid": "s"}), "o", "s", tenant("t"));
        let contradiction = resolve(&known, json!({"organization_guid": "o"}), "other", "s").unwrap_err();
        assert_eq!(contradiction, "organization_guid and context.organization_guid differ");
        assert!(resolve(&known, json!({"space_guid": 7}), "o", "s").is_err());
    }

    #[test]
    fn equal_weight_for_two_tenants_is_a_tie_and_for_one_it_is_not() {
        let both = json!({"organization_guid": "o", "namespace": "n"});
        let tie = [(json!({"organization_guid": "o"}), "b"), (json!({"namespace": "n"}), "a")];
        check(&tie, both.clone(), "", "", Matched::Tie("a".to_owned(), "b".to_owned()));
        let same = [(json!({"organization_guid": "o"}), "a"), (json!({"namespace": "n"}), "a")];
        check(&same, both, "", "", tenant("a"));
    }

    #[test]
    fn what_a_stamp_says_is_never_matched_by_a_claim() {
        let stamped = identity(json!({"tenant": "retail"})).match_key().unwrap();
        check(&[(json!({"tenant": "retail"}), "t")], json!({"tenant": "retail"}), "", "", Matched::Nobody);
        assert_ne!(
            stamped.canonical(),
            identity(json!({"context": {"tenant": "retail"}})).match_key().unwrap().canonical()
        );
        assert_eq!(MatchKey::parse(&stamped.canonical()), Some(stamped));
    }

    #[test]
    fn two_spellings_of_one_identity_have_one_key() {
        let plain = identity(json!({"namespace": "n", "clusterid": "c"})).match_key().unwrap();
        let spelled = identity(json!({"context": {"namespace": "n", "clusterid": "c"}})).match_key().unwrap();
        assert_eq!(plain.canonical(), r#"{"clusterid":"c","namespace":"n"}"#);
        assert_eq!(plain.canonical(), spelled.canonical());
        assert_eq!(MatchKey::parse(&plain.canonical()), Some(plain.clone()));
        assert_eq!(Identity::from_key("p".to_owned(), plain), identity(json!({"namespace": "n", "clusterid": "c"})));
    }

    #[test]
    fn an_identity_is_in_exactly_one_form() {
        for bad in [
            json!({}),
            json!({"space_guid": "s"}),
            json!({"clusterid": "c"}),
            json!({"organization_guid": "o", "namespace": "n"}),
            json!({"organization_guid": "o", "tenant": "t"}),
            json!({"organization_guid": ""}),
            json!({"tenant": ""}),
            json!({"context": {}}),
            json!({"context": {"k": "v".repeat(256)}}),
        ] {
            assert!(identity(bad.clone()).match_key().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_nothing_matches_is_named_by_its_usual_keys() {
        let primary = |context: Value| Facts::collect(context.as_object(), "o", "s").unwrap().primary().canonical();
        assert_eq!(primary(json!({"stage": "x"})), r#"{"organization_guid":"o","space_guid":"s"}"#);
        assert_eq!(primary(json!({"namespace": "n", "clusterid": "c"})), r#"{"clusterid":"c","namespace":"n"}"#);
    }

    #[test]
    fn a_key_covers_what_has_its_values_and_more() {
        let key = |document: Value| identity(document).match_key().unwrap();
        let org = key(json!({"organization_guid": "o"}));
        let space = key(json!({"organization_guid": "o", "space_guid": "s"}));
        assert!(org.covers(&space) && org.covers(&org) && !space.covers(&org));
        assert!(!key(json!({"tenant": "o"})).covers(&org));
    }
}

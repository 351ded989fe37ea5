//! Where a vault lies on a server, and what its parts are called.
//!
//! Pure. Invariant: names of two vaults never meet, nor those of two grantees.

use osb::Object;
use serde_json::json;

use super::Isolation;

/// A vault's place.
pub(super) struct Place {
    /// With the parent's before it; `None`: the root.
    namespace: Option<String>,
    /// What the names of a grantee's mounts, roles and policies begin with.
    prefix: String,
    /// What else there is in the namespace belongs to the vault, too.
    pub(super) alone: bool,
    pub(super) kv: String,
    pub(super) transit: String,
    quota: String,
}

impl Place {
    pub(super) fn of(isolation: Isolation, parent: Option<&str>, vault: &str) -> Self {
        let quota = format!("bourse-{vault}");
        match isolation {
            Isolation::Namespaces => Self {
                namespace: Some(parent.map_or_else(|| vault.to_owned(), |parent| format!("{parent}/{vault}"))),
                prefix: "access-".to_owned(),
                alone: true,
                kv: "kv".to_owned(),
                transit: "transit".to_owned(),
                quota,
            },
            Isolation::Mounts => Self {
                namespace: parent.map(str::to_owned),
                prefix: format!("bourse-{vault}-"),
                alone: false,
                kv: format!("{vault}-kv"),
                transit: format!("{vault}-transit"),
                quota,
            },
        }
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// What a grantee's auth mount, token role and policy are called.
    pub(super) fn of_grantee(&self, grantee: &str) -> String {
        format!("{}{grantee}", self.prefix)
    }

    /// Whether a mount, role or policy of that name belongs to a grantee of this vault.
    pub(super) fn owns(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) || self.alone && !["token", "default", "root"].contains(&name)
    }

    /// Its rate limits: names and what they are for.
    pub(super) fn quotas(&self, has_keys: bool) -> Vec<(String, String)> {
        let namespace = self.namespace.as_deref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        if self.alone {
            return vec![(self.quota.clone(), namespace)];
        }
        let mut quotas = vec![(format!("{}-kv", self.quota), format!("{namespace}{}/", self.kv))];
        if has_keys {
            quotas.push((format!("{}-transit", self.quota), format!("{namespace}{}/", self.transit)));
        }
        quotas
    }

    /// What is shown of it, and stands in credentials.
    pub(super) fn shown(&self, address: &str, has_keys: bool) -> Object {
        let mut shown = Object::new();
        shown.insert("address".into(), address.into());
        if let Some(namespace) = self.namespace() {
            shown.insert("namespace".into(), namespace.into());
        }
        let mut mounts = json!({"kv": self.kv});
        if has_keys {
            mounts["transit"] = self.transit.as_str().into();
        }
        shown.insert("mounts".into(), mounts);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vaults_lie_in_namespaces_or_beside_one_another() {
        let place = Place::of(Isolation::Namespaces, Some("teams/a"), "v1");
        assert_eq!((place.namespace(), place.of_grantee("b").as_str()), (Some("teams/a/v1"), "access-b"));
        assert_eq!(place.quotas(true), [("bourse-v1".to_owned(), "teams/a/v1/".to_owned())]);
        assert!(place.owns("somebody-elses") && !place.owns("token"));
        let place = Place::of(Isolation::Mounts, None, "v1");
        assert_eq!((place.namespace(), place.kv.as_str()), (None, "v1-kv"));
        assert!(place.owns("bourse-v1-b") && !place.owns("bourse-v10-b") && !place.owns("somebody-elses"));
        assert_eq!(place.quotas(true).len(), 2);
    }
}

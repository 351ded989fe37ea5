//! A platform: whoever calls the OSB side with credentials of its own, and from which orders come. It holds no credential.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of the platform that people order through; it exists from the first start and can't be deleted.
pub const BUILTIN: &str = "bourse";

/// What kind of platform it is: decides which profile of OSB its catalog and context follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlatformKind {
    /// Cloud Foundry's Cloud Controller.
    CloudFoundry,
    /// Kubernetes, through a service catalog.
    Kubernetes,
    /// Another hub in front of this one, or people through this one.
    Bourse,
    /// Anything else.
    Other,
}

impl PlatformKind {
    /// Its word on the wire and in the database; also `context.platform` where the platform sent none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudFoundry => "cloudfoundry",
            Self::Kubernetes => "kubernetes",
            Self::Bourse => "bourse",
            Self::Other => "other",
        }
    }

    /// Reads the word of [`PlatformKind::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::CloudFoundry, Self::Kubernetes, Self::Bourse, Self::Other].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for PlatformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose stamps are believed: the hub that a platform of kind `bourse` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The stamps' `iss`.
    pub issuer: String,
    /// Where its keys are published.
    pub jwks_url: String,
    /// The name under which that hub has this one registered as a broker: the stamps' `aud`. Where absent, stamps for any of
    /// that hub's brokers are believed from whoever has the platform's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A registered platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// For ever the same.
    pub id: String,
    /// Immutable.
    pub name: String,
    /// What kind it is.
    pub kind: PlatformKind,
    /// Whom orders are for that no identity maps.
    pub default_tenant_id: Option<String>,
    /// Where set, only a stamp of that hub says whom an order is for.
    pub trust: Option<Trust>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_kind_is_the_same_on_the_wire_and_in_the_database() {
        for kind in [PlatformKind::CloudFoundry, PlatformKind::Kubernetes, PlatformKind::Bourse, PlatformKind::Other] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(PlatformKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(PlatformKind::parse("CloudFoundry"), None);
    }
}

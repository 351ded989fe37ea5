//! Access to one instance, granted to a colleague until some time. It adds to what members of the tenant may do and never takes
//! anything away; nobody can order, change or delete by it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrantRole {
    /// Sees the instance and that it has bindings.
    Reader,
    /// Gets at the credentials of its bindings, too.
    User,
}

impl GrantRole {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::User => "user",
        }
    }

    /// Reads what [`GrantRole::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Reader, Self::User].into_iter().find(|role| role.as_str() == text)
    }

    /// Whether it allows what `needed` stands for, until then and not a moment longer.
    pub fn allows(self, needed: Self, expires_at: Time, now: Time) -> bool {
        now < expires_at && (self == needed || self == Self::User)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_what_a_reader_may_and_nobody_after_its_end() {
        use GrantRole::{Reader, User};
        let cases =
            [(Reader, Reader, 9, true), (Reader, User, 9, false), (User, Reader, 9, true), (User, User, 9, true)];
        for (has, needed, now, allowed) in cases {
            assert_eq!(has.allows(needed, Time(10), Time(now)), allowed, "{has:?} for {needed:?}");
            assert!(!has.allows(needed, Time(10), Time(10)));
        }
    }
}

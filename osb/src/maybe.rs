//! A field that may be absent, `null`, or present: three things that OSB keeps apart (an absent `parameters` in an update
//! means "leave them", which is not what `{}` means).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a JSON field held. Use it with `#[serde(default, skip_serializing_if = "Maybe::is_absent")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Maybe<T> {
    /// The field was not there.
    #[default]
    Absent,
    /// The field was there and `null`. For an optional field OSB gives it the meaning of absent.
    Null,
    /// The field was there with a value.
    Present(T),
}

impl<T> Maybe<T> {
    /// True where the field was not there at all, so that it is not written either.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, with `null` read as absent: the rule for optional request fields.
    pub fn as_option(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value by move, with `null` read as absent.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<T> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Present)
    }
}

impl<T: Serialize> Serialize for Maybe<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present(value) => value.serialize(serializer),
            Self::Absent | Self::Null => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::Present))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Body {
        #[serde(default, skip_serializing_if = "Maybe::is_absent")]
        parameters: Maybe<crate::Object>,
    }

    #[track_caller]
    fn check(json: &str, expected: Maybe<crate::Object>) {
        let body: Body = serde_json::from_str(json).unwrap();
        assert_eq!(body.parameters, expected);
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
    }

    #[test]
    fn absent_null_and_present_stay_apart() {
        check("{}", Maybe::Absent);
        check(r#"{"parameters":null}"#, Maybe::Null);
        check(r#"{"parameters":{}}"#, Maybe::Present(crate::Object::new()));
    }

    #[test]
    fn numbers_keep_their_scale() {
        let json = r#"{"parameters":{"price":99.0,"big":123456789012345678901234567890}}"#;
        let body: Body = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
    }
}

//! JSON schemas of parameters: read with bounds, never fetching what they refer to. A schema that can't be read is reported
//! and not enforced, for it might refuse what the broker accepts.

use std::collections::BTreeMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// What OSB allows a schema to weigh ("Schemas").
pub const BYTES_MAX: usize = 64 * 1024;
/// Problems shown of one set of parameters.
const PROBLEMS_MAX: usize = 20;

/// Characters shown of a property's own description.
const DESCRIPTION_MAX: usize = 200;

/// A schema made ready.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    /// What the schema says about its properties, by pointer: the best there is to say about a value that does not fit.
    descriptions: BTreeMap<String, String>,
}

/// A place in the parameters and what is wrong there. Holds no value of the parameters: they may be secret.
pub type Problem = (String, String);

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A sentence that says why it can't be read.
    pub fn read(schema: &Value) -> Result<Self, String> {
        if size(schema) > BYTES_MAX {
            return Err("the schema is larger than 64 kB, so it is not enforced".to_owned());
        }
        // A linear-time engine: a broker's pattern can't be made to take for ever by a tenant's value.
        let options = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(false)
            .should_ignore_unknown_formats(true);
        options
            .build(schema)
            .map(|validator| Self { validator, descriptions: descriptions(schema) })
            .map_err(|error| format!("the schema can't be read, so it is not enforced: {error}"))
    }

    /// What is wrong with those parameters.
    pub fn check(&self, parameters: &Value) -> Vec<Problem> {
        let errors = self.validator.iter_errors(parameters).take(PROBLEMS_MAX);
        errors.map(|error| self.problem(&error)).collect()
    }

    fn problem(&self, error: &ValidationError<'_>) -> Problem {
        // That a value fits none of several schemas says nothing to whoever does not see them.
        let message = match error.kind() {
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
                "value is not one that is possible here".to_owned()
            }
            _ => error.masked().to_string(),
        };
        let pointer = error.instance_path().as_str();
        let message = match self.descriptions.get(pointer) {
            Some(description) => format!("{message}: {description}"),
            None => message,
        };
        (pointer.to_owned(), message)
    }
}

/// The descriptions of the schema's own properties, not of those further below.
fn descriptions(schema: &Value) -> BTreeMap<String, String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let described = |(name, property): (&String, &Value)| {
        let text = property.get("description")?.as_str()?;
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Some((pointer, text.chars().take(DESCRIPTION_MAX).collect()))
    };
    properties.into_iter().flatten().filter_map(described).collect()
}

/// What a value weighs as JSON.
pub fn size(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len())
}

/// Whether it refers to something outside itself.
pub fn refers_elsewhere(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let external = name == "$ref" && value.as_str().is_some_and(|target| !target.starts_with('#'));
            external || refers_elsewhere(value)
        }),
        Value::Array(items) => items.iter().any(refers_elsewhere),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn unreadable(schema: &Value) {
        assert!(Schema::read(schema).is_err(), "{schema}");
    }

    #[test]
    fn sch_02_drafts_from_4_on_are_enforced() {
        for draft in [
            "http://json-schema.org/draft-04/schema#",
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2020-12/schema",
        ] {
            let schema =
                json!({"$schema": draft, "type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}});
            let schema = Schema::read(&schema).unwrap();
            assert!(schema.check(&json!({"size": 3})).is_empty());
            let problems = schema.check(&json!({"size": "hunter2"}));
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].0, "/size");
            assert!(!problems[0].1.contains("hunter2"), "{}", problems[0].1);
        }
    }

    #[test]
    fn a_problem_carries_what_the_schema_says_about_its_property() {
        let size = json!({"description": "A whole number from 16 to 24.", "anyOf": [{"minimum": 16, "maximum": 24}]});
        let schema = Schema::read(&json!({"properties": {"a/b": size, "c": {"type": "string"}}})).unwrap();
        let problems = schema.check(&json!({"a/b": 8, "c": 1}));
        let message = |pointer| &problems.iter().find(|(at, _)| at == pointer).unwrap().1;
        assert!(message("/a~1b").ends_with(": A whole number from 16 to 24."), "{problems:?}");
        assert_eq!(message("/c"), "value is not of type \"string\"");
    }

    #[test]
    fn sch_01_what_lies_elsewhere_is_never_fetched() {
        unreadable(&json!({"$ref": "http://127.0.0.1:1/schema"}));
        unreadable(&json!({"$ref": "file:///etc/passwd"}));
        assert!(refers_elsewhere(&json!({"properties": {"a": {"$ref": "http://example.com/a"}}})));
        assert!(!refers_elsewhere(&json!({"properties": {"a": {"$ref": "#/definitions/a"}}})));
    }

    #[test]
    fn broken_oversized_and_backtracking_schemas_are_not_enforced() {
        unreadable(&json!({"type": "no-such-type"}));
        unreadable(&json!({"$schema": "urn:unknown:draft", "type": "object"}));
        unreadable(&json!({"description": "x".repeat(BYTES_MAX)}));
        unreadable(&json!({"pattern": "^(?=.*[0-9])x$"}));
    }
}

//! `openapi/bourse.json`: made from [`super::routes::ROUTES`] and the types that handlers take and give. A test compares it
//! with the file.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::error::Problem;
use super::routes::{Answer, Permission, ROUTES, Route};

/// Adds a type and all it is made of, and gives the reference to it.
pub type SchemaOf = fn(&mut Schemas) -> Value;

/// The types that were met.
#[derive(Default)]
pub struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// [`SchemaOf`] of a type.
pub fn schema_of<T: ToSchema>(schemas: &mut Schemas) -> Value {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    schemas.0.extend(found);
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}

/// The document, with a line break at its end.
pub fn document() -> String {
    let mut schemas = Schemas::default();
    let problem = schema_of::<Problem>(&mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = operation(route, &problem, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bourse",
            "description": "The management API of Bourse. What platforms call is the Open Service Broker API.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    });
    format!("{document:#}\n")
}

fn operation(route: &Route, problem: &Value, schemas: &mut Schemas) -> Value {
    let mut operation = Map::new();
    operation.insert("summary".to_owned(), json!(route.summary));
    let tag = route.path.trim_start_matches("/api/v1").split('/').nth(1).unwrap_or_default();
    operation.insert("tags".to_owned(), json!([tag]));
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = route.body {
        let content = json!({ "application/json": { "schema": body(schemas) } });
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let content = match route.answer {
        Answer::Nothing | Answer::Other => None,
        Answer::One(one) => Some(one(schemas)),
        Answer::Page(one) => Some(page_of(&one(schemas))),
    };
    let mut responses = Map::new();
    for status in route.statuses {
        let mut response = json!({ "description": route.summary });
        if let (Some(schema), Some(response)) = (&content, response.as_object_mut()) {
            response.insert("content".to_owned(), json!({ "application/json": { "schema": schema } }));
        }
        responses.insert(status.to_string(), response);
    }
    if route.permission != Permission::Open {
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses.insert("default".to_owned(), json!({ "description": "What went wrong", "content": content }));
        operation.insert("security".to_owned(), json!([{ "basic": [] }, { "bearer": [] }]));
    }
    operation.insert("responses".to_owned(), Value::Object(responses));
    Value::Object(operation)
}

fn parameters(route: &Route) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text })).collect();
    parameters.extend(route.query.iter().map(|name| json!({ "name": name, "in": "query", "schema": text })));
    if matches!(route.answer, Answer::Page(_)) {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 });
        parameters.push(json!({ "name": "limit", "in": "query", "schema": limit }));
        parameters.push(json!({ "name": "cursor", "in": "query", "schema": text }));
    }
    parameters
}

fn page_of(item: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": { "type": "array", "items": item },
            "next": { "type": ["string", "null"] },
        },
    })
}

//! From a JSON Schema to a tree of fields. Drafts 4 to 2020-12 differ little in what a form needs, so they are read alike.
//!
//! It decides nothing about values: what is sent is held against the whole schema by the use case of the order. So constraints that no
//! field shows (`not`, `dependencies`, `if`, …) are left to it. Whatever it can't make fields of becomes one text of JSON.
//! Schemas are written by whoever runs a broker, and read whenever somebody looks at a page. Invariants: it follows references within the
//! document only, and ends after bounded work, with a page of bounded size ([`DEPTH_MAX`], [`FIELDS_MAX`], [`STEPS_MAX`], [`BYTES_READ_MAX`]).

use serde_json::{Map, Value};

use super::merge::{Schema, in_order, merge, take_null};
use super::tree::{Field, Kind, Said, Why};
use super::words;
use crate::domain::catalog::schema::{BYTES_MAX, size};
use crate::domain::reference::{KEYWORD, Wanted};

/// How deep fields lie in one another.
pub const DEPTH_MAX: usize = 8;
/// Fields of one form.
pub const FIELDS_MAX: usize = 300;
/// Schemas that are put together for one form.
const STEPS_MAX: usize = 5000;
/// Bytes of schemas that are put together for one form: what is referred to counts each time.
const BYTES_READ_MAX: usize = 1024 * 1024;
/// Characters of a property's name: each field within has it in its own name.
const KEY_MAX: usize = 200;
/// Fields that stand in entries of lists before anybody added one.
const OPENED_MAX: usize = 1000;
/// Values to choose from.
const CHOICES_MAX: usize = 500;
/// Shapes to choose from.
const VARIANTS_MAX: usize = 20;
/// Entries of a list.
pub const ROWS_MAX: usize = 100;
/// Texts that may be longer get several lines.
const LINE_MAX: u64 = 255;

/// Makes the tree of the parameters that fit a schema; of anything where there is none.
pub fn read(schema: Option<&Value>) -> Field {
    let Some(schema) = schema else { return plain_json(Why::Free) };
    // What may hold a secret is not shown again, also where no field says which part of it is one.
    let secret = words::mentions_secret(schema);
    if size(schema) > BYTES_MAX {
        return Field { secret, ..plain_json(Why::Large) };
    }
    let mut reader =
        Reader { root: schema, fields: FIELDS_MAX, steps: STEPS_MAX, bytes: BYTES_READ_MAX, opened: OPENED_MAX };
    let place = Place { key: "", required: true, depth: 0, secret: false, direct: true };
    let root = reader.field(schema, place);
    match root.kind {
        Kind::Object(_) | Kind::Variants(_) | Kind::Json(_) => root,
        // Parameters are an object.
        _ => Field { secret, ..plain_json(Why::Unknown) },
    }
}

fn plain_json(why: Why) -> Field {
    Field {
        key: String::new(),
        title: "Parameters".to_owned(),
        hint: String::new(),
        required: false,
        nullable: false,
        secret: false,
        default: None,
        said: Said::Nothing,
        kind: Kind::Json(why),
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    key: &'a str,
    required: bool,
    depth: usize,
    /// Within something that is secret as a whole.
    secret: bool,
    /// Reached by `properties` and `items` alone: only there names of instances are understood.
    direct: bool,
}

struct Reader<'a> {
    root: &'a Value,
    fields: usize,
    steps: usize,
    bytes: usize,
    opened: usize,
}

impl Reader<'_> {
    fn field(&mut self, given: &Value, place: Place<'_>) -> Field {
        self.fields = self.fields.saturating_sub(1);
        match self.whole(given) {
            Ok(schema) => self.of(given, schema, place),
            Err(why) => self.json(given.as_object().unwrap_or(&Map::new()), place, why),
        }
    }

    fn json(&self, schema: &Schema, place: Place<'_>, why: Why) -> Field {
        let secret = place.secret || words::mentions_secret(&Value::Object(schema.clone()));
        Field { kind: Kind::Json(why), secret, ..named(schema, place) }
    }

    fn of(&mut self, given: &Value, mut schema: Schema, place: Place<'_>) -> Field {
        let nullable = take_null(&mut schema);
        let base = |schema: &Schema| {
            let own = named(schema, place);
            Field { nullable: nullable || own.nullable, ..own }
        };
        if place.depth > DEPTH_MAX || self.steps == 0 {
            return self.json(&schema, place, Why::Large);
        }
        if place.direct
            && let Some(wanted) = given.get(KEYWORD).and_then(Wanted::read)
            && matches!(schema.get("type").and_then(Value::as_str), None | Some("string"))
        {
            return Field { kind: Kind::Reference(wanted), secret: false, ..base(&schema) };
        }
        if let Some(choice) = choices(&schema) {
            return self.choice(choice, &schema, base(&schema), place);
        }
        let needs = words::needs(&schema);
        match self.variants(&mut schema) {
            Ok(None) => {}
            Ok(Some(shapes)) => return self.either(shapes, base(&schema), &schema, place),
            Err(why) => return self.json(&schema, place, why),
        }
        // What was put together last may be a choice.
        if let Some(choice) = choices(&schema) {
            return self.choice(choice, &schema, base(&schema), place);
        }
        let own = base(&schema);
        let hint = [own.hint.as_str(), needs.as_str()].join(" ").trim().to_owned();
        let own = Field { hint, ..own };
        let secret = own.secret;
        let long = schema.get("maxLength").and_then(Value::as_u64).is_some_and(|most| most > LINE_MAX)
            || words::is_block(&schema, place.key);
        let kind = match kind_of(&schema) {
            Some("string") => Kind::Text { long },
            Some("integer") => Kind::Number { whole: true },
            Some("number") => Kind::Number { whole: false },
            Some("boolean") => {
                Kind::Choice(vec![(Value::Bool(true), "Yes".to_owned()), (Value::Bool(false), "No".to_owned())])
            }
            Some("object") => match self.members(given, &schema, Place { secret, ..place }) {
                Ok(fields) => Kind::Object(fields),
                Err(why) => return self.json(&schema, place, why),
            },
            Some("array") => match self.list(given, &schema, Place { secret, ..place }) {
                Ok(kind) => kind,
                Err(why) => return self.json(&schema, place, why),
            },
            Some(_) => return self.json(&schema, place, Why::Unknown),
            None => {
                return self.json(
                    &schema,
                    place,
                    if schema.keys().all(|key| words::SAYS_NOTHING.contains(&key.as_str())) {
                        Why::Free
                    } else {
                        Why::Unknown
                    },
                );
            }
        };
        Field { kind, ..own }
    }

    fn choice(&self, choice: Vec<(Value, String)>, schema: &Schema, own: Field, place: Place<'_>) -> Field {
        if choice.len() > CHOICES_MAX {
            return match kind_of(schema) {
                Some("string") => Field { kind: Kind::Text { long: false }, ..own },
                _ => self.json(schema, place, Why::Large),
            };
        }
        let kind = match (choice.as_slice(), own.required && !own.nullable && !place.key.is_empty()) {
            ([(only, _)], true) => Kind::Fixed(only.clone()),
            _ => Kind::Choice(choice),
        };
        // What is one of a few words is no secret.
        Field { kind, secret: place.secret, ..own }
    }

    fn either(&mut self, shapes: Vec<Schema>, own: Field, schema: &Schema, place: Place<'_>) -> Field {
        if shapes.len() > VARIANTS_MAX {
            return self.json(schema, place, Why::Large);
        }
        let inner = Place { key: "", required: true, depth: place.depth + 1, direct: false, secret: own.secret };
        let mut fields = Vec::new();
        for (number, shape) in shapes.into_iter().enumerate() {
            let called = words::shape(&shape, schema, number);
            let shape = Value::Object(shape);
            let field = self.field(&shape, inner);
            if matches!(field.kind, Kind::Json(Why::Large)) {
                return self.json(schema, place, Why::Large);
            }
            if let Kind::Variants(inner) = field.kind {
                // A choice of choices is one choice.
                fields.extend(inner);
                continue;
            }
            fields.push(Field { title: called, hint: String::new(), default: None, ..field });
        }
        Field { kind: Kind::Variants(fields), secret: false, ..own }
    }

    fn members(&mut self, given: &Value, schema: &Schema, place: Place<'_>) -> Result<Vec<Field>, Why> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            return if closed && !schema.contains_key("patternProperties") { Ok(Vec::new()) } else { Err(Why::Free) };
        };
        if properties.len() > self.fields || properties.keys().any(|key| key.len() > KEY_MAX) {
            return Err(Why::Large);
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if required.iter().any(|name| !properties.contains_key(*name)) {
            return Err(Why::Unknown);
        }
        let mut fields = Vec::new();
        for (key, property) in properties {
            if property == &Value::Bool(false) {
                continue;
            }
            let direct = place.direct && given.get("properties").is_some_and(|own| own.get(key).is_some());
            let required = required.contains(&key.as_str());
            fields.push(
                self.field(property, Place { key, required, depth: place.depth + 1, direct, secret: place.secret }),
            );
        }
        Ok(fields)
    }

    fn list(&mut self, given: &Value, schema: &Schema, place: Place<'_>) -> Result<Kind, Why> {
        if schema.contains_key("prefixItems") {
            return Err(Why::Unknown);
        }
        let items = schema.get("items").filter(|items| items.is_object()).ok_or(Why::Unknown)?;
        if self.fields == 0 {
            return Err(Why::Large);
        }
        let direct = place.direct && given.get("items").is_some();
        let inner = Place { key: "", required: false, depth: place.depth + 1, direct, secret: place.secret };
        let before = self.fields;
        let item = self.field(items, inner);
        if let Kind::Json(why) = item.kind {
            return Err(why);
        }
        let fields_of_one = before.saturating_sub(self.fields).max(1);
        let number = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
        let most = number("maxItems").unwrap_or(ROWS_MAX).min(ROWS_MAX);
        let least = number("minItems").unwrap_or_default().min(most).min(self.opened / fields_of_one);
        self.opened -= least * fields_of_one;
        Ok(Kind::List { item: Box::new(item), least, most })
    }

    /// Counts what is put together; an error where it is too much.
    fn count(&mut self, schema: &Schema) -> Result<(), Why> {
        self.steps = self.steps.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(weight(schema));
        if self.steps == 0 || self.bytes == 0 { Err(Why::Large) } else { Ok(()) }
    }

    /// The schema with what it refers to and what it is put together of.
    fn whole(&mut self, given: &Value) -> Result<Schema, Why> {
        match given {
            Value::Object(schema) => self.put_together(schema, 0),
            _ => Err(Why::Free),
        }
    }

    fn put_together(&mut self, schema: &Schema, depth: usize) -> Result<Schema, Why> {
        self.count(schema)?;
        if depth > 2 * DEPTH_MAX {
            return Err(Why::Large);
        }
        let mut all = schema.clone();
        if let Some(target) = all.shift_remove("$ref").or_else(|| all.shift_remove("$dynamicRef")) {
            let found = target.as_str().and_then(|target| resolve(self.root, target)).ok_or(Why::Unknown)?;
            let Value::Object(found) = found.clone() else { return Err(Why::Free) };
            merge(&mut all, self.put_together(&found, depth + 1)?);
        }
        for part in array(all.shift_remove("allOf")) {
            if let Value::Object(part) = part {
                merge(&mut all, self.put_together(&part, depth + 1)?);
            }
        }
        // What holds only under a condition may be filled in, and need not be.
        for key in ["then", "else"] {
            if let Some(Value::Object(part)) = all.shift_remove(key) {
                let part = self.put_together(&part, depth + 1)?;
                let mut more = Schema::new();
                more.extend(part.get("properties").map(|properties| ("properties".to_owned(), properties.clone())));
                merge(&mut all, more);
            }
        }
        Ok(all)
    }

    /// The shapes that something may have, where there are several; what is common to all, and what are constraints only, goes into
    /// `schema`.
    fn variants(&mut self, schema: &mut Schema) -> Result<Option<Vec<Schema>>, Why> {
        if let Some(types) = schema.get("type").and_then(Value::as_array).cloned() {
            if types.len() > VARIANTS_MAX {
                return Err(Why::Large);
            }
            let shape = |kind: Value| {
                let mut shape = schema.clone();
                shape.insert("type".to_owned(), kind);
                shape
            };
            return Ok(Some(types.into_iter().map(shape).collect()));
        }
        for key in ["oneOf", "anyOf"] {
            let Some(branches) = schema.shift_remove(key) else { continue };
            let mut parts = Vec::new();
            for branch in array(Some(branches)) {
                let Value::Object(branch) = branch else { return Err(Why::Unknown) };
                parts.push(self.put_together(&branch, 1)?);
            }
            if parts.iter().all(|part| constrains_only(part, schema)) {
                continue;
            }
            if parts.len() == 1 {
                parts.into_iter().for_each(|part| merge(schema, part));
                continue;
            }
            // Each has a copy of what is common to all.
            if parts.len() > VARIANTS_MAX {
                return Err(Why::Large);
            }
            for _ in &parts {
                self.count(schema)?;
            }
            let shape = |part: Schema| {
                let mut shape = part;
                merge(&mut shape, schema.clone());
                in_order(&mut shape, schema);
                shape
            };
            return Ok(Some(parts.into_iter().map(shape).collect()));
        }
        Ok(None)
    }
}

/// Bytes of a schema, about.
fn weight(schema: &Schema) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => 8 + text.len(),
            Value::Array(items) => items.iter().map(of).sum::<usize>() + 8,
            Value::Object(fields) => weight(fields),
            _ => 8,
        }
    }
    schema.iter().map(|(key, value)| key.len() + of(value)).sum::<usize>() + 8
}

fn array(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// What a reference within the document leads to.
fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let pointer = target.strip_prefix('#')?;
    // In an address, some characters are written by their number.
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(&format!("a={}", pointer.replace('+', "%2B"))).ok()?;
    root.pointer(&pairs.first()?.1)
}

/// The values to choose from, where there are such.
fn choices(schema: &Schema) -> Option<Vec<(Value, String)>> {
    let called = |value: &Value| (value.clone(), words::value(value));
    if let Some(only) = schema.get("const") {
        return Some(vec![called(only)]);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return (!values.is_empty()).then(|| values.iter().map(called).collect());
    }
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let one = |branch: &Value| {
        let value = branch.get("const").or_else(|| match branch.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        })?;
        let title = branch.get("title").and_then(Value::as_str);
        Some((value.clone(), title.map_or_else(|| words::value(value), str::to_owned)))
    };
    let values: Option<Vec<_>> = branches.iter().map(one).collect();
    values.filter(|values| !values.is_empty())
}

/// Whether a part of `oneOf` or `anyOf` says nothing that needs another field.
fn constrains_only(part: &Schema, base: &Schema) -> bool {
    let shapes = ["properties", "items", "enum", "const", "oneOf", "anyOf", "prefixItems"];
    let other_type = part.get("type").is_some_and(|kind| Some(kind) != base.get("type"));
    !other_type && shapes.iter().all(|key| !part.contains_key(*key))
}

/// The type, said or understood.
fn kind_of(schema: &Schema) -> Option<&str> {
    if let Some(kind) = schema.get("type") {
        return kind.as_str();
    }
    let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
    if has(&["properties", "additionalProperties", "required", "patternProperties"]) {
        Some("object")
    } else if has(&["items", "minItems", "maxItems"]) {
        Some("array")
    } else if has(&["pattern", "minLength", "maxLength", "format"]) {
        Some("string")
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        Some("number")
    } else {
        None
    }
}

fn named(schema: &Schema, place: Place<'_>) -> Field {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let secret = place.secret || words::is_secret(schema, place.key);
    let title = text("title");
    Field {
        key: place.key.to_owned(),
        title: if title.is_empty() { words::humane(place.key) } else { words::short(title, 120) },
        hint: words::hint(schema, secret),
        required: place.required,
        nullable: false,
        secret,
        default: schema.get("default").filter(|_| !secret).cloned(),
        said: Said::Nothing,
        kind: Kind::Json(Why::Unknown),
    }
}

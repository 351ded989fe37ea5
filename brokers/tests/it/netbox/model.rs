//! NetBox's rules, as far as the driver meets them.

use bourse_brokers::vnet_ipam::free_space::{FreeSpace, Strategy};
use bourse_brokers::vnet_ipam::prefix::{Prefix, Version};
use serde_json::{Map, Value, json};

/// A prefix or an address.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) range: String,
    pub(crate) vrf: Option<u64>,
    pub(crate) status: String,
    pub(crate) description: String,
    pub(crate) comments: String,
    pub(crate) dns_name: String,
    pub(crate) mark: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

impl Asked {
    fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.all(name).first().and_then(|value| value.parse().ok())
    }
}

/// The database.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) prefixes: Vec<Row>,
    pub(crate) addresses: Vec<Row>,
    last_id: u64,
    /// The name of the custom field, and whether it must be unique.
    pub(crate) field: Option<(String, bool)>,
    /// A VRF with `enforce_unique`.
    pub(crate) unique_vrf: Option<u64>,
    /// `MAX_PAGE_SIZE`.
    pub(crate) page_max: usize,
    pub(crate) version: String,
}

type Answer = (u16, Value);

impl Model {
    pub(crate) fn new() -> Self {
        Self { page_max: 1_000, version: "4.6.8".into(), ..Self::default() }
    }

    /// Adds a prefix by hand.
    pub(crate) fn add(&mut self, prefix: &str, vrf: Option<u64>, status: &str, description: &str) -> u64 {
        self.last_id += 1;
        let row = Row {
            id: self.last_id,
            range: prefix.into(),
            vrf,
            status: status.into(),
            description: description.into(),
            comments: String::new(),
            dns_name: String::new(),
            mark: None,
        };
        self.prefixes.push(row);
        self.last_id
    }

    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        let parts: Vec<_> = asked.path.trim_matches('/').split('/').collect();
        assert!(asked.path.ends_with('/'), "NetBox redirects {}, which has no slash at its end", asked.path);
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "status"]) => (200, json!({"netbox-version": self.version})),
            ("GET", ["api", "extras", "custom-fields"]) => {
                let field = self.field.iter().filter(|(name, _)| asked.all("name") == [name]);
                let rows = field.map(|(name, unique)| json!({"id": 1, "name": name, "unique": unique})).collect();
                self.page(asked, rows)
            }
            ("POST", ["api", "ipam", "prefixes", id, "available-prefixes"]) => self.available(id, asked),
            ("GET", ["api", "ipam", "prefixes", id, "available-prefixes"]) => {
                let parent = self.prefixes.iter().find(|row| row.id.to_string() == *id).cloned();
                let blocks =
                    |parent: &Row| self.free(parent).blocks().map(|free| json!({"prefix": free.to_string()})).collect();
                parent.map_or_else(missing, |parent| (200, blocks(&parent)))
            }
            ("POST", ["api", "ipam", "prefixes"]) => self.add_prefix(asked),
            ("POST", ["api", "ipam", "ip-addresses"]) => self.add_address(asked),
            ("GET", ["api", "ipam", kind]) => self.list(kind, asked),
            ("GET", ["api", "ipam", kind, id]) => {
                let found = self.rows(kind).iter().find(|row| row.id.to_string() == *id).cloned();
                found.map_or_else(missing, |row| (200, self.shown(&row)))
            }
            ("PATCH", ["api", "ipam", kind, id]) => self.change(kind, id, asked),
            ("DELETE", ["api", "ipam", kind, id]) => {
                let rows = self.rows(kind);
                let before = rows.len();
                rows.retain(|row| row.id.to_string() != *id);
                if rows.len() < before { (204, Value::Null) } else { missing() }
            }
            _ => panic!("the driver asks for {} {}", asked.method, asked.path),
        }
    }

    fn rows(&mut self, kind: &str) -> &mut Vec<Row> {
        match kind {
            "prefixes" => &mut self.prefixes,
            "ip-addresses" => &mut self.addresses,
            _ => panic!("the driver asks for {kind}"),
        }
    }

    /// `PrefixSerializer` and `IPAddressSerializer`, with what may come beside.
    fn shown(&self, row: &Row) -> Value {
        let Row { id, range, vrf, status, description, comments, dns_name, mark } = row;
        let is_prefix = self.prefixes.iter().any(|other| other.id == *id);
        let mut fields = Map::new();
        if let Some((name, _)) = &self.field {
            fields.insert(name.clone(), mark.clone().into());
        }
        let vrf = vrf.map(|vrf| json!({"id": vrf, "url": "http://elsewhere.invalid/api/ipam/vrfs/", "display": "vrf"}));
        let mut shown = json!({
            "id": id, "url": format!("http://elsewhere.invalid/api/ipam/{id}/"), "display": range,
            "family": {"value": if range.contains(':') { 6 } else { 4 }, "label": "IP"},
            "vrf": vrf, "tenant": null, "role": null,
            "status": {"value": status, "label": status.to_uppercase()},
            "description": description, "comments": comments, "tags": [], "custom_fields": fields,
        });
        shown[if is_prefix { "prefix" } else { "address" }] = range.clone().into();
        if !is_prefix {
            shown["dns_name"] = dns_name.clone().into();
        }
        shown
    }

    fn list(&mut self, kind: &str, asked: &Asked) -> Answer {
        let field = self.field.clone().map(|(name, _)| format!("cf_{name}"));
        let rows = self.rows(kind).clone();
        // Several values of a parameter mean any of them; parameters that are not known are ignored.
        let any = |name: &str, value: &str| {
            let wanted = asked.all(name);
            wanted.is_empty() || wanted.contains(&value)
        };
        let left = rows.into_iter().filter(|row| {
            any("description", &row.description)
                && any("prefix", &row.range)
                && lies(&asked.all("within_include"), |other| other.contains(prefix(&row.range)))
                && lies(&asked.all("contains"), |other| prefix(&row.range).contains(other))
                && any("vrf_id", &row.vrf.map_or_else(|| "null".to_owned(), |vrf| vrf.to_string()))
                && field.as_ref().is_none_or(|field| any(field, row.mark.as_deref().unwrap_or_default()))
        });
        let left: Vec<_> = left.collect();
        let shown = left.iter().map(|row| self.shown(row)).collect();
        self.page(asked, shown)
    }

    fn page(&self, asked: &Asked, rows: Vec<Value>) -> Answer {
        let limit = asked.number("limit").unwrap_or(50).min(self.page_max);
        let offset = asked.number("offset").unwrap_or(0);
        let next = (offset + limit < rows.len()).then_some("http://elsewhere.invalid/api/next/");
        let count = rows.len();
        let results: Vec<_> = rows.into_iter().skip(offset).take(limit).collect();
        (200, json!({"count": count, "next": next, "previous": null, "results": results}))
    }

    /// What is free of a prefix: all of it but the prefixes in it of the same VRF, whatever their status.
    fn free(&self, parent: &Row) -> FreeSpace {
        let range: Prefix = parent.range.parse().unwrap();
        let mut free = FreeSpace::new(range);
        for child in self.prefixes.iter().filter(|child| child.vrf == parent.vrf && child.id != parent.id) {
            let child: Prefix = child.range.parse().unwrap();
            if range.contains(child) && range != child {
                // Where it overlaps another one, that is taken as well.
                free.take(child);
            }
        }
        free
    }

    fn available(&mut self, id: &str, asked: &Asked) -> Answer {
        let Some(parent) = self.prefixes.iter().find(|row| row.id.to_string() == id).cloned() else { return missing() };
        let body = asked.body.as_ref().unwrap().as_object().unwrap();
        let Some(length) = body.get("prefix_length").and_then(Value::as_u64) else {
            return (400, json!([{"prefix_length": "this field must be int type"}]));
        };
        let range: Prefix = parent.range.parse().unwrap();
        let bits = u64::from(range.version().bits());
        if length > bits {
            let version = if range.version() == Version::V4 { 4 } else { 6 };
            return (400, json!([{"prefix_length": format!("Invalid prefix length ({length}) for IPv{version}")}]));
        }
        let found = self.free(&parent).find(u8::try_from(length).unwrap(), Strategy::FirstFit);
        let Some(found) = found else {
            return (409, json!({"detail": "Insufficient resources are available to satisfy the request"}));
        };
        let row = self.row(body, &["prefix_length"], found.to_string(), parent.vrf);
        self.insert("prefixes", row)
    }

    /// Overlaps are nothing to it, but a VRF may refuse the very same prefix (`enforce_unique`).
    fn add_prefix(&mut self, asked: &Asked) -> Answer {
        let body = asked.body.as_ref().unwrap().as_object().unwrap();
        let wanted = body["prefix"].as_str().unwrap().to_owned();
        let vrf = body["vrf"].as_u64();
        if self.unique_vrf.is_some() && vrf == self.unique_vrf && self.prefixes.iter().any(|row| row.range == wanted) {
            return (400, json!({"prefix": [format!("Duplicate prefix found in VRF: {wanted}")]}));
        }
        let row = self.row(body, &["prefix", "vrf"], wanted, vrf);
        self.insert("prefixes", row)
    }

    fn add_address(&mut self, asked: &Asked) -> Answer {
        let body = asked.body.as_ref().unwrap().as_object().unwrap();
        let Some(address) = body["address"].as_str().filter(|text| text.contains('/')) else {
            return (400, json!({"address": ["Enter a valid IP address"]}));
        };
        let mut row = self.row(body, &["address", "vrf", "dns_name"], address.to_owned(), body["vrf"].as_u64());
        row.dns_name = body.get("dns_name").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.insert("ip-addresses", row)
    }

    /// An object from what was sent. What the driver may send beside `own` is named here, so that a slip is found.
    fn row(&mut self, body: &Map<String, Value>, own: &[&str], range: String, vrf: Option<u64>) -> Row {
        for name in body.keys() {
            let known = ["status", "description", "comments", "custom_fields"].contains(&name.as_str());
            assert!(known || own.contains(&name.as_str()), "the driver sends {name}");
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let fields = body.get("custom_fields").and_then(Value::as_object);
        let field = self.field.as_ref().and_then(|(name, _)| fields?.get(name)?.as_str());
        self.last_id += 1;
        Row {
            id: self.last_id,
            range,
            vrf,
            status: text("status"),
            description: text("description"),
            comments: text("comments"),
            dns_name: String::new(),
            mark: field.map(str::to_owned),
        }
    }

    fn insert(&mut self, kind: &str, row: Row) -> Answer {
        if !is_status(&row.status) {
            return (400, json!({"status": [format!("{} is not a valid choice.", row.status)]}));
        }
        if row.description.len() > 200 {
            return (400, json!({"description": ["Ensure this field has no more than 200 characters."]}));
        }
        if let Some((name, true)) = self.field.clone()
            && row.mark.is_some()
            && self.rows(kind).iter().any(|other| other.mark == row.mark)
        {
            return (400, json!({"__all__": [format!("Custom field '{name}' must have a unique value.")]}));
        }
        self.rows(kind).push(row.clone());
        (201, self.shown(&row))
    }

    fn change(&mut self, kind: &str, id: &str, asked: &Asked) -> Answer {
        let body = asked.body.as_ref().unwrap().as_object().unwrap();
        let Some(row) = self.rows(kind).iter_mut().find(|row| row.id.to_string() == id) else { return missing() };
        for (name, value) in body {
            match (name.as_str(), value.as_str()) {
                ("status", Some(status)) if is_status(status) => status.clone_into(&mut row.status),
                ("address", Some(address)) => address.clone_into(&mut row.range),
                _ => panic!("the driver sets {name} to {value}"),
            }
        }
        let row = row.clone();
        (200, self.shown(&row))
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn lies(wanted: &[&str], test: impl Fn(Prefix) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(|text| test(prefix(text)))
}

fn is_status(status: &str) -> bool {
    ["container", "active", "reserved", "deprecated"].contains(&status)
}

fn missing() -> Answer {
    (404, json!({"detail": "No Prefix matches the given query."}))
}

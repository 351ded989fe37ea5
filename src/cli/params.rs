//! Parameters, labels and identities as they are written on a command line. It checks the form only: what a plan takes is its
//! schema's business, and the hub's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::client::Error;

/// Bytes of a document that is read at most: what the hub takes of a price book.
const DOCUMENT_MAX: u64 = 4 * 1024 * 1024;

/// `--param` and `--params`.
#[derive(Debug, clap::Args)]
pub(super) struct Params {
    /// A parameter; the value is JSON where it is that, and else a string. May be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
    /// A JSON file of parameters, `-` for standard input; those of --param go on top.
    #[arg(long = "params", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Params {
    /// The parameters; none where none were given, which leaves them as they are.
    pub(super) fn read(&self) -> Result<Option<Value>, Error> {
        if self.pairs.is_empty() && self.file.is_none() {
            return Ok(None);
        }
        let mut parameters = self.file.as_deref().map(object).transpose()?.unwrap_or_default();
        parameters.extend(self.pairs.iter().map(|(key, text)| (key.clone(), value(text))));
        Ok(Some(parameters.into()))
    }
}

/// `KEY=VALUE`; the value may hold more `=`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// Several `KEY=VALUE`, separated by commas.
pub(super) fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    text.split(',').map(pair).collect()
}

/// JSON where it is that, and else the text as it is.
pub(super) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// The text of a file; `-` is standard input.
pub(super) fn text(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(DOCUMENT_MAX).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|open| open.take(DOCUMENT_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Error::Read(file.display().to_string(), error))?;
    Ok(text)
}

/// The JSON object in a file, or on standard input.
pub(super) fn object(file: &Path) -> Result<Map<String, Value>, Error> {
    let text = text(file)?;
    let wrong = |why: String| Error::Usage(format!("{} is no JSON object: {why}", file.display()));
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// An identity of a tenant, `platform=cf,organization_guid=…`; `context.KEY=…` names a key of the platform's context.
pub(super) fn identity(text: &str) -> Result<Value, String> {
    let (mut plain, mut context) = (Map::new(), Map::new());
    for (key, value) in pairs(text)? {
        match key.strip_prefix("context.") {
            Some(key) => context.insert(key.to_owned(), value.into()),
            None => plain.insert(key, value.into()),
        };
    }
    if !plain.contains_key("platform") {
        return Err("an identity names its platform: platform=NAME,organization_guid=GUID".to_owned());
    }
    if !context.is_empty() {
        plain.insert("context".to_owned(), context.into());
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn read(pairs: &[&str], file: Option<PathBuf>) -> Result<Option<Value>, Error> {
        Params { pairs: pairs.iter().map(|text| pair(text).unwrap()).collect(), file }.read()
    }

    #[test]
    fn a_value_is_json_where_it_parses_and_else_a_string() {
        let given =
            ["n=28", "b=true", "s=plain", "q=\"28\"", "l=[1,\"a\"]", "e=", "x=a=b", "cidr=10.0.0.0/8", "z=1.50"];
        let expected =
            r#"{"n":28,"b":true,"s":"plain","q":"28","l":[1,"a"],"e":"","x":"a=b","cidr":"10.0.0.0/8","z":1.50}"#;
        assert_eq!(read(&given, None).unwrap().unwrap().to_string(), expected);
        assert_eq!(read(&[], None).unwrap(), None);
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for bad in ["", "n", "=1"] {
            assert!(pair(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pairs_go_on_top_of_a_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(br#"{"a": 1, "b": {"c": 2}}"#).unwrap();
        let read = read(&["a=x"], Some(file.path().to_owned())).unwrap().unwrap();
        assert_eq!(read, json!({"a": "x", "b": {"c": 2}}));
    }

    #[test]
    fn a_file_that_holds_no_object_is_a_usage_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[1]").unwrap();
        assert_eq!(read(&[], Some(file.path().to_owned())).unwrap_err().exit_code(), 2);
        assert_eq!(read(&[], Some(file.path().with_file_name("missing"))).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn an_identity_has_a_platform_and_its_keys() {
        let found = identity("platform=cf,organization_guid=o,space_guid=s").unwrap();
        assert_eq!(found, json!({"platform": "cf", "organization_guid": "o", "space_guid": "s"}));
        let found = identity("platform=k,context.team=a").unwrap();
        assert_eq!(found, json!({"platform": "k", "context": {"team": "a"}}));
        assert!(identity("organization_guid=o").is_err());
        assert!(identity("platform").is_err());
    }
}

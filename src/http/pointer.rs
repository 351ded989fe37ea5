//! Where in a JSON text a place is: the JSON pointer (RFC 6901) of a line and column, as serde_json reports where an input
//! did not fit. It reads text that is known to be JSON; of anything else it makes some pointer, and never fails.

/// What a scan is inside of.
enum Level {
    Object { key: String, expects_key: bool },
    Array { index: usize },
}

/// The pointer of what stands at a line and column, both counted from 1 in bytes.
pub fn pointer_at(text: &str, line: usize, column: usize) -> String {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = before.saturating_add(column).min(text.len());
    let text = text.as_bytes();
    let mut levels: Vec<Level> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at).filter(|_| at < end) {
        at += 1;
        match byte {
            b'{' => levels.push(Level::Object { key: String::new(), expects_key: true }),
            b'[' => levels.push(Level::Array { index: 0 }),
            b'}' | b']' => drop(levels.pop()),
            b',' => match levels.last_mut() {
                Some(Level::Object { expects_key, .. }) => *expects_key = true,
                Some(Level::Array { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                let from = at - 1;
                at = string_end(text, at);
                if let Some(Level::Object { key, expects_key: expects_key @ true }) = levels.last_mut() {
                    let quoted = text.get(from..at).unwrap_or_default();
                    *key = serde_json::from_slice(quoted).unwrap_or_default();
                    *expects_key = false;
                }
            }
            _ => {}
        }
    }
    let step = |level: &Level| match level {
        Level::Object { key, expects_key: false } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Level::Object { expects_key: true, .. } => String::new(),
        Level::Array { index } => format!("/{index}"),
    };
    levels.iter().map(step).collect()
}

/// The place after the closing quote of a string whose content begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' => break,
            _ => {}
        }
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read to find what does not fit")]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read to find what does not fit")]
        number: u8,
    }

    #[track_caller]
    fn check(text: &str, pointer: &str) {
        let error = serde_json::from_str::<Outer>(text).unwrap_err();
        assert_eq!(pointer_at(text, error.line(), error.column()), pointer, "{error}");
    }

    #[test]
    fn what_does_not_fit_is_pointed_at() {
        check(r#"{"list": "x"}"#, "/list");
        check(r#"{"other/~": 1}"#, "/other~1~0");
        check("{\n  \"list\": [\n    {\"number\": 1},\n    {\"number\": \"a,]}\\\"\"}\n  ]\n}", "/list/1/number");
        check(r#"{"list": [{"number": 1, "extra": 2}]}"#, "/list/0/extra");
        check(r#"{"list": [{"number": 300}]}"#, "/list/0/number");
        check(r#"{"list": [{}]}"#, "/list/0");
        check("{}", "");
        check("[]", "");
    }

    #[test]
    fn no_text_and_no_place_make_it_fail() {
        for text in ["", "{", "\"", "\"\\", "]]}", "{\"a\\", "ä{\"ä\":[ä"] {
            for column in 0..20 {
                let _some_pointer: String = pointer_at(text, 1, column);
                let _beyond: String = pointer_at(text, 9, column);
            }
        }
    }
}

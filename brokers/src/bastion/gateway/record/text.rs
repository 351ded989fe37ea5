//! Text from bytes that come in pieces: a letter that is cut in two is put together again.
//!
//! A recording is JSON, and JSON is text. What is no UTF-8 is shown as U+FFFD; a recording of a binary file is therefore not
//! that file.

/// The longest part of a letter that can be waiting for its rest.
const REST: usize = 3;

/// Bytes that wait for their rest.
#[derive(Debug, Default)]
pub(super) struct Text {
    rest: Vec<u8>,
}

impl Text {
    /// The text so far, but for a last letter that is not whole.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let joined;
        let mut bytes = if self.rest.is_empty() {
            bytes
        } else {
            joined = [&std::mem::take(&mut self.rest)[..], bytes].concat();
            &joined[..]
        };
        let mut text = String::with_capacity(bytes.len());
        loop {
            let error = match str::from_utf8(bytes) {
                Ok(whole) => {
                    text.push_str(whole);
                    return text;
                }
                Err(error) => error,
            };
            let (good, bad) = bytes.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(good));
            match error.error_len() {
                Some(length) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    bytes = bad.get(length..).unwrap_or_default();
                }
                None => {
                    debug_assert!(bad.len() <= REST, "a letter has four bytes at most");
                    self.rest = bad.to_vec();
                    return text;
                }
            }
        }
    }

    /// What waited in vain.
    pub(super) fn end(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_in_any_pieces_is_the_text(text: String, cut in 1_usize..7) {
            let mut decoder = Text::default();
            let mut shown: String = text.as_bytes().chunks(cut).map(|piece| decoder.push(piece)).collect();
            shown.push_str(&decoder.end());
            prop_assert_eq!(shown, text);
        }

        #[test]
        fn any_bytes_in_any_pieces_are_as_lossy_as_at_once(bytes: Vec<u8>, cut in 1_usize..7) {
            let mut decoder = Text::default();
            let mut shown: String = bytes.chunks(cut).map(|piece| decoder.push(piece)).collect();
            shown.push_str(&decoder.end());
            prop_assert_eq!(shown, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

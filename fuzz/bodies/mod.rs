//! What is asserted of any bytes that somebody else sends, one function a parser. The fuzz targets call these functions, and so
//! does `tests/it/corpus.rs` with every file of `fuzz/corpus`, on every run of the suite.
//!
//! Inputs are text, so that a corpus can be read and written by hand. Nothing here knows how an input came about.

mod answer;
mod catalog;
mod request;
mod stamp;
mod usage;
mod words;

pub use answer::answer;
pub use catalog::catalog;
pub use request::request;
pub use stamp::stamp;
pub use usage::usage;
pub use words::words;

/// The head of a text and what comes after the first empty line.
fn head_and_rest(text: &str) -> (&str, &str) {
    text.split_once("\n\n").unwrap_or((text.trim_end_matches('\n'), ""))
}

//! Every file of `fuzz/corpus` is fed to what the fuzz targets call, so that nothing that was once found comes back and the
//! targets can't rot: they are compiled and run with every run of the suite.

use std::path::Path;

#[expect(unreachable_pub, reason = "the fuzz targets are another package, which reaches it")]
#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

#[track_caller]
fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        body(&std::fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files >= 5, "{} holds only {files} inputs", folder.display());
}

#[test]
fn catalogs_of_the_corpus_are_read_as_the_fuzz_target_demands() {
    replay("catalog", bodies::catalog);
}

#[test]
fn requests_of_the_corpus_are_answered_as_the_fuzz_target_demands() {
    replay("request", bodies::request);
}

#[test]
fn answers_of_the_corpus_are_judged_as_the_fuzz_target_demands() {
    replay("answer", bodies::answer);
}

#[test]
fn stamps_of_the_corpus_are_verified_as_the_fuzz_target_demands() {
    replay("stamp", bodies::stamp);
}

#[test]
fn usage_of_the_corpus_is_read_as_the_fuzz_target_demands() {
    replay("usage", bodies::usage);
}

#[test]
fn words_of_the_corpus_are_read_as_the_fuzz_target_demands() {
    replay("words", bodies::words);
}

//! The house rules, as tests instead of review remarks. Each checker has a bad sample of its own beside it, so that a
//! rule that can't fail any more is noticed. What a checker looks at are the files as they lie in the work tree.

mod layers;
mod rows;
mod source;
mod tree;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// No file of ours is larger; what is, is data.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` with one of the given extensions, by path from the repository's top. What git ignores by
/// name (`target`, databases) is left out. Fails where there is none: a rule about nothing would always hold.
fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let found = files_in(&repository().join(folder), extensions);
    assert!(!found.is_empty(), "there is no file of {extensions:?} in `{folder}`");
    found
}

fn files_in(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory);
        let entries = entries.unwrap_or_else(|reason| panic!("{}: {reason}", directory.display()));
        for entry in entries {
            let path = entry.expect("could not list a directory").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if matches!(name, "target" | ".git" | "node_modules" | "__pycache__") {
                continue;
            }
            let is = |extension: &&str| path.extension().is_some_and(|found| found == *extension);
            if path.is_dir() {
                open.push(path);
            } else if extensions.iter().any(is) || extensions.is_empty() && !name.contains(".db") {
                found.push(path.strip_prefix(repository()).unwrap_or(&path).to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}

/// All Rust files that are ours.
fn rust_files() -> Vec<PathBuf> {
    let found: Vec<_> = ["src", "osb", "brokers", "tests", "examples", "benches"]
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .collect();
    assert!(found.iter().any(|path| path == Path::new("tests/it/tidy.rs")), "no source found: {found:?}");
    found
}

/// Fails with every violation of every file, not only the first.
#[track_caller]
fn assert_clean(rule: &str, files: &[PathBuf], check: impl Fn(&Path, &str) -> Vec<String>) {
    assert!(!files.is_empty(), "{rule}: there is nothing to look at");
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| check(path, &read(path)).into_iter().map(move |what| format!("{}: {what}", path.display())))
        .collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn arrows_between_layers_point_down() {
    assert_clean("layers", &files("src", &["rs"]), |path, text| {
        layers::violations(path.strip_prefix("src").expect("below src"), text)
    });
}

#[test]
fn brokers_and_contract_do_not_depend_on_the_hub() {
    assert!(tree::depends_on(&read(Path::new("brokers/Cargo.toml")), "osb"), "the checker reads no manifest");
    for manifest in ["brokers/Cargo.toml", "osb/Cargo.toml"] {
        assert!(!tree::depends_on(&read(Path::new(manifest)), "bourse"), "{manifest} depends on the hub");
    }
}

#[test]
fn each_word_is_in_its_place() {
    assert_clean("words", &rust_files(), words::violations);
}

#[test]
fn files_fit_the_head() {
    let lengths: Vec<_> = rust_files().into_iter().map(|path| (path.clone(), read(&path).lines().count())).collect();
    let found = tree::too_long(&lengths);
    assert!(found.is_empty(), "files to split:\n  {}", found.join("\n  "));
}

#[test]
fn each_module_says_what_it_is_for() {
    assert_clean("modules begin with `//!`", &rust_files(), |_, text| {
        if tree::has_module_doc(text) { Vec::new() } else { vec!["no `//!` in the first line".to_owned()] }
    });
}

#[test]
fn migrations_are_paired() {
    let names = |folder: &str| -> BTreeSet<String> {
        let name = |path: PathBuf| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        files(folder, &["sql"]).into_iter().map(name).collect()
    };
    let found = tree::unpaired(&names("migrations/sqlite"), &names("migrations/postgres"));
    assert!(found.is_empty(), "migrations of one database only: {found:?}");
}

#[test]
fn the_top_level_holds_what_is_agreed() {
    let entries = std::fs::read_dir(repository()).expect("could not list the repository");
    let names: Vec<String> = entries
        .map(|entry| entry.expect("could not list the repository").file_name().to_string_lossy().into_owned())
        .filter(|name| !matches!(name.as_str(), ".git" | "target") && !name.contains(".db"))
        .collect();
    let found = tree::strays(&names);
    assert!(found.is_empty(), "not at the top level: {found:?}");
}

#[test]
fn links_in_documents_lead_somewhere() {
    assert_clean("broken links", &files("", &["md"]), |page, text| {
        tree::broken_links(page, text, |target| repository().join(target).exists())
    });
}

#[test]
fn the_architecture_can_be_read_in_one_go() {
    let path = Path::new("ARCHITECTURE.md");
    assert!(!tree::architecture_is_too_long(&read(path)), "ARCHITECTURE.md is too long");
}

#[test]
fn each_row_of_osb_has_a_test_or_a_reason() {
    let table = rows::rows(&read(Path::new("osb/requirements.tsv")));
    assert!(table.len() > 200, "the table isn't read as expected: {table:?}");
    let mut carried: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in rust_files() {
        let path = path.to_string_lossy();
        // The conformance suite says nothing about the hub of a row that it doesn't judge (`docs/osb.md`); nor do samples of this rule.
        if ["osb/tests/it/broken", "osb/tests/it/exemplar", "conformance", "tidy"]
            .iter()
            .any(|part| path.contains(part))
        {
            continue;
        }
        for id in rows::carried(&rows::tests_of(&path, &read(Path::new(&*path)))) {
            carried.entry(id).or_default().insert(path.clone().into_owned());
        }
    }
    let reasons = rows::reasons(&read(Path::new("docs/osb.md")));
    let found = rows::violations(&table, &carried, &reasons);
    assert!(found.is_empty(), "{} of {} rows:\n  {}", found.len(), table.len(), found.join("\n  "));
}

#[test]
fn a_folder_that_is_missing_or_empty_fails_the_rules_about_it() {
    let empty = tempfile::tempdir().expect("no temporary directory");
    assert!(files_in(empty.path(), &["rs"]).is_empty());
    for folder in ["no-such-folder", empty.path().to_str().expect("text")] {
        let outcome = std::panic::catch_unwind(|| files(folder, &["rs"]));
        assert!(outcome.is_err(), "{folder} passes");
    }
    let outcome = std::panic::catch_unwind(|| assert_clean("a rule", &[], |_, _| Vec::new()));
    assert!(outcome.is_err(), "a rule about nothing passes");
}

#[test]
fn a_complete_broker_takes_less_than_a_hundred_lines() {
    let example = read(Path::new("examples/custom_broker.rs"));
    assert!(example.contains("impl ServiceBroker for"), "it is no broker");
    assert!(example.lines().count() < 100, "{} lines", example.lines().count());
}

#[test]
fn the_lock_file_holds_one_tls_provider_and_no_heavy_c() {
    let lock = read(Path::new("Cargo.lock"));
    assert!(lock.contains("name = \"ring\""), "the lock file isn't read as expected");
    let found = tree::unwanted_packages(&lock);
    assert!(found.is_empty(), "unwanted packages: {found:?} (`cargo tree --invert NAME` says who wants them)");
}

#[test]
fn no_file_names_a_machine() {
    let small = |path: &PathBuf| repository().join(path).metadata().is_ok_and(|file| file.len() <= TEXT_BYTES_MAX);
    let found: Vec<String> = files("", &[])
        .into_iter()
        .filter(small)
        .flat_map(|path| {
            let bytes = std::fs::read(repository().join(&path)).unwrap_or_default();
            let paths = String::from_utf8(bytes).map(|text| tree::machine_paths(&text)).unwrap_or_default();
            paths.into_iter().map(move |what| format!("{}, {what}", path.display()))
        })
        .collect();
    assert!(found.is_empty(), "paths of a machine:\n  {}", found.join("\n  "));
}

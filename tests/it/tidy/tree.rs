//! Rules about files: how long, where, with what beside them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::source::has_word;

const FILE_LINES_MAX: usize = 600;
const FILE_LINES_WISHED: usize = 400;
const ARCHITECTURE_LINES_MAX: usize = 150;

/// All that may lie at the top of the repository.
const TOP: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "brokers",
    "catalog",
    "docs",
    "examples",
    "fuzz",
    "migrations",
    "openapi",
    "osb",
    "rustfmt.toml",
    "src",
    "tests",
];

/// Packages that would cost a long C build or bring a second TLS provider or a licence that we can't take.
const UNWANTED_PACKAGES: &[&str] =
    &["actix-governor", "aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys", "zstd-sys"];

/// Nothing while no file is too long; otherwise each file beyond the wished length, the longest first.
pub(crate) fn too_long(files: &[(PathBuf, usize)]) -> Vec<String> {
    let mut long: Vec<_> = files.iter().filter(|(_, lines)| *lines > FILE_LINES_WISHED).collect();
    long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    if long.iter().all(|(_, lines)| *lines <= FILE_LINES_MAX) {
        return Vec::new();
    }
    long.iter().map(|(path, lines)| format!("{}: {lines} lines (at most {FILE_LINES_MAX})", path.display())).collect()
}

/// Whether a Rust file says what it is for. One line of code or none has nothing to explain.
pub(crate) fn has_module_doc(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        Some(first) => first.starts_with("//! ") || lines.next().is_none(),
        None => true,
    }
}

/// Migrations that one database has and the other hasn't.
pub(crate) fn unpaired(sqlite: &BTreeSet<String>, postgres: &BTreeSet<String>) -> Vec<String> {
    sqlite.symmetric_difference(postgres).cloned().collect()
}

/// Entries that have no place at the top.
pub(crate) fn strays(entries: &[String]) -> Vec<String> {
    entries.iter().filter(|name| !TOP.contains(&name.as_str())).cloned().collect()
}

/// Relative links of a Markdown page that lead nowhere. `exists` is asked with the path from the repository's top.
pub(crate) fn broken_links(page: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let target = |link: &str| normalised(&folder.join(link.split('#').next().unwrap_or_default()));
    links(text).into_iter().filter(|link| target(link).is_none_or(|path| !exists(&path))).collect()
}

/// The relative links of a page, those in code excepted.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second part between backticks is code.
        let prose: Vec<&str> = line.split('`').step_by(2).collect();
        for part in prose.join("`").split("](").skip(1) {
            let link = part.split([')', ' ']).next().unwrap_or_default();
            if !(link.is_empty() || link.starts_with('#') || link.contains("://") || link.starts_with("mailto:")) {
                found.push(link.to_owned());
            }
        }
    }
    found
}

/// Without `.` and `..`; none where it leaves the repository.
fn normalised(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => plain = plain.parent()?.to_owned(),
            Component::Normal(part) => plain.push(part),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// Whether the architecture page can no longer be read in one go.
pub(crate) fn architecture_is_too_long(text: &str) -> bool {
    text.lines().count() > ARCHITECTURE_LINES_MAX
}

/// Packages in a lock file that we don't want.
pub(crate) fn unwanted_packages(lock: &str) -> Vec<String> {
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names.filter(|name| UNWANTED_PACKAGES.contains(name)).map(str::to_owned).collect()
}

/// Absolute paths of somebody's machine in a file. The needles are put together here, so that this file has none.
pub(crate) fn machine_paths(text: &str) -> Vec<String> {
    let needles = ["root", "home", "work"].map(|folder| format!("/{folder}/"));
    let path_goes_on = |at: usize| text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~/*})>".contains(c));
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let hits = needles.iter().flat_map(|needle| text.match_indices(needle.as_str()));
    hits.filter(|(at, _)| !path_goes_on(*at)).map(|(at, needle)| format!("line {}: `{needle}`", line(at))).collect()
}

/// Names of dependencies in a manifest that a package must not have.
pub(crate) fn depends_on(manifest: &str, package: &str) -> bool {
    manifest.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        let (name, rest) = line.split_once(['=', '.']).unwrap_or((line, ""));
        name.trim() == package && !rest.trim().is_empty() && has_word(line, package)
    })
}

mod tests {
    use super::*;

    #[test]
    fn a_file_too_long_is_listed_with_those_on_their_way() {
        let file = |name: &str, lines| (PathBuf::from(name), lines);
        assert!(too_long(&[file("a.rs", 600), file("b.rs", 10)]).is_empty());
        let found = too_long(&[file("a.rs", 401), file("b.rs", 601), file("c.rs", 400)]);
        assert_eq!(found, ["b.rs: 601 lines (at most 600)", "a.rs: 401 lines (at most 600)"]);
    }

    #[test]
    fn a_module_says_what_it_is_for() {
        assert!(has_module_doc("//! What it is for.\n\nfn a() {}\n"));
        assert!(has_module_doc("fn main() {}\n"));
        assert!(!has_module_doc("use a::b;\n//! Too late.\nfn a() {}\n"));
        assert!(!has_module_doc("/// Not the module's.\nfn a() {}\n"));
    }

    #[test]
    fn migrations_come_in_pairs() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert!(unpaired(&set(&["1_a.sql"]), &set(&["1_a.sql"])).is_empty());
        assert_eq!(unpaired(&set(&["1_a.sql", "2_b.sql"]), &set(&["1_a.sql", "3_c.sql"])), ["2_b.sql", "3_c.sql"]);
    }

    #[test]
    fn the_top_level_stays_short() {
        assert_eq!(strays(&["src".to_owned(), "notes.txt".to_owned()]), ["notes.txt"]);
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](b.md#part) [c](../README.md) [d](https://example.org/x) [e](#here) `[f](g.md)`\n```\n[h](i.md)\n```\n\
            [j](gone.md \"title\") [k](../../out.md) ![l](m.png)";
        let there = ["docs/b.md", "README.md"].map(PathBuf::from);
        let found = broken_links(Path::new("docs/page.md"), text, |path| there.contains(&path.to_owned()));
        assert_eq!(found, ["gone.md", "../../out.md", "m.png"]);
    }

    #[test]
    fn the_architecture_fits_150_lines() {
        assert!(!architecture_is_too_long(&"a\n".repeat(150)));
        assert!(architecture_is_too_long(&"a\n".repeat(151)));
    }

    #[test]
    fn a_second_tls_provider_is_found() {
        let lock =
            "[[package]]\nname = \"ring\"\n\n[[package]]\nname = \"aws-lc-sys\"\ndependencies = [\n \"zstd-sys\",\n]\n";
        assert_eq!(unwanted_packages(lock), ["aws-lc-sys"]);
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        let folder = format!("/{}/", "home");
        let text = format!("fine: docs{folder}a, https://example.org{folder}b, ~{folder}\nnot: {folder}me");
        assert_eq!(machine_paths(&text), [format!("line 2: `{folder}`")]);
    }

    #[test]
    fn a_dependency_is_found_in_each_form() {
        for line in ["bourse = { path = \"..\" }", "bourse.workspace = true", "bourse=\"1\""] {
            assert!(depends_on(line, "bourse"), "{line}");
        }
        assert!(!depends_on("# bourse = 1\nbourse-osb = \"1\"\n[bourse]\nname = \"bourse\"", "bourse"));
    }
}

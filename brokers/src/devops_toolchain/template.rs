//! What a repository begins with: small trees of files, built into the program.
//!
//! Pure. Invariant: each template has a `ci.sh`, which is what builds run.

/// A tree of files to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Empty,
    RustService,
    StaticSite,
}

/// A file of a template.
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) text: &'static str,
    pub(super) executable: bool,
}

const fn file(path: &'static str, text: &'static str) -> File {
    File { path, text, executable: false }
}

const fn script(path: &'static str, text: &'static str) -> File {
    File { path, text, executable: true }
}

const EMPTY: &[File] = &[
    file("README.md", include_str!("templates/empty/README.md")),
    script("ci.sh", include_str!("templates/empty/ci.sh")),
];

const RUST_SERVICE: &[File] = &[
    file("README.md", include_str!("templates/rust-service/README.md")),
    script("ci.sh", include_str!("templates/rust-service/ci.sh")),
    file("Cargo.toml", include_str!("templates/rust-service/Cargo.toml.txt")),
    file(".gitignore", include_str!("templates/rust-service/gitignore.txt")),
    file("src/main.rs", include_str!("templates/rust-service/src/main.rs.txt")),
];

const STATIC_SITE: &[File] = &[
    file("README.md", include_str!("templates/static-site/README.md")),
    script("ci.sh", include_str!("templates/static-site/ci.sh")),
    file("site/index.html", include_str!("templates/static-site/site/index.html")),
    file("site/style.css", include_str!("templates/static-site/site/style.css")),
];

const ALL: [Template; 3] = [Template::Empty, Template::RustService, Template::StaticSite];

impl Template {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::RustService => "rust-service",
            Self::StaticSite => "static-site",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|template| template.name() == name)
    }

    pub(super) fn names() -> [&'static str; 3] {
        ALL.map(Self::name)
    }

    pub(super) fn files(self) -> &'static [File] {
        match self {
            Self::Empty => EMPTY,
            Self::RustService => RUST_SERVICE,
            Self::StaticSite => STATIC_SITE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_has_a_readme_and_what_builds_run() {
        for template in ALL {
            assert_eq!(Template::from_name(template.name()), Some(template));
            let has = |path: &str| template.files().iter().any(|file| file.path == path && !file.text.is_empty());
            assert!(has("README.md") && has("ci.sh"), "{template:?}");
        }
        assert_eq!(Template::from_name("other"), None);
    }
}

//! Bare repositories on disk: made from a template, looked at, bundled, and destroyed.
//!
//! It deliberately knows no users and no database. Invariant: a repository is there whole or not at all, and only files below
//! the data directory are touched.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git::{Git, GitError};
use super::template::Template;

/// The `update` hook of all repositories.
const UPDATE_HOOK: &str = include_str!("hook.sh");
/// The `pre-receive` hook of all repositories.
const PRE_RECEIVE_HOOK: &str = include_str!("pre-receive.sh");
/// Who made the first commit.
const AUTHOR: &str = "Bourse <toolchain@bourse.invalid>";
/// How many branches and tags a push may lead to.
pub(super) const REFS_PUSHED_MAX: usize = 1000;
/// How many branches are looked at after a push: those who push at the same time don't see each other's.
const REFS_MAX: usize = 10_000;

/// Why a repository can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Git says no.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The disk says no.
    #[error("could not {0}")]
    Disk(&'static str, #[source] io::Error),
    /// There is more than is looked at.
    #[error("the repository has more than {REFS_MAX} branches")]
    TooManyRefs,
}

fn disk(what: &'static str) -> impl FnOnce(io::Error) -> RepositoryError {
    move |error| RepositoryError::Disk(what, error)
}

/// A branch and the commit that it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) name: String,
    pub(super) revision: String,
}

/// All repositories below the data directory. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Repositories {
    pub(super) git: Git,
    root: Arc<Path>,
}

impl Repositories {
    /// Makes the directories and the hooks.
    pub(super) async fn open(data: &Path) -> Result<Self, RepositoryError> {
        let data = std::path::absolute(data).map_err(disk("find the data directory"))?;
        for folder in ["repos", "exports", "hooks", "home"] {
            std::fs::create_dir_all(data.join(folder)).map_err(disk("make the directories"))?;
        }
        // Renamed into place: another process may be running it.
        for (name, text) in [("update", UPDATE_HOOK), ("pre-receive", PRE_RECEIVE_HOOK)] {
            let (hook, made) = (data.join("hooks").join(name), data.join(format!("hooks/.{name}.new")));
            std::fs::write(&made, text).map_err(disk("write a hook"))?;
            std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o755)).map_err(disk("write a hook"))?;
            std::fs::rename(&made, &hook).map_err(disk("write a hook"))?;
        }
        Ok(Self { git: Git::find(&data.join("home")).await?, root: data.into() })
    }

    /// The directory that holds all repositories.
    pub(super) fn project_root(&self) -> PathBuf {
        self.root.join("repos")
    }

    pub(super) fn hooks(&self) -> PathBuf {
        self.root.join("hooks")
    }

    /// Where the repository of that resource is.
    pub(super) fn path(&self, resource: &str) -> PathBuf {
        self.project_root().join(directory(resource))
    }

    /// Makes it where it isn't there.
    pub(super) async fn make(
        &self,
        resource: &str,
        template: Template,
        branch: &str,
        name: &str,
        time: i64,
    ) -> Result<(), RepositoryError> {
        let path = self.path(resource);
        if path.is_dir() {
            return Ok(());
        }
        let unfinished = path.with_extension("new");
        remove(&unfinished)?;
        let text = unfinished.to_string_lossy().into_owned();
        let initial = format!("--initial-branch={branch}");
        self.git.run("init", &["--quiet", "--bare", "--template=", &initial, &text], None, &[]).await?;
        let commits = first_commit(template, branch, name, time);
        self.git.run("fast-import", &["--quiet"], Some(&unfinished), &commits).await?;
        std::fs::create_dir_all(unfinished.join("bourse/passed")).map_err(disk("make the repository"))?;
        std::fs::rename(&unfinished, &path).map_err(disk("make the repository"))?;
        sync(&self.project_root())
    }

    /// All branches.
    pub(super) async fn branches(&self, resource: &str) -> Result<Vec<Branch>, RepositoryError> {
        let count = format!("--count={}", REFS_MAX + 1);
        let arguments = ["--format=%(objectname) %(refname)", &count, "refs/heads"];
        let listed = self.git.run("for-each-ref", &arguments, Some(&self.path(resource)), &[]).await?;
        let listed = String::from_utf8_lossy(&listed);
        let branches: Vec<_> = listed
            .lines()
            .filter_map(|line| {
                let (revision, name) = line.split_once(' ')?;
                Some(Branch { name: name.strip_prefix("refs/heads/")?.to_owned(), revision: revision.to_owned() })
            })
            .collect();
        if branches.len() > REFS_MAX { Err(RepositoryError::TooManyRefs) } else { Ok(branches) }
    }

    /// Notes that the build of a commit succeeded, for the hook.
    pub(super) fn note_passed(&self, resource: &str, revision: &str) -> Result<(), RepositoryError> {
        let folder = self.path(resource).join("bourse/passed");
        std::fs::create_dir_all(&folder).map_err(disk("note a build"))?;
        std::fs::write(folder.join(revision), "").map_err(disk("note a build"))
    }

    /// How many bytes its files have.
    pub(super) async fn bytes(&self, resource: &str) -> Result<u64, RepositoryError> {
        let path = self.path(resource);
        let sum = tokio::task::spawn_blocking(move || bytes_below(&path));
        sum.await.map_err(|error| RepositoryError::Disk("measure the repository", io::Error::other(error)))?
    }

    /// Packs what many pushes have left, where there is much of it.
    pub(super) async fn tidy(&self, resource: &str) -> Result<(), RepositoryError> {
        self.git.run("gc", &["--auto", "--quiet"], Some(&self.path(resource)), &[]).await?;
        Ok(())
    }

    /// Writes all of its history into one file beside the repositories, unless it is there already.
    pub(super) async fn bundle(&self, resource: &str) -> Result<(), RepositoryError> {
        let (path, file) = (self.path(resource), self.bundle_path(resource));
        if !path.is_dir() || file.is_file() {
            return Ok(());
        }
        // One that is there is enough, however many there are: Git makes no empty bundle.
        if self.git.run("for-each-ref", &["--count=1", "refs/heads"], Some(&path), &[]).await?.is_empty() {
            return Ok(());
        }
        self.drop_unfinished(resource)?;
        let unfinished = file.with_extension("new");
        let text = unfinished.to_string_lossy().into_owned();
        let made = self.git.run("bundle", &["create", "--quiet", &text, "--all"], Some(&path), &[]).await;
        if made.is_err() {
            self.drop_unfinished(resource)?;
        }
        made?;
        std::fs::rename(&unfinished, &file).map_err(disk("keep the bundle"))
    }

    /// Removes what a bundle that came to no end has left: Git's lock too, which would be in the way of the next one.
    fn drop_unfinished(&self, resource: &str) -> Result<(), RepositoryError> {
        let file = self.bundle_path(resource);
        remove_file(&file.with_extension("new"))?;
        remove_file(&file.with_extension("new.lock"))
    }

    pub(super) fn bundle_path(&self, resource: &str) -> PathBuf {
        self.root.join("exports").join(directory(resource)).with_extension("bundle")
    }

    /// Removes the bundle of a repository that is taken into use again: it would grow old.
    pub(super) fn drop_bundle(&self, resource: &str) -> Result<(), RepositoryError> {
        self.drop_unfinished(resource)?;
        remove_file(&self.bundle_path(resource))
    }

    /// Destroys it and its bundle; what isn't there is destroyed.
    pub(super) fn destroy(&self, resource: &str) -> Result<(), RepositoryError> {
        let path = self.path(resource);
        remove(&path)?;
        remove(&path.with_extension("new"))?;
        self.drop_bundle(resource)
    }
}

/// The directory's name: what the kit gives are ids, and no other character gets near a path.
fn directory(resource: &str) -> String {
    let safe: String = resource.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(100).collect();
    format!("{safe}.git")
}

fn remove(path: &Path) -> Result<(), RepositoryError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RepositoryError::Disk("remove the repository", error))
        }
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), RepositoryError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RepositoryError::Disk("remove the bundle", error)),
        _ => Ok(()),
    }
}

/// Makes a rename outlast a loss of power.
fn sync(folder: &Path) -> Result<(), RepositoryError> {
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk("make the repository"))
}

/// Files come and go while a push is under way, so what is not there any more counts nothing.
fn bytes_below(path: &Path) -> Result<u64, RepositoryError> {
    let mut sum = 0;
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(RepositoryError::Disk("measure the repository", error)),
        };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => open.push(entry.path()),
                Ok(found) => sum += found.len(),
                Err(_) => {}
            }
        }
    }
    Ok(sum)
}

/// The template as `git fast-import` reads it.
fn first_commit(template: Template, branch: &str, name: &str, time: i64) -> Vec<u8> {
    let message = format!("Begin {name} from the template {}\n", template.name());
    let mut stream =
        format!("commit refs/heads/{branch}\nauthor {AUTHOR} {time} +0000\ncommitter {AUTHOR} {time} +0000\n");
    stream.push_str(&format!("data {}\n{message}\n", message.len()));
    for file in template.files() {
        let mode = if file.executable { "100755" } else { "100644" };
        stream.push_str(&format!("M {mode} inline {}\ndata {}\n{}\n", file.path, file.text.len(), file.text));
    }
    stream.push_str("done\n");
    stream.into_bytes()
}

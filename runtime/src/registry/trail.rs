//! Where the way to a file leads through.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

/// More links than this lead round in a circle.
const LINKS: u32 = 40;

/// The way to a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// The directories in which it is decided what stands at its end: of each link on the way, and of the
    /// file itself. Where the way ends early, the last directory that there is: there it may go on one day.
    pub(super) directories: BTreeSet<PathBuf>,
    /// What it passes besides links: each may be given another name, and another one its name.
    steps: BTreeSet<PathBuf>,
    /// The file, where there is one.
    file: Option<PathBuf>,
}

impl Trail {
    pub(super) fn to(path: &Path) -> Self {
        let mut trail = Self::default();
        let mut here = PathBuf::new();
        let mut ahead = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            // No link leads here any more.
            if part == ".." && here.is_absolute() {
                here.pop();
                continue;
            }
            let next = here.join(&part);
            let leads_to = fs::read_link(&next).ok().filter(|_| links < LINKS);
            if let Some(target) = leads_to {
                links += 1;
                trail.is_decided_in(&here);
                for part in parts(&target).into_iter().rev() {
                    ahead.push_front(part);
                }
                continue;
            }
            let is_there = fs::symlink_metadata(&next).is_ok();
            if is_there && here.is_absolute() {
                trail.steps.insert(next.clone());
            }
            if ahead.is_empty() || !is_there {
                trail.is_decided_in(&here);
                trail.file = is_there.then_some(next);
                break;
            }
            here = next;
        }
        trail
    }

    fn is_decided_in(&mut self, directory: &Path) {
        let is_here = directory.as_os_str().is_empty();
        let directory = if is_here { Path::new(".") } else { directory };
        self.directories.insert(directory.to_owned());
    }

    /// What else may tell of a change: the directories above, in which those on the way have their names, and
    /// the file, which may have another name elsewhere.
    pub(super) fn beside(&self) -> BTreeSet<PathBuf> {
        let above = self.above().map(Path::to_owned);
        above.chain(self.file.clone()).collect()
    }

    fn above(&self) -> impl Iterator<Item = &Path> {
        let above = self.steps.iter().filter_map(|step| step.parent());
        above.filter(|above| !self.directories.contains(*above))
    }

    /// Whether what happens at `path` may change what stands at its end. Of the directories above only the
    /// names on the way matter: a good deal else may happen there.
    pub(super) fn is_touched_at(&self, path: &Path) -> bool {
        let is_above = |directory: &Path| self.above().any(|above| above == directory);
        self.steps.contains(path) || !path.parent().is_some_and(is_above)
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| part.as_os_str().to_owned();
    path.components().map(part).collect()
}

#[cfg(all(test, unix, not(steadfast_loom)))]
mod tests {
    #![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_directory_that_decides_is_on_the_trail() {
        let root = std::env::temp_dir().join(format!("steadfast-trail-{}", std::process::id()));
        let root_exists = fs::create_dir_all(root.join("srv/first/deep"));
        root_exists.unwrap();
        let root = fs::canonicalize(&root).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("srv/first/deep/a.toml"), "").unwrap();
        symlink("first", root.join("srv/current")).unwrap();
        symlink("../srv/current/deep/a.toml", root.join("etc/a.toml")).unwrap();
        symlink("round", root.join("round")).unwrap();
        for (path, expected) in [
            ("etc/a.toml", &["etc", "srv", "srv/first/deep"][..]),
            ("srv/first/deep/a.toml", &["srv/first/deep"]),
            ("srv/first/deep/none.toml", &["srv/first/deep"]),
            ("srv/second/deep/a.toml", &["srv"]),
            ("none/../etc/a.toml", &[""]),
            ("round", &[""]),
        ] {
            let found: BTreeSet<_> = Trail::to(&root.join(path))
                .directories
                .into_iter()
                .map(|each| fs::canonicalize(each).unwrap())
                .collect();
            let expected: BTreeSet<_> = expected
                .iter()
                .map(|each| fs::canonicalize(root.join(each)).unwrap())
                .collect();
            assert_eq!(found, expected, "{path}");
        }
        fs::remove_dir_all(root).unwrap();
        // Relative ones begin here; an empty one leads nowhere.
        let here = Trail::to(Path::new("Cargo.toml"));
        assert_eq!(here.directories, [PathBuf::from(".")].into());
        assert_eq!(Trail::to(Path::new("")), Trail::default());
    }

    #[test]
    fn of_what_is_above_only_the_names_on_the_way_matter() {
        let root = std::env::temp_dir().join(format!("steadfast-above-{}", std::process::id()));
        fs::create_dir_all(root.join("app/etc")).unwrap();
        let root = fs::canonicalize(&root).unwrap();
        fs::write(root.join("app/etc/a.toml"), "").unwrap();
        symlink("app/etc/../etc", root.join("link")).unwrap();
        let trail = Trail::to(&root.join("link/a.toml"));
        for (path, is_touched) in [
            ("link", true),
            ("other", true), // beside a link
            ("app", true),
            ("app/etc", true),
            ("app/other", false),
            ("app/etc/a.toml", true),
            ("app/etc/a.toml.swp", true),
            ("elsewhere/else", true),
        ] {
            assert_eq!(trail.is_touched_at(&root.join(path)), is_touched, "{path}");
        }
        assert!(trail.is_touched_at(Path::new("")));
        assert!(trail.is_touched_at(Path::new("/")));
        let beside = trail.beside();
        for beside_it in ["app", "app/etc/a.toml"] {
            assert!(beside.contains(&root.join(beside_it)), "{beside:?}");
        }
        assert!(beside.contains(Path::new("/")), "{beside:?}");
        fs::remove_dir_all(root).unwrap();
    }
}

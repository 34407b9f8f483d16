//! Where the way to a file leads through.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

/// More links than this lead round in a circle.
const LINKS: u32 = 40;

/// The directories in which it is decided what stands at `path`: of each link on the way, and of the file
/// itself. Where the way ends early, the last directory that there is: there it may go on one day.
pub(super) fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut trail = BTreeSet::new();
    let mut here = PathBuf::new();
    let mut ahead = parts(path);
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        let next = here.join(&part);
        let decided_in = || match here.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => here.clone(),
        };
        let leads_to = fs::read_link(&next).ok().filter(|_| links < LINKS);
        if let Some(target) = leads_to {
            links += 1;
            trail.insert(decided_in());
            for part in parts(&target).into_iter().rev() {
                ahead.push_front(part);
            }
            continue;
        }
        if ahead.is_empty() || fs::symlink_metadata(&next).is_err() {
            trail.insert(decided_in());
            break;
        }
        here = next;
    }
    trail
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
            let found: BTreeSet<_> = directories(&root.join(path))
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
        assert_eq!(
            directories(Path::new("Cargo.toml")),
            [PathBuf::from(".")].into()
        );
        assert_eq!(directories(Path::new("")), BTreeSet::new());
    }
}

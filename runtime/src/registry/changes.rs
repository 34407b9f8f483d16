//! What is told of directories, without what changes nothing.

use std::path::{Path, PathBuf};

use notify_debouncer_mini::notify::{
    Config, Event, EventHandler, EventKind, RecommendedWatcher, RecursiveMode, Result, Watcher,
    WatcherKind,
    event::{AccessKind, AccessMode},
};

/// Tells of all but looks: those who read whenever they are told would be told of their own reading, for
/// ever.
pub(super) struct Changes(RecommendedWatcher);

fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

impl Watcher for Changes {
    fn new<F: EventHandler>(mut handler: F, config: Config) -> Result<Self> {
        let changes = move |event: Result<Event>| match event {
            Ok(event) if !is_change(&event) => {}
            // Changes were lost: any file may be another. What has no path would not be passed on.
            Ok(event) if event.paths.is_empty() => {
                handler.handle_event(Ok(event.add_path(PathBuf::new())));
            }
            other => handler.handle_event(other),
        };
        RecommendedWatcher::new(changes, config).map(Self)
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> Result<()> {
        self.0.watch(path, mode)
    }

    fn unwatch(&mut self, path: &Path) -> Result<()> {
        self.0.unwatch(path)
    }

    fn kind() -> WatcherKind {
        RecommendedWatcher::kind()
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    #![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

    use std::{fs, sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn who_only_reads_is_not_told_of() {
        let directory =
            std::env::temp_dir().join(format!("steadfast-looks-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let directory = fs::canonicalize(directory).unwrap();
        let read = directory.join("read");
        fs::write(&read, "text").unwrap();
        let (tell, told) = mpsc::channel();
        let mut changes = Changes::new(tell, Config::default()).unwrap();
        changes
            .watch(&directory, RecursiveMode::NonRecursive)
            .unwrap();
        for _ in 0..3 {
            fs::read(&read).unwrap();
        }
        let written = directory.join("written");
        fs::write(&written, "").unwrap();
        // What was read before would have been told before.
        let event = told.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(event.unwrap().paths, [written]);
        fs::remove_dir_all(directory).unwrap();
    }
}

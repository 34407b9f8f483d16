//! A configuration file that is loaded again when it changes.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    thread,
    time::Duration,
};

use notify_debouncer_mini::{
    DebounceEventResult, Debouncer, new_debouncer,
    notify::{self, RecommendedWatcher, RecursiveMode},
};

use super::registry::{Registry, WeakRegistry};
use crate::{
    config::Source,
    error::{ConfigError, ConfigErrors},
    event::{ConfigRejected, Event},
    lock::lock,
};

/// How long changes are gathered before the file is read.
const GATHERED: Duration = Duration::from_millis(100);

/// How long a file must have stayed as it is to count as written: some write in pieces.
const SETTLED: Duration = Duration::from_millis(50);

/// How often a file that keeps changing is read before it is taken as it is.
const READS: u32 = 100;

/// A file that is watched: from [`Registry::watch`].
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    path: PathBuf,
    registry: WeakRegistry,
    /// What was read last, good or bad.
    last: Mutex<Option<String>>,
    /// What tells of changes; none before it began, and once it was stopped.
    watcher: Mutex<Option<Debouncer<RecommendedWatcher>>>,
}

impl Registry {
    /// Loads a file as [`configure_file`](Self::configure_file) does, and again whenever it changes: an
    /// operator edits it, and the program goes on under the new settings.
    ///
    /// A file with mistakes changes nothing, and is told as [`ConfigRejected`](Event::ConfigRejected) with
    /// every mistake and its place. So is one that is gone: its settings stay. Changes are gathered for
    /// 100 ms, and the file is taken once it has stayed the same for another 50 ms. To be safe from a half
    /// of it being read, write another file and rename it over this one. Links are followed, also
    /// when they come to lead elsewhere, as those of a mounted `ConfigMap` do.
    ///
    /// The file is watched as long as the registry is there, or until [`Watch::stop`]; dropping the `Watch`
    /// does not end it. Network file systems may not tell of changes that other machines make.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), steadfast::ConfigErrors> {
    /// steadfast::registry().watch("/etc/shop/steadfast.toml")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// All that [`configure_file`](Self::configure_file) finds, and a directory that cannot be watched. Then
    /// the file is not watched.
    pub fn watch(&self, path: impl AsRef<Path>) -> Result<Watch, ConfigErrors> {
        let inner = Arc::new(Inner {
            path: path.as_ref().to_owned(),
            registry: self.downgrade(),
            last: Mutex::new(None),
            watcher: Mutex::new(None),
        });
        // Before it is read: no change may be missed.
        inner.begin().map_err(|error| inner.unwatchable(&error))?;
        let text = fs::read_to_string(&inner.path).map_err(|error| inner.unreadable(&error))?;
        lock(&inner.last).replace(text.clone());
        let watch = Watch(inner);
        let source = Source::File(watch.0.path.clone());
        match self.configure_if(source, &text, || true) {
            Ok(()) => {
                self.keep(watch.clone());
                Ok(watch)
            }
            Err(errors) => {
                watch.stop();
                Err(errors)
            }
        }
    }
}

impl Watch {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Ends it: nothing is loaded after that. The settings that are in force stay so.
    pub fn stop(&self) {
        // Dropped outside the lock: it may wait for its thread, which may wait for the lock.
        let watcher = lock(&self.0.watcher).take();
        drop(watcher);
        // Whoever is about to load now has done so, or finds that it is not wanted.
        if let Some(registry) = self.0.registry.upgrade() {
            drop(registry.configuration().changing());
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.path).finish()
    }
}

impl Inner {
    fn begin(self: &Arc<Self>) -> notify::Result<()> {
        let this: Weak<Self> = Arc::downgrade(self);
        let changed = move |_: DebounceEventResult| {
            // Whatever it is, even an error: the file says what holds.
            if let Some(this) = this.upgrade() {
                this.load();
            }
        };
        let watcher = new_debouncer(GATHERED, changed)?;
        *lock(&self.watcher) = Some(watcher);
        self.follow()
    }

    /// Watches the directories that the file is in: the file itself may be replaced at any time.
    fn follow(&self) -> notify::Result<()> {
        let mut watcher = lock(&self.watcher);
        let Some(watcher) = watcher.as_mut() else {
            return Ok(());
        };
        let here = directory(&self.path);
        watcher.watcher().watch(here, RecursiveMode::NonRecursive)?;
        // Where a link leads to, as far as it leads anywhere.
        if let Ok(target) = fs::canonicalize(&self.path) {
            let there = directory(&target);
            watcher
                .watcher()
                .watch(there, RecursiveMode::NonRecursive)?;
        }
        Ok(())
    }

    fn load(&self) {
        let Some(registry) = self.registry.upgrade() else {
            return;
        };
        // Before it is read, as at the beginning. If it leads elsewhere meanwhile, that is told again.
        let followed = self.follow().map_err(|error| self.unwatchable(&error));
        let loaded = match self.settled() {
            Ok(text) if lock(&self.last).as_ref() == Some(&text) => Ok(()),
            Ok(text) => {
                lock(&self.last).replace(text.clone());
                let source = Source::File(self.path.clone());
                registry.configure_if(source, &text, || lock(&self.watcher).is_some())
            }
            // Told once.
            Err(_) if lock(&self.last).is_none() => Ok(()),
            Err(error) => {
                lock(&self.last).take();
                Err(self.unreadable(&error))
            }
        };
        for errors in [loaded.err(), followed.err()].into_iter().flatten() {
            let event = Event::ConfigRejected(ConfigRejected { errors });
            registry.sink().tell(&event);
        }
    }

    /// The text, once it stays the same.
    fn settled(&self) -> io::Result<String> {
        let mut text = fs::read_to_string(&self.path);
        for _ in 0..READS {
            thread::sleep(SETTLED);
            let again = fs::read_to_string(&self.path);
            let is_settled = matches!((&text, &again), (Ok(a), Ok(b)) if a == b)
                || (text.is_err() && again.is_err());
            text = again;
            if is_settled {
                break;
            }
        }
        text
    }

    fn unreadable(&self, error: &io::Error) -> ConfigErrors {
        self.wrong(format!("it cannot be read: {error}"))
    }

    fn unwatchable(&self, error: &notify::Error) -> ConfigErrors {
        self.wrong(format!("it cannot be watched: {error}"))
    }

    fn wrong(&self, problem: String) -> ConfigErrors {
        ConfigErrors(vec![ConfigError::File {
            file: self.path.display().to_string(),
            problem,
        }])
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
